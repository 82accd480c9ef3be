"""Batches on their way to the device."""

from __future__ import annotations

import collections
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import paddle

from electra_paddle import runtime
from electra_paddle.batch import Layout
from electra_paddle.training.hardware import is_gpu

if TYPE_CHECKING:
    from paddle import Tensor


def on_device(batches: Iterable[Any], num_parts: int = 1) -> Generator[list[Any], None, None]:
    """The parts of each batch, with tensors in place of arrays.

    On a GPU a thread makes and copies the batch that comes next while the caller is busy with one. It ends with the
    generator; what it raises is raised where its batch is asked for.

    Args:
        batches: NamedTuples of numpy arrays.
        num_parts: into which each is cut, see `parts`.
    """
    if runtime.is_cpu():
        for arrays in batches:
            yield [to_tensors(part) for part in parts(arrays, num_parts)]
        return
    pinned = PinnedMemory() if is_gpu() else None  # tests come here without a GPU
    arguments = iter(batches), num_parts, pinned.copy if pinned else paddle.to_tensor
    copier = ThreadPoolExecutor(1, "copies batches")
    try:
        coming = copier.submit(next_parts, *arguments)
        while (ready := coming.result()) is not None:
            if pinned:
                pinned.release()
            coming = copier.submit(next_parts, *arguments)
            yield ready
    finally:
        copier.shutdown(cancel_futures=True)


def next_parts(source: Iterator[Any], num_parts: int, copy: Callable[[Any], Tensor]) -> list[Any] | None:
    """The parts of the next batch on the device; None after the last."""
    arrays = next(source, None)
    return None if arrays is None else [to_tensors(part, copy) for part in parts(arrays, num_parts)]


class PinnedMemory:
    """Copies arrays to the GPU through main memory that stays in place, so that nobody waits for the copy.

    The copy takes its turn among the kernels that were started. Until then its source has to be kept: freed, it would
    be given to the next batch.
    """

    def __init__(self) -> None:
        self._new: list[Tensor] = []
        self._kept: collections.deque[tuple[Any, list[Tensor]]] = collections.deque()

    def copy(self, array: Any) -> Tensor:
        """The array on this process's GPU, once the GPU gets there."""
        source = paddle.to_tensor(array, place=paddle.CUDAPinnedPlace())
        self._new.append(source)
        return source.cuda(blocking=False)

    def release(self) -> None:
        """Let go the sources that are no longer needed.

        Called between two batches, by the thread that starts the kernels: events belong to the device of their thread.
        """
        event: Any = paddle.device.cuda.Event()  # a CPU's build has it without its methods
        event.record()
        self._kept.append((event, self._new))
        self._new = []
        while self._kept and self._kept[0][0].query():
            self._kept.popleft()


def parts(arrays: Any, count: int) -> list[Any]:
    """A NamedTuple of arrays cut into equal parts along the rows; scalars are the same in all."""
    if count == 1:
        return [arrays]
    size = len(arrays[0]) // count
    return [cut(arrays, slice(number * size, (number + 1) * size)) for number in range(count)]


def cut(arrays: Any, rows: slice) -> Any:
    """Some rows of a NamedTuple of arrays, with all of its scalars."""
    return arrays._make(array[rows] if np.ndim(array) else array for array in arrays)


def to_tensors(arrays: Any, copy: Callable[[Any], Tensor] = paddle.to_tensor) -> Any:
    """A NamedTuple of numpy arrays as one of tensors; `is_full` and, for GPUs, `layout` are filled in where there are
    such fields."""
    known: dict[str, Any] = {}
    if "is_full" in arrays._fields:
        known["is_full"] = np.all(arrays.attention_mask)
    if "layout" in arrays._fields:
        layout = None if runtime.is_cpu() else Layout.of(arrays.attention_mask)
        known["layout"] = layout and layout._replace(index=copy(layout.index), starts=copy(layout.starts))
    return arrays._make(
        known[name] if name in known else copy(value) for name, value in zip(arrays._fields, arrays, strict=True)
    )
