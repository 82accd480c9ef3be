"""The machine's abilities, and what a process holds of it."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import paddle

from electra_paddle.arrays import Array
from electra_paddle.kernels import kernels

Dtype = Literal["float32", "bfloat16", "float16"]


def is_gpu() -> bool:
    return paddle.device.get_device().startswith("gpu")


def peak_flops(dtype: Dtype = "float32", seconds: float = 0.3) -> float:
    """Floating-point operations a second of this process's device in a large matrix product: the best of several.

    Args:
        dtype: Paddle's name of the precision in which the run multiplies.
        seconds: how long it is tried.
    """
    size = 8192 if is_gpu() else 1024
    values = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    multiply = multiplication_on_gpu(values, dtype) if is_gpu() else multiplication_on_cpu(values, dtype)
    multiply()
    best, deadline = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < deadline:
        synchronize()
        begin = time.perf_counter()
        multiply()
        synchronize()
        best = min(best, time.perf_counter() - begin)
    return 2 * size**3 / best


def multiplication_on_gpu(values: Array, dtype: Dtype) -> Callable[[], object]:
    matrix = paddle.to_tensor(values).astype(dtype)
    return lambda: paddle.matmul(matrix, matrix)


def multiplication_on_cpu(values: Array, dtype: Dtype) -> Callable[[], object]:
    out, factor = np.empty_like(values), np.empty(values.shape, np.uint16 if dtype == "bfloat16" else np.float32)
    kernels().convert(values, factor)
    return lambda: kernels().matmul(factor, factor, out)


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
