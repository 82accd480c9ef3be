"""Lines of text files, in any encoding."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from electra_paddle.data.recognition import SAMPLE_BYTES, is_utf8
from electra_paddle.data.recognition import guess as guess_encoding
from electra_paddle.errors import DataError, reason

if TYPE_CHECKING:
    from electra_paddle.finetuning.problems import Problems

UTF8 = "utf-8"


def read_lines(path: str | Path, problems: Problems, encoding: str = UTF8) -> Iterator[tuple[str, str]]:
    """Yield (file and line, text) of the lines of a file that are not blank."""
    for number, text in numbered_lines(path, problems, encoding):
        if text.strip():
            yield f"{path}:{number}", text


def numbered_lines(path: str | Path, problems: Problems, encoding: str = UTF8) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, text without the line's end) of the lines of a file.

    Raises:
        DataError: no such file, or not in this encoding; single bad bytes in UTF-8 go to `problems`.
    """
    try:
        if codecs.lookup(encoding).name == UTF8:
            yield from utf8_lines(path, problems)
            return
        with open(path, encoding=encoding, newline="\n") as stream:
            for number, line in enumerate(stream, 1):
                yield number, line.removesuffix("\n").removesuffix("\r").removeprefix("\ufeff" if number == 1 else "")
    except OSError as error:
        raise DataError(path, reason(error), "a file of this task") from error
    except UnicodeError as error:
        raise wrong_encoding(path, encoding, error) from error


def in_another_encoding(path: str | Path, sample: bytes) -> DataError | None:
    """The error for a file whose first bytes seem to be text in an encoding that is not UTF-8."""
    likely = None if is_utf8(sample, False) else guess_encoding(sample)
    if likely is None:
        return None
    advice = f"give --encoding {likely}, or write `encoding: {likely}` into the task's description"
    return DataError(path, f"text that is no UTF-8 but seems to be {likely}", "UTF-8 text", advice)


def wrong_encoding(path: str | Path, encoding: str, error: UnicodeError) -> DataError:
    """The error for a file that is not in the encoding that was asked for."""
    return DataError(path, f"no text in {encoding} ({reason(error)})", f"text in {encoding}")


def utf8_lines(path: str | Path, problems: Problems) -> Iterator[tuple[int, str]]:
    """`numbered_lines` of UTF-8, with or without a byte order mark."""
    with io.BufferedReader(io.FileIO(path), SAMPLE_BYTES) as stream:
        sample = stream.peek()[:SAMPLE_BYTES]  # which a pipe has, too
        if refusal := in_another_encoding(path, sample):
            raise refusal
        if b"\r" in sample and b"\n" not in sample:
            advice = "save it with line ends as Windows or Unix has them"
            raise DataError(path, "lines that end with a carriage return alone", "line feeds", advice)
        stream.read(len(codecs.BOM_UTF8) if sample.startswith(codecs.BOM_UTF8) else 0)
        for number, line in enumerate(stream, 1):
            try:
                yield number, line.decode(UTF8).removesuffix("\n").removesuffix("\r")
            except UnicodeDecodeError as error:
                problems.add(f"{path}:{number}", f"invalid UTF-8 at byte {error.start} of the line", "UTF-8 text")


def read_text(path: str | Path, encoding: str = UTF8) -> str:
    """All text of a file, for formats that are one value.

    Raises:
        DataError: no such file, or not in this encoding.
    """
    from electra_paddle.finetuning.problems import Problems

    return "\n".join(text for _, text in numbered_lines(path, Problems(), encoding))
