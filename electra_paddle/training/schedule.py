"""The learning rate over the updates of a run, and when the run ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from electra_paddle.schedules import SCHEDULES, Course

if TYPE_CHECKING:
    from paddle.optimizer.lr import LambdaDecay


class Ending:
    """The end of a run whose decay may be asked for while it lasts.

    Args:
        num_train_steps: when it ends unless it is asked to end before.
        num_decay_steps: updates between the beginning of the decay and the end; 0 where there is no decay to ask for.
        decay_start: update with which the decay began or begins, if that was asked for before.
    """

    def __init__(self, num_train_steps: int, num_decay_steps: int = 0, decay_start: int | None = None) -> None:
        self.num_decay_steps = num_decay_steps
        self.asked = decay_start is not None
        self.decay_start = num_train_steps - num_decay_steps if decay_start is None else decay_start

    @property
    def step(self) -> int:
        """Updates of the whole run."""
        return self.decay_start + self.num_decay_steps

    def begin_decay(self, step: int) -> None:
        """Let the decay begin after `step` updates, unless it has begun already."""
        if step < self.decay_start:
            self.decay_start, self.asked = step, True

    def state(self) -> int | None:
        """The state for a checkpoint: the update with which a requested decay began, or None."""
        return self.decay_start if self.asked else None


def build_schedule(
    learning_rate: float,
    num_train_steps: int,
    num_warmup_steps: float,
    power: float = 1.0,
    name: str = "linear",
    ending: Ending | None = None,
) -> LambdaDecay:
    """A Paddle LRScheduler; call its step() after each update.

    Args:
        name: of `electra_paddle.schedules`.
        ending: of a run whose decay may be asked for.
    """
    from paddle.optimizer.lr import LambdaDecay

    schedule, end = SCHEDULES.load(name), ending or Ending(num_train_steps)

    def factor(step: int) -> float:
        course = Course(num_train_steps, num_warmup_steps, power, end.decay_start, end.num_decay_steps)
        return schedule(step, course)

    return LambdaDecay(learning_rate, factor)
