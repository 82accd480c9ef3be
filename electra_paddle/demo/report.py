"""The demo's report: one HTML file that needs no network."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle.demo import mistakes, reviews
from electra_paddle.files import replace_text
from electra_paddle.published_models import NANO

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from electra_paddle.demo.steps import Demo


def write_report(demo: Demo) -> Path:
    """Write `report.html` into the demo's folder; returns its path."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("electra_paddle.demo"), undefined=StrictUndefined, autoescape=True)
    confusion = next((demo.folder / "finetuned" / "results").glob(f"{reviews.TASK}_test_1_confusion.png"))
    page = environment.get_template("report.html.jinja").render(
        **demo.shown,
        masked=mistakes.MASKED,
        threshold=mistakes.THRESHOLD,
        min_score=mistakes.MIN_SCORE,
        name=NANO.name,
        sizes={split: len(reviews.read_split(split)[1]) for split in reviews.SPLITS},
        curve=as_source(picture(accuracy_figure(demo))),
        confusion=as_source(confusion.read_bytes()),
        times=demo.times,
        folder=demo.folder,
    )
    path = demo.folder / "report.html"
    replace_text(path, page)
    return path


def accuracy_figure(demo: Demo) -> Figure:
    """Accuracy on dev after each epoch, of all three models."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6))
    axes = figure.subplots()
    for folder, label in (("finetuned", NANO.name), ("random", "the same from random weights")):
        points = evaluations(demo.folder / folder)
        axes.plot(range(1, len(points) + 1), points, marker="o", label=label)
    axes.axhline(demo.shown["accuracy"]["linear model"]["dev"], color="gray", linestyle="--", label="linear model")
    axes.set(xlabel="epoch", ylabel="accuracy on dev, %")
    axes.legend()
    figure.tight_layout()
    return figure


def evaluations(folder: Path) -> list[float]:
    """The accuracies on dev that a run has logged."""
    from electra_paddle.training.loggers.jsonl import LINES, read_metrics

    (path,) = folder.rglob(LINES)
    return [figures["accuracy"] for figures in read_metrics(path, "eval")]


def picture(figure: Figure) -> bytes:
    """A figure as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()


def as_source(png: bytes) -> Any:
    """What an HTML image takes as its source."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
