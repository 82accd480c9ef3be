"""For which GPUs a library holds code."""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PTX, MACHINE_CODE = 1, 2  # kinds of an entry
CONTAINER = 0xBA55ED50  # the number that a container begins with
SECTION = b".nv_fatbin"


class CudaCode(NamedTuple):
    """The architectures that a build was compiled for, each 10 * major + minor of a compute capability.

    Attributes:
        machine: of machine code, which runs on cards of the same major number and of this minor one or a later.
        ptx: of portable code, which the driver compiles for any card of this capability or a later one.
    """

    machine: tuple[int, ...]
    ptx: tuple[int, ...] = ()

    def runs_on(self, capability: tuple[int, int]) -> bool:
        """Whether a card of a compute capability (major, minor) can run it."""
        card = 10 * capability[0] + capability[1]
        return any(card // 10 == each // 10 and card >= each for each in self.machine) or any(
            card >= each for each in self.ptx
        )

    def __str__(self) -> str:
        parts = [f"{each / 10:.1f}" for each in self.machine] + [f"{each / 10:.1f} and later" for each in self.ptx]
        return ", ".join(parts)


def read_library(path: Path) -> CudaCode | None:
    """What code a shared library (ELF, 64 bits) has in nearly all of its parts; None if it has none or is no library.

    A few parts come from CUDA's own libraries and are there for more architectures than the rest.
    """
    try:
        with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as memory:
            found = list(entries(memory))
    except (OSError, ValueError, struct.error):
        return None
    num_containers = len({container for container, *_ in found})
    counts = Counter((kind, architecture) for _, kind, architecture in found)
    common = sorted(entry for entry, count in counts.items() if 2 * count > num_containers)
    machine, ptx = (tuple(each for kind, each in common if kind == wanted) for wanted in (MACHINE_CODE, PTX))
    return CudaCode(machine, ptx) if machine or ptx else None


def entries(memory: mmap.mmap) -> Iterator[tuple[int, int, int]]:
    """(place of the container, kind, architecture) of all code in a library.

    Raises:
        ValueError, struct.error: it is none, or damaged.
    """
    if memory[:5] != b"\x7fELF\x02":
        raise ValueError("no 64-bit ELF file")
    (table,) = struct.unpack_from("<Q", memory, 0x28)
    size, count, names = struct.unpack_from("<HHH", memory, 0x3A)
    sections = [struct.unpack_from("<IIQQQQ", memory, table + number * size) for number in range(count)]
    for name, _, _, _, at, length in sections:
        start = sections[names][4] + name
        if memory[start : start + len(SECTION) + 1] == SECTION + b"\0":
            yield from entries_of_section(memory, at, at + length)


def entries_of_section(memory: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    while at + 16 <= end:
        number, _, header, length = struct.unpack_from("<IHHQ", memory, at)
        if number != CONTAINER:  # what fills up to the next one
            at += 8
            continue
        entry, stop = at + header, at + header + length
        while entry < stop:
            kind, _, entry_header, payload = struct.unpack_from("<HHIQ", memory, entry)
            (architecture,) = struct.unpack_from("<I", memory, entry + 28)
            yield at, kind, architecture
            entry += entry_header + payload
        at = stop
