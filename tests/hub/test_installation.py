"""`tools/install_hub_module.py`: what it takes, and what it says of what it does not take."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import ROOT
from hub.conftest import NAME, Hub

from electra_paddle.errors import CheckpointError, ConfigError
from electra_paddle.files import without_dashes
from electra_paddle.hub.packaging.installation import check_module, install_module, unpack
from electra_paddle.hub.packaging.module_archive import export_module

MODULE = '@moduleinfo(name="m", version="1.0.0")\nclass M:\n    pass\n'


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """HUB_HOME of what is installed within this process."""
    monkeypatch.setenv("HUB_HOME", str(tmp_path / "hub_home"))
    return tmp_path / "hub_home"


def files_in(folder):
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


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
def test_archive_without_a_module_is_told_in_one_sentence(tmp_path, home, files, message):
    archive = pack(tmp_path / "m.tar.gz", **files)
    with pytest.raises(CheckpointError) as caught:
        install_module(archive)
    assert str(caught.value).startswith(f"{archive}: found ") and message in str(caught.value)
    assert str(caught.value).endswith("; tools/export_hub_module.py makes one") and "\n" not in str(caught.value)
    assert not home.exists()


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


def archive_of(path, *members):
    """An archive of members that are described and not there: (name, type, size that is claimed, link)."""
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, size, link in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, size, link
            tar.fileobj.write(member.tobuf(tarfile.GNU_FORMAT))
    return path


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (("m/pipe", tarfile.FIFOTYPE, 0, ""), "found m/pipe, a FIFO, expected files and folders"),
        (("m/zero", tarfile.CHRTYPE, 0, ""), "found m/zero, a device, expected files and folders"),
        (("m/a", tarfile.LNKTYPE, 0, "m/nothing"), "found m/a, a link to m/nothing, expected files and folders"),
        (("m/a", tarfile.SYMTYPE, 0, "b"), "tar -h --hard-dereference packs the files that links lead to"),
        (("m/a", tarfile.REGTYPE, 9 * 10**9, ""), "found 9.0 GB up to m/a, once unpacked, expected 8 GB at most"),
        (("m/a", tarfile.XHDTYPE, 9 * 10**9, ""), "found no readable archive (a header of 9,000,000,000 bytes)"),
        (
            ("m/a", tarfile.GNUTYPE_LONGNAME, 2 * 10**9, ""),
            "found no readable archive (a header of 2,000,000,000 bytes)",
        ),
        (("m/a", tarfile.REGTYPE, -(10**10), ""), "found 10.0 GB up to m/a, once unpacked"),
    ],
)
def test_archive_of_more_than_ordinary_files_is_told_and_leaves_nothing(tmp_path, home, member, message):
    archive = archive_of(tmp_path / "m.tar.gz", ("m", tarfile.DIRTYPE, 0, ""), member)
    with pytest.raises(CheckpointError) as caught:
        install_module(archive)
    assert str(caught.value).startswith(f"{archive}: found ") and message in str(caught.value)
    assert not home.exists()


def test_archive_may_be_as_large_as_is_asked_for(tmp_path):
    archive = pack(tmp_path / "m.tar.gz", m__module_py=MODULE, m__zeros="0" * 3_000_000)
    expected = r"found 0.0 GB up to m/.*expected 0.003 GB at most; if you trust it, give a larger --max-size"
    with pytest.raises(CheckpointError, match=expected):
        unpack(archive, tmp_path / "place", 0.003)
    assert files_in(unpack(archive, tmp_path / "other", 0.0031)) == ["module.py", "zeros"]


def test_archive_of_too_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("electra_paddle.hub.packaging.installation.MOST_FILES", 3)
    archive = pack(tmp_path / "m.tar.gz", m__module_py=MODULE, m__a="", m__b="")
    with pytest.raises(CheckpointError, match="found more than 3 files"):
        unpack(archive, tmp_path / "place")


def test_folder_with_a_fifo_is_refused_before_it_is_copied(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m/module.py").write_text(MODULE)
    os.mkfifo(tmp_path / "m/pipe")
    os.mkfifo(tmp_path / "archive.tar.gz")
    with pytest.raises(CheckpointError, match="archive.tar.gz: found no ordinary file, expected a module's archive"):
        install_module(tmp_path / "archive.tar.gz")
    with pytest.raises(CheckpointError, match="m/pipe, a link to nothing, a FIFO or a device, expected files and fold"):
        install_module(tmp_path / "m")


@pytest.mark.parametrize("name", ['"../../outside"', '"/outside"', '"a.b"', "NAME", '""'])
def test_name_that_leads_elsewhere_is_refused(tmp_path, name):
    archive = pack(tmp_path / "m.tar.gz", m__module_py=MODULE.replace('"m"', name))
    with pytest.raises(CheckpointError, match=r"found @moduleinfo\(name=.*expected name=\"letters-digits-and-dashes\""):
        install_module(archive)


@pytest.mark.parametrize(
    ("place", "reason"), [("file", "not a directory"), ("file/home", "not a directory"), ("readonly", "permission den")]
)
def test_home_that_cannot_be_written_is_told_in_one_sentence(tmp_path, monkeypatch, place, reason):
    (tmp_path / "file").write_text("a")
    (tmp_path / "readonly/modules").mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, mode: "readonly" not in str(path))  # whoever runs this test
    monkeypatch.setenv("HUB_HOME", str(tmp_path / place))
    with pytest.raises(ConfigError) as caught:
        install_module("chinese-electra-base")
    assert str(caught.value).startswith(
        f"HUB_HOME: found {tmp_path / place}, where modules/ cannot be written ({reason}"
    )
    assert str(caught.value).endswith(
        "expected a folder that can be written; set the environment variable HUB_HOME to one"
    )


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
def test_module_that_fails_at_its_import_is_told_and_leaves_the_earlier_version(tmp_path):
    head = "from paddlehub.module.module import moduleinfo\n"
    body = "\n\n" + MODULE.replace("class M:\n", "class M(RunModule):\n")
    good = head.replace("moduleinfo", "RunModule, moduleinfo") + body
    for number, code in enumerate((good, head + "import nowhere" + body, head + "import sys\nsys.exit(7)" + body)):
        (tmp_path / str(number)).mkdir()
        pack(tmp_path / f"{number}/m.tar.gz", m__module_py=code, m____init___py="")
    home = tmp_path / "home"
    assert run(home, tmp_path / "0/m.tar.gz").returncode == 0
    (home / "tmp/electra-install").mkdir()
    (home / "tmp/electra-install/huge").write_text("of a process that was killed")
    before = files_in(home / "modules")
    for number, error in ((1, "ModuleNotFoundError: No module named 'nowhere'"), (2, "SystemExit: 7")):
        result = run(home, tmp_path / f"{number}/m.tar.gz")
        assert result.returncode == 2
        assert f"found a module that cannot be installed ({error})" in result.stderr
        assert "Traceback" not in result.stderr
        assert files_in(home / "modules") == before and list((home / "tmp").iterdir()) == []
    assert (home / "modules/m/module.py").read_text() == good
    assert run(home, tmp_path / "0/m.tar.gz", tmp_path / "0/m.tar.gz").stdout.count("m 1.0.0: installed") == 2
    assert files_in(home / "modules") == before


def test_nothing_is_left_beside_a_home_whose_path_has_dashes(tmp_path):
    """PaddleHub would make folders of the same path with `_`, and leave a copy of the module there."""
    code = "from paddlehub.module.module import RunModule, moduleinfo\n\n" + MODULE.replace("M:\n", "M(RunModule):\n")
    home = tmp_path / "li-wei" / "hub-home"
    assert run(home, pack(tmp_path / "m.tar.gz", m__module_py=code, m____init___py="")).returncode == 0
    assert (home / "modules/m/module.py").read_text() == code
    assert not (tmp_path / "li_wei").exists() and not Path(str(home).replace("-", "_")).exists()


def test_path_for_paddlehub_s_own_commands_has_no_dash_and_is_the_folder(tmp_path):
    folder = tmp_path / "hub-home"
    with without_dashes(folder) as home:
        assert "-" not in str(home)
        (home / "modules").mkdir()
    assert (folder / "modules").is_dir() and not home.exists()
