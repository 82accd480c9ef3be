"""Scores over trials: lines as the original writes them, JSON, a picture, and a table of maximum and mean."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle.config.changes import changes_between
from electra_paddle.files import replace_text, sha256
from electra_paddle.finetuning.pictures import save_figure, spread_figure
from electra_paddle.parsing import parse_json

if TYPE_CHECKING:
    from electra_paddle.finetuning.job import Job

# As the original's tables call them; the first is that of folds.
SPLITS = {"held_out": "Held out", "dev": "Development", "test": "Test", "challenge": "Challenge"}


class Results:
    """The trials of a task and what is written of them: `results/TASK_results.{txt,json,md,png}`.

    Attributes:
        task: its name.
        rows: one dict a trial or fold: seed, identity, and split -> {metric: value}.
        combined: what all of them say together, "out of fold" or "ensemble": the same.
        metric: the one that counts.
        table_metrics: those of a table.
        num_examples: split -> examples.
        files: split -> SHA-256 of its file, of all but train.
        changed_files: names of dev and test files that have changed since earlier scores, which no longer count.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self.task, self.metric = job.name, job.kind.main_metric
        of_table = job.kind.table_metrics or (self.metric,)
        self.table_metrics = tuple(dict.fromkeys((*of_table, *job.kind.description.report_metrics)))
        self.model_name, self.num_models = job.config.output_dir.name, job.config.num_models
        self.unit = job.config.unit
        self.stem = str(job.config.output_dir / "results" / f"{self.task}_results")
        self.num_examples = {split: len(examples) for split, examples in job.examples.items()}
        self.rows: list[dict[str, Any]] = []
        self.files = {split: sha256(path) for split, path in job.files.items() if split != "train"}
        self.combined: dict[str, dict[str, Any]] = {}
        self._earlier, self._earlier_combined, files = read_results(Path(f"{self.stem}.json"))
        self.changed_files = [job.files[change.name].name for change in changes_between(files or {}, self.files)]
        self._is_of_same_files = files is not None and not self.changed_files

    def earlier(self, number: int, identity: str) -> dict[str, dict[str, float]] | None:
        """The scores of a trial that an earlier run has finished, or None."""
        row = self._earlier[number - 1] if number <= len(self._earlier) else {}
        return split_scores(row) if row.get("identity") == identity else None

    def add(self, seed: int, identity: str, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Take the scores of the next trial, split -> {metric: value}."""
        self.rows.append({"seed": seed, "identity": identity, **scores})

    def earlier_combined(self, name: str) -> dict[str, dict[str, float]] | None:
        """The scores of what an earlier run has made of the same trials together, or None."""
        row = self._earlier_combined.get(name, {})
        return split_scores(row) if row.get("identity") == self._identity else None

    def add_combined(self, name: str, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Take the scores of all trials or folds together, split -> {metric: value}."""
        self.combined[name] = {"identity": self._identity, **scores}

    @property
    def _identity(self) -> str:
        return hashlib.sha256(" ".join(row["identity"] for row in self.rows).encode()).hexdigest()

    @property
    def trials(self) -> list[dict[str, dict[str, float]]]:
        """The scores of each trial: split -> {metric: value}."""
        return [split_scores(row) for row in self.rows]

    @property
    def summary(self) -> dict[str, dict[str, float]]:
        """Split -> maximum, mean and standard deviation of the metric that counts."""
        return summarize(self.trials, self.metric)

    @property
    def models(self) -> list[Path]:
        """Folders of the trials' fine-tuned models, as far as they were kept; `from_finetuned` takes one."""
        folders = [self._job.model_dir(number) for number in range(1, len(self.rows) + 1)]
        return [folder for folder in folders if folder.is_dir()]

    @property
    def ensemble_model(self) -> Path | None:
        """The folder of all of them together; None without `ensemble`. `from_finetuned` takes it too."""
        return self._job.model_dir("ensemble") if "ensemble" in self.combined else None

    @property
    def best_model(self) -> Path | None:
        """The model of the best trial on dev, or on the first split with labels; None if no model was kept."""
        split = next(iter(self.summary), None)

        def score(number: int) -> float:
            return self.trials[number - 1][split][self.metric] if split else 0.0

        folders = {number: self._job.model_dir(number) for number in range(1, len(self.rows) + 1)}
        kept = [number for number, folder in folders.items() if folder.is_dir()]
        return folders[max(kept, key=score)] if kept else None  # the first of equals

    def table_rows(self) -> list[tuple[str, dict[str, str]]]:
        """(name, split -> cell) of the trials, and of what they say together."""
        together = [
            (f"{self.model_name}, {name}", {split: self._cell(scores) for split, scores in split_scores(row).items()})
            for name, row in self.combined.items()
        ]
        return [(self.model_name, self.cells()), *together]

    def _cell(self, scores: Mapping[str, float]) -> str:
        return " / ".join(f"{scores[metric]:.2f}" for metric in self.table_metrics)

    def cells(self) -> dict[str, str]:
        """Split -> what stands in a table's cell: maximum and mean over the trials."""
        summaries = [summarize(self.trials, metric) for metric in self.table_metrics]
        return {split: " / ".join(max_and_mean(summary[split]) for summary in summaries) for split in self.summary}

    def write(self) -> None:
        """Write what there is so far."""
        summary = self.summary
        if not summary:
            return
        together = [(name, split_scores(row)) for name, row in self.combined.items()]
        lines = [
            f"{self.task} {split} {name}: " + " - ".join(f"{metric}: {value:.2f}" for metric, value in scores.items())
            for name, row in [*((f"{self.unit} {n}", trial) for n, trial in enumerate(self.trials, 1)), *together]
            for split, scores in row.items()
        ]
        further = self._earlier[len(self.rows) :] if self._is_of_same_files else []
        result = {
            "task": self.task,
            "metric": self.metric,
            "num_examples": self.num_examples,
            "trials": self.rows,
            "summary": summary,
            "files": self.files,
            **({"combined": self.combined} if self.combined else {}),
            **({"further_trials": further} if further else {}),  # finished before, and not, or not yet, asked for again
        }
        table = markdown_table(self.table_rows())
        replace_text(f"{self.stem}.txt", "\n".join(lines) + "\n")
        replace_text(f"{self.stem}.json", json.dumps(result, indent=2) + "\n")
        replace_text(f"{self.stem}.md", f"{self.heading}\n\n{table}\n")
        if len(self.rows) > 1:
            values = {split: [trial[split][self.metric] for trial in self.trials] for split in summary}
            save_figure(spread_figure(values, f"{self.task}, {self.metric}"), f"{self.stem}.png")

    def show(self) -> None:
        """Print the table."""
        spread = ", ".join(f"{split} {scores['std']:.2f}" for split, scores in self.summary.items())
        table = markdown_table(self.table_rows())
        told = f"standard deviation: {spread}; " if len(self.rows) > 1 else ""
        print(f"\n{self.heading}\n\n{table}\n\n{told}{self.stem}.json written")

    @property
    def heading(self) -> str:
        count = len(self.rows)
        told = f"maximum (mean) of {count} {self.unit}s" if count > 1 else f"one {self.unit}"
        return f"{self.task}, {' / '.join(self.table_metrics)}: {told}"


def read_results(path: Path) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, str] | None]:
    """(trials in a results file, what they say together, split -> SHA-256 of the file that they were evaluated on)."""
    try:
        results = parse_json(path.read_text(encoding="utf-8"))
        trials = [*results["trials"], *results.get("further_trials", [])]
        return trials, results.get("combined", {}), results.get("files")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [], {}, None


def split_scores(row: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """split -> {metric: value} of a trial's row."""
    return {name: value for name, value in row.items() if isinstance(value, dict)}


def summarize(trials: Sequence[Mapping[str, Mapping[str, float]]], metric: str) -> dict[str, dict[str, float]]:
    """split -> maximum, mean and standard deviation of a metric.

    Args:
        trials: one dict a trial: split -> {metric: value}.
    """
    summary = {}
    for split in trials[0] if trials else ():
        values = [trial[split][metric] for trial in trials]
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        summary[split] = {"max": max(values), "mean": statistics.fmean(values), "std": deviation}
    return summary


def max_and_mean(scores: Mapping[str, float]) -> str:
    return f"{scores['max']:.2f} ({scores['mean']:.2f})"


def columns_of(rows: Sequence[tuple[str, Mapping[str, str]]]) -> list[str]:
    """The splits that any row has, in the order of the published tables."""
    return [split for split in SPLITS if any(split in cells for _, cells in rows)]


def markdown_table(rows: Sequence[tuple[str, Mapping[str, str]]]) -> str:
    """A table laid out as the original's.

    Args:
        rows: (model's name, split -> cell) pairs.
    """
    splits = columns_of(rows)
    lines = ["| Model | " + " | ".join(SPLITS[split] for split in splits) + " |", "|-|" + ":-:|" * len(splits)]
    lines += [f"| {name} | " + " | ".join(cells.get(split, "-") for split in splits) + " |" for name, cells in rows]
    return "\n".join(lines)
