"""Damaged shards are found while a run begins: checksums are compared beside its first updates."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from electra_paddle import runtime
from electra_paddle.data.shards import verify
from electra_paddle.errors import DataError
from electra_paddle.training.callbacks import Callback

if TYPE_CHECKING:
    from electra_paddle.training.session import Session

LAST_BYTES = 2_000_000_000  # what a run that has made its last update still compares


class Stopped(Exception):
    """The run has ended before all was compared."""


class ShardVerification(Callback):
    """Compares every file of shards with its checksum, in a thread of the main process; damage ends the run.

    Args:
        folders: of shards.
        at_once: before the first update.
    """

    def __init__(self, folders: Sequence[Path], at_once: bool = False) -> None:
        self.folders, self.at_once = folders, at_once
        self.error: DataError | None = None
        self._thread: threading.Thread | None = None
        self._num_bytes = sum(file.stat().st_size for folder in folders for file in folder.glob("*.npy"))
        self._done, self._stops = 0, False

    def on_start(self, session: Session) -> None:
        if self.at_once:  # in every process, so that none waits for the main one
            for folder in self.folders:
                verify(folder)
        elif runtime.is_main():
            self._thread = threading.Thread(target=self._compare, daemon=True)
            self._thread.start()

    def on_step(self, session: Session) -> None:
        if self.error:
            raise self.error

    def on_end(self, session: Session) -> None:
        if self._thread is None:
            return
        self._stops = self._num_bytes - self._done > LAST_BYTES
        self._thread.join()
        if self.error:
            raise self.error
        if self._stops:
            print(
                f"shards: of {self._num_bytes:,} bytes {self._done:,} were compared with their checksums, then the run "
                "had ended; python -m electra_paddle verify_shards compares all",
                file=sys.stderr,
            )

    def _compare(self) -> None:
        try:
            for folder in self.folders:
                verify(folder, self._count)
        except DataError as error:
            self.error = error
        except OSError as error:
            self.error = DataError(error.filename or self.folders[0], str(error), "shards that can be read")
        except Stopped:
            pass

    def _count(self, num_bytes: int) -> None:
        self._done += num_bytes
        if self._stops:
            raise Stopped
