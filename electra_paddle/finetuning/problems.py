"""Rows of a task's files that cannot be used: the first one stops, or all of them are listed."""

import sys
from collections import Counter
from pathlib import Path

from electra_paddle.errors import DataError

MOST_SHOWN = 10  # rows


class Problems:
    """Collects the rows of one file that cannot be used.

    Args:
        on_error: "stop" raises the first problem; "skip" collects them, for rows that are then left out.

    Attributes:
        errors: the problems so far.
        left_out: reason -> number of rows that are sound and not wanted.
        notes: what is to be said of the file beside.
    """

    def __init__(self, on_error: str = "stop") -> None:
        self.on_error = on_error
        self.errors: list[DataError] = []
        self.left_out: Counter[str] = Counter()
        self.notes: list[str] = []

    def add(
        self,
        where: str,
        found: str,
        expected: str,
        advice: str = "mend it, or leave such rows out with --on-error skip",
    ) -> None:
        """Take note of a row, which the caller then leaves out.

        Raises:
            DataError: with "stop".
        """
        if self.on_error == "stop":
            raise DataError(where, found, expected, advice)
        self.errors.append(DataError(where, found, expected))

    def note(self, text: str) -> None:
        """Take note of something that is said once."""
        self.notes.append(f"NOTE: {text}")

    def report(self, path: str | Path) -> None:
        """List notes and what was left out, on standard error."""
        for text in self.notes:
            print(text, file=sys.stderr)
        for reason, count in self.left_out.items():
            print(f"{path}: {count:,} rows {reason}", file=sys.stderr)
        if self.errors:
            print(f"{path}: {len(self.errors):,} rows skipped:", file=sys.stderr)
        for error in self.errors[:MOST_SHOWN]:
            print(f"  {error}", file=sys.stderr)
        if self.errors[MOST_SHOWN:]:
            print(f"  and {len(self.errors) - MOST_SHOWN:,} more", file=sys.stderr)
