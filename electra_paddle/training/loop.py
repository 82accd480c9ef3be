"""The loop of updates under pre-training and fine-tuning."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import operator
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import paddle
from tqdm import tqdm

from electra_paddle import runtime
from electra_paddle.errors import TrainingError
from electra_paddle.training.loss_scale import LossScale
from electra_paddle.training.optimizer import AdamWithoutBiasCorrection
from electra_paddle.training.transfer import on_device

Metrics = dict[str, paddle.Tensor]


class Update(NamedTuple):
    """What an update leaves to be reported; tensors are on the device until somebody reads them."""

    step: int
    metrics: Mapping[str, Any]
    norm: Any  # of the gradients
    loss_scale: Any
    learning_rate: float


class Reporter(Protocol):
    """The interface through which the loop reports its updates; Monitor has it."""

    def add(
        self, step: int, metrics: Mapping[str, float | paddle.Tensor], learning_rate: float, **latest: float | None
    ) -> None: ...

    def pass_over(self, step: int) -> None: ...


@dataclasses.dataclass
class TrainingLoop:
    """Makes one update for each batch.

    Args:
        model: a Layer whose output has a `loss`; wrapped by fleet in a job of several processes.
        compute_metrics: function of (batch, output) that returns scalar tensors by name.
        seed: with the number of the update it fixes dropout.
        num_accumulated: parts that a batch is cut into; the mean of their losses is that of the batch.
        precision: of matrix products, see `runtime.autocast`.
        loss_scale: for "fp16".
        max_bad_steps: updates in a row whose gradients may be infinite or no numbers; such updates change nothing.
        report_steps: updates between two reports, of all updates since. More than 1 lets a GPU work on while the
            processor prepares the next update: nothing is read from the device in between.
    """

    model: paddle.nn.Layer
    optimizer: AdamWithoutBiasCorrection
    schedule: paddle.optimizer.lr.LRScheduler
    monitor: Reporter
    compute_metrics: Callable[[Any, Any], Metrics]
    seed: int = 0
    num_accumulated: int = 1
    precision: str = "fp32"
    loss_scale: LossScale = dataclasses.field(default_factory=LossScale)
    max_bad_steps: int = 0
    report_steps: int = 1
    _waiting: list[Update] = dataclasses.field(default_factory=list, init=False)
    _num_bad: int = dataclasses.field(default=0, init=False)  # in a row

    def run(
        self,
        batches: Iterable[Any],
        start: int = 0,
        after_step: Callable[[int], None] = lambda step: None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train on batches, NamedTuples of numpy arrays.

        Args:
            start: updates done before.
            after_step: called with the number of updates done.
            is_over: whether no update is to follow, though there are batches.

        Raises:
            TrainingError: more than `max_bad_steps` updates in a row without finite gradients.
        """
        self.model.train()
        self._num_bad = 0
        with contextlib.closing(on_device(batches, self.num_accumulated)) as ready:
            for step, parts in enumerate(ready, start):
                if is_over():
                    break
                metrics = self._accumulate(step, parts)
                self.optimizer.step()
                self.optimizer.clear_grad(set_to_zero=False)  # zeros would be written, kept and added to
                norm = self.optimizer.global_norm
                self._waiting.append(Update(step + 1, metrics, norm, self.loss_scale.value, self.schedule.get_lr()))
                self.loss_scale.update(norm)
                if (step + 1) % self.report_steps == 0:
                    self.report()
                self.schedule.step()
                after_step(step + 1)
        self.report()

    def report(self) -> None:
        """Tell the monitor of the updates that it has not been told of; reads from the device, once.

        Raises:
            TrainingError: more than `max_bad_steps` updates in a row without finite gradients.
        """
        updates, self._waiting = read(self._waiting), []
        for update in updates:
            if math.isfinite(update.norm):
                self._num_bad = 0
                scale = update.loss_scale if self.loss_scale.is_active else None
                figures = {**update.metrics, "gradient_norm": update.norm}
                self.monitor.add(update.step, figures, update.learning_rate, loss_scale=scale)
            else:
                if update.loss_scale == 1:  # otherwise an overflow, which makes the scale smaller
                    self._num_bad += 1
                    self._report_bad_step(update)
                self.monitor.pass_over(update.step)

    def _accumulate(self, step: int, parts: Sequence[Any]) -> Metrics:
        """Leave the gradients of a batch, given as its parts, in the parameters; the means of the parts' metrics."""
        self.optimizer.loss_scale = self.loss_scale.value
        metrics = []
        for number, batch in enumerate(parts, 1):
            runtime.seed_dropout(self.seed, step, number)
            with runtime.averaged_gradients(self.model, is_last=number == self.num_accumulated):
                with runtime.autocast(self.precision):
                    output = self.model(batch)
                self._scaled(output.loss).backward()
            metrics.append({name: value.detach() for name, value in self.compute_metrics(batch, output).items()})
            del output  # its graph and its logits would outlive the next forward pass
        return mean(metrics)

    def _scaled(self, loss: paddle.Tensor) -> paddle.Tensor:
        """The loss of a part as its gradients are to be added up."""
        if self.num_accumulated == 1 and not self.loss_scale.is_active:
            return loss
        return loss * (self.loss_scale.value / self.num_accumulated)

    def _report_bad_step(self, update: Update) -> None:
        """Warn of an update that changed nothing; too many in a row are an error."""
        found = f"a gradient norm of {update.norm} at learning rate {update.learning_rate:.3g}"
        if self._num_bad > self.max_bad_steps:
            raise TrainingError(
                f"update {update.step:,}",
                f"{found}, {self._num_bad} times in a row",
                f"at most {self.max_bad_steps} (max_bad_steps)",
                "set a lower learning_rate or a longer warm-up; the same command goes on from the last checkpoint, "
                "which is from before",
            )
        if runtime.is_main():
            tqdm.write(f"WARNING: update {update.step:,}: {found}; nothing is changed by it", file=sys.stderr)


def read(updates: Sequence[Update]) -> list[Update]:
    """Updates with numbers in place of tensors, which are fetched from the device all together."""
    by_type: dict[Any, list[paddle.Tensor]] = {}
    for update in updates:
        for value in (*update.metrics.values(), update.norm, update.loss_scale):
            if isinstance(value, paddle.Tensor):
                by_type.setdefault(value.dtype, []).append(value)
    with paddle.no_grad():
        stacks = [paddle.stack([value.reshape([]) for value in group]).astype("float64") for group in by_type.values()]
        numbers = iter(paddle.concat(stacks).numpy().tolist() if stacks else [])
    found = {id(value): next(numbers) for group in by_type.values() for value in group}
    return [
        update._replace(
            metrics={name: found.get(id(value), value) for name, value in update.metrics.items()},
            norm=found.get(id(update.norm), update.norm),
            loss_scale=found.get(id(update.loss_scale), update.loss_scale),
        )
        for update in updates
    ]


def mean(metrics: Sequence[Metrics]) -> Metrics:
    """The mean of dicts with equal keys."""
    if len(metrics) == 1:
        return metrics[0]
    with paddle.no_grad():
        return {
            name: functools.reduce(operator.add, [row[name] for row in metrics]) / len(metrics) for name in metrics[0]
        }
