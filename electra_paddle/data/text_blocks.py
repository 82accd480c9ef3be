"""The text of a span in blocks of whole lines, whatever the format."""

from __future__ import annotations

import html
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from electra_paddle.data.compression import BLOCK, DamagedFileError, decompressed
from electra_paddle.data.corpus import Span, boundary, place_at, reckoned_size
from electra_paddle.data.recognition import ARTICLE, ARTICLE_END
from electra_paddle.errors import DataError
from electra_paddle.parsing import look_up

if TYPE_CHECKING:
    from electra_paddle.config.shards import ShardSettings
    from electra_paddle.data.corpus import CorpusFile


LONGEST_LINE = 4_000_000  # bytes; a longer line is read as several


def read_span(
    span: Span, settings: ShardSettings, skipped: Counter[str], on_bytes: Callable[[int], None] = lambda count: None
) -> Iterator[str]:
    """Yield the text of a span in blocks: lines, with blank lines between documents, whatever the format.

    Args:
        settings: ShardSettings; with `on_error` "skip" damaged lines and files are left out.
        skipped: Counter of what was left out.
        on_bytes: called with the number of bytes read since the last call.

    Raises:
        DataError: damaged input, unless skipped.
    """
    position = span.start
    decode = decode_json if span.file.is_json else decode_text
    decode = decode_articles if span.file.layout == "articles" else decode
    try:
        for data in line_blocks(span_chunks(span), is_cut=not span.file.is_json):
            on_bytes(len(data))
            yield decode(data, span.file, position, settings, skipped)
            position += len(data)
        if span.is_damaged:
            skipped["damaged files"] += 1
        elif position == 0:
            raise EmptyFileError(span.file.name, "an empty file", "text", "remove it, or give --on-error skip")
    except (DamagedFileError, EmptyFileError) as error:
        if settings.on_error == "stop":
            raise
        skipped["damaged files" if isinstance(error, DamagedFileError) else "empty files"] += 1


class EmptyFileError(DataError):
    """A file without a byte of text."""


def span_chunks(span: Span) -> Iterator[bytes]:
    """Yield the bytes of a span in chunks."""
    if span.is_damaged:
        return
    if span.file.is_stream and span.spool is None:
        yield from decompressed(span.file)
        return
    with open(span.spool or span.file.path, "rb") as stream:
        if span.spool is None:
            stream.seek(span.start)
        left = os.fstat(stream.fileno()).st_size if span.stop is None else span.stop - span.start
        while left > 0 and (chunk := stream.read(min(BLOCK, left))):
            left -= len(chunk)
            yield chunk


def line_blocks(chunks: Iterable[bytes], is_cut: bool = True) -> Iterator[bytes]:
    """Cut chunks of bytes anew so that each ends with a line.

    Args:
        is_cut: whether a line of more than LONGEST_LINE bytes is cut between two characters.
    """
    rest: list[bytes] = []  # without a line feed
    length = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            yield b"".join([*rest, chunk[:end]])
            rest, length = [], 0
        rest.append(chunk[end:])
        length += len(chunk) - end
        if is_cut and length > LONGEST_LINE:
            whole = b"".join(rest)
            place = len(whole) - 4  # so that a line feed right behind stays with its line
            while place and whole[place] & 0xC0 == 0x80:
                place -= 1
            if place:
                yield whole[:place]
            rest, length = [whole[place:]], len(whole) - place
    if length:
        yield b"".join(rest)


def decode_text(data: bytes, file: CorpusFile, position: int, settings: ShardSettings, skipped: Counter[str]) -> str:
    """Bytes of whole lines as text."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if settings.on_error == "stop":
            raise invalid_utf8(file, position + error.start) from error
    lines = []
    for line in data.split(b"\n"):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            skipped["lines of invalid UTF-8"] += 1
    return "\n".join(lines)


def decode_articles(
    data: bytes, file: CorpusFile, position: int, settings: ShardSettings, skipped: Counter[str]
) -> str:
    """Bytes of whole lines of WikiExtractor's output as text: of each article its lines, the title first, then a blank
    one. WikiExtractor writes `&lt;` for `<`, a blank line behind the title, and tags around an article."""
    lines = []
    for line in decode_text(data, file, position, settings, skipped).split("\n"):
        if line.startswith(ARTICLE_END.decode()):
            lines.append("\n")
        elif line.strip() and not line.startswith(ARTICLE.decode()):
            lines.append(html.unescape(line) + "\n")
    return "".join(lines)


def invalid_utf8(file: CorpusFile, offset: int) -> DataError:
    return DataError(
        file.name,
        f"invalid UTF-8 at byte {offset:,}",
        "UTF-8 text",
        "mend or convert the file, or give --on-error skip to leave such lines out",
    )


def decode_json(data: bytes, file: CorpusFile, position: int, settings: ShardSettings, skipped: Counter[str]) -> str:
    """Bytes of whole lines of JSON as text: of each document its lines, then a blank one."""
    documents = []
    for line in data.split(b"\n"):
        try:
            if line.strip():
                text = json_text(line, file, position, settings.text_field)
                documents.append("\n".join(filter(str.strip, text.split("\n"))) + "\n\n")
        except DataError:
            if settings.on_error == "stop":
                raise
            skipped["damaged JSON lines"] += 1
        position += len(line) + 1
    return "".join(documents)


def json_text(line: bytes, file: CorpusFile, position: int, field: str) -> str:
    advice = "mend it, or give --on-error skip to leave such lines out"
    try:
        document = json.loads(line.decode("utf-8").removeprefix("\ufeff"))
    except UnicodeDecodeError as error:
        raise invalid_utf8(file, position + error.start) from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{file.name}:{line_number(file, position)}", f"no valid JSON ({error})", "an object", advice
        ) from error
    has_key = isinstance(document, dict) and field in document  # which may have a dot in it
    text = document[field] if has_key else look_up(document, field)
    if not isinstance(text, str):
        keys = ", ".join(map(repr, document)) if isinstance(document, dict) else type(document).__name__
        if isinstance(document, dict) and field in document:
            keys = f"{type(document[field]).__name__} under {field!r}"
        raise DataError(
            f"{file.name}:{line_number(file, position)}",
            keys or "no keys",
            f"text under {field!r}",
            f"give --text-field; or {advice}",
        )
    return text


def line_number(file: CorpusFile, position: int) -> int:
    """Number of the line that begins at a byte of a file's text."""
    count = 1
    for chunk in decompressed(file):
        count += chunk[:position].count(b"\n")
        position -= len(chunk)
        if position <= 0:
            break
    return count


def sample_text(
    files: Sequence[CorpusFile], settings: ShardSettings, num_bytes: int, num_places: int = 10
) -> Iterator[tuple[str, int]]:
    """Yield (block of text, bytes it came from) from places all over a corpus until there are about `num_bytes`.

    Compressed and transcoded files are read from their beginning only.
    """
    total = sum(map(reckoned_size, files))
    places = [(file, 0) for file in files]
    if total > num_bytes:
        places = [place_at(files, total * number // num_places) for number in range(num_places)]
    for file, offset in places:
        start = 0 if file.is_stream else boundary(file, offset, settings) or 0 if offset else 0
        counts: list[int] = []
        left = num_bytes // num_places
        for block in read_span(Span(file, start, None), settings, Counter(), counts.append):
            yield block, sum(counts)
            left -= sum(counts)
            counts.clear()
            if total > num_bytes and left <= 0:
                break
