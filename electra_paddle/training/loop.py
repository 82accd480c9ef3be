"""The loop of updates under pre-training and fine-tuning."""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import paddle
from tqdm import tqdm

from electra_paddle import runtime
from electra_paddle.errors import TrainingError
from electra_paddle.training.loss_scale import LossScale
from electra_paddle.training.optimizer import AdamWithoutBiasCorrection

Metrics = dict[str, paddle.Tensor]


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

    def run(
        self, batches: Iterable[Any], start: int = 0, after_step: Callable[[int], None] = lambda step: None
    ) -> None:
        """Train on batches, NamedTuples of numpy arrays.

        Args:
            start: updates done before.
            after_step: called with the number of updates done.

        Raises:
            TrainingError: more than `max_bad_steps` updates in a row without finite gradients.
        """
        self.model.train()
        num_bad = 0
        for step, arrays in enumerate(batches, start):
            metrics = self._accumulate(step, arrays)
            self.optimizer.step()
            self.optimizer.clear_grad(set_to_zero=False)  # zeros would be written, kept and added to
            norm = self.optimizer.global_norm
            if math.isfinite(norm):
                num_bad = 0
                scale = self.loss_scale.state().get("value")
                figures: dict[str, float | paddle.Tensor] = {**mean(metrics), "gradient_norm": norm}
                self.monitor.add(step + 1, figures, self.schedule.get_lr(), loss_scale=scale)
            else:
                if self.loss_scale.value == 1:  # otherwise an overflow, which makes the scale smaller
                    num_bad += 1
                    self._report_bad_step(step + 1, num_bad)
                self.monitor.pass_over(step + 1)
            self.loss_scale.update(norm)
            self.schedule.step()
            after_step(step + 1)

    def _accumulate(self, step: int, arrays: Any) -> list[Metrics]:
        """Leave the gradients of a batch in the parameters; the metrics of its parts."""
        self.optimizer.loss_scale = self.loss_scale.value
        metrics = []
        for number, part in enumerate(parts(arrays, self.num_accumulated), 1):
            runtime.seed_dropout(self.seed, step, number)
            batch = to_tensors(part)
            with runtime.averaged_gradients(self.model, is_last=number == self.num_accumulated):
                with runtime.autocast(self.precision):
                    output = self.model(batch)
                (output.loss * (self.loss_scale.value / self.num_accumulated)).backward()
            metrics.append(self.compute_metrics(batch, output))
            del output  # its graph and its logits would outlive the next forward pass
        return metrics

    def _report_bad_step(self, step: int, num_bad: int) -> None:
        """Warn of an update that changed nothing; too many in a row are an error."""
        found = f"a gradient norm of {self.optimizer.global_norm} at learning rate {self.schedule.get_lr():.3g}"
        if num_bad > self.max_bad_steps:
            raise TrainingError(
                f"update {step:,}",
                f"{found}, {num_bad} times in a row",
                f"at most {self.max_bad_steps} (max_bad_steps)",
                "set a lower learning_rate or a longer warm-up; the same command goes on from the last checkpoint, "
                "which is from before",
            )
        if runtime.is_main():
            tqdm.write(f"WARNING: update {step:,}: {found}; nothing is changed by it", file=sys.stderr)


def parts(arrays: Any, count: int) -> list[Any]:
    """A NamedTuple of arrays cut into equal parts along the rows; scalars are the same in all."""
    if count == 1:
        return [arrays]
    size = len(arrays[0]) // count
    return [cut(arrays, slice(number * size, (number + 1) * size)) for number in range(count)]


def cut(arrays: Any, rows: slice) -> Any:
    """Some rows of a NamedTuple of arrays, with all of its scalars."""
    return arrays._make(array[rows] if np.ndim(array) else array for array in arrays)


def mean(metrics: Sequence[Metrics]) -> Metrics:
    """The mean of dicts with equal keys."""
    with paddle.no_grad():
        return {
            name: functools.reduce(operator.add, [row[name] for row in metrics]) / len(metrics) for name in metrics[0]
        }


def to_tensors(arrays: Any) -> Any:
    """A NamedTuple of numpy arrays as one of tensors."""
    return arrays._make(paddle.to_tensor(array) for array in arrays)
