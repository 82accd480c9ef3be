"""What a run tells: a progress bar, VisualDL scalars, the same figures as JSON lines. Only the main process writes."""

import json
import time
from pathlib import Path

from tqdm import tqdm

from electra_paddle import runtime


class Monitor:
    """Averages metrics over `log_steps` updates and reports them.

    Args:
        folder: gets `metrics.jsonl` and `visualdl/`; None reports to the progress bar only.
        num_steps: updates of the whole run.
        start: updates done before.
        sequences_per_step: of the global batch, for the rate.
        prefix: of the VisualDL tags.
    """

    def __init__(
        self, folder, num_steps, start=0, log_steps=50, sequences_per_step=1, prefix="train", description="train"
    ):
        self.log_steps, self.prefix, self.sequences_per_step = log_steps, prefix, sequences_per_step
        self._sums, self._count = {}, 0
        self._bar = tqdm(
            total=num_steps, initial=start, desc=description, unit="step", disable=not runtime.is_main(), mininterval=1
        )
        self._lines = self._writer = None
        if folder is not None and runtime.is_main():
            from visualdl import LogWriter

            folder = Path(folder)
            folder.mkdir(parents=True, exist_ok=True)
            self._lines = open(folder / "metrics.jsonl", "a", encoding="utf-8")
            self._writer = LogWriter(logdir=str(folder / "visualdl"))
        self._time = time.perf_counter()

    def add(self, step, metrics, learning_rate):
        """Take the metrics of one update (scalar tensors); report when the interval is full."""
        for name, value in metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach()
        self._count += 1
        self._bar.update()
        if step % self.log_steps == 0 or step == self._bar.total:
            self._report(step, learning_rate)

    def _report(self, step, learning_rate):
        means = runtime.mean_over_processes([float(value) / self._count for value in self._sums.values()])
        now = time.perf_counter()
        figures = dict(zip(self._sums, means, strict=True))
        figures["learning_rate"] = learning_rate
        figures["sequences_per_second"] = self.sequences_per_step * self._count / (now - self._time)
        self._sums, self._count, self._time = {}, 0, now
        self._bar.set_postfix({name: f"{figures[name]:.3f}" for name in list(figures)[:4]}, refresh=False)
        if self._lines:
            self._lines.write(json.dumps({"step": step, **figures}) + "\n")
            self._lines.flush()
            for name, value in figures.items():
                self._writer.add_scalar(tag=f"{self.prefix}/{name}", value=value, step=step)

    def close(self):
        self._bar.close()
        if self._lines:
            self._lines.close()
            self._writer.close()


def read_metrics(path):
    """The figures of a `metrics.jsonl`, one dict a line; a resumed run's repeated steps count once."""
    by_step = {}
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        figures = json.loads(line)
        by_step[figures["step"]] = figures
    return [by_step[step] for step in sorted(by_step)]
