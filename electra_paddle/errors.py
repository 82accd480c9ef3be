"""Mistakes a user can mend, told in one line: where, what was found, what was expected, what to do."""

from collections.abc import Sequence
from typing import Any


class ElectraPaddleError(ValueError):
    """A user's mistake. The command line prints it as one line and exits with status 2.

    Args:
        where: the file, with line or key if there is one, or the name of the option.
        found: what stands there.
        expected: what should stand there.
        advice: what to do about it, where that is not obvious.
    """

    def __init__(self, where: object, found: object, expected: object, advice: str = "") -> None:
        self.found = found
        message = f"{shortened(where)}: found {shortened(found)}, expected {shortened(expected)}"
        super().__init__(" ".join((f"{message}; {advice}" if advice else message).split()))

    def __reduce__(self) -> tuple[Any, ...]:  # so that it travels between processes
        return _restore, (type(self), str(self))


def some_of(names: Sequence[str], most: int = 4) -> str:
    """The first names of a list, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def shortened(value: object, most: int = 400) -> str:
    """A value as text that fits into a message."""
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}..."


def _restore(kind: type[ElectraPaddleError], message: str) -> ElectraPaddleError:
    error = kind.__new__(kind)
    error.args = (message,)
    return error


class ConfigError(ElectraPaddleError):
    """A hyper-parameter, an option or a configuration file."""


class DataError(ElectraPaddleError):
    """A corpus, a vocabulary, shards or a task's files."""


class CheckpointError(ElectraPaddleError):
    """A checkpoint or a pretrained directory."""


class TrainingError(ElectraPaddleError):
    """A run whose numbers went wrong."""


def reason(error: BaseException) -> str:
    """The system's message of an error, shortened to fit into a sentence."""
    text = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
    return text[:1].lower() + text[1:]


class Interrupted(Exception):
    """A command was asked to end, and has ended in good order.

    Args:
        signal: number of the signal that asked.
        message: what is saved and how to go on.
    """

    def __init__(self, signal: int, message: str) -> None:
        super().__init__(message)
        self.status = 128 + signal
