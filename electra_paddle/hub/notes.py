"""What is to be said beside answers: as a warning in Python, as part of the answer where a service collects it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from contextvars import ContextVar

_collected: ContextVar[list[str] | None] = ContextVar("collected", default=None)


def note(message: str, stacklevel: int = 2) -> None:
    """Say something to whoever asked: once, in one line."""
    told = _collected.get()
    if told is None:
        warnings.warn(message, stacklevel=stacklevel + 1)
    elif message not in told:
        told.append(message)


def is_collecting() -> bool:
    """Whether notes become part of an answer, which whoever asked now reads for the first time."""
    return _collected.get() is not None


@contextlib.contextmanager
def collected() -> Iterator[list[str]]:
    """The notes of what is done meanwhile in this thread, instead of warnings."""
    told: list[str] = []
    token = _collected.set(told)
    try:
        yield told
    finally:
        _collected.reset(token)
