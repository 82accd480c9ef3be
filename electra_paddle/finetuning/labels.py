"""The labels of a task that its description does not name: read from training data, refused where they look wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from electra_paddle.errors import DataError

if TYPE_CHECKING:
    from electra_paddle.finetuning.description import TaskDescription

MOST_LISTED = 12  # labels in a line


def labels_of(found: Iterable[tuple[str, str]], layout: TaskDescription, path: str | Path) -> tuple[str, ...]:
    """The labels among (file and line, label) pairs, sorted.

    Raises:
        DataError: a label that occurs once. It is a header's word, a slip, or too rare to be learned: the description
            names the labels where it is meant.
    """
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for where, label in found:
        label = layout.aliases.get(label, label)
        counts[label] += 1
        first.setdefault(label, where)
    once = [label for label, count in counts.items() if count == 1]
    if once:
        label = min(once, key=lambda label: int(first[label].rpartition(":")[2]) if first[label][-1:].isdigit() else 0)
        more = f", like {len(once) - 1:,} other labels" if once[1:] else ""
        advice = (
            "a header's word: `header: true`; a slip: mend it, or leave it out with `ignore_labels: [...]`; meant: "
            "list all `labels: [...]` in the task's description"
        )
        raise DataError(
            first[label], f"label {label!r} once in {path}{more}", "each label in two rows at least", advice
        )
    return tuple(sorted(counts))


def counts_line(split: str, counts: Mapping[str, int], num_examples: int) -> str:
    """A line with the labels of a split and how often each occurs."""
    listed = ", ".join(f"{label} {count:,}" for label, count in list(counts.items())[:MOST_LISTED])
    more = f" and {len(counts) - MOST_LISTED:,} more" if len(counts) > MOST_LISTED else ""
    return f"{split}: {num_examples:,} examples" + (f"; labels: {listed}{more}" if counts else "")


def missing_labels(labels: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    """The labels without an example."""
    return [label for label in labels if not counts.get(label)]
