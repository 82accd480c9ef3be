"""The processor, its threads and the memory."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from electra_paddle import runtime
from electra_paddle.diagnosis.findings import Finding, right, warning, wrong

GB = 1e9
LEAST_MEMORY = 1e9  # bytes; Paddle and PaddleNLP alone take 0.6
NO_LIMIT = 1 << 60  # bytes; a control group's limit beyond it stands for none


def check_processor(environment: Mapping[str, str], description: str | None = None) -> list[Finding]:
    """What the processor can do, and which of it is used.

    Args:
        environment: variables as the user has set them.
        description: the kernel's, of one processor; default: of this one.
    """
    words = set((runtime.cpu_description() if description is None else description).split())
    if "flags" not in words:
        return [right("processor", f"{platform.machine()}; the kernel does not say what it can do")]
    if "avx" not in words:
        return [wrong("processor", f"{runtime.processor_name()} without AVX", "Paddle needs a processor with AVX")]
    halves = [name for name in ("avx512_bf16", "amx_bf16") if name in words]
    parts = {
        "AVX-512": words >= runtime.AVX512,
        "VNNI": "avx512_vnni" in words,
        f"bf16 ({', '.join(halves)})": bool(halves),
        "AMX": "amx_tile" in words,
    }
    has, lacks = ([name for name, there in parts.items() if there == wanted] for wanted in (True, False))
    sentence = f"{runtime.processor_name()}: {', '.join(has) or 'AVX2' if 'avx2' in words else 'AVX'}"
    if lacks:
        sentence += f"; no {', no '.join(name.removesuffix(' ()') for name in lacks)}"
    faster = "faster, in training (precision: bf16) and in exported networks"
    about_bf16 = faster if runtime.has_fast_bf16() else "no faster, so not used"
    findings = [right("processor", sentence), right("bf16 on the CPU", about_bf16)]
    wanted, name = runtime.math_library_setting(), runtime.MATH_LIBRARY
    if wanted and environment.get(name, wanted) != wanted:
        findings.append(warning("matrix products", f"{name}={environment[name]}, slow here", f"unset {name}"))
    elif wanted:
        path = {"7": "AVX-512", "5": "AVX2"}[wanted]
        findings.append(right("matrix products", f"{path}, by {name}={wanted}, which this package sets"))
    if environment.get("FLAGS_use_mkldnn", "1").lower() in ("0", "false"):
        findings.append(
            warning("oneDNN", f"FLAGS_use_mkldnn={environment['FLAGS_use_mkldnn']}, slow", "unset FLAGS_use_mkldnn")
        )
    return findings


def check_threads(environment: Mapping[str, str], num_cores: int) -> list[Finding]:
    """How many threads compute, beside the cores that this process may use."""
    name, value = "OMP_NUM_THREADS", environment.get("OMP_NUM_THREADS", "")
    cores = right("cores", f"{num_cores} for this process, of {os.cpu_count()} in the machine")
    if not value:
        return [cores, right("threads", f"{name} is not set; this package sets {num_cores}")]
    if not value.isdigit() or int(value) < 1:
        return [cores, wrong("threads", f"{name}={value}, no number of threads", f"unset {name}")]
    if int(value) != num_cores:
        return [cores, warning("threads", f"{name}={value} for {num_cores} cores", f"unset {name}")]
    return [cores, right("threads", f"{name}={value}")]


def memory_sizes(root: Path = Path("/")) -> tuple[int, int] | None:
    """(total, available) bytes of the machine's memory, as the kernel says; None if it says nothing.

    Args:
        root: folder that holds the system's `proc` and `sys`.
    """
    path = root / "proc/meminfo"
    if not path.exists():
        return None
    kib = {name: int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB", path.read_text(), re.MULTILINE)}
    return kib["MemTotal"] << 10, kib.get("MemAvailable", kib["MemFree"]) << 10


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes that this process's control groups, of either version, let it have; None if they set no limit."""
    groups = root / "proc/self/cgroup"
    limits = []
    for line in groups.read_text().splitlines() if groups.exists() else []:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            base, file = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            base, file = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        own = base / group.lstrip("/")
        # A container may see its own group as the root, under another path than the kernel names.
        for folder in (own, *own.parents):
            path = folder / file
            if path.is_file() and path.read_text().strip().isdigit():
                limits.append(int(path.read_text()))
            if folder == base:
                break
    least = min(limits, default=NO_LIMIT)
    return least if least < NO_LIMIT else None


def check_memory(sizes: tuple[int, int] | None, limit: int | None) -> list[Finding]:
    """Whether there is room for Paddle.

    Args:
        sizes: see `memory_sizes`.
        limit: see `memory_limit`.
    """
    if sizes is None:
        return [right("memory", "the kernel does not say how much there is")]
    total, available = sizes
    found = f"{total / GB:.1f} GB, {available / GB:.1f} of them available; " + (
        f"a control group lets this process have {limit / GB:.1f}" if limit else "no control group limits it"
    )
    if min(total, limit or total) < LEAST_MEMORY:
        mend = f"give it more: Paddle and PaddleNLP alone take 0.6 GB, a network needs {LEAST_MEMORY / GB:.0f} and more"
        return [wrong("memory", found, mend)]
    if available < LEAST_MEMORY:
        return [warning("memory", found, "end other programs first")]
    return [right("memory", found)]
