"""A folder that looks like a clone, with small data under the names that the manual's examples have."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT
from fake_hub import FakeHub, environment, read_files
from small_checkpoint import random_variables, write_checkpoint
from torch_files import Tensor, torch_zip

PARTS = ("tasks", "tools", "configs", "requirements", "hub_modules", "electra_paddle")
SAMPLE = ROOT / "electra_paddle/sample"
VOCABULARY = ROOT / "electra_paddle/pretrained/chinese_electra_nano/vocab.txt"
QUESTION = "哪里？"
SERVED = ("chinese-electra-small", "chinese-electra-base", "chinese-electra-180g-small", "chinese-electra-180g-base")


class Clone:
    """A folder in which the examples run, with `python` of small_runs.py and a server that plays the hub.

    Attributes:
        folder: their current folder.
        hub: the server; no other is known there.
    """

    def __init__(self, folder, hub):
        self.folder, self.hub = folder, hub

    def run(self, command):
        """Run a line of bash."""
        environ = environment(self.hub, self.folder / "hf_home")
        environ |= {
            "PATH": f"{self.folder / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests"))),
            "HUB_HOME": str(self.folder / "hub_home"),
        }
        result = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout
        return result.stdout


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """A clone with text and tables, but no models."""
    folder = tmp_path_factory.mktemp("bare")
    for name in PARTS:
        (folder / name).symlink_to(ROOT / name)
    binaries = folder / ".venv/bin"
    binaries.mkdir(parents=True)
    python = f"{sys.executable} {ROOT}/tests/docs/small_runs.py"
    hub = Path(sys.executable).with_name("hub")
    for name, command in {"python": python, "electra-paddle": f"{python} -m electra_paddle", "hub": hub}.items():
        (binaries / name).write_text(f'#!/usr/bin/env bash\nexec {command} "$@"\n')
        (binaries / name).chmod(0o755)
    (binaries / "activate").touch()
    corpus = (SAMPLE / "corpus.txt").read_text(encoding="utf-8")
    write_texts(folder, corpus)
    write_tables(folder)
    server = FakeHub({"config.json": b"{}"})  # `doctor` asks for that of any model
    vocabulary = VOCABULARY.read_bytes()
    for name in SERVED:
        server.files[f"hfl/{name}-discriminator"] = {"vocab.txt": vocabulary}
    yield Clone(folder, server)
    server.leave()


def write_texts(folder, corpus):
    """Corpora and vocabularies."""
    (folder / "runs/wiki").mkdir(parents=True)
    (folder / "news").mkdir()
    (folder / "wiki").mkdir()
    for name in ("wiki_passages.txt", "news/news.txt"):
        (folder / name).write_text(corpus, encoding="utf-8")
    with gzip.open(folder / "wiki/part.jsonl.gz", "wt", encoding="utf-8") as file:
        for paragraph in corpus.split("\n\n"):
            file.write(json.dumps({"text": paragraph}, ensure_ascii=False) + "\n")
    for name in ("vocab.txt", "runs/wiki/vocab.txt"):
        shutil.copy(VOCABULARY, folder / name)
    (folder / "words.txt").write_text("㐀\n㐁\n", encoding="utf-8")


def write_tables(folder):
    """Data of tasks: each task's folder in runs/wiki/finetuning_data, and tables of one's own."""
    header, *rows = (SAMPLE / "train.tsv").read_text(encoding="utf-8").splitlines()[:33]
    texts = [row.partition("\t")[2] for row in rows]
    tables = {
        "chnsenticorp": [header, *rows],
        "lcqmc": [f"{text}\t{text[: 4 + number]}\t{number % 2}" for number, text in enumerate(texts)],
    }
    for task, lines in tables.items():
        write(folder / f"runs/wiki/finetuning_data/{task}", "tsv", "\n".join(lines) + "\n", ("train", "dev", "test"))
    names = "张 B-PER\n三 I-PER\n在 O\n北 B-LOC\n京 I-LOC\n\n" * 8
    write(folder / "runs/wiki/finetuning_data/msra_ner", "txt", names)
    paragraphs = [
        {
            "context": text,
            "qas": [{"id": f"Q{number}", "question": QUESTION, "answers": [{"text": text[2:4], "answer_start": 2}]}],
        }
        for number, text in enumerate(texts[:8])
    ]
    questions = json.dumps({"version": "v1.0", "data": [{"paragraphs": paragraphs}]}, ensure_ascii=False)
    write(folder / "runs/wiki/finetuning_data/cmrc2018", "json", questions)
    write(folder / "runs/finetuning_data/moods", "tsv", "good\t这里很好。\nbad\t太吵了。\n" * 8)
    reviews = "标签,评论\n" + '好,"这里很好，\n下次再来。"\n差,太吵了。\n' * 12
    write(folder / "runs/finetuning_data/reviews", "csv", reviews)
    guessed = "标签,评论\n" + "".join(f"{'好' if n % 2 else '差'},这里{'很好' * (n % 7 + 1)}\n" for n in range(24))
    for name in ("reviews.csv", "dev.csv"):
        (folder / name).write_text(guessed, encoding="utf-8")
    (folder / "new.csv").write_text("编号,评论\n1,太吵\n2,很好\n", encoding="utf-8-sig")
    (folder / "DATA").symlink_to("runs/wiki")
    (folder / "DATA_DIR").symlink_to("runs/wiki")


def write(folder, ending, text, splits=("train", "dev")):
    folder.mkdir(parents=True)
    for split in splits:
        (folder / f"{split}.{ending}").write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def stocked(bare, tmp_path_factory):
    """A clone with shards, a pre-trained and a fine-tuned model `debug`, and weights of other layouts."""
    from safetensors.numpy import load_file

    clone = Clone(tmp_path_factory.mktemp("stocked") / "clone", bare.hub)
    shutil.copytree(bare.folder, clone.folder, symlinks=True)
    clone.run(
        "python tasks/build_pretraining_data.py --corpus-dir wiki_passages.txt --vocab-file runs/wiki/vocab.txt "
        "--output-dir runs/wiki/pretrain_shards --split-sentences --segment-rule lossless"
    )
    clone.run(
        "python tasks/run_pretrain.py --data-dir runs/wiki --model-name debug "
        "--hparams configs/model/debug.yaml configs/pretraining/debug_more.yaml"
    )
    clone.run("python tasks/run_finetuning.py --data-dir runs/wiki --model-name debug --max-seq-length 64")
    clone.run("python -m electra_paddle convert-hf runs/wiki/models/debug served --to hf")
    for name in SERVED:
        for network in ("generator", "discriminator"):
            clone.hub.files[f"hfl/{name}-{network}"] = read_files(clone.folder / "served" / network)
    models = clone.folder / "runs/wiki/models"
    (clone.folder / "MODEL").symlink_to("runs/wiki/models/debug/discriminator")
    shutil.copytree(models / "debug", clone.folder / "runs/models/debug")
    tuned = clone.folder / "runs/models/debug/finetuning_models"
    (tuned / "chnsenticorp_model_1").rename(tuned / "mood_model_1")
    (clone.folder / "lightning").mkdir()
    arrays = load_file(clone.folder / "served/discriminator/model.safetensors")
    state = {f"model.{name}": Tensor(array) for name, array in arrays.items()}
    torch_zip(clone.folder / "lightning/last.ckpt", {"state_dict": state})
    shutil.copy(clone.folder / "served/discriminator/config.json", clone.folder / "lightning")
    write_checkpoint(clone.folder / "tf", random_variables())
    with zipfile.ZipFile(clone.folder / "chinese_electra_small.zip", "w") as archive:
        for path in (clone.folder / "tf").iterdir():
            archive.write(path, path.name)
    return clone


@pytest.fixture
def copied(tmp_path):
    """Function: a clone that a test may change."""

    def copy(clone):
        shutil.copytree(clone.folder, tmp_path / "clone", symlinks=True)
        return Clone(tmp_path / "clone", clone.hub)

    return copy
