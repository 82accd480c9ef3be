"""What a check found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

State = Literal["right", "warning", "wrong"]


class Finding(NamedTuple):
    """One line of the diagnosis.

    Attributes:
        topic: what was looked at.
        state: "warning" for what works, but not as well as it could, or not for all.
        found: what there is.
        mend: the command or the sentence that mends it; "" where all is right.
    """

    topic: str
    state: State
    found: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.state:8}{self.topic:17}{self.found}" + (f"; {self.mend}" if self.mend else "")


def right(topic: str, found: str) -> Finding:
    return Finding(topic, "right", found)


def warning(topic: str, found: str, mend: str) -> Finding:
    return Finding(topic, "warning", found, mend)


def wrong(topic: str, found: str, mend: str) -> Finding:
    return Finding(topic, "wrong", found, mend)


def worst(findings: Sequence[Finding]) -> State:
    """The worst of their states."""
    states: tuple[State, ...] = ("wrong", "warning")
    return next((state for state in states if any(each.state == state for each in findings)), "right")
