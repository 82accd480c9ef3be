"""What a task's files hold, before anything is trained: classes, lengths, duplicates, leaks, contradictions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import DataError
from electra_paddle.finetuning.description import SPLITS, TaskDescription, check_layout
from electra_paddle.finetuning.job import check_folder, find_labels
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.labels import counts_line
from electra_paddle.finetuning.problems import Problems

if TYPE_CHECKING:
    from electra_paddle.finetuning.kinds.base import AnyKind
    from electra_paddle.text import Tokenizer

NUM_SPECIAL = {1: 2, 2: 3}  # texts of an example -> special tokens beside theirs
MOST_SHOWN = 3  # rows of each finding
WORDS = {"duplicates": "texts more than once", "contradictions": "texts with different answers"}
Places = dict[tuple[str, ...], list[tuple[str, Any]]]  # texts -> (file and line, gold answer) of each row with them


def check_data(
    description: TaskDescription, config: FinetuningConfig, tokenizer: Tokenizer | None = None
) -> dict[str, Any]:
    """Read all files of a task; rows that cannot be used are counted, not refused.

    Args:
        config: `data_dir`, `encoding` and `max_seq_length` are looked at.
        tokenizer: lengths are in its tokens; None: in characters, which is nearly the same in Chinese.

    Returns:
        split -> findings, as plain values, and "leaks": split -> an earlier one -> rows whose texts stand there too.

    Raises:
        DataError: no folder or no file of the task there.
    """
    check_layout(description)
    if config.encoding:
        description = description.with_encoding(config.encoding)
    folder = description.folder_in(config.data_dir)
    check_folder(description, folder)
    files = {split: path for split in SPLITS if (path := description.find_file(folder, split))}
    if not files:
        raise DataError(folder, "none of its files", f"{description.names('train')[0]}, for instance")
    kind = make_kind(find_labels(config, description, folder), config)
    places: dict[str, Places] = {}
    report: dict[str, Any] = {"unit": "tokens" if tokenizer else "characters"}
    for split, path in files.items():
        report[split], places[split] = check_split(kind, path, split, tokenizer)
    splits = list(files)
    report["leaks"] = {
        split: {
            earlier: found(rows[0] for texts, rows in places[split].items() if texts in places[earlier])
            for earlier in splits[:number]
        }
        for number, split in enumerate(splits)
    }
    return report


def check_split(kind: AnyKind, path: Path, split: str, tokenizer: Tokenizer | None) -> tuple[dict[str, Any], Places]:
    """(findings, Places) of a file."""
    problems = Problems("skip")
    examples = kind.read(path, split, problems)
    places: Places = defaultdict(list)
    for example in examples:
        places[kind.texts(example)].append((example.where, kind.gold(example)))
    most = kind.config.max_seq_length
    lengths = np.array([length_of(texts, tokenizer) for texts in places for _ in places[texts]] or [0])
    is_labelled = bool(examples) and kind.is_labelled(examples)
    repeated = [rows for rows in places.values() if len(rows) > 1]
    return {
        "file": str(path),
        "examples": len(examples),
        "labels": kind.count_labels(examples) if is_labelled else {},
        "unusable": [str(error) for error in problems.errors],
        "left_out": dict(problems.left_out),
        "notes": problems.notes,
        "lengths": {
            "median": float(np.median(lengths)),
            "99 %": float(np.percentile(lengths, 99)),
            "longest": int(lengths.max()),
            "longer": int((lengths > most).sum()),
            "max_seq_length": most,
            "in_parts": kind.reads_in_parts,
        },
        "duplicates": found(rows[1] for rows in repeated),
        "contradictions": found(rows[1] for rows in repeated if len({str(gold) for _, gold in rows}) > 1),
    }, places


def length_of(texts: Sequence[str], tokenizer: Tokenizer | None) -> int:
    """Tokens of an example with its special ones, or characters in their place."""
    texts = [text for text in texts if text]
    parts = [len(tokenizer.encode(text)) if tokenizer else len(text) for text in texts]
    return sum(parts) + NUM_SPECIAL[min(2, max(1, len(texts)))]


def found(rows: Any) -> dict[str, Any]:
    """How many rows there are, and where the first ones stand."""
    wheres = [where for where, _ in rows]
    return {"count": len(wheres), "first": wheres[:MOST_SHOWN]}


def lines_of(report: Mapping[str, Any]) -> list[str]:
    """The report as lines for people."""
    lines = []
    for split in (split for split in SPLITS if split in report):
        part = report[split]
        lines.append(counts_line(split, part["labels"], part["examples"]))
        lengths, unit = part["lengths"], report["unit"]
        share = 100 * lengths["longer"] / max(1, part["examples"])
        spread = f"median {lengths['median']:,.0f}, 99 % up to {lengths['99 %']:,.0f}, longest {lengths['longest']:,}"
        over = f"{lengths['longer']:,} ({share:.1f} %) longer than max_seq_length {lengths['max_seq_length']}"
        over += ", read in parts" if lengths["longer"] and lengths["in_parts"] else ""
        lines.append(f"  {unit}: {spread}; {over}")
        lines += [f"  {note}" for note in part["notes"]]
        lines += [f"  {count:,} rows {reason}" for reason, count in part["left_out"].items()]
        if part["unusable"]:
            lines.append(f"  {len(part['unusable']):,} rows that cannot be used, {part['unusable'][0]}")
        lines += [
            f"  {part[name]['count']:,} {words}: {', '.join(part[name]['first'])}"
            for name, words in WORDS.items()
            if part[name]["count"]
        ]
        lines += [
            f"  {leaks['count']:,} texts that stand in {earlier} too: {', '.join(leaks['first'])}"
            for earlier, leaks in report["leaks"][split].items()
            if leaks["count"]
        ]
    return lines
