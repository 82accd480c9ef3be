"""A function's results for several arguments, each in a process of its own."""

import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from electra_paddle.errors import ElectraPaddleError
from electra_paddle.processes import Worker

Result = TypeVar("Result")


def in_processes(function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], option: str) -> list[Result]:
    """[function(*task) for task in tasks], at the same time.

    Args:
        function: a module's function.
        tasks: list of tuples of picklable arguments.
        option: that says how many processes there are, for messages.

    Raises:
        DataError: a process was killed.
        ElectraPaddleError: what the function raised.
    """
    workers: list[Worker] = []
    try:
        for task in tasks:
            workers.append(Worker(work, (function, task), option))
        return [worker.receive() for worker in workers]
    finally:
        for worker in workers:
            worker.join(at_once=True)


def work(connection: Connection) -> None:
    """Receive a function and its arguments, call it and send the result; the body of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends the work
    function, arguments = connection.recv()
    try:
        connection.send(function(*arguments))
    except ElectraPaddleError as error:
        connection.send(error)
