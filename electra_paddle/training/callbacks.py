"""Callbacks: hooks at the events of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from electra_paddle import runtime
from electra_paddle.registry import Registry

if TYPE_CHECKING:
    from electra_paddle.training.session import Session


class Callback:
    """Override what you need. Every process calls every method, at the same updates and in the callbacks' order."""

    def on_start(self, session: Session) -> None:
        """Weights and optimizer are as the run begins or goes on with them; `session.step` updates are done."""

    def on_step(self, session: Session) -> None:
        """An update was made; set `session.should_stop` to end the run after it."""

    def on_evaluation(self, session: Session, scores: Mapping[str, float]) -> None:
        """The networks were evaluated after `session.step` updates."""

    def on_checkpoint(self, session: Session, folder: Path) -> None:
        """A checkpoint was written."""

    def on_end(self, session: Session) -> None:
        """The run has made its last update; it was not interrupted."""


CALLBACKS: Registry[type[Callback]] = Registry("callbacks")


class DecayOnRequest(Callback):
    """Begins the decay of the learning rate once a file lies there.

    Args:
        file: it appears when somebody asks for the decay, and goes when the run has ended.
        interval: updates between two looks.
    """

    def __init__(self, file: Path, interval: int) -> None:
        self.file, self.interval = file, interval

    def on_step(self, session: Session) -> None:
        if session.step % self.interval == 0 and runtime.is_any(self.file.exists()):
            session.begin_decay()

    def on_end(self, session: Session) -> None:
        if runtime.is_main():
            self.file.unlink(missing_ok=True)
