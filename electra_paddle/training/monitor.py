"""Collect what a run reports: means over some updates, rates and memory, handed to its loggers by the main process."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from electra_paddle import runtime
from electra_paddle.training.hardware import memory_gib, peak_flops
from electra_paddle.training.loggers import EVALUATION, LOGGERS, Logger, Run

if TYPE_CHECKING:
    from paddle import Tensor


class Monitor:
    """Averages metrics over `log_steps` updates and reports them.

    Args:
        run: what the loggers are told of the run.
        loggers: names in `LOGGERS`, or "module:Class".
        log_steps: updates between two reports.
        sequences_per_step: of the global batch, for the rate.
        prefix: that of the training metrics.
        flops_per_token: of training, for the share of what the devices can do, measured here; None leaves it out.
        dtype: precision in which they are measured.

    Attributes:
        media: the loggers that show texts, pictures, histograms and embeddings; none in other than the main process.
    """

    def __init__(
        self,
        run: Run,
        loggers: Sequence[str] = ("progress",),
        log_steps: int = 50,
        sequences_per_step: int = 1,
        prefix: str = "train",
        flops_per_token: float | None = None,
        dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    ) -> None:
        self.log_steps, self.prefix, self.sequences_per_step = log_steps, prefix, sequences_per_step
        self.num_steps, self.flops_per_token, self.peak = run.num_steps, flops_per_token, math.nan
        if flops_per_token:
            self.peak = runtime.num_processes() * runtime.mean_over_processes([peak_flops(dtype)])[0]
        self._sums: dict[str, float | Tensor] = {}
        self._latest: dict[str, float | None] = {}
        self._count = 0
        classes = [LOGGERS.load(name) for name in loggers]
        self.loggers: list[Logger] = []
        if runtime.is_main() and classes:
            run.folder.mkdir(parents=True, exist_ok=True)
            self.loggers = [logger(run) for logger in classes]
        self.media = [logger for logger in self.loggers if logger.takes_media]
        self._time = time.perf_counter()

    def add(
        self, step: int, metrics: Mapping[str, float | Tensor], learning_rate: float, **latest: float | None
    ) -> None:
        """Take the metrics of one update (scalar tensors or numbers); report when the interval is full.

        Args:
            latest: further numbers, such as a loss scale, which are not averaged; None leaves one out.
        """
        for name, value in metrics.items():
            detached = value if isinstance(value, (int, float)) else value.detach()
            before = self._sums.get(name)
            self._sums[name] = detached if before is None else like(detached, before) + detached
        self._count += 1
        self._latest = {"learning_rate": learning_rate, **latest}
        self.pass_over(step)

    def state(self) -> dict[str, Any]:
        """The interval in progress, for a checkpoint; every process must call it."""
        sums = {name: float(value) for name, value in self._sums.items()}
        return {"count": self._count, "sums": runtime.gather(sums)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with an interval; where the number of processes has changed, each has the mean of what they had."""
        if not state:
            return
        parts = state["sums"]
        self._count = state["count"]
        if len(parts) == runtime.num_processes():
            self._sums = dict(parts[runtime.rank()])
        else:
            self._sums = {name: statistics.fmean(part[name] for part in parts) for name in parts[0]}

    def ends_at(self, num_steps: int) -> None:
        """The run has another number of updates than it began with."""
        self.num_steps = num_steps
        for logger in self.loggers:
            logger.ends_at(num_steps)

    def pass_over(self, step: int) -> None:
        """An update without metrics."""
        for logger in self.loggers:
            logger.update()
        if self._count and (step % self.log_steps == 0 or step == self.num_steps):
            self._report(step)

    def _report(self, step: int) -> None:
        sums = [float(value) / self._count for value in self._sums.values()]
        *means, memory = runtime.mean_over_processes([*sums, memory_gib()])
        figures = dict(zip(self._sums, means, strict=True))
        tokens = figures.pop("tokens_per_sequence", None)
        figures |= {name: value for name, value in self._latest.items() if value is not None}
        figures |= self._rates(tokens)
        figures["memory_gib"] = memory
        self._sums, self._count, self._time = {}, 0, time.perf_counter()
        self._write(step, figures, self.prefix)

    def _rates(self, tokens_per_sequence: float | None) -> dict[str, float]:
        """Sequences and real tokens a second, over all processes, and the share of the peak that they need."""
        sequences = self.sequences_per_step * self._count / (time.perf_counter() - self._time)
        rates = {"sequences_per_second": sequences}
        if tokens_per_sequence is not None:
            rates["tokens_per_second"] = sequences * tokens_per_sequence
            if self.flops_per_token:
                rates["share_of_peak"] = rates["tokens_per_second"] * self.flops_per_token / self.peak
        return rates

    def add_evaluation(self, step: int, scores: Mapping[str, float]) -> None:
        """Report an evaluation, whose scores are those of all processes together."""
        self._write(step, scores, EVALUATION)

    def _write(self, step: int, figures: Mapping[str, float], prefix: str) -> None:
        finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        for logger in self.loggers:
            logger.add_scalars(prefix, finite, step)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Context in which time does not count for the rates."""
        begin = time.perf_counter()
        yield
        self._time += time.perf_counter() - begin

    def close(self) -> None:
        for logger in self.loggers:
            logger.close()


def like(value: float | Tensor, number: float | Tensor) -> float | Tensor:
    """A number that a checkpoint kept as the tensor that it was: Paddle 2 adds numbers to tensors in float32."""
    if isinstance(value, int | float) or not isinstance(number, int | float):
        return number
    import paddle

    return paddle.full(value.shape, number, value.dtype)
