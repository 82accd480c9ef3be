"""What a run tells: a progress bar, JSON lines, and the same in VisualDL. Only the main process writes."""

import contextlib
import json
import math
import time
from pathlib import Path

from tqdm import tqdm

from electra_paddle import runtime
from electra_paddle.files import replace_text
from electra_paddle.training.hardware import memory_gib, peak_flops
from electra_paddle.training.visual import VisualLog

LINES = "metrics.jsonl"


class Monitor:
    """Averages metrics over `log_steps` updates and reports them.

    Args:
        folder: gets `metrics.jsonl` and `visualdl/`; None reports to the progress bar only.
        num_steps: updates of the whole run.
        start: updates done before; reports of later ones, by a process that died, are dropped.
        sequences_per_step: of the global batch, for the rate.
        prefix: of the VisualDL tags.
        flops_per_token: of training, for the share of what the devices can do, measured here; None leaves it out.
        dtype: precision in which they are measured.
    """

    def __init__(
        self,
        folder,
        num_steps,
        start=0,
        log_steps=50,
        sequences_per_step=1,
        prefix="train",
        description="train",
        flops_per_token=None,
        dtype="float32",
    ):
        self.log_steps, self.prefix, self.sequences_per_step = log_steps, prefix, sequences_per_step
        self.flops_per_token = flops_per_token
        if flops_per_token:
            self.peak = runtime.num_processes() * runtime.mean_over_processes([peak_flops(dtype)])[0]
        self._sums, self._count = {}, 0
        self._bar = tqdm(
            total=num_steps, initial=start, desc=description, unit="step", disable=not runtime.is_main(), mininterval=1
        )
        self._lines, self.visual = None, None
        if folder is not None and runtime.is_main():
            folder = Path(folder)
            folder.mkdir(parents=True, exist_ok=True)
            keep_lines(folder / LINES, start)
            self._lines = open(folder / LINES, "a", encoding="utf-8")
            self.visual = VisualLog(folder / "visualdl", start)
        self._time = time.perf_counter()

    def add(self, step, metrics, learning_rate, **latest):
        """Take the metrics of one update (scalar tensors or numbers); report when the interval is full.

        Args:
            latest: further numbers, such as a loss scale, which are not averaged; None leaves one out.
        """
        for name, value in metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + (value.detach() if hasattr(value, "detach") else value)
        self._count += 1
        self._latest = {"learning_rate": learning_rate, **latest}
        self.pass_over(step)

    def ends_at(self, num_steps):
        """The run has another number of updates than it began with."""
        self._bar.total = num_steps

    def pass_over(self, step):
        """An update without metrics."""
        self._bar.update()
        if self._count and (step % self.log_steps == 0 or step == self._bar.total):
            self._report(step)

    def _report(self, step):
        sums = [float(value) / self._count for value in self._sums.values()]
        *means, memory = runtime.mean_over_processes([*sums, memory_gib()])
        figures = dict(zip(self._sums, means, strict=True))
        self._bar.set_postfix({name: f"{figures[name]:.3f}" for name in list(figures)[:4]}, refresh=False)
        figures |= {name: value for name, value in self._latest.items() if value is not None}
        figures |= self._rates(figures.pop("tokens_per_sequence", None))
        figures["memory_gib"] = memory
        self._sums, self._count, self._time = {}, 0, time.perf_counter()
        self._write(step, figures, self.prefix)

    def _rates(self, tokens_per_sequence):
        """Sequences and real tokens a second, over all processes, and the share of the peak that they need."""
        sequences = self.sequences_per_step * self._count / (time.perf_counter() - self._time)
        rates = {"sequences_per_second": sequences}
        if tokens_per_sequence is not None:
            rates["tokens_per_second"] = sequences * tokens_per_sequence
            if self.flops_per_token:
                rates["share_of_peak"] = rates["tokens_per_second"] * self.flops_per_token / self.peak
        return rates

    def add_evaluation(self, step, scores):
        """Report an evaluation, whose scores are those of all processes together."""
        if runtime.is_main():
            self._bar.write(f"evaluation after {step:,}: " + ", ".join(f"{k} {v:.4f}" for k, v in scores.items()))
            self._write(step, scores, "eval", key="eval")

    def _write(self, step, figures, prefix, key=None):
        if not self._lines:
            return
        figures = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        line = {"step": step, key: figures} if key else {"step": step, **figures}
        self._lines.write(json.dumps(line) + "\n")
        self._lines.flush()
        self.visual.add_scalars(prefix, figures, step)
        self.visual.flush()

    @contextlib.contextmanager
    def paused(self):
        """Within it time does not count for the rates."""
        begin = time.perf_counter()
        yield
        self._time += time.perf_counter() - begin

    def close(self):
        self._bar.close()
        if self._lines:
            self._lines.close()
            self.visual.close()


def read_metrics(path, kind="train"):
    """The figures of a `metrics.jsonl`, one dict a line; a resumed run's repeated steps count once.

    Args:
        kind: "train", or "eval" for the evaluations.
    """
    by_step = {}
    for figures in read_lines(path):
        if ("eval" in figures) == (kind == "eval"):
            by_step[figures["step"]] = {"step": figures["step"], **figures.get("eval", figures)}
    return [by_step[step] for step in sorted(by_step)]


def read_lines(path):
    """The objects of a file of JSON lines; one that a killed process left unfinished is passed over."""
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            yield json.loads(line)


def keep_lines(path, last_step):
    """Drop the lines about later updates, which a resumed run writes again."""
    if path.exists():
        kept = [line for line in read_lines(path) if line["step"] <= last_step]
        replace_text(path, "".join(json.dumps(line) + "\n" for line in kept))
