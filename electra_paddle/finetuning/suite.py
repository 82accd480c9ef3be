"""Several tasks and one report on them, beside published scores where the data is the published one."""

import dataclasses
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from electra_paddle.config import load_config
from electra_paddle.config.entry import entry
from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.description import SPLITS, TaskDescription, refuse_unknown

if TYPE_CHECKING:
    from electra_paddle.finetuning.job import Job
    from electra_paddle.finetuning.report import Results

JobsAndResults = Sequence[tuple["Job", "Results"]]
STYLE = (
    "body{font-family:sans-serif;margin:2em}"
    "table{border-collapse:collapse}"
    "td,th{border:1px solid #999;padding:.3em .8em}"
)


@dataclasses.dataclass(frozen=True)
class Suite:
    """Tasks to run one after the other, read from configs/suite/NAME.yaml or a user's own file."""

    ENTRY: ClassVar[str] = "key"

    tasks: tuple[str, ...] = entry((), "names of tasks, or files that describe one")
    hparams: dict[str, Any] = entry({}, "hyper-parameters of all tasks; those of the command line win")
    task_hparams: dict[str, dict[str, Any]] = entry({}, "task -> hyper-parameters that win over `hparams` there")
    source: str = entry("", "where the published scores stand")
    published: dict[str, dict[str, dict[str, str | float]]] = entry({}, "task -> model -> split -> score as published")

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ConfigError("tasks", "none", "at least one task")
        if self.published and not self.source:
            raise ConfigError("source", "nothing", "where the published scores stand")
        refuse_unknown("task_hparams", self.task_hparams, self.tasks)
        refuse_unknown("published", self.published, self.tasks)
        for task, models in self.published.items():
            for model, cells in models.items():
                refuse_unknown(f"published.{task}.{model}", cells, SPLITS)

    def hparams_of(self, task: str) -> dict[str, Any]:
        """The suite's hyper-parameters for a task."""
        return {**self.hparams, **self.task_hparams.get(task, {})}


def load_suite(path: str | Path) -> Suite:
    """The Suite of a file.

    Raises:
        ConfigError: no such file, or an unknown entry.
    """
    return load_config(Suite, path)


def is_published_data(description: TaskDescription, num_examples: Mapping[str, int]) -> bool:
    """Whether all splits that were used, training included, have as many examples as the published ones."""
    sizes = description.published_sizes
    return (
        bool(sizes)
        and "train" in num_examples
        and all(sizes.get(split) == count for split, count in num_examples.items() if split != "challenge")
    )


def report(suite: Suite, jobs_and_results: JobsAndResults, title: str) -> str:
    """The report as Markdown, with a table for each task.

    Args:
        jobs_and_results: (Job, Results) pairs; tasks whose splits have no labels have no scores to show.
    """
    from electra_paddle.finetuning.report import markdown_table

    blocks = [f"# {title}"]
    for job, results in jobs_and_results:
        description = job.kind.description
        counts = ", ".join(f"{split} {count:,}" for split, count in results.num_examples.items())
        is_published = is_published_data(description, results.num_examples)
        data = "the published data" if is_published else "other data than the published, not to be compared with it"
        if not description.published_sizes:
            data = "no published split to compare with"
        trials = f"{len(results.rows)} {results.unit}{'s' if len(results.rows) > 1 else ''}"
        rows = results.table_rows() if results.summary else []
        published = suite.published.get(job.name, {}) if is_published else {}
        rows += [
            (f"{model} (published)", {split: str(cell) for split, cell in cells.items()})
            for model, cells in published.items()
        ]
        blocks.append(f"## {job.name}")
        blocks.append(
            f"{' / '.join(results.table_metrics)}: maximum (mean) of {trials}. Examples: {counts}; {data}."
            + (f" Published scores: {suite.source}." if published else "")
        )
        if rows:
            blocks.append(markdown_table(rows))
        if results.summary and len(results.rows) > 1:
            spread = ", ".join(f"{split} {scores['std']:.2f}" for split, scores in results.summary.items())
            blocks.append(f"Standard deviation over the {results.unit}s: {spread}.")
    return "\n\n".join(blocks) + "\n"


def to_html(markdown: str, title: str) -> str:
    """The report as a page of its own: its headings, paragraphs and tables."""
    body = []
    for block in markdown.strip().split("\n\n"):
        heading = re.fullmatch(r"(#+) (.*)", block)
        if heading:
            level = len(heading[1])
            body.append(f"<h{level}>{html.escape(heading[2])}</h{level}>")
        elif block.startswith("|"):
            body.append(html_table(block.splitlines()))
        else:
            body.append(f"<p>{html.escape(block)}</p>")
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    return f"<!DOCTYPE html>\n<html><head>{head}</head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"


def html_table(lines: Sequence[str]) -> str:
    """A table of Markdown's, whose second line is the rule below the head."""
    rows = []
    for number, line in enumerate([lines[0], *lines[2:]]):
        tag = "td" if number else "th"
        cells = [html.escape(cell.strip()) for cell in line.strip("|").split("|")]
        rows.append("<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>")
    return "<table>\n" + "\n".join(rows) + "\n</table>"


def write_report(suite: Suite, jobs_and_results: JobsAndResults, name: str, folder: str | Path) -> Path:
    """Write `results/NAME_report.{md,html}` below a folder; returns the Markdown's path."""
    from electra_paddle.files import replace_text

    title = f"{name}: {jobs_and_results[0][1].model_name}"
    markdown = report(suite, jobs_and_results, title)
    path = Path(folder) / "results" / f"{name}_report.md"
    replace_text(path, markdown)
    replace_text(path.with_suffix(".html"), to_html(markdown, title))
    return path
