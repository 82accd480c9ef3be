"""Learning-rate schedules by name, as pure functions of the update; both trainings take them.

A schedule of your own is a function like these: register it, `SCHEDULES.register("name", function)`, or name it as
`lr_schedule: module:function`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from electra_paddle.registry import Registry


class Course(NamedTuple):
    """The course of a run as a schedule sees it, in updates."""

    num_train_steps: int  # when the run ends
    num_warmup_steps: float
    power: float = 1.0  # lr_decay_power
    decay_start: float = math.inf  # with which update a decay that is asked for begins
    num_decay_steps: int = 0


Schedule = Callable[[int, Course], float]  # update, counted from 0 -> factor of the learning rate


def warmup_factor(step: int, num_warmup_steps: float) -> float:
    """Rises from 0 at the first update to 1 after the warm-up."""
    return min(1.0, step / num_warmup_steps) if num_warmup_steps else 1.0


def linear(step: int, course: Course) -> float:
    """The original's: the warm-up is multiplied onto a line that already falls, so the peak lies a little below 1.

    Source: `create_optimizer` of the original.
    """
    decay = (1 - min(step, course.num_train_steps) / course.num_train_steps) ** course.power
    return decay * warmup_factor(step, course.num_warmup_steps)


def constant(step: int, course: Course) -> float:
    """1 after the warm-up."""
    return warmup_factor(step, course.num_warmup_steps)


def cosine(step: int, course: Course) -> float:
    """After the warm-up, half a cosine from 1 to 0 at the end of the run."""
    if step < course.num_warmup_steps:
        return warmup_factor(step, course.num_warmup_steps)
    length = max(1.0, course.num_train_steps - course.num_warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - course.num_warmup_steps) / length)))


def warmup_stable_decay(step: int, course: Course) -> float:
    """1 after the warm-up until the decay begins, then a line to 0 after its last update."""
    decay = 1.0
    if step > course.decay_start:
        end = course.decay_start + course.num_decay_steps
        decay = max(0.0, (end - step) / max(1, course.num_decay_steps))
    return decay * warmup_factor(step, course.num_warmup_steps)


SCHEDULES: Registry[Schedule] = Registry(
    "lr_schedule",
    {"linear": linear, "constant": constant, "cosine": cosine, "warmup_stable_decay": warmup_stable_decay},
)
