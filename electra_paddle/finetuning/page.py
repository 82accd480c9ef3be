"""The report of a task's runs as one HTML file that needs no network: scores, mistakes, settings and environment."""

from __future__ import annotations

import base64
import datetime
import json
import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle import __version__, runtime
from electra_paddle.config import FinetuningConfig
from electra_paddle.config.changes import default_settings, plain_settings
from electra_paddle.files import replace_text
from electra_paddle.finetuning.analysis import read_analysis
from electra_paddle.finetuning.ensemble import ENSEMBLE
from electra_paddle.finetuning.experiment import RECORD, paths_of, read_record, record_path
from electra_paddle.finetuning.folds import OUT_OF_FOLD
from electra_paddle.finetuning.pictures import MOST_NAMED, can_show
from electra_paddle.finetuning.report import SPLITS, columns_of

if TYPE_CHECKING:
    from electra_paddle.finetuning.job import Job
    from electra_paddle.finetuning.report import Results

MOST_SHOWN = 50  # rows of a table
GROUPS = {"reading_comprehension": "type of question", "tagging": "class of entities"}  # else: class
LINKED = ("results", "test_predictions", "finetuning_models")
PACKAGES = ("paddlepaddle", "paddlepaddle-gpu", "paddlenlp", "paddlehub", "numpy")


def write_page(job: Job, results: Results) -> Path:
    """Write `results/TASK_report.html`; returns its path."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader(__package__ or "", "template")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.filters["as_text"] = as_text
    path = Path(f"{results.stem.removesuffix('_results')}_report.html")
    replace_text(path, environment.get_template("report.html.jinja").render(page_values(job, results, path.parent)))
    return path


def as_text(value: Any) -> str:
    """An input or an answer as a reader wants to see it: a passage's text alone, right answers beside each other."""
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        value = value["text"] or "(no answer)"
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        value = " | ".join(value) or "(no answer)"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def page_values(job: Job, results: Results, folder: Path) -> dict[str, Any]:
    """Everything that the template shows."""
    rows = results.table_rows() if results.summary else []
    columns = columns_of(rows)
    cells = [[name, *(row.get(split, "-") for split in columns)] for name, row in rows]
    number = chosen_number(job, results)
    digests = {**read_record(job).get(RECORD, {}).get("files", {}), **results.files}
    files = [
        (split, str(path), results.num_examples[split], digests.get(split) or "-") for split, path in job.files.items()
    ]
    return {
        "title": f"{job.name}: {results.model_name}",
        "date": datetime.datetime.now().astimezone().isoformat(" ", "seconds"),
        "command": shlex.join([Path(sys.executable).name, *sys.orig_argv[1:]]),
        "heading": results.heading,
        "table": [["model", *(SPLITS[split] for split in columns)], *cells],
        "spread": ", ".join(f"{split} {scores['std']:.2f}" for split, scores in results.summary.items()),
        "pictures": embedded([Path(f"{results.stem}.png")]) if len(results.rows) > 1 else [],
        "splits": list(split_values(job, number)),
        "legend": legend(job.kind.description.classes),
        "group_name": GROUPS.get(job.kind.description.kind, "class"),
        "most_shown": MOST_SHOWN,
        "inputs": job.kind.inputs,
        **suspect_values(job, number),
        "links": links(job, folder),
        "files": files,
        "config_file": record_path(job).name,
        "settings": changed_settings(job.config),
        "environment": environment_rows(),
    }


def chosen_number(job: Job, results: Results) -> int | str:
    """Whose mistakes are shown: the ensemble's, or those of the best trial of which predictions were written."""
    if ENSEMBLE in results.combined:
        return ENSEMBLE
    written = min(len(results.rows), job.config.n_writes_test)
    split = next(iter(results.summary), None)
    if split is None or written < 1:
        return 1
    return max(range(1, written + 1), key=lambda number: (results.trials[number - 1][split][results.metric], -number))


def split_values(job: Job, number: int | str) -> Iterable[dict[str, Any]]:
    """What is shown of each labelled split."""
    sources: list[tuple[str, int | str | None]] = [(split, number) for split in job.examples if split != "train"]
    if job.folds is not None:
        sources.append((OUT_OF_FOLD, None))
    for split, own in sources:
        stem = stem_of(job, split, own)
        found = read_analysis(stem)
        if found is not None:
            told = "by the ensemble" if own == ENSEMBLE else f"by {job.config.unit} {own}"
            title = SPLITS.get(split, "Training data, out of fold")
            source = "Predicted by the models that were not trained on them" if own is None else f"Predicted {told}"
            beside = sorted(Path(stem).parent.glob("*.png"))
            pictures = embedded([path for path in beside if path.name.startswith(f"{Path(stem).name}_")])
            yield {**found, "title": title, "source": source, "pictures": pictures}


def legend(labels: Sequence[str]) -> str:
    """What the numbers of classes in pictures stand for; "" where the pictures have the labels."""
    if len(labels) > MOST_NAMED or can_show("".join(labels)):
        return ""
    return ", ".join(f"{number} = {label}" for number, label in enumerate(labels))


def stem_of(job: Job, split: str, number: int | str | None) -> str:
    """What the names of the files on a split begin with."""
    if number is None:
        return str(job.config.output_dir / "results" / f"{job.name}_{split}")
    return str(job.result_path(split, number, "")).removesuffix("_")


def suspect_values(job: Job, number: int | str) -> dict[str, Any]:
    """Training rows that look mislabelled: by the models that did not see them, else by the loss in training."""
    if job.folds is not None and (found := read_analysis(stem_of(job, OUT_OF_FOLD, None))):
        return {
            "suspects": found["mistakes"],
            "suspects_source": "Answered otherwise, and confidently, by a model that was not trained on them.",
            "suspects_value": "severity",
            "suspects_title": "confidence",
        }
    first = 1 if number == ENSEMBLE else number
    try:
        lines = job.result_path("train", first, "suspects.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    return {
        "suspects": [json.loads(line) for line in lines],
        "suspects_source": f"Mean loss over the passes of {job.config.unit} {first}, highest first.",
        "suspects_value": "loss",
        "suspects_title": "loss",
    }


def links(job: Job, folder: Path) -> list[str]:
    """The results' other files, predictions and the folders of models, relative to the page."""
    paths = [path for path in paths_of(job) if path.parent.name in LINKED and path.suffix != ".html"]
    return [path.name if path.parent == folder else f"../{path.parent.name}/{path.name}" for path in paths]


def embedded(paths: Iterable[Path]) -> list[str]:
    """PNG files as addresses that hold them."""
    return [f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" for path in paths if path.is_file()]


def changed_settings(config: FinetuningConfig) -> list[tuple[str, str]]:
    """(name, value) of the entries that are not defaults."""
    defaults = default_settings(type(config))
    return [(name, str(value)) for name, value in plain_settings(config).items() if value != defaults.get(name, ...)]


def environment_rows() -> list[tuple[str, str]]:
    """(what, which) of the software and the machine."""
    rows = [("electra-paddle", __version__), ("Python", platform.python_version())]
    for name in PACKAGES:
        try:
            rows.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    device = runtime.processor_name() if runtime.is_cpu() else "GPU"
    return [*rows, ("system", platform.platform()), ("device", device), ("processes", str(runtime.num_processes()))]
