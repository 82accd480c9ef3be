"""Scores over trials: lines as the original writes them, JSON, and a table of maximum and mean."""

import json
import os
import statistics
from pathlib import Path


def write_atomically(path, text):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


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


def write_results(folder, task, metric, trials, seeds):
    """`TASK_results.txt` and `TASK_results.json`; returns the summary."""
    lines = [
        f"{task} {split} trial {number}: " + " - ".join(f"{name}: {value:.2f}" for name, value in scores.items())
        for number, trial in enumerate(trials, 1)
        for split, scores in trial.items()
    ]
    summary = summarize(trials, metric)
    rows = [{"seed": seed, **trial} for seed, trial in zip(seeds, trials, strict=True)]
    result = {"task": task, "metric": metric, "trials": rows, "summary": summary}
    write_atomically(Path(folder) / f"{task}_results.txt", "\n".join(lines) + "\n")
    write_atomically(Path(folder) / f"{task}_results.json", json.dumps(result, indent=2) + "\n")
    return summary


def markdown_table(model_name, summary):
    """One row: maximum and, in brackets, mean of each split."""
    header = "| model | " + " | ".join(summary) + " |"
    cells = " | ".join(f"{scores['max']:.2f} ({scores['mean']:.2f})" for scores in summary.values())
    return f"{header}\n|{'-|' * (len(summary) + 1)}\n| {model_name} | {cells} |"
