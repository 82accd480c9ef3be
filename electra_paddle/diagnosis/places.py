"""The hub that published models come from, and the folders where they and modules are kept."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from electra_paddle import modelscope, published_models
from electra_paddle.conversion.published import state_of
from electra_paddle.diagnosis.findings import Finding, right, warning, wrong
from electra_paddle.errors import reason

GB = 1e9
ENOUGH, LEAST = 3 * GB, 0.2 * GB  # for the largest published model, and the smallest: downloaded and converted


def cached_models() -> list[str]:
    """Names of the published networks that were fetched to this computer."""
    repositories = [
        model.repository(component) for model in published_models.MODELS for component in published_models.COMPONENTS
    ]
    return [each for each in repositories if state_of(each) not in ("no", "shipped")]


def check_hub(endpoint: str, is_offline: bool, problem: tuple[str, str] | None, num_cached: int) -> list[Finding]:
    """Whether published models can be had. One that is on this computer needs no network.

    Args:
        endpoint: address of the hub.
        is_offline: HF_HUB_OFFLINE is set, so that nobody asks the hub.
        problem: (why it gives no answer, what to do); None if it does, or was not asked.
        num_cached: published networks on this computer.
    """
    cached = f"{num_cached or 'no'} published network{'s' if num_cached != 1 else ''} on this computer"
    if is_offline:
        return [right("hub", f"not asked, as HF_HUB_OFFLINE says; {cached}")]
    if problem is None:
        return [right("hub", f"{endpoint} answers; {cached}")]
    found, mend = problem
    return [warning("hub", f"{found}; {cached} beside the one that is shipped, the others cannot be had", mend)]


def check_second_source(owner: str | None, is_installed: bool) -> list[Finding]:
    """ModelScope, where the user asks for it.

    Args:
        owner: whose copies are asked for; None: nobody's.
        is_installed: whether ModelScope's client is.
    """
    if not owner:
        return []
    found = f"{modelscope.OWNER}={owner}: published models come from there"
    if is_installed:
        return [right("ModelScope", found)]
    return [
        wrong("ModelScope", f"{found}, and its client is not installed", "pip install 'electra-paddle[modelscope]'")
    ]


def check_folder(variable: str, folder: Path) -> list[Finding]:
    """Whether files can be written to a folder, and how much room there is; it need not exist, and is not made.

    Args:
        variable: the environment variable that names it.
    """
    mend = f"set {variable} to a folder with room that can be written"
    there = next(each for each in (folder, *folder.absolute().parents) if os.path.lexists(each))
    try:
        with tempfile.TemporaryFile(dir=there):  # the only way to be sure, also for root and on full or read-only disks
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        return [wrong(variable, f"{folder}: cannot be written ({reason(error)})", mend)]
    found = f"{folder}: can be {'written' if there == folder else 'made'}, {free / GB:.1f} GB free"
    if free < LEAST:
        return [wrong(variable, found, mend)]
    if free < ENOUGH:
        return [warning(variable, f"{found}, where a large model takes {ENOUGH / GB:.0f}", mend)]
    return [right(variable, found)]
