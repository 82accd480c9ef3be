"""Gather the facts of this machine and let the checks judge them. Nothing is downloaded or written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from electra_paddle import modelscope, published_models, runtime
from electra_paddle.diagnosis import gpus, machine, packages, places
from electra_paddle.diagnosis.findings import Finding, wrong
from electra_paddle.diagnosis.probe import probe
from electra_paddle.errors import reason
from electra_paddle.files import hub_home


def examine() -> Iterator[Finding]:
    """All findings, each as soon as it is known."""
    environment = dict(os.environ)
    yield from guarded("requirements", 'pip install "packaging"', versions)
    errors, build = probe(packages.IMPORTED)
    yield from packages.check_imports(errors, installed())
    yield from machine.check_processor(environment)
    yield from machine.check_threads(environment, runtime.num_cores())
    yield from machine.check_memory(machine.memory_sizes(), machine.memory_limit())
    yield from gpus.check_gpus(build, gpus.cards_of_driver())
    yield from guarded("hub", 'pip install "huggingface-hub<0.30"', hub)
    yield from places.check_folder("HUB_HOME", hub_home())


def guarded(topic: str, mend: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    """A check's findings, or that a library is missing without which it cannot be made."""
    try:
        return check()
    except ImportError as error:
        return [wrong(topic, f"cannot be checked ({reason(error)})", mend)]


def installed() -> dict[str, str | None]:
    """Package -> version, of all that the checks ask for."""
    names = {*packages.PADDLES, *packages.IMPORTED} - {"paddle"}
    return {name: packages.installed_version(name) for name in names}


def versions() -> list[Finding]:
    from packaging.requirements import Requirement

    bounds, requirements = packages.declared()
    found = {name: packages.installed_version(name) for name in (Requirement(each).name for each in requirements)}
    return [
        *packages.check_python(bounds),
        *packages.check_paddle({**installed(), **found}),
        *packages.check_versions(requirements, found),
    ]


def hub() -> list[Finding]:
    settings, owner = published_models.hub_settings(), modelscope.owner()
    findings = places.check_second_source(owner, modelscope.is_installed())
    if not owner:
        problem = None if settings.is_offline else published_models.hub_problem()
        num_cached = len(places.cached_models())
        findings += places.check_hub(settings.endpoint, settings.is_offline, problem, num_cached)
    findings += places.check_folder("HF_HOME", settings.home)
    if settings.home not in settings.cache.parents:
        findings += places.check_folder("HF_HUB_CACHE", settings.cache)
    return findings
