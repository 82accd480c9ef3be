"""The examples of docs/python.md, run as they are printed; both languages show the same ones."""

import os
import re
import subprocess
import sys

from conftest import ROOT
from small_corpus import random_text


def blocks_of(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)


def test_examples_in_python_run_in_their_order(tmp_path):
    (tmp_path / "news").mkdir()
    (tmp_path / "news/corpus.txt").write_text(random_text(0, num_documents=60), encoding="utf-8")
    moods = tmp_path / "runs/finetuning_data/moods"
    moods.mkdir(parents=True)
    for split in ("train", "dev"):
        (moods / f"{split}.tsv").write_text("good\t这里很好。\nbad\t太吵了。\n" * 8, encoding="utf-8")
    script = []
    for block in blocks_of("python.md"):
        if block.startswith("# parts.py"):
            (tmp_path / "parts.py").write_text(block, encoding="utf-8")
        else:
            script.append(block)
    (tmp_path / "example.py").write_text("\n".join(script), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests", tmp_path)))}
    result = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "runs/moods/finetuning_models/moods_model_" in result.stdout
    assert "pretrain/state_length" in (tmp_path / "runs/models/with-parts/table.tsv").read_text()


def test_both_languages_show_the_same_examples():
    assert blocks_of("python.md") == blocks_of("python_zh.md")
