"""`metrics.jsonl`: a line of JSON for each report. Read it with `read_metrics`."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from electra_paddle.files import replace_text
from electra_paddle.training.loggers import EVALUATION, Figures, Logger, Run

LINES = "metrics.jsonl"


class JsonLines(Logger):
    """{"step": 60, "loss": 24.2, ...}; of an evaluation {"step": 60, "eval": {"loss": 24.9, ...}}."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        path = run.folder / LINES
        keep_lines(path, run.start)
        self._stream = open(path, "a", encoding="utf-8")

    def add_scalars(self, prefix: str, figures: Figures, step: int) -> None:
        line = {"step": step, EVALUATION: figures} if prefix == EVALUATION else {"step": step, **figures}
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()


def read_metrics(path: Path | str, kind: str = "train") -> list[dict[str, Any]]:
    """The figures of a `metrics.jsonl`, one dict a line; a resumed run's repeated steps count once.

    Args:
        kind: "train", or "eval" for the evaluations.
    """
    by_step = {}
    for figures in read_lines(path):
        if (EVALUATION in figures) == (kind == EVALUATION):
            by_step[figures["step"]] = {"step": figures["step"], **figures.get(EVALUATION, figures)}
    return [by_step[step] for step in sorted(by_step)]


def read_lines(path: Path | str) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines; one that a killed process left unfinished is skipped."""
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            yield json.loads(line)


def keep_lines(path: Path, last_step: int) -> None:
    """Drop the lines about later updates, which a resumed run writes again."""
    if path.exists():
        kept = [line for line in read_lines(path) if line["step"] <= last_step]
        replace_text(path, "".join(json.dumps(line) + "\n" for line in kept))
