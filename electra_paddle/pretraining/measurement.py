"""Measure how long an update of a run takes on this machine, without writing anything."""

from __future__ import annotations

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
    runtime.start()
    from electra_paddle.models.encoder import fuse_attention
    from electra_paddle.training.loop import TrainingLoop
    from electra_paddle.training.optimizer import build_optimizer
    from electra_paddle.training.schedule import build_schedule

    config = job.config
    model = job.objective.build(job.generator, job.discriminator)
    precision, _ = runtime.usable_precision(config.precision)
    fuse_attention(model, precision)
    if config.recompute:
        runtime.recompute(model.encoder_layers())
    schedule = build_schedule(config.learning_rate, config.num_train_steps, config.num_warmup_steps, 1.0)
    optimizer = build_optimizer(model, schedule, config.weight_decay_rate, shard=config.sharding_stage == 1)
    clock = Clock()
    loop = TrainingLoop(
        runtime.distribute(model, config.recompute),
        optimizer,
        schedule,
        clock,
        job.objective.training_metrics,
        num_accumulated=config.gradient_accumulation_steps,
        precision=precision,
        max_bad_steps=NUM_FIRST + NUM_MEASURED,
    )
    loop.run(job.batches.iterate(0, NUM_FIRST + NUM_MEASURED))
    times = clock.times[NUM_FIRST - 1 :]
    return statistics.median(after - before for before, after in zip(times, times[1:], strict=False))
