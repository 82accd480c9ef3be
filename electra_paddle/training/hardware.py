"""The machine's abilities, and what a process holds of it."""

import os
import time
from pathlib import Path
from typing import Literal

import numpy as np
import paddle


def is_gpu() -> bool:
    return paddle.device.get_device().startswith("gpu")


def peak_flops(dtype: Literal["float32", "bfloat16", "float16"] = "float32", seconds: float = 0.3) -> float:
    """Floating-point operations a second of this process's device in a large matrix product: the best of several.

    Args:
        dtype: Paddle's name of the precision in which the run multiplies.
        seconds: how long it is tried.
    """
    size = 8192 if is_gpu() else 1024
    values = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    matrix = paddle.to_tensor(values).astype(dtype)
    paddle.matmul(matrix, matrix)
    best, deadline = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < deadline:
        synchronize()
        begin = time.perf_counter()
        paddle.matmul(matrix, matrix)
        synchronize()
        best = min(best, time.perf_counter() - begin)
    return 2 * size**3 / best


def synchronize() -> None:
    """Wait for what the GPU was given to do; a CPU does it at once."""
    if is_gpu():
        paddle.device.synchronize()


def memory_gib() -> float:
    """GiB that this process holds: on the GPU at most so far, or in main memory now."""
    if is_gpu():
        return paddle.device.cuda.max_memory_allocated() / 2**30
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**30
    import resource  # elsewhere the most so far, in KiB

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
