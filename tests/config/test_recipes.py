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
def test_wheel_brings_recipes_and_modules_and_finds_them(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path, ROOT]
    subprocess.run(command, check=True)
    installed = tmp_path / "installed"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(installed)
    package = installed / "electra_paddle"
    for files in ("configs/*/*.yaml", "hub_modules/*/*.*"):
        ours = {file.relative_to(ROOT) for file in ROOT.glob(files)}
        assert len(ours) > 10 and {file.relative_to(package) for file in package.glob(files)} == ours

    def run(*arguments):
        variables = {"PYTHONPATH": str(installed), "PATH": "", "HUB_HOME": "home", "HOME": str(tmp_path)}
        options = {"cwd": tmp_path, "env": variables, "stdout": subprocess.PIPE, "text": True, "check": True}
        return subprocess.run([sys.executable, *arguments], **options).stdout

    load = "from electra_paddle.finetuning.suite import load_suite; suite = load_suite('configs/suite/chinese.yaml')"
    assert run("-c", f"{load}; print(len(suite.tasks))").strip() == "8"
    assert ": installed; use it with:" in run("-m", "electra_paddle", "install_hub_module", "chinese-electra-base")
    assert (tmp_path / "home/modules/chinese_electra_base/_electra_paddle/hub/module.py").is_file()
