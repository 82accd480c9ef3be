"""Every mistake ends in one line, exit status 2, and nothing written."""

import json
import shutil

import pytest

BUILD = ["tasks/build_pretraining_data.py", "--output-dir", "new_shards", "--max-seq-length", "32"]
PRETRAIN = ["tasks/run_pretrain.py", "--data-dir", "."]
FINETUNE = [
    "tasks/run_finetuning.py",
    "--data-dir",
    ".",
    "--max-seq-length",
    "32",
    "--model-name",
    "base",
    "--output-dir",
    "models/new",
]


@pytest.fixture
def broken(project):
    """The project's folder with broken files in it, which go afterwards."""
    folder = project.folder
    (folder / "empty.txt").write_text("")
    (folder / "no_mask.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n一\n", encoding="utf-8")
    (folder / "hparams.json").write_text('{"learning_rte": 1e-4}')
    (folder / "mood.yaml").write_text("labels: [sad, glad]\n")
    (folder / "finetuning_data/mood").mkdir()
    (folder / "finetuning_data/mood/train.tsv").write_text("label\ttext_a\nangry\t一\n", encoding="utf-8")
    yield project
    for name in ("empty.txt", "no_mask.txt", "hparams.json", "mood.yaml"):
        (folder / name).unlink()
    shutil.rmtree(folder / "finetuning_data/mood")


def listing(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ([*BUILD, "--corpus-dir", "absent", "--vocab-file", "vocab.txt"], "absent: found no such file or folder, expected a .txt file"),
        ([*BUILD, "--corpus-dir", "empty.txt", "--vocab-file", "vocab.txt"], "empty.txt: found no text, expected one sentence"),
        ([*BUILD, "--corpus-dir", "corpus.txt", "--vocab-file", "no_mask.txt"], "no_mask.txt: found no [MASK] in 5 lines"),
        ([*BUILD, "--corpus-dir", "corpus.txt", "--vocab-file", "absent.txt"], "absent.txt: found no such file or directory"),
        ([*PRETRAIN, "--hparams", "hparams.json"], "hparams.json: learning_rte: found an unknown hyper-parameter, expected 'learning_rate'"),
        ([*PRETRAIN, "--model-name", "base", "--max-seq-length", "32"], "state.json: found discriminator.embedding_size 8, expected 128"),
        ([*PRETRAIN, "--max-seq-length", "64"], "max_seq_length: found 64, expected 32, as the shards"),
        ([*PRETRAIN, "--vocab-size", "21128"], "vocab_size: found 21128, expected 45, the lines of vocab.txt"),
        ([*PRETRAIN, "--vocab-file", "no_mask.txt"], "no_mask.txt: found no [MASK]"),
        ([*PRETRAIN, "--pretrain-shards", "none"], "none/manifest.json: found no such file, expected shards"),
        ([*FINETUNE, "--task-names", "mood.yaml"], "train.tsv:2: found label 'angry', expected sad or glad"),
        ([*FINETUNE, "--task-names", "mood"], "task_names: found 'mood', expected chnsenticorp"),
        ([*FINETUNE, "--hparams", "hparams.json"], "hparams.json: learning_rte: found an unknown hyper-parameter"),
        ([*FINETUNE, "--init-checkpoint", "corpus"], "corpus: found no config.json"),
        (["tools/export_hub_module.py", "models/none", "out", "--name", "a-b"], "models/none: found no config.json"),
        (["tools/export_hub_module.py", "models/base", "out", "--name", "A.b"], "--name: found 'A.b', expected lower-case words"),
    ],
)  # fmt: skip
def test_mistake_ends_in_one_line(broken, command, message):
    before = listing(broken.folder)
    result = broken.run(*command, check=False)
    assert result.returncode == 2
    assert message in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip() and "build shards" not in line]
    assert len(lines) == 1 and lines[0].startswith("error: ")
    assert result.stdout == ""
    assert listing(broken.folder) == before


def test_checkpoint_with_weights_of_another_shape_is_refused(broken):
    folder = broken.folder / "other"
    shutil.copytree(broken.folder / "models/base/discriminator", folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "intermediate_size": 8}))
    result = broken.run(*FINETUNE, "--init-checkpoint", "other", check=False)
    shutil.rmtree(folder)
    assert result.returncode == 2
    assert "model.safetensors: found electra.encoder.layers.0.linear1.weight [16, 64], expected" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (broken.folder / "models/new").exists()


def test_unknown_command_lists_the_known_ones(project):
    import subprocess
    import sys

    result = subprocess.run([sys.executable, "-m", "electra_paddle", "train"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "train: found an unknown command" in result.stderr and "run_pretrain" in result.stderr
