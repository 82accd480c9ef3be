"""Processes that work for this one, started so that a user's script need not expect them."""

from __future__ import annotations

import contextlib
import multiprocessing
import re
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

from electra_paddle.errors import DataError

LOST = "a worker that was killed, perhaps for want of memory"
GUARD = 'if it says above that a script lacks `if __name__ == "__main__":`, put the work of your script below that line'


class Worker:
    """A process with a connection of its own.

    It shares no lock with others: a pool's queues have some, and who is killed while it holds one leaves everybody
    waiting.

    Args:
        work: a module's function, which gets the other end of the connection.
        first: the first message that it receives there.
        option: that says how many processes there are, for messages.
    """

    def __init__(self, work: Callable[[Connection], None], first: Any, option: str) -> None:
        self.option = option
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=work, args=(theirs,), daemon=True)
        message = ForkingPickler.dumps(first)
        with contextlib.nullcontext() if re.search(b"__main__", message) else _main_module_unknown():
            self.process.start()
        theirs.close()  # its death then ends the connection
        with self._alive():
            self.connection.send_bytes(message)

    def send(self, message: Any) -> None:
        """Send a message.

        Raises:
            DataError: the process was killed.
        """
        with self._alive():
            self.connection.send(message)

    def receive(self) -> Any:
        """The next message.

        Raises:
            DataError: the process was killed.
            Exception: one that was sent.
        """
        with self._alive():
            message = self.connection.recv()
        if isinstance(message, Exception):
            raise message
        return message

    def join(self, at_once: bool) -> None:
        """Wait for its end, which `at_once` brings about."""
        if at_once:
            self.process.terminate()
        self.process.join()
        self.connection.close()

    @contextlib.contextmanager
    def _alive(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as broken:
            advice = f"give the same command again, perhaps with fewer processes; {GUARD}"
            raise DataError(self.option, LOST, "all alive", advice) from broken


@contextlib.contextmanager
def _main_module_unknown() -> Iterator[None]:
    """A process that is started meanwhile does not import the main module.

    It would otherwise, as what it is sent may be defined there, and a script without `if __name__ == "__main__"` would
    begin all its work again.
    """
    main = sys.modules["__main__"]
    known = {name: vars(main).pop(name) for name in ("__spec__", "__file__") if name in vars(main)}
    main.__spec__ = None
    try:
        yield
    finally:
        vars(main).update(known)
