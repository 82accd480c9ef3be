"""The processes that are measured take turns: the parent says how many updates, a process answers how long they took.

Used by every environment, so it imports the standard library only.
"""

import os
import time
from multiprocessing.connection import Client
from pathlib import Path


class Turns:
    """One process's side. The parent listens at the socket that BENCHMARK_ADDRESS names."""

    def __init__(self):
        self._connection = Client(os.environ["BENCHMARK_ADDRESS"])

    def __iter__(self):
        """One item for each update to make; ends when the parent has had enough.

        The first update of a turn begins with `next`, the last one ends with the next `next`.
        """
        while num_updates := self._wait():
            start = time.perf_counter()
            yield from range(num_updates)
            self._connection.send((time.perf_counter() - start, peak_memory()))

    def _wait(self):
        try:
            return self._connection.recv()
        except EOFError:
            return 0


def peak_memory():
    """(bytes resident at most, bytes of files and shared memory among those now); 0 where the kernel does not say."""
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    sizes = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines if line.endswith("kB")}
    return sizes.get("VmHWM", 0), sizes.get("RssFile", 0) + sizes.get("RssShmem", 0)
