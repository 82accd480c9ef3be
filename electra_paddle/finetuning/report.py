"""Scores over trials: lines as the original writes them, JSON, and a table of maximum and mean."""

import json
import os
import statistics
from pathlib import Path


def write_atomically(path, text):
    """Write a file that appears whole or not at all; its folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


class Results:
    """The trials of a Job and what is written of them: `results/TASK_results.{txt,json,md}`.

    Attributes:
        rows: one dict a trial: seed, identity, and split -> {metric: value}.
        summary: split -> maximum, mean and standard deviation of the metric that counts.
    """

    def __init__(self, job):
        self.task, self.metric = job.name, job.kind.main_metric
        self.model_name, self.num_trials = job.config.output_dir.name, job.config.num_trials
        self.folder = job.config.output_dir / "results"
        self.num_examples = {split: len(examples) for split, examples in job.examples.items()}
        self.rows, self._earlier = [], read_rows(self.folder / f"{self.task}_results.json")

    def earlier(self, number, identity):
        """The scores of a trial that an earlier run has finished, or None."""
        row = self._earlier[number - 1] if number <= len(self._earlier) else {}
        return split_scores(row) if row.get("identity") == identity else None

    def add(self, seed, identity, scores):
        """Take the scores of the next trial, split -> {metric: value}."""
        self.rows.append({"seed": seed, "identity": identity, **scores})

    @property
    def summary(self):
        return summarize([split_scores(row) for row in self.rows], self.metric)

    def write(self):
        """Write what there is so far, and after the last trial print the table."""
        summary = self.summary
        if not summary:
            return
        lines = [
            f"{self.task} {split} trial {number}: "
            + " - ".join(f"{name}: {value:.2f}" for name, value in scores.items())
            for number, row in enumerate(self.rows, 1)
            for split, scores in split_scores(row).items()
        ]
        kept = self._earlier[len(self.rows) :]  # finished before, and not looked at yet
        result = {
            "task": self.task,
            "metric": self.metric,
            "num_examples": self.num_examples,
            "trials": self.rows + kept,
            "summary": summary,
        }
        stem = str(self.folder / f"{self.task}_results")
        write_atomically(f"{stem}.txt", "\n".join(lines) + "\n")
        write_atomically(f"{stem}.json", json.dumps(result, indent=2) + "\n")
        table = markdown_table(self.model_name, summary)
        write_atomically(f"{stem}.md", f"{self.heading}\n\n{table}\n")
        if len(self.rows) == self.num_trials:
            print(f"\n{self.heading}\n\n{table}\n\n{stem}.json written")

    @property
    def heading(self):
        return f"{self.task}, {self.metric}: maximum (mean) of {len(self.rows)} trials"


def read_rows(path):
    """The trials in a results file; [] where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["trials"]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def split_scores(row):
    """split -> {metric: value} of a trial's row."""
    return {name: value for name, value in row.items() if isinstance(value, dict)}


def summarize(trials, metric):
    """split -> maximum, mean and standard deviation of the metric.

    Args:
        trials: one dict a trial: split -> {metric: value}.
    """
    summary = {}
    for split in trials[0]:
        values = [trial[split][metric] for trial in trials]
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        summary[split] = {"max": max(values), "mean": statistics.fmean(values), "std": deviation}
    return summary


def markdown_table(model_name, summary):
    """One row: maximum and, in brackets, mean of each split."""
    header = "| model | " + " | ".join(summary) + " |"
    cells = " | ".join(f"{scores['max']:.2f} ({scores['mean']:.2f})" for scores in summary.values())
    return f"{header}\n|{'-|' * (len(summary) + 1)}\n| {model_name} | {cells} |"
