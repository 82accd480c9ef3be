"""Measure how long an update of a run takes on this machine, without writing anything."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from electra_paddle import runtime

if TYPE_CHECKING:
    from paddle import Tensor

    from electra_paddle.pretraining.job import Job

NUM_FIRST, NUM_MEASURED = 2, 5  # updates; the first ones prepare memory and kernels


class Clock:
    """Notes when each update ends; what the training loop reports to."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def add(
        self, step: int, metrics: Mapping[str, float | Tensor], learning_rate: float, **latest: float | None
    ) -> None:
        self.pass_over(step)

    def pass_over(self, step: int) -> None:
        self.times.append(time.perf_counter())


def seconds_per_update(job: Job) -> float:
    """The median over some updates of the real network on the real shards, from random weights."""
    runtime.start(job.config.deterministic)
    from electra_paddle.models.encoder import fuse_attention
    from electra_paddle.pretraining.run import session_settings
    from electra_paddle.training.loop import TrainingLoop
    from electra_paddle.training.session import Session

    config, count = job.config, NUM_FIRST + NUM_MEASURED
    model = job.objective.build(job.generator, job.discriminator)
    session = Session(model, session_settings(config), job.checkpoints)
    fuse_attention(model, session.precision)
    if config.recompute:
        runtime.recompute(model.encoder_layers())
    clock = Clock()
    with session.optimizer.updating():
        loop = TrainingLoop(
            runtime.distribute(model, config.recompute),
            session.optimizer,
            session.schedule,
            clock,
            job.objective.training_metrics,
            num_accumulated=config.gradient_accumulation_steps,
            precision=session.precision,
            loss_scale=session.loss_scale,
            max_bad_steps=count,
        )
        loop.run(job.batches.iterate(0, count))
    return statistics.median(after - before for before, after in itertools.pairwise(clock.times[NUM_FIRST - 1 :]))
