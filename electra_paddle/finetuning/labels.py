"""The labels of a task that its description does not name: read from training data, refused where they look wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from electra_paddle.errors import DataError
from electra_paddle.finetuning.formats.headers import ROLES

if TYPE_CHECKING:
    from electra_paddle.finetuning.description import TaskDescription

MOST_LISTED = 12  # labels in a line
NO_LABEL = ("-",)  # what data sets write for a row whose annotators disagreed
LISTED = "meant: list all `labels: [...]` in the task's description"


def labels_of(
    found: Iterable[tuple[str, str]],
    layout: TaskDescription,
    path: str | Path,
    class_of: Callable[[str], str] = str,
) -> tuple[str, ...]:
    """The labels among (file and line, label) pairs, sorted.

    Args:
        class_of: what of a label has to occur more than once, where that is not all of it.

    Raises:
        DataError: a label that occurs once, a header's word, or a sign that there is none. It is a slip, or too rare to
            be learned: the description names the labels where it is meant.
    """
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for where, label in found:
        label = layout.aliases.get(label, label)
        counts[label] += 1
        first.setdefault(label, where)
    for label in counts:
        if label in no_labels(counts):
            advice = f"`ignore_labels: [{label!r}]` leaves such rows out; {LISTED}"
            expected = "a label; OCNLI and SNLI write it where there is none"
            raise DataError(first[label], f"label {label!r} {counts[label]:,} times", expected, advice)
        if ROLES.get(label.lower()) == "label":
            advice = f"a header: `header: true`, or between rows {without(label, layout)}; {LISTED}"
            raise DataError(first[label], f"label {label!r}, a header's word", "a label", advice)
    occurrences: Counter[str] = Counter()
    for label, count in counts.items():
        occurrences[class_of(label)] += count
    once = [label for label in counts if occurrences[class_of(label)] == 1]
    if once:
        label = min(once, key=lambda label: int(first[label].rpartition(":")[2]) if first[label][-1:].isdigit() else 0)
        more = f", like {len(once) - 1:,} other labels" if once[1:] else ""
        advice = f"a header's word: `header: true`; a slip: mend it, or {without('...', layout)}; {LISTED}"
        raise DataError(
            first[label], f"label {label!r} once in {path}{more}", "each label in two rows at least", advice
        )
    return tuple(sorted(counts))


def without(label: str, layout: TaskDescription) -> str:
    """How rows of a label are left out; a sentence is not for one of its tags."""
    return "remove it" if layout.kind == "tagging" else f"leave it out with `ignore_labels: [{label}]`"


def no_labels(labels: Iterable[str]) -> list[str]:
    """Those of a task's labels that say that there is none; a sign beside one other label is a class."""
    labels = list(labels)
    return [label for label in NO_LABEL if label in labels and len(labels) > 2]


def counts_line(split: str, counts: Mapping[str, int], num_examples: int) -> str:
    """A line with the labels of a split and how often each occurs."""
    listed = ", ".join(f"{label} {count:,}" for label, count in list(counts.items())[:MOST_LISTED])
    more = f" and {len(counts) - MOST_LISTED:,} more" if len(counts) > MOST_LISTED else ""
    return f"{split}: {num_examples:,} examples" + (f"; labels: {listed}{more}" if counts else "")


def missing_labels(labels: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    """The labels without an example."""
    return [label for label in labels if not counts.get(label)]
