"""Many sequences through a network, as fast as padding allows.

Shapes: B batch, L sequence.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import paddle

from electra_paddle import runtime
from electra_paddle.batch import TokenBatch
from electra_paddle.errors import ConfigError
from electra_paddle.text import pad

SILENT = 3  # seconds before a progress bar appears
DEVICE = threading.RLock()  # held while a device is set

if TYPE_CHECKING:
    from paddle.nn import Layer

    from electra_paddle.arrays import Array
    from electra_paddle.hub.module import ElectraModule

    Engine = Callable[..., list[Array]]  # from TokenBatches of arrays to the arrays of Task.compute
    Sequences = tuple[tuple[Sequence[int] | Array, int], ...]  # (ids, where the second segment begins) for each input


def compute_in_batches(
    rows: Sequence[Sequences], batch_size: int, compute: Callable[..., list[Any]], num_workers: int = 1
) -> list[Any]:
    """Apply a function of batches to rows; returns one value for each row, in their order.

    Rows of similar length go together, so that little is padded; each batch is padded to its longest.

    Args:
        rows: tuples of (ids, position where the second segment begins) pairs, all of the same number of pairs.
        batch_size: rows of a batch at most; fewer where some worker would have none.
        compute: takes a TokenBatch of arrays [B, L] for each pair of a row; returns a list of B values.
        num_workers: how many threads call it at most; they share the cores.
    """
    # The longest first, so that in the end no worker is left alone with them.
    order = sorted(range(len(rows)), key=lambda number: -sum(len(ids) for ids, _ in rows[number]))
    num_workers = max(1, min(num_workers, len(rows)))
    batch_size = min(batch_size, max(1, math.ceil(len(rows) / num_workers)))
    parts = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]

    def run(numbers: Sequence[int]) -> list[Any]:
        return compute(*(pad(sequences) for sequences in zip(*(rows[number] for number in numbers), strict=True)))

    from tqdm import tqdm

    values: list[Any] = [None] * len(rows)
    progress = tqdm(total=len(rows), unit="sequence", delay=SILENT, disable=None, leave=False)  # None: off in a file
    with progress, runtime.shared_cores(num_workers), ThreadPoolExecutor(num_workers) as pool:
        for numbers, part in zip(parts, (pool.map if num_workers > 1 else map)(run, parts), strict=True):
            for number, value in zip(numbers, part, strict=True):
                values[number] = value
            progress.update(len(numbers))
    return values


def eager(module: ElectraModule) -> Engine:
    """The module's network as it is: from TokenBatches of arrays to a list of arrays."""

    def run(*batches: TokenBatch) -> list[Array]:
        tensors = [TokenBatch(*map(paddle.to_tensor, batch)) for batch in batches]
        with paddle.no_grad():
            return [output.numpy() for output in module.handler.compute(module, *tensors)]

    return run


def windows(length: int, room: int) -> list[tuple[int, int, int, int]]:
    """Overlapping parts of a text that is longer than a sequence.

    Args:
        length: tokens of the text.
        room: tokens of a part.

    Returns:
        list of (start, end, first, last): tokens `start` to `end` are one part; those from `first` to `last`, which
        have context on both sides there, are answered from it. Every token is answered once.
    """
    parts: list[tuple[int, int, int, int]] = []
    margin, first = room // 4, 0
    while not parts or first < length:
        start = max(0, min(first - margin, length - room))
        end = min(start + room, length)
        last = length if end == length else end - margin
        parts.append((start, end, first, last))
        first = last
    return parts


@contextlib.contextmanager
def on_device(network: Layer, use_gpu: bool) -> Iterator[None]:
    """Work on a device, one at a time: which device is in use holds for the whole process.

    The device is set back afterwards; the network stays where it was used, since it is large.

    Raises:
        ConfigError: a GPU is wanted and there is none, or none that this build of Paddle has code for.
    """
    if use_gpu and not paddle.device.is_compiled_with_cuda():
        raise ConfigError("use_gpu", True, "False", "this build of Paddle has no GPU support")
    if use_gpu and not paddle.device.cuda.device_count():
        raise ConfigError("use_gpu", True, "False", "Paddle finds no GPU")
    with DEVICE:
        before = paddle.device.get_device()
        target = "cpu"
        if use_gpu:
            target = before if before.startswith("gpu") else "gpu"
            runtime.check_device(target)
        if any(parameter.place.is_gpu_place() != use_gpu for parameter in network.parameters()):
            network.to(device=target)
        paddle.device.set_device(target)
        try:
            yield
        finally:
            paddle.device.set_device(before)
