"""The notebooks of examples/ run from top to bottom, on the network that comes with the package."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
MOST_BYTES = 60_000  # of a notebook with its outputs


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == [
        "answer_questions_from_documents",
        "classify_your_csv",
        "find_typos_and_fill_masks",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_was_run_from_top_to_bottom_and_is_small(path):
    assert path.stat().st_size < MOST_BYTES
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert outputs and not [output for output in outputs if output["output_type"] == "error"]
    text = json.dumps(outputs, ensure_ascii=False)
    assert re.findall(r"(?<![\w/:.~])/[a-z]+/", text) == []  # no folder of the machine on which they ran
    for cell in cells:
        if cell["cell_type"] == "markdown":  # both languages
            source = "".join(cell["source"])
            assert any(ord(char) > 0x4E00 for char in source) and re.search("[a-z]{3}", source)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    shutil.copy(path, tmp_path)
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "HUB_HOME": str(tmp_path / "hub"), "PYTHONPATH": paths}
    options = ["-p", "no:cacheprovider", "--nbmake", "--nbmake-timeout", "500", "--rootdir", tmp_path]
    command = [sys.executable, "-m", "pytest", *options, tmp_path / path.name]
    result = subprocess.run(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    assert result.returncode == 0, result.stdout[-3000:]
