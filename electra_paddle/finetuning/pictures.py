"""Pictures of results, with matplotlib."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_paddle.files import written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from electra_paddle.arrays import Array

CHINESE_FONTS = (  # where there is no fontconfig
    "Noto Sans CJK SC", "Source Han Sans SC", "Noto Sans SC", "SimHei", "Microsoft YaHei", "PingFang SC", "Heiti SC",
)  # fmt: skip
FONT_FILES = (".ttf", ".ttc", ".otf", ".otc")  # that matplotlib reads
MOST_NAMED = 20  # classes whose labels have room on an axis


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a PNG, whole or not at all."""
    with written_whole(path) as partial:
        figure.savefig(partial, format="png")


def confusion_figure(matrix: Array, labels: Sequence[str]) -> Figure:
    """A matplotlib Figure of counts [C, C], rows the right classes, columns the predicted ones.

    Axes show labels where a font has them and there is room, else the classes' ids, whose labels stand in the table
    beside the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    shares = matrix / matrix.sum(1, keepdims=True).clip(1)
    figure.colorbar(axes.imshow(shares, cmap="Blues", vmin=0, vmax=1), label="share of the row")
    axes.set(xlabel="predicted", ylabel="right")
    if len(labels) <= MOST_NAMED:
        names = list(labels) if can_show("".join(labels)) else [str(number) for number in range(len(labels))]
        axes.set_xticks(range(len(labels)), names, rotation=45)
        axes.set_yticks(range(len(labels)), names)
        for row, counts in enumerate(matrix):
            for column, count in enumerate(counts):
                color = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=color)
    return figure


def can_show(text: str) -> bool:
    """Whether there is a font for a text; if so, matplotlib takes it from now on."""
    import matplotlib

    if text.isascii():
        return True
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    families = matplotlib.rcParams["font.sans-serif"]
    for path in (*known_fonts((*families, *CHINESE_FONTS)), *fontconfig_fonts(text)):
        if {ord(char) for char in text} <= FT2Font(path).get_charmap().keys():
            font_manager.fontManager.addfont(path)  # matplotlib's own list may be older than the font
            family = font_manager.FontProperties(fname=path).get_name()
            matplotlib.rcParams["font.sans-serif"] = [family, *(name for name in families if name != family)]
            return True
    return False


def known_fonts(families: Iterable[str]) -> Iterator[str]:
    """Paths of those of some fonts that matplotlib knows."""
    from matplotlib import font_manager

    for family in families:
        with contextlib.suppress(ValueError):
            yield font_manager.findfont(family, fallback_to_default=False)


def fontconfig_fonts(text: str) -> Iterator[str]:
    """The path of the system's font for a text, as fontconfig chooses it; nothing where there is no fontconfig."""
    wanted = "sans:charset=" + " ".join(f"{ord(char):x}" for char in sorted({*text}))
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["fc-match", "--format", "%{file}", wanted]
        path = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
        if Path(path).suffix.lower() in FONT_FILES:
            yield path


def spread_figure(values: Mapping[str, Sequence[float]], title: str) -> Figure:
    """A matplotlib Figure of the trials' scores.

    Args:
        values: split -> list of scores, one a trial.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for place, scores in enumerate(values.values()):
        axes.scatter([place] * len(scores), scores, alpha=0.6)
        axes.hlines(sum(scores) / len(scores), place - 0.2, place + 0.2, color="black")
    axes.set_xticks(range(len(values)), list(values))
    axes.set(
        title=title if can_show(title) else "", ylabel="one point a trial; line: mean", xlim=(-0.5, len(values) - 0.5)
    )
    return figure


def threshold_figure(probabilities: Array, gold: Array, threshold: float) -> Figure:
    """A matplotlib Figure of micro-averaged precision, recall and F1 over the threshold of labels.

    Args:
        probabilities: [N, C].
        gold: [N, C], True where a text has a label.
        threshold: the one that decides.
    """
    from matplotlib.figure import Figure

    thresholds = np.linspace(0.01, 0.99, 99)
    given = np.array([(probabilities >= value).sum() for value in thresholds])  # [99]
    right = np.array([((probabilities >= value) & gold).sum() for value in thresholds])
    curves = {"precision": (right, given), "recall": (right, gold.sum()), "F1": (2 * right, given + gold.sum())}
    figure = Figure(figsize=(6, 4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for name, (counts, totals) in curves.items():
        axes.plot(thresholds, 100 * counts / np.maximum(totals, 1), label=name)
    axes.axvline(threshold, color="black", linestyle=":", label=f"threshold {threshold:.3g}")
    axes.set(xlabel="threshold", ylabel="micro-averaged, percent", ylim=(0, 101))
    axes.legend()
    return figure


def calibration_figure(calibration: Mapping[str, Any]) -> Figure:
    """A matplotlib Figure of the share of right decisions over their confidence; on the line both are equal.

    Args:
        calibration: of `analysis.calibration`; a point's area grows with its decisions.
    """
    from matplotlib.figure import Figure

    bins = calibration["bins"]
    confidences, shares, counts = (np.array([each[key] for each in bins]) for key in ("confidence", "right", "count"))
    figure = Figure(figsize=(5, 4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="black", linestyle=":")
    axes.plot(confidences, shares, color="tab:blue", alpha=0.5)
    axes.scatter(confidences, shares, s=20 + 200 * counts / counts.max(), color="tab:blue")
    axes.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.set_title(f"expected calibration error {calibration['error']:.1f} %")
    return figure


def numbers_figure(gold: Sequence[float], predicted: Sequence[float]) -> Figure:
    """A matplotlib Figure of predicted over right numbers [N]; the line is where they are equal."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(gold, predicted, s=12, alpha=0.4)
    axes.axline((gold[0], gold[0]), slope=1, color="black", linestyle=":")
    axes.set(xlabel="right", ylabel="predicted")
    return figure
