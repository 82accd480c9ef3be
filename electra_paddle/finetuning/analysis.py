"""What a model got wrong: its worst mistakes, what it takes for what, and whether its probabilities hold."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from electra_paddle.files import replace_text
from electra_paddle.parsing import parse_json

if TYPE_CHECKING:
    from electra_paddle.finetuning.kinds.base import AnyKind

MOST_ROWS = 100  # of mistakes, and of training rows that look mislabelled
MOST_PAIRS = 20  # of what is taken for what
NUM_BINS = 10  # of confidence
NOTHING = "(nothing)"  # beside a label that was given where none is right, or missed


class Verdict(NamedTuple):
    """What there is to say of one labelled example and its prediction."""

    is_right: bool | None  # as a whole; None where answers are more or less near
    severity: float  # how bad a mistake it is: the confidence in what is wrong, or the size of an error
    groups: Sequence[tuple[str, bool]] = ()  # what it is one of, a class or a type of question, and if that was found
    confusions: Sequence[tuple[str, str]] = ()  # right -> what was said instead
    decisions: Sequence[tuple[float, bool]] = ()  # confidence of each decision, and whether it was right


def analyse(kind: AnyKind, examples: Sequence[Any], predictions: Sequence[Any]) -> dict[str, Any]:
    """The analysis of a labelled split, as plain values."""
    verdicts = [kind.verdict(*pair) for pair in zip(examples, predictions, strict=True)]
    places = [number for number, verdict in enumerate(verdicts) if not verdict.is_right]
    worst = sorted(places, key=lambda number: -verdicts[number].severity)[:MOST_ROWS]
    groups: dict[str, list[bool]] = defaultdict(list)
    for name, is_found in (group for verdict in verdicts for group in verdict.groups):
        groups[name].append(is_found)
    confusions = Counter(pair for verdict in verdicts for pair in verdict.confusions)
    return {
        "examples": len(examples),
        "wrong": None if all(verdict.is_right is None for verdict in verdicts) else len(places),
        "mistakes": [
            record_of(kind, examples[number], predictions[number]) | {"severity": verdicts[number].severity}
            for number in worst
        ],
        "groups": [{"name": name, "count": len(found), "found": sum(found)} for name, found in sorted(groups.items())],
        "confusions": [
            {"right": right, "said": said, "count": count}
            for (right, said), count in confusions.most_common(MOST_PAIRS)
        ],
        "calibration": calibration([decision for verdict in verdicts for decision in verdict.decisions]),
    }


def calibration(decisions: Sequence[tuple[float, bool]]) -> dict[str, Any] | None:
    """Bins of equal width with the mean confidence of their decisions and the share that was right.

    Its "error" is the expected calibration error in percent (Naeini et al. 2015): the difference of both, averaged
    over the decisions. None where there are no decisions.
    """
    if not decisions:
        return None
    confidences, right = (np.array(column, np.float64) for column in zip(*decisions, strict=True))  # [N]
    numbers = np.minimum((confidences * NUM_BINS).astype(int), NUM_BINS - 1)
    counts = np.bincount(numbers, minlength=NUM_BINS)
    sums = [np.bincount(numbers, values, NUM_BINS) for values in (confidences, right)]
    bins = [
        {"count": int(count), "confidence": float(confidence / count), "right": float(hits / count)}
        for count, confidence, hits in zip(counts, *sums, strict=True)
        if count
    ]
    return {"error": 100 * float(np.abs(sums[0] - sums[1]).sum() / len(decisions)), "bins": bins}


def gold_record(kind: AnyKind, example: Any) -> dict[str, Any]:
    """An example with its texts and what is right."""
    texts = dict(zip(kind.inputs, kind.texts(example), strict=False))
    return {"id": example.id, "where": example.where, **texts, "gold": kind.gold(example)}


def record_of(kind: AnyKind, example: Any, prediction: Any) -> dict[str, Any]:
    """An example with its texts, what is right and what was predicted."""
    return {**gold_record(kind, example), "predicted": kind.plain(prediction)}


def write_records(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """Write an object a line; returns the path."""
    replace_text(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    return path


def write_analysis(stem: Path | str, kind: AnyKind, examples: Sequence[Any], predictions: Sequence[Any]) -> None:
    """Write STEM_analysis.json and, where there are decisions, STEM_calibration.png."""
    from electra_paddle.finetuning.pictures import calibration_figure, save_figure

    found = analyse(kind, examples, predictions)
    replace_text(f"{stem}_analysis.json", json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    if found["calibration"]:
        save_figure(calibration_figure(found["calibration"]), f"{stem}_calibration.png")


def read_analysis(stem: Path | str) -> dict[str, Any] | None:
    """What `write_analysis` wrote; None if there is none."""
    try:
        found = parse_json(Path(f"{stem}_analysis.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "mistakes" in found else None
