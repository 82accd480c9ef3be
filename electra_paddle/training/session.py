"""A run of updates, whatever it trains: optimizer, precision, checkpoints, interruption, reports, callbacks."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from electra_paddle import runtime
from electra_paddle.errors import Interrupted
from electra_paddle.training.averaging import WeightAverage
from electra_paddle.training.callbacks import CALLBACKS, Callback
from electra_paddle.training.checkpoint import Checkpoint, Checkpoints
from electra_paddle.training.interruption import Interruption
from electra_paddle.training.loop import Metrics, TrainingLoop
from electra_paddle.training.loss_scale import LossScale
from electra_paddle.training.monitor import Monitor
from electra_paddle.training.optimizer import build_optimizer
from electra_paddle.training.schedule import Ending, build_schedule

if TYPE_CHECKING:
    from paddle.nn import Layer

SIGNAL_STEPS = 10  # updates between two questions of GPUs' processes whether one of them is asked to end


@dataclasses.dataclass(frozen=True)
class SessionSettings:
    """The settings of a Session, under the configurations' names."""

    num_train_steps: int
    learning_rate: float
    num_warmup_steps: float
    lr_schedule: str = "linear"
    lr_decay_power: float = 1.0
    num_decay_steps: int = 0
    weight_decay_rate: float = 0.01
    sharding_stage: int = 0
    precision: str = "fp32"
    gradient_accumulation_steps: int = 1
    ema_decay: float = 0.0
    max_bad_steps: int = 0
    save_checkpoints_steps: int = 1000
    saves_last: bool = True  # whether the last update gets a checkpoint
    seed: int = 0
    what: str = ""  # " of trial 2", for messages


class Session:
    """A run from its first update, or from a checkpoint, to its end.

    Args:
        model: a Layer whose output has a `loss`; not wrapped by fleet.
        checkpoints: those of the run.
        checkpoint: the one to go on from, or None.
        first_step: updates that the model has had where there is no checkpoint.
        rate_factors: parameter name -> factor of the learning rate; None where all are 1.
        callbacks: called in their order.

    Attributes:
        step: updates done.
        progress: what a checkpoint keeps beside weights, moments and loss scale, a JSON-able dict; callbacks and the
            caller put in what they want back in `session.progress` when the run goes on.
        should_stop: set it to end the run after this update.
        average: WeightAverage with `ema_decay`, else None.
        precision: of matrix products, as far as the device has it; `notes` says why it is another than asked for.
    """

    def __init__(
        self,
        model: Layer,
        settings: SessionSettings,
        checkpoints: Checkpoints,
        checkpoint: Checkpoint | None = None,
        first_step: int = 0,
        rate_factors: Mapping[str, float] | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.model, self.settings, self.checkpoints, self.callbacks = model, settings, checkpoints, list(callbacks)
        self.step = checkpoint.step if checkpoint else first_step
        self.progress: dict[str, Any] = dict(checkpoint.progress) if checkpoint else {}
        loss_scale = self.progress.pop("loss_scale", {})
        self.should_stop = False
        self.ending = Ending(settings.num_train_steps, settings.num_decay_steps, self.progress.pop("decay_start", None))
        self.schedule = build_schedule(
            settings.learning_rate,
            settings.num_train_steps,
            settings.num_warmup_steps,
            settings.lr_decay_power,
            settings.lr_schedule,
            self.ending,
        )
        self.schedule.step(self.step)
        self.precision, reason = runtime.usable_precision(settings.precision)
        self.optimizer = build_optimizer(
            model,
            self.schedule,
            settings.weight_decay_rate,
            rate_factors,
            shard=settings.sharding_stage == 1,
            copies_dtype=runtime.DTYPES[self.precision] if self.precision in runtime.MASTER_WEIGHTS else "",
        )
        runtime.allow_tf32(self.precision == "tf32")
        self.notes = [f"precision fp32: {reason}"] if reason else []
        self.loss_scale = LossScale(is_active=self.precision == "fp16")
        self.average = WeightAverage(model, self.optimizer, settings.ema_decay) if settings.ema_decay else None
        if checkpoint:
            checkpoints.restore(checkpoint, model, self.optimizer, self.average)
            self.loss_scale.restore(loss_scale)
        self.monitor: Monitor | None = None
        self._loop: TrainingLoop | None = None
        self._interruption = Interruption()

    @property
    def is_last(self) -> bool:
        """Whether no update follows."""
        return self.step >= self.ending.step or self.should_stop

    def begin_decay(self) -> None:
        """Let the learning rate fall to 0 from here on, where the schedule has a decay to ask for."""
        self.ending.begin_decay(self.step)
        if self.monitor:
            self.monitor.ends_at(self.ending.step)

    def run(
        self,
        batches: Generator[Any, None, None],
        monitor: Monitor,
        compute_metrics: Callable[[Any, Any], Metrics],
        recomputes: bool = False,
    ) -> None:
        """Make one update for each batch until the run ends.

        Args:
            batches: NamedTuples of numpy arrays, from the one after `step` updates on; closed at the end.
            monitor: is told of every update; closed at the end.
            compute_metrics: function of (batch, output) that returns scalar tensors by name.
            recomputes: whether layers of the model went through `runtime.recompute`.

        Raises:
            Interrupted: by SIGTERM or Ctrl-C; a checkpoint is written.
            TrainingError: too many updates in a row without finite gradients.
        """
        self.monitor = monitor
        monitor.restore(self.progress.pop("interval", {}))
        settings = self.settings
        with contextlib.closing(monitor), contextlib.closing(batches), self._interruption, self.optimizer.updating():
            loop = self._loop = TrainingLoop(
                runtime.distribute(self.model, recomputes),
                self.optimizer,
                self.schedule,
                monitor,
                compute_metrics,
                seed=settings.seed,
                num_accumulated=settings.gradient_accumulation_steps,
                precision=self.precision,
                loss_scale=self.loss_scale,
                max_bad_steps=settings.max_bad_steps,
                report_steps=1 if runtime.is_cpu() else monitor.log_steps,
            )
            for callback in self.callbacks:
                callback.on_start(self)
            loop.run(batches, self.step, self._after_step, lambda: self.is_last)
            for callback in self.callbacks:
                callback.on_end(self)

    def evaluating(self) -> contextlib.AbstractContextManager[Any]:
        """A context for evaluations: on a GPU they compute in the precision of the training."""
        return contextlib.nullcontext() if runtime.is_cpu() else runtime.autocast(self.precision)

    def evaluated(self, scores: Mapping[str, float]) -> None:
        """Tell callbacks and loggers of an evaluation after this update."""
        if self.monitor:
            self.monitor.add_evaluation(self.step, scores)
        for callback in self.callbacks:
            callback.on_evaluation(self, scores)

    def _after_step(self, step: int) -> None:
        """Callbacks; a checkpoint now and then, at the end, and when the run is asked to end."""
        self.step = step
        if self.average:
            self.average.update()
        for callback in self.callbacks:
            callback.on_step(self)
        is_asked = self._is_asked(step)
        is_due = step % self.settings.save_checkpoints_steps == 0 and math.isfinite(self.optimizer.global_norm)
        if self.settings.saves_last if self.is_last else (is_due or is_asked):
            self.save()
        if is_asked and not self.is_last:
            saved = f"interrupted; update {step:,} of {self.ending.step:,}{self.settings.what} is saved"
            raise Interrupted(self._interruption.signal or signal.SIGTERM, f"{saved}, the same command goes on")

    def _is_asked(self, step: int) -> bool:
        """Whether any process is asked to end the run. On GPUs, which would wait, they tell each other now and then."""
        if runtime.num_processes() > 1 and not runtime.is_cpu() and step % SIGNAL_STEPS:
            return False
        return runtime.is_any(self._interruption.signal)

    def save(self) -> None:
        """Write a checkpoint of this update; every process must call it."""
        if self._loop:
            self._loop.report()
        state = {"loss_scale": self.loss_scale.state(), "decay_start": self.ending.state(), **self.progress}
        if self.monitor:
            state["interval"] = self.monitor.state()
        folder = self.checkpoints.save(self.step, self.model, self.optimizer, state, self.average)
        for callback in self.callbacks:
            callback.on_checkpoint(self, folder)


def load_callbacks(names: Sequence[str], given: Sequence[Callback] = ()) -> list[Callback]:
    """Callbacks by name, "module:Class", made without arguments; then those that the caller made."""
    return [*(CALLBACKS.load(name)() for name in names), *given]
