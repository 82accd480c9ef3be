"""A tiny project folder in which the real commands run."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT

CHARACTERS = [chr(0x4E00 + number) for number in range(40)]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS]
TINY = [
    "--model-hparam-overrides", '{"hidden_size": 16, "num_hidden_layers": 1}', "--embedding-size", "8",
    "--max-seq-length", "32", "--train-batch-size", "8", "--learning-rate", "1e-3", "--num-warmup-steps", "2",
    "--log-steps", "2",
]  # fmt: skip


class Project:
    """Commands in a folder; each returns the finished process with its output as text."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, script, *arguments, check=True):
        command = [sys.executable, str(ROOT / script), *map(str, arguments)]
        result = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        assert not check or result.returncode == 0, result.stderr
        return result

    def pretrain(self, name, *arguments, check=True, num_train_steps=6):
        return self.run("tasks/run_pretrain.py", *options(name, num_train_steps), *arguments, check=check)

    def launch(self, num_processes, name, *arguments, num_train_steps=6):
        process = self.start(num_processes, name, *arguments, num_train_steps=num_train_steps)
        output, _ = process.communicate()
        assert process.returncode == 0, output
        return output

    def start(self, num_processes, name, *arguments, num_train_steps=6, launcher=()):
        """A running launcher, leader of a process group; its output is one stream."""
        command = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", str(num_processes), *launcher]
        command += ["--log_dir", f"log_{name}", str(ROOT / "tasks/run_pretrain.py")]
        command += [*options(name, num_train_steps), *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def start_alone(self, name, *arguments, num_train_steps=6, **more):
        """A running pre-training in one process."""
        command = [sys.executable, str(ROOT / "tasks/run_pretrain.py"), *options(name, num_train_steps), *arguments]
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.folder, **streams, **more)

    def wait_for(self, path, process, seconds=300):
        """Until a file or folder is there, made by a process that is still running."""
        deadline = time.monotonic() + seconds
        while not (self.folder / path).exists():
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def pretrain_until(self, name, checkpoint, *arguments, num_train_steps):
        """Start pre-training and kill it as soon as a checkpoint is there."""
        process = self.start_alone(name, *arguments, num_train_steps=num_train_steps)
        deadline = time.monotonic() + 120
        while not (self.folder / "models" / name / "checkpoints" / checkpoint).exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()


def options(name, num_train_steps):
    """Of pre-training a tiny model."""
    return ["--data-dir", ".", "--model-name", name, "--num-train-steps", str(num_train_steps), *TINY]


def files_of(folder):
    """Every file below a folder with its bytes."""
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A folder with a corpus, a vocabulary, shards, a pre-trained model `base` and a task."""
    folder = tmp_path_factory.mktemp("project")
    os.environ["HUB_HOME"] = str(folder / "hub_home")
    rng = random.Random(0)
    lines = []
    for _ in range(60):
        lines += ["".join(rng.choices(CHARACTERS, k=rng.randint(5, 40))) for _ in range(5)] + [""]
    (folder / "corpus.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    task = folder / "finetuning_data/chnsenticorp"
    task.mkdir(parents=True)
    for split, count in (("train", 120), ("dev", 30), ("test", 30)):
        rows = [f"{label}\t{random_review(rng, label)}" for label in (rng.randint(0, 1) for _ in range(count))]
        (task / f"{split}.tsv").write_text("\n".join(["label\ttext_a", *rows]) + "\n", encoding="utf-8")
    made = Project(folder)
    made.run(
        "tasks/build_pretraining_data.py", "--corpus-dir", "corpus.txt", "--vocab-file", "vocab.txt",
        "--output-dir", "pretrain_shards", "--max-seq-length", 32,
    )  # fmt: skip
    made.pretrain("base")
    return made


def random_review(rng, label):
    """Good reviews use one half of the characters more, bad ones the other."""
    halves = CHARACTERS[:20], CHARACTERS[20:]
    return "".join(rng.choice(halves[label] if rng.random() < 0.8 else CHARACTERS) for _ in range(rng.randint(4, 20)))
