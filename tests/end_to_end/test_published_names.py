"""The commands take the names of published models; a server on the loopback interface has the project's own there."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from fake_hub import FakeHub, environment, read_files
from safetensors.numpy import load_file

from electra_paddle.conversion.convert_hf import convert_to_hf

NAME = "chinese-electra-180g-small"
TUNE = ["--data-dir", ".", "--task-names", "chnsenticorp", "--num-train-epochs", "1", "--max-seq-length", "32"]


@pytest.fixture
def hub(project, tmp_path, monkeypatch):
    """Serves the project's `base` as NAME; the commands that the test runs know no other hub."""
    convert_to_hf(project.folder / "models/base", tmp_path / "hf")
    hub = FakeHub()
    for network in ("generator", "discriminator"):
        hub.files[f"hfl/{NAME}-{network}"] = read_files(tmp_path / "hf" / network)
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGINGFACE_"))]:
        monkeypatch.delenv(name)
    for name, value in environment(hub, tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    yield hub
    hub.leave()


def weights(project, run, network):
    return load_file(project.folder / "models" / run / network / "model.safetensors")


def test_pretraining_begins_with_both_networks_of_a_published_model(project, hub):
    options = ["--init-from", NAME, "--learning-rate", "0"]
    result = project.pretrain("from_name", *options, num_train_steps=2)
    for network in ("generator", "discriminator"):
        assert f"{network}: " in result.stdout and f"hfl/{NAME}-{network}: kept in" in result.stderr
        before, after = weights(project, "base", network), weights(project, "from_name", network)
        assert all((before[name] == after[name]).all() for name in before)
    result = project.pretrain("from_one", "--init-from", f"hfl/{NAME}-generator", "--learning-rate", "0")
    assert "NOTE: discriminator: nothing to begin with" in result.stdout


@pytest.mark.slow
def test_fine_tuning_takes_a_published_name_twice(project, hub):
    result = project.run("tasks/run_finetuning.py", *TUNE, "--model-name", NAME)
    assert f"hfl/{NAME}-discriminator: kept in" in result.stderr
    assert "UNTRAINED: classifier.weight, classifier.bias" in result.stderr
    model = project.folder / f"models/{NAME}/finetuning_models/chnsenticorp_model_1/model.safetensors"
    assert model.exists()
    hub.leave()
    project.run("tasks/run_finetuning.py", *TUNE, "--init-checkpoint", f"hfl/{NAME}-discriminator")
    project.run("tasks/run_finetuning.py", *TUNE, "--model-name", NAME)  # although the folder holds results now
    shutil.rmtree(project.folder / f"models/{NAME}")


def test_name_that_cannot_be_fetched_ends_in_one_line_and_nothing_written(project, hub):
    hub.faults = {f"hfl/{NAME}-generator": 404}
    before = sorted(project.folder.rglob("*"))
    for command in (
        [
            "tasks/run_pretrain.py",
            "--data-dir",
            ".",
            "--model-name",
            "new",
            "--max-seq-length",
            "32",
            "--init-from",
            NAME,
        ],
        ["tasks/run_finetuning.py", *TUNE, "--model-name", f"{NAME}-generator"],
    ):
        result = project.run(*command, check=False)
        assert result.returncode == 2
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert f"error: {NAME}" in line and "found HTTP 404" in line
    assert sorted(project.folder.rglob("*")) == before


def test_hub_module_and_from_pretrained_take_a_published_name(project, hub, tmp_path):
    script = (
        "from electra_paddle.hub.packaging.module_archive import export_module\n"
        "import paddlehub, sys\n"
        "folder = export_module(sys.argv[1], sys.argv[2], 'chinese-electra-tiny')\n"
        "module = paddlehub.Module(directory=str(folder), pretrained_dir=sys.argv[3])\n"
        "print(module.assets, len(module.get_embedding([['一丁']])[0][1]))\n"
        "import electra_paddle\n"
        "print(type(electra_paddle.from_pretrained('hfl/' + sys.argv[3] + '-generator')).__name__)\n"
    )
    arguments = [project.folder / "models/base", tmp_path / "chinese_electra_tiny", NAME]
    command = [sys.executable, "-c", script, *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    *_, embedding, network = result.stdout.splitlines()
    assert f"electra-paddle/hfl--{NAME}-discriminator" in embedding and embedding.split()[-1] == "4"
    assert network == "ElectraGenerator"
