"""The wheel and the source distribution hold what the documentation speaks of, and the wheel works without a clone."""

import email
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

import electra_paddle

IN_SDIST = (
    "MANIFEST.in", "Makefile", "LICENSE", "README.md", "README_zh.md", "CHANGELOG.md", "CITATION.cff", "SECURITY.md",
    "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "pyproject.toml", "setup.py", ".pre-commit-config.yaml",
    "docker/Dockerfile",
)  # fmt: skip
FOLDERS = ("configs", "docs", "examples", "hub_modules", "requirements", "tasks", "tests", "tools", ".ci", ".github")
PREDICTION = """
import paddlehub as hub
import electra_paddle

print(electra_paddle.__file__)
model = hub.Module(name="chinese-electra-nano", task="fill-mask")
print([len(words) for words in model.predict([["今天天气很[MASK]"]], top_k=3)[0]])
print(type(electra_paddle.from_pretrained("chinese-electra-nano")).__name__)
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A folder with the source distribution, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout
    return folder


@pytest.fixture(scope="module")
def wheel(packages):
    (path,) = packages.glob("*.whl")
    return path


def tracked(*folders):
    """Files of this project as Git knows them."""
    result = subprocess.run(["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        pytest.skip("no Git clone: what belongs to the project is not known")
    return {name for name in result.stdout.split("\0") if name}


def test_source_distribution_holds_every_file_of_the_project(packages):
    (path,) = packages.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {*IN_SDIST} <= names
    files = tracked("electra_paddle", *FOLDERS)
    assert all(any(name.startswith(f"{folder}/") for name in files) for folder in FOLDERS)
    assert files - names == set()
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_wheel_holds_the_package_recipes_and_modules_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = tracked("electra_paddle") | {f"electra_paddle/{name}" for name in tracked("configs", "hub_modules")}
    assert names == expected


def test_metadata_is_that_of_pyproject_and_its_readme_has_no_link_that_leads_nowhere(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    tomllib = pytest.importorskip("tomllib")  # Python 3.10 has none
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["Version"] == electra_paddle.__version__ == "1.0.0rc1"
    assert metadata["Requires-Python"] == "<3.13,>=3.10"
    assert {*metadata.get_all("Provides-Extra")} == {*project["optional-dependencies"]}
    readme = metadata.get_payload(decode=True).decode()
    assert readme.count("electra") > 10
    assert re.findall(r"\]\((?!https?:|#)[^)]*\)", readme) == []


def test_links_to_files_become_their_texts():
    source = (ROOT / "setup.py").read_text(encoding="utf-8")
    names = {"re": re}
    exec(source[source.index("def without_relative_links") : source.index("\nsetup(")], names)
    text = "[a](docs/a.md), [b](https://b.example), ![c](docs/c.png)[`d`](#d) [e [f]](tests/e.py)"
    assert names["without_relative_links"](text) == "a, [b](https://b.example), [`d`](#d) e [f]"


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Run a program of an environment that has the wheel, and beside it only what the package depends on."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel]
    subprocess.run(pip, env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, check=True)
    site = next((folder / "venv/lib").glob("python*/site-packages"))
    # As text alone: what this environment says of an editable installation of the package does not count there.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    _, script = Path(sys.executable).with_name("hub").read_text(encoding="utf-8").split("\n", 1)
    (folder / "venv/bin/hub").write_text(f"#!{python}\n{script}", encoding="utf-8")
    (folder / "venv/bin/hub").chmod(0o755)

    def run(*arguments):
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        own = {"PATH": f"{folder}/venv/bin:/usr/bin:/bin", "HOME": str(folder), "HUB_HOME": str(folder / "hub")}
        program, *rest = arguments
        command = [folder / "venv/bin" / program, *rest]
        result = subprocess.run(command, cwd=folder, env={**kept, **own}, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout

    run.folder, run.site = folder, site
    return run


@pytest.mark.slow
def test_installed_wheel_predicts_with_the_network_that_it_brings(installed):
    assert installed("electra-paddle", "--version") == "1.0.0rc1\n"
    assert installed("electra-paddle", "--help").startswith("usage: electra-paddle COMMAND")
    assert "chinese-electra-nano" in installed("electra-paddle", "models")
    load = "from electra_paddle.finetuning.suite import load_suite; suite = load_suite('configs/suite/chinese.yaml')"
    assert installed("python", "-c", f"{load}; print(len(suite.tasks))").strip() == "8"
    for name in ("chinese-electra-base", "chinese-electra-nano"):
        assert ": installed; use it with:" in installed("electra-paddle", "install-hub-module", name)
    lines = installed("python", "-c", PREDICTION).splitlines()[-3:]
    assert lines == [str(installed.site / "electra_paddle/__init__.py"), "[3]", "ElectraDiscriminator"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_installed_wheel_shows_its_demo(installed):
    told = installed("electra-paddle", "demo", "--epochs", "0.1")
    assert "[7/7]" in told and "linear model: dev" in told
    assert (installed.folder / "electra-demo/report.html").is_file()


def test_one_version_stands_everywhere():
    version = electra_paddle.__version__
    assert f"\n## [{version}] - 20" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_hooks_of_a_commit_check_with_the_ruff_of_the_lock():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    (revision,) = re.findall(r"ruff-pre-commit\n    rev: v(\S+)", hooks)
    assert f"\nruff=={revision}\n" in (ROOT / "requirements/paddle33.txt").read_text(encoding="utf-8")
