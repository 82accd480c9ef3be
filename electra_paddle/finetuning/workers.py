"""A function's results for several arguments, each in a process of its own.

Each process has a connection of its own and shares no lock with others, so that one that is killed ends the work
with an error rather than leave the others waiting.
"""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from electra_paddle.errors import DataError, ElectraPaddleError

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
    context = multiprocessing.get_context("spawn")
    connections, processes = [], []
    try:
        for task in tasks:
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs, function), daemon=True)
            process.start()
            theirs.close()  # its death then ends the connection
            connections.append(ours)
            processes.append(process)
            ours.send(task)
        return [receive(connection) for connection in connections]
    except (EOFError, OSError) as broken:
        raise DataError(option, "a process that was killed, perhaps for want of memory", "all alive") from broken
    finally:
        for process in processes:
            process.terminate()
            process.join()


def receive(connection: Connection) -> Any:
    result = connection.recv()
    if isinstance(result, ElectraPaddleError):
        raise result
    return result


def work(connection: Connection, function: Callable[..., Any]) -> None:
    """Receive one task, do it and send the result; the body of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends the work
    try:
        connection.send(function(*connection.recv()))
    except ElectraPaddleError as error:
        connection.send(error)
