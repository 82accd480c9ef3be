"""Modules as folders and archives, and what hub_modules/ holds."""

import ast
import re
import shutil
import tarfile

import pytest
from conftest import ROOT
from hub.conftest import save_network
from safetensors.numpy import load_file

from electra_paddle import published_models
from electra_paddle.conversion.convert_hf import convert_to_hf
from electra_paddle.errors import CheckpointError, ConfigError
from electra_paddle.hub.packaging.module_archive import export_module
from electra_paddle.hub.packaging.readme import published_readme
from electra_paddle.hub.packaging.trainer_checkpoint import Missing
from electra_paddle.hub.packaging.vendoring import PACKAGE, loaded_files, needed_files, with_relative_imports
from electra_paddle.hub.tasks.registry import BUILT_IN as TASKS

FOLDERS = sorted(path for path in (ROOT / "hub_modules").iterdir() if path.is_dir())


def test_every_published_model_has_a_module():
    assert [folder.name for folder in FOLDERS] == sorted(
        model.name.replace("-", "_") for model in published_models.MODELS
    )


def literals(folder):
    """Name, summary, version, class and weights of a module's folder."""
    tree = ast.parse((folder / "module.py").read_text())
    (kind,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    info = {keyword.arg: keyword.value.value for keyword in kind.decorator_list[0].keywords[:-1]}
    (weights,) = (node.value.value for node in kind.body if isinstance(node, ast.Assign))
    told = {key: info[key] for key in ("name", "summary", "version")}
    return {**told, "class": kind.name, "weights": weights}


def without(text, values):
    for key in ("summary", "name", "version", "class"):
        text = re.sub(rf"(?<![\w-]){re.escape(values[key])}(?![\w-])", key.upper(), text)
    return text


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_modules_differ_in_their_literals_only(folder):
    values, first = literals(folder), literals(FOLDERS[0])
    assert values["name"] == values["weights"] == folder.name.replace("_", "-")
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == [
        "README.md", "__init__.py", "module.py", "requirements.txt",
    ]  # fmt: skip
    for file in ("module.py", "requirements.txt", "__init__.py"):
        assert without((folder / file).read_text(), values) == without((FOLDERS[0] / file).read_text(), first)


def test_every_task_stands_in_the_readme():
    table = published_readme(FOLDERS[0]).partition("| `task=`")[2].partition("output=")[0]
    assert {*re.findall(r"`([a-z-]+)`", table)} >= {*TASKS}


def test_archive_of_a_published_model_has_one_folder_and_no_weights(tmp_path):
    archive = export_module(FOLDERS[0], tmp_path / "module.tar.gz")
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        module = tar.extractfile(f"{FOLDERS[0].name}/module.py").read().decode()
    assert {name.split("/")[0] for name in names} == {FOLDERS[0].name}
    assert not [name for name in names if "assets" in name]
    assert "from ._electra_paddle.hub.module import ElectraModule" in module
    content = archive.read_bytes()
    assert export_module(FOLDERS[0], archive, overwrite=True).read_bytes() == content
    with pytest.raises(ConfigError, match="--name"):
        export_module(FOLDERS[0], tmp_path / "other.tar.gz", name="other")


def test_copy_imports_nothing_of_this_package_and_all_that_it_needs(tiny_run, tmp_path):
    folder = export_module(tiny_run, tmp_path / "chinese_electra_tiny")
    files = {str(path.relative_to(folder / "_electra_paddle")) for path in folder.rglob("_electra_paddle/**/*.py")}
    assert files == {str(path.relative_to(PACKAGE)) for path in needed_files()} | {"__init__.py"}
    assert {"hub/tasks/pretraining.py", "models/heads.py", "conversion/published.py"} <= files
    assert not files & {"hub/packaging/module_archive.py", "cli.py", "finetuning/run.py", "training/loop.py"}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not [alias for alias in node.names if alias.name.startswith("electra_paddle")]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                assert not node.module.startswith("electra_paddle")


def test_imports_for_types_alone_become_relative_and_bring_no_file():
    source = "if TYPE_CHECKING:\n    from electra_paddle.cli import main\nfrom electra_paddle.files import sha256\n"
    assert [path.name for path in loaded_files(source)] == ["files.py"]
    assert "from ..cli import main" in with_relative_imports(source, "..")


def test_imports_become_relative_at_every_depth():
    source = "from electra_paddle import runtime\n\ndef f():\n    from electra_paddle.text import (\n        pad)\n"
    expected = "from .. import runtime\n\ndef f():\n    from ..text import (\n        pad)\n"
    assert with_relative_imports(source, "..") == expected
    assert with_relative_imports("from electra_paddle.hub import command", ".", "_copy") == (
        "from ._copy.hub import command"
    )


def test_run_brings_both_networks_and_its_card(tiny_run, tmp_path):
    folder = export_module(tiny_run, tmp_path / "chinese_electra_tiny", summary='with "quotes"')
    assets = sorted(str(path.relative_to(folder / "assets")) for path in (folder / "assets").rglob("*.safetensors"))
    assert assets == ["generator/model.safetensors", "model.safetensors"]
    readme = (folder / "README.md").read_text()
    assert "# card" in readme and 'hub.Module(name="chinese-electra-tiny")' in readme
    tree = ast.parse((folder / "module.py").read_text())
    (decorator,) = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.func.id == "moduleinfo")
    assert {keyword.arg for keyword in decorator.keywords if isinstance(keyword.value, ast.Constant)} == {
        "name", "version", "summary", "author", "author_email", "type",
    }  # fmt: skip


def test_fine_tuned_directory_brings_its_task(tiny_shape, tmp_path):
    from electra_paddle.models.heads import ElectraTagger

    save_network(ElectraTagger, tmp_path / "model", tiny_shape)
    (tmp_path / "model" / "task.json").write_text('{"kind": "tagging", "labels": ["O", "B-X"]}')
    folder = export_module(tmp_path / "model", tmp_path / "chinese_electra_ner")
    assert (folder / "assets" / "task.json").is_file()
    assert "token-cls" in (folder / "README.md").read_text() and "O, B-X" in (folder / "README.md").read_text()


def test_reader_tells_what_it_is_to_be_given(tiny_shape, tmp_path):
    from electra_paddle.models.reading_comprehension import ElectraReader

    save_network(ElectraReader, tmp_path / "model", tiny_shape)
    (tmp_path / "model" / "task.json").write_text('{"kind": "reading_comprehension", "settings": {"doc_stride": 9}}')
    folder = export_module(tmp_path / "model", tmp_path / "chinese_electra_reader")
    readme = (folder / "README.md").read_text()
    assert "不指定时的任务：`question-answering`" in readme
    assert 'predict([["哈尔滨是黑龙江省的省会。", "黑龙江省的省会是哪里？"]], output="dict")' in readme
    assert "--input_text '哈尔滨是黑龙江省的省会。' '黑龙江省的省会是哪里？'" in readme
    assert "doc_stride" in (folder / "assets" / "task.json").read_text()


def test_nothing_but_a_module_is_overwritten_and_that_when_told_so(tiny_run, tmp_path):
    folder = export_module(tiny_run, tmp_path / "m", "chinese-electra-tiny")
    before = (folder / "module.py").read_bytes()
    with pytest.raises(ConfigError, match="--overwrite"):
        export_module(tiny_run, folder, "other-name")
    assert (folder / "module.py").read_bytes() == before
    export_module(tiny_run, folder, "other-name", overwrite=True)
    assert b"other-name" in (folder / "module.py").read_bytes()
    (tmp_path / "thesis").mkdir()
    with pytest.raises(ConfigError, match="thesis, which exists"):
        export_module(tiny_run, tmp_path / "thesis", overwrite=True)


def test_model_in_another_layout_is_exported(tiny_run, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    convert_to_hf(tiny_run / "discriminator", tmp_path / "hf")
    export_module(tmp_path / "hf", tmp_path / "own", "own-module")
    before, after = (
        load_file(folder / "model.safetensors") for folder in (tiny_run / "discriminator", tmp_path / "own/assets")
    )
    assert before.keys() == after.keys() and all((before[name] == after[name]).all() for name in before)


def test_damaged_directory_is_refused_and_nothing_written(tiny_run, tmp_path):
    shutil.copytree(tiny_run / "discriminator", tmp_path / "damaged")
    weights = tmp_path / "damaged" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    for source, message in (
        (tmp_path / "damaged", "no readable tensors"),
        (tmp_path / "nowhere", "no such file or folder"),
    ):
        with pytest.raises(CheckpointError, match=message):
            export_module(source, tmp_path / "out.tar.gz")
    with pytest.raises(ConfigError, match="--name"):
        export_module(tiny_run, tmp_path / "Out.tar.gz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged"]


def test_folder_of_hub_modules_keeps_its_name_version_and_summary(tmp_path):
    for option in ("name", "version", "summary"):
        with pytest.raises(
            ConfigError, match=rf"^--{option}: found '2.0', expected nothing: .* has its own in module.py"
        ):
            export_module(FOLDERS[0], tmp_path / "m.tar.gz", **{option: "2.0"})


def test_fine_tuned_directory_names_its_labels_itself(tiny_run, tmp_path):
    with pytest.raises(
        ConfigError, match=r"^--label-map: found an option for checkpoints of hub.Trainer, expected noth"
    ):
        export_module(tiny_run, tmp_path / "m.tar.gz", missing=Missing(label_map="[1, 2]"))
