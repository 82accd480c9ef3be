"""Published files in the layout that fine-tuning reads. Most are there already, and are copied byte for byte."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from electra_paddle.errors import DataError
from electra_paddle.finetuning.formats import read_lines
from electra_paddle.finetuning.formats.lines import read_text
from electra_paddle.finetuning.problems import Problems
from electra_paddle.parsing import parse_json

if TYPE_CHECKING:
    from electra_paddle.finetuning.description import TaskDescription

JOINED = "\x02"  # between tokens, and between tags, in files that PaddleNLP and PaddleHub publish
JOINED_HEADER = "text_a\tlabel"
PAIR = ("sentence1", "sentence2", "gold_label")
PAIR_HEADER = "sentence1\tsentence2\tlabel"


class Layout(NamedTuple):
    """How a file was laid out."""

    rows: int | None = None  # examples of the published file; None: as many as there are afterwards
    remark: str = ""


def lay_out(source: Path, target: Path, description: TaskDescription) -> Layout:
    """Write a published file as the task's description says.

    Raises:
        DataError: it is in no layout in which its owners publish it; says where and what was expected.
    """
    convert = converter(source, description)
    if convert is None:
        shutil.copyfile(source, target)
        return Layout()
    return convert(source, target)


def converter(source: Path, description: TaskDescription) -> Callable[[Path, Path], Layout] | None:
    """What lays a file out; None for one that is copied."""
    first = next(read_lines(source, Problems("skip")), ("", ""))[1]
    if "meta.accusation" in description.columns.values():
        return charges if description.label_separator is None else cases
    if "text_b" in description.columns and first.lstrip().startswith("{"):
        return pairs
    if description.format == "bio" and (JOINED in first or first == JOINED_HEADER):
        return sentences
    if description.format == "squad" and first.lstrip().startswith("["):
        check_passages(source)
    return None


def pairs(source: Path, target: Path) -> Layout:
    """LCQMC's and BQ's JSON lines as a table."""
    with open(target, "w", encoding="utf-8") as out:
        out.write(f"{PAIR_HEADER}\n")
        for where, value in objects(source):
            cells = [value.get(key) for key in PAIR]
            if not all(isinstance(cell, str | int) for cell in cells):
                raise DataError(where, ", ".join(value) or "no keys", f"an object with {', '.join(PAIR)}")
            line = "\t".join(str(cell).strip() for cell in cells)
            if line.count("\t") > len(PAIR) - 1 or len(line.splitlines()) > 1:
                raise DataError(where, "a tab or line end in a text", "texts that fit into a table")
            out.write(f"{line}\n")
    return Layout(remark="JSON lines as a table")


def sentences(source: Path, target: Path) -> Layout:
    """Sentences whose tokens are joined in one line as a token and its tag a line."""
    with open(target, "w", encoding="utf-8") as out:
        for number, (where, line) in enumerate(read_lines(source, Problems())):
            if number == 0 and line == JOINED_HEADER:
                continue
            tokens, *tags = (cell.split(JOINED) for cell in line.split("\t"))
            if len(tags) != 1 or len(tags[0]) != len(tokens):
                found = f"{len(tokens)} tokens and {len(tags[0]) if tags else 'no'} tags"
                raise DataError(where, found, "tokens, a tab, and as many tags")
            out.writelines(f"{token or ' '}\t{tag}\n" for token, tag in zip(tokens, tags[0], strict=True))
            out.write("\n")
    return Layout(remark="a token and its tag a line")


def charges(source: Path, target: Path) -> Layout:
    """CAIL's cases that have one charge, as the task is published."""
    return write_cases(source, target, keeps=lambda names: len(names) == 1)


def cases(source: Path, target: Path) -> Layout:
    """All of CAIL's cases."""
    return write_cases(source, target, keeps=lambda names: True)


def write_cases(source: Path, target: Path, keeps: Callable[[list[str]], bool]) -> Layout:
    """Facts and charges of CAIL's cases, the charges without the brackets that accu.txt does not have either."""
    count, kept = 0, 0
    with open(target, "w", encoding="utf-8") as out:
        for where, value in objects(source):
            count += 1
            meta = value.get("meta")
            names = meta.get("accusation") if isinstance(meta, dict) else None
            if not isinstance(value.get("fact"), str) or not isinstance(names, list):
                expected = "an object with fact and meta.accusation, a list, as CAIL 2018 has them"
                raise DataError(where, ", ".join(value) or "no keys", expected)
            names = [str(name).replace("[", "").replace("]", "") for name in names]
            if keeps(names):
                kept += 1
                case = {"fact": value["fact"], "meta": {"accusation": names}}
                out.write(json.dumps(case, ensure_ascii=False) + "\n")
    left_out = count - kept
    remark = f"{left_out:,} cases of several charges, or of none, left out" if left_out else ""
    return Layout(count, remark)


def objects(source: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file and line, object) of JSON lines."""
    for where, line in read_lines(source, Problems()):
        try:
            value = parse_json(line)
        except ValueError as error:
            raise DataError(where, f"no valid JSON ({error})", "one JSON object a line") from error
        if not isinstance(value, dict):
            raise DataError(where, type(value).__name__, "one JSON object a line")
        yield where, value


def check_passages(source: Path) -> None:
    """Refuse the other layout that CMRC 2018 is published in, with a pointer to the one that is read."""
    value = parse_json(read_text(source))
    if value and isinstance(value[0], dict) and "context_text" in value[0]:
        advice = "take the file of that name from the owners' folder squad-style-data/"
        raise DataError(source, "a list of passages with context_text", "SQuAD's layout", advice)
