"""The mean of arrays over the processes of one machine, in memory that they share.

Through gloo, the only way that Paddle has on CPUs, 65 MB between two processes took three times as long.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from electra_paddle.arrays import Array

FOLDER = Path("/dev/shm")  # in main memory
ROW_BYTES = 16 << 20  # of one process at a time


class SharedRoom:
    """Rows of float32 numbers in memory that several processes map: one of each, and one for the mean.

    Args:
        file: a file that holds them, see `make_file`; it may be removed as soon as all have opened it.
        rank, num_processes: of this process.
        barrier: waits for all processes.
    """

    def __init__(self, file: str | Path, rank: int, num_processes: int, barrier: Callable[[], None]) -> None:
        self._rank, self._num_processes, self._barrier = rank, num_processes, barrier
        with open(file, "r+b") as stream:
            memory = mmap.mmap(stream.fileno(), 0)
        self._rows = np.frombuffer(memory, np.float32).reshape(num_processes + 1, -1)

    def average(self, arrays: Sequence[Array]) -> None:
        """Replace flat float32 arrays by their means over the processes; all must call it with arrays of such sizes."""
        pieces: list[Array] = []
        room = left = self._rows.shape[1]
        for array in arrays:
            for start in range(0, len(array), room):
                piece = array[start : start + room]
                if len(piece) > left:
                    self._average(pieces)
                    pieces, left = [], room
                pieces.append(piece)
                left -= len(piece)
        self._average(pieces)

    def _average(self, pieces: Sequence[Array]) -> None:
        """The same for arrays that fit into a row together."""
        ends = np.cumsum([0, *map(len, pieces)]).tolist()[1:]
        size = ends[-1] if ends else 0
        places = [slice(end - len(piece), end) for piece, end in zip(pieces, ends, strict=True)]
        for piece, place in zip(pieces, places, strict=True):
            self._rows[self._rank, place] = piece
        self._barrier()
        own = slice(*(size * number // self._num_processes for number in (self._rank, self._rank + 1)))
        mean = self._rows[-1, own]  # nobody reads it any more: all have come to the barrier
        np.copyto(mean, self._rows[0, own])
        for row in self._rows[1:-1]:
            mean += row[own]
        mean *= np.float32(1 / self._num_processes)
        self._barrier()
        for piece, place in zip(pieces, places, strict=True):
            piece[...] = self._rows[-1, place]


def make_file(num_processes: int) -> str | None:
    """A file for a SharedRoom, with its memory set aside; None where there is no room for it."""
    path = None
    try:
        descriptor, path = tempfile.mkstemp(prefix="electra-paddle-", dir=FOLDER)
        with open(descriptor, "wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, (num_processes + 1) * ROW_BYTES)
        return path
    except (OSError, AttributeError):  # another system, or a container with little
        if path:
            Path(path).unlink()
        return None
