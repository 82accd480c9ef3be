import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

from electra_paddle.config import PretrainingConfig, load_config
from electra_paddle.config.recipes import find_recipe


def test_recipes_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(PretrainingConfig, "configs/model/small.yaml").model_size == "small"
    assert find_recipe("configs/model/none.yaml") == Path("configs/model/none.yaml")


def test_own_file_of_that_name_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "model").mkdir(parents=True)
    (tmp_path / "configs" / "model" / "small.yaml").write_text("model_size: large\n")
    assert load_config(PretrainingConfig, "configs/model/small.yaml").model_size == "large"


@pytest.mark.slow
def test_wheel_brings_every_recipe_and_finds_it(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path, ROOT]
    subprocess.run(command, check=True)
    installed = tmp_path / "installed"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(installed)
    ours = {file.relative_to(ROOT) for file in (ROOT / "configs").glob("*/*.yaml")}
    packed = {file.relative_to(installed / "electra_paddle") for file in installed.rglob("*.yaml")}
    assert ours == packed
    load = "from electra_paddle.finetuning.suite import load_suite; suite = load_suite('configs/suite/chinese.yaml')"
    code = f"{load}; print(len(suite.tasks))"
    environment = {"PYTHONPATH": str(installed), "PATH": ""}
    shown = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert shown.stdout.strip() == b"8"
