"""The Python packages: their versions beside pyproject.toml's bounds, and whether they can be imported."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from electra_paddle.diagnosis.findings import Finding, right, warning, wrong

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PADDLES = {"paddlepaddle": "cpu", "paddlepaddle-gpu": "gpu"}  # package -> the extra that asks for it
MAIN = (*PADDLES, "paddlenlp", "paddlehub", "numpy", "visualdl", "gradio")  # those that get a line each
IMPORTED = ("numpy", "paddle", "paddlenlp", "paddlehub", "visualdl", "gradio")
REINSTALL = "pip install 'electra-paddle[{}]'"


def installed_version(package: str) -> str | None:
    """The version of a package as pip knows it; None if it is not installed."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def declared() -> tuple[str | None, list[str]]:
    """(bounds of Python, requirements) of pyproject.toml, as pip noted them; (None, []) where it noted nothing."""
    from importlib import metadata

    try:
        return metadata.metadata("electra-paddle")["Requires-Python"], metadata.requires("electra-paddle") or []
    except metadata.PackageNotFoundError:
        return None, []


def check_python(bounds: str | None, version: str | None = None) -> list[Finding]:
    """Whether this Python is one that the package takes.

    Args:
        bounds: such as ">=3.10,<3.13"; None if they are not known.
        version: default: this one's.
    """
    version = version or platform.python_version()
    if bounds is None:
        return [warning("Python", f"{version}; its bounds are not known", "install this package with pip")]
    from packaging.specifiers import SpecifierSet

    if SpecifierSet(bounds).contains(version, prereleases=True):
        return [right("Python", f"{version}, within {bounds}")]
    return [wrong("Python", f"{version}, not within {bounds}", f"make an environment with a Python {bounds}")]


def check_paddle(installed: Mapping[str, str | None]) -> list[Finding]:
    """Whether there is one Paddle; two of them overwrite each other's files.

    Args:
        installed: package -> version.
    """
    found = [name for name in PADDLES if installed.get(name)]
    if len(found) == 1:
        return []
    if not found:
        return [wrong("paddlepaddle", "not installed", REINSTALL.format("cpu"))]
    both = " and ".join(f"{name} {installed[name]}" for name in found)
    return [
        wrong(
            "paddlepaddle",
            f"{both}, which overwrite each other",
            f"pip uninstall -y {' '.join(found)} && {REINSTALL.format('cpu')}, or [gpu]",
        )
    ]


def check_versions(requirements: Sequence[str], installed: Mapping[str, str | None]) -> list[Finding]:
    """Versions beside their bounds: a line for each of the main packages and for each that does not fit.

    Args:
        requirements: as pip notes them, such as 'onnx<1.18; extra == "onnx"'. Those of extras count where they are
            installed.
        installed: package -> version, None where it is not installed.
    """
    from packaging.requirements import Requirement

    if not requirements:
        sentence = "pip knows nothing of electra-paddle, so the bounds of its requirements are not known"
        return [warning("requirements", sentence, "install this package with pip")]
    findings, others = [], 0
    for requirement in {str(each): each for each in map(Requirement, requirements) if applies(each)}.values():
        name, version = requirement.name, installed.get(requirement.name)
        if version is None and requirement.marker and "extra" in str(requirement.marker):
            continue
        found = check_version(requirement, version)
        if found.state == "right" and name not in MAIN:
            others += 1
        else:
            findings.append(found)
    findings.sort(key=lambda each: MAIN.index(each.topic) if each.topic in MAIN else len(MAIN))
    if others:
        findings.append(right("other packages", f"{others} more are within their bounds"))
    return findings


def applies(requirement: Requirement) -> bool:
    """Whether a requirement counts on this system, of whatever extra it is but for the developers'."""
    marker = requirement.marker
    if marker is None or marker.evaluate({"extra": ""}):
        return True
    extras = [word for word in str(marker).split('"')[1::2] if word != "dev"]
    return any(marker.evaluate({"extra": extra}) for extra in extras)


def check_version(requirement: Requirement, version: str | None) -> Finding:
    bounds = str(requirement.specifier)
    mend = f'pip install "{requirement.name}{bounds}"'
    if version is None:
        return wrong(requirement.name, "not installed", mend)
    if requirement.specifier.contains(version, prereleases=True):
        return right(requirement.name, f"{version}, within {bounds}" if bounds else version)
    return wrong(requirement.name, f"{version}, not within {bounds}", mend)


def check_imports(errors: Mapping[str, str | None], installed: Mapping[str, str | None]) -> list[Finding]:
    """Whether libraries can be imported.

    Args:
        errors: library -> what its import ended with, None where it went well.
        installed: package -> version; what is not installed has its line already.
    """
    paddle = next(((extra, installed[name]) for name, extra in PADDLES.items() if installed.get(name)), ("cpu", ""))
    lock = "paddle26" if str(paddle[1]).startswith("2.") else "paddle33"
    findings = []
    for name, error in errors.items():
        packages = list(PADDLES) if name == "paddle" else [name]
        if error and any(installed.get(package) for package in packages):
            mend = (
                f"pip install --force-reinstall -c requirements/{lock}.txt '.[{paddle[0]}]' in a clone of this project"
            )
            findings.append(wrong(f"import {name}", error, mend))
    imported = [name for name, error in errors.items() if not error]
    if imported:
        findings.append(right("imports", ", ".join(imported)))
    return findings
