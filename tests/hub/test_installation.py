"""`tools/install_hub_module.py`: what it takes, and what it says of what it does not take."""

import os
import subprocess
import sys
import tarfile

import pytest
from conftest import ROOT
from hub.conftest import NAME, Hub

from electra_paddle.errors import CheckpointError
from electra_paddle.hub.packaging.installation import check_module, install_module, unpack
from electra_paddle.hub.packaging.module_archive import export_module

MODULE = '@moduleinfo(name="m", version="1.0.0")\nclass M:\n    pass\n'


def pack(archive, **files):
    """An archive of files, name -> content; `__` stands for a slash and `_py` for its ending."""
    folder = archive.parent / "content"
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    with tarfile.open(archive, "w:gz") as tar:
        for path in folder.iterdir():
            tar.add(path, path.name)
    return archive


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"thesis__text": "a"}, "no module in it (no module.py), expected a module's archive or folder"),
        ({"text": "a"}, "found an archive of text, expected one with a module's folder in it"),
        ({"m__module_py": MODULE, "other": "a"}, "found an archive of m, other, expected"),
        ({"m__module_py": "class M:\n    pass\n"}, "found no class with @moduleinfo(...) in its module.py"),
        ({"m__module_py": "x = 1\n"}, "found no class with @moduleinfo(...) in its module.py"),
        ({"m__module_py": "class M(:\n"}, "found a module.py that is no Python (invalid syntax"),
        ({"m__module_py": MODULE + "\0"}, "found a module.py that is no Python"),
    ],
)
def test_archive_without_a_module_is_told_in_one_sentence(tmp_path, files, message):
    archive = pack(tmp_path / "m.tar.gz", **files)
    with pytest.raises(CheckpointError) as caught:
        install_module(archive)
    assert str(caught.value).startswith(f"{archive}: found ") and message in str(caught.value)
    assert str(caught.value).endswith("; tools/export_hub_module.py makes one") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file or folder"), (b"", "no readable archive ("), (b"PK\3\4 a", "no readable archive (")],
)
def test_what_is_no_archive_is_told_in_one_sentence(tmp_path, content, message):
    path = tmp_path / "m.tar.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"m.tar.gz: found .* tools/export_hub_module.py makes one$") as caught:
        install_module(path)
    assert message in str(caught.value)


def test_name_that_is_nearly_a_published_one_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        install_module("chinese-electra-bse")
    assert str(caught.value) == "chinese-electra-bse: found no such file or folder, expected a module's archive or " + (
        "folder, or a published name; perhaps 'chinese-electra-base' is meant"
    )


def test_folder_without_a_module_is_told_in_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="found no module in it"):
        install_module(tmp_path)


def test_archive_that_breaks_off_is_told_at_every_place(tiny_run, tmp_path):
    archive = export_module(tiny_run, tmp_path / "chinese_electra_tiny.tar.gz")
    content = archive.read_bytes()
    for number in range(20):
        archive.write_bytes(content[: len(content) * number // 20])
        (tmp_path / f"place{number}").mkdir()
        with pytest.raises(CheckpointError, match="no readable archive"):
            unpack(archive, tmp_path / f"place{number}")
    archive.write_bytes(content)
    (tmp_path / "place").mkdir()
    check_module(archive, unpack(archive, tmp_path / "place"))


@pytest.mark.parametrize("name", ["../outside", "/outside"])
def test_file_that_would_lie_elsewhere_is_refused(tmp_path, name):
    place = tmp_path / "place"
    place.mkdir()
    (tmp_path / "file").write_text("a")
    with tarfile.open(tmp_path / "m.tar", "w") as tar:
        tar.add(tmp_path / "file", arcname="m/module.py")
        member = tar.gettarinfo(tmp_path / "file")
        member.name = name
        with open(tmp_path / "file", "rb") as stream:
            tar.addfile(member, stream)
    with pytest.raises(CheckpointError, match=r"m.tar: found an (unsafe )?archive"):
        unpack(tmp_path / "m.tar", place)
    assert not (place / name).exists()


def run(home, *modules):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, ROOT / "tools/install_hub_module.py", *modules],
        env={**os.environ, "HUB_HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_archive_is_installed_and_a_broken_one_leaves_what_is_there(tiny_run, hidden_package, tmp_path):
    """On Paddle 2.6 too, where `hub install` crashes at archives."""
    archive = export_module(tiny_run, tmp_path / "chinese_electra_tiny.tar.gz")
    result = run(tmp_path / "home", archive)
    assert result.returncode == 0, result.stderr
    assert f"{NAME} 1.0.0: installed; use it with: hub.Module(name={NAME!r})" in result.stdout
    installed = tmp_path / "home/modules" / NAME.replace("-", "_")
    assert (installed / "assets/model.safetensors").is_file()
    wrong = run(tmp_path / "home", pack(tmp_path / "wrong.tar.gz", m__text="a"))
    assert wrong.returncode == 2
    assert wrong.stderr == f"error: {tmp_path / 'wrong.tar.gz'}: found no module in it (no module.py), " + (
        "expected a module's archive or folder; tools/export_hub_module.py makes one\n"
    )
    assert installed.is_dir()
    answers = Hub(tmp_path / "home", hidden_package).python(f"result = hub.Module(name={NAME!r}).predict([['一']])")
    assert len(answers) == 1


@pytest.mark.slow
def test_published_model_is_installed_by_its_name_without_its_weights(tiny_run, hidden_package, tmp_path):
    result = run(tmp_path / "home", "chinese-electra-180g-base", "chinese_legal_electra_small")
    assert result.returncode == 0, result.stderr
    assert [line.partition(":")[0] for line in result.stdout.splitlines() if ": installed" in line] == [
        "chinese-electra-180g-base 2.0.2", "chinese-legal-electra-small 2.0.2",
    ]  # fmt: skip
    code = f"""
result = hub.Module(name="chinese-electra-180g-base", pretrained={str(tiny_run)!r}).predict([["一"]])
try:
    hub.Module(name="chinese-legal-electra-small")
except Exception as error:
    result.append(str(error))
"""
    answer, error = Hub(tmp_path / "home", hidden_package).python(code)
    assert len(answer) == 2 and error.startswith("chinese-legal-electra-small: found no weights (HF_HUB_OFFLINE set")


@pytest.mark.slow
def test_module_that_fails_at_its_import_is_told_in_one_sentence(tmp_path):
    archive = pack(
        tmp_path / "m.tar.gz",
        m__module_py="from paddlehub.module.module import moduleinfo\nimport nowhere\n\n\n" + MODULE,
        m____init___py="",
    )
    result = run(tmp_path / "home", archive)
    assert result.returncode == 2
    assert "found a module that cannot be installed (ModuleNotFoundError: No module named 'nowhere')" in result.stderr
    assert "Traceback" not in result.stderr
