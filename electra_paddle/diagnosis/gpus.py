"""GPUs, and whether this build of Paddle can use them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from electra_paddle import runtime
from electra_paddle.diagnosis.findings import Finding, right, warning, wrong
from electra_paddle.errors import ConfigError

if TYPE_CHECKING:
    from electra_paddle.cuda_code import CudaCode
    from electra_paddle.diagnosis.probe import Build, Card

GB = 1e9
CHECK = "python -c 'import paddle; paddle.utils.run_check()' tells"


def cards_of_driver(root: Path = Path("/")) -> list[str]:
    """Names of the cards that NVIDIA's driver knows, whatever Paddle sees."""
    files = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    names = [re.search(r"^Model:\s*(.+?)\s*$", file.read_text(), re.MULTILINE) for file in files]
    return [name[1] for name in names if name]


def check_gpus(build: Build | None, driver: Sequence[str]) -> list[Finding]:
    """The cards, and the libraries that they need.

    Args:
        build: of Paddle; None if it cannot be imported, which has a line of its own.
        driver: see `cards_of_driver`.
    """
    there = ", ".join(driver)
    if build is None:
        return []
    if build.cuda is None:
        if driver:
            mend = "to use it, install a build of Paddle for GPUs, see docs/gpu.md"
            return [warning("GPU", f"{there}, unused: this build of Paddle is for CPUs", mend)]
        return [right("GPU", "none is used: this build of Paddle is for CPUs")]
    versions = f"built with CUDA {build.cuda}, cuDNN {build.cudnn}"
    if not build.cards:
        found = f"Paddle, {versions}, finds none and computes on the CPU"
        if driver:
            mend = (
                f"let CUDA_VISIBLE_DEVICES name it and the driver be new enough for CUDA {build.cuda}: nvidia-smi tells"
            )
            return [wrong("GPU", f"{there}, but {found}", mend)]
        return [warning("GPU", found, "if this machine has a card, install NVIDIA's driver")]
    findings = [check_card(number, card, build.code) for number, card in enumerate(build.cards)]
    return [*findings, right("Paddle's build", versions), check_cudnn(build), check_nccl(build)]


def check_card(number: int, card: Card, code: CudaCode | None) -> Finding:
    topic = f"GPU {number}"
    major, minor = card.capability
    found = f"{card.name}, {card.memory / GB:.1f} GB, compute capability {major}.{minor}"
    if code is None:
        return warning(topic, f"{found}; whether this build has code for it is not known", CHECK)
    try:
        runtime.check_card(topic, card.capability, code)
    except ConfigError:
        return wrong(topic, f"{found}; this build of Paddle has code only for {code}", runtime.OTHER_BUILD)
    return right(topic, f"{found}; this build has code for it ({code})")


def check_cudnn(build: Build) -> Finding:
    wanted = (build.cudnn or "").partition(".")[0]
    mend = f"install cuDNN {wanted} for CUDA {build.cuda}, and let LD_LIBRARY_PATH name its folder"
    if build.found_cudnn is None:
        return wrong("cuDNN", "none is found", mend)
    major, rest = divmod(build.found_cudnn, 10_000 if build.found_cudnn >= 90_000 else 1000)
    found = f"{major}.{rest // 100}.{rest % 100}"
    if str(major) != wanted:
        return wrong("cuDNN", f"{found}, where Paddle was built with {build.cudnn}", mend)
    return right("cuDNN", found)


def check_nccl(build: Build) -> Finding:
    if build.found_nccl is not None:
        major, rest = divmod(build.found_nccl, 10_000 if build.found_nccl >= 10_000 else 1000)
        return right("NCCL", f"{major}.{rest // 100}.{rest % 100}")
    if len(build.cards) == 1:
        return right("NCCL", "none is found; one card needs none")
    mend = f"install NCCL for CUDA {build.cuda}, and let LD_LIBRARY_PATH name its folder"
    return wrong("NCCL", f"none is found, which training on {len(build.cards)} cards needs", mend)
