"""Corpus files, and the plan that cuts them into parts.

A document of a .txt file ends at a blank line and at the end of the file; each line of a .jsonl file is one
document. Files may be plain or compressed. The plan cuts a corpus into parts of about the same size at document
boundaries; it depends on the files alone, so any number of workers makes the same parts.
"""

from __future__ import annotations

import contextlib
import glob
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from electra_paddle.data.compression import BLOCK, COMPRESSIONS, DamagedFileError, decompressed
from electra_paddle.errors import DataError

if TYPE_CHECKING:
    from electra_paddle.config.shards import ShardSettings


FORMATS = (".txt", ".jsonl")
EXPANSION = 4  # what a compressed byte is reckoned to become, where the plan needs a size
SMALLEST_PART, MOST_PARTS = 8_000_000, 512  # bytes of text; beyond that many parts each becomes larger
BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")


class CorpusFile(NamedTuple):
    """A file of the corpus."""

    path: Path
    name: str  # in messages and in the manifest
    size: int  # bytes on the disk
    changed: int  # when, in nanoseconds
    is_json: bool
    compression: str  # one of COMPRESSIONS, or nothing


class Span(NamedTuple):
    """Whole documents of one file: bytes `start` to `stop` (None: the end) of its text."""

    file: CorpusFile
    start: int
    stop: int | None
    spool: Path | None = None  # where the span lies decompressed, all by itself
    is_damaged: bool = False  # the file's data end too early behind this span


class Part(NamedTuple):
    """The text that one shard is made from."""

    number: int
    spans: tuple[Span, ...]


def corpus_files(paths: Sequence[Path] | Path) -> list[CorpusFile]:
    """The files of a corpus in a fixed order.

    Args:
        paths: one or several files, folders (all .txt and .jsonl files below them, plain or compressed) or
            patterns such as `news/*.txt.xz`.

    Raises:
        DataError: nothing there, or nothing in it.
    """
    files = []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        path = Path(path)
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.is_file() and corpus_format(file)[0] in FORMATS)
            if not found:
                raise DataError(
                    path, "no .txt or .jsonl file", "at least one", "name files of other endings by a pattern: FOLDER/*"
                )
            files += [corpus_file(file, file.relative_to(path).as_posix()) for file in found]
        elif path.is_file():
            files.append(corpus_file(path, path.name))
        else:
            matches = glob.glob(str(path), recursive=True)  # noqa: PTH207 (the pattern may be absolute)
            found = sorted(file for file in map(Path, matches) if file.is_file())
            if not found:
                raise DataError(path, "no such file or folder", "a .txt or .jsonl file, a folder of them, or a pattern")
            files += [corpus_file(file, file.name) for file in found]
    return files


def corpus_format(path: Path) -> tuple[str, str]:
    """(ending of the format, ending of the compression or nothing) of a file's name."""
    suffix = ".zst" if path.suffix == ".zstd" else path.suffix
    return (Path(path.stem).suffix, suffix) if suffix in COMPRESSIONS else (suffix, "")


def corpus_file(path: Path, name: str) -> CorpusFile:
    ending, compression = corpus_format(path)
    status = path.stat()
    return CorpusFile(path, name, status.st_size, status.st_mtime_ns, ending == ".jsonl", compression)


def reckoned_size(file: CorpusFile) -> int:
    """Bytes of a file's text, guessed where it is compressed."""
    return file.size * (EXPANSION if file.compression else 1)


def part_size(files: Sequence[CorpusFile]) -> int:
    """Bytes of text of one part."""
    return max(SMALLEST_PART, sum(map(reckoned_size, files)) // MOST_PARTS)


def plan_parts(
    files: Sequence[CorpusFile],
    size: int,
    settings: ShardSettings,
    spool_dir: Path,
    wanted: Callable[[Part], bool] = lambda part: True,
) -> Iterator[Part]:
    """Yield the Parts of a corpus, one after the other.

    A large compressed file cannot be entered in the middle: it is decompressed here, and each part of it that is
    wanted is laid down as a file in `spool_dir` for a worker.

    Args:
        size: bytes of text of a part.
        settings: ShardSettings.
        wanted: called with a Part whose span has no end yet; only wanted parts are laid down.

    Raises:
        DataError: damaged compressed data.
    """
    number, filled = 0, 0
    spans: list[Span] = []
    for file in files:
        if file.compression and reckoned_size(file) > size:
            if spans:
                yield Part(number, tuple(spans))
                number, spans, filled = number + 1, [], 0
            for span in spool_spans(file, size, settings, spool_dir, number, wanted):
                yield Part(number, (span,))
                number += 1
            continue
        start: int | None = 0
        while start is not None:
            stop = None if file.compression else boundary(file, start + size - filled, settings)
            spans.append(Span(file, start, stop))
            filled += reckoned_size(file) if file.compression else (stop or file.size) - start
            start = stop
            if filled >= size:
                yield Part(number, tuple(spans))
                number, spans, filled = number + 1, [], 0
    if spans:
        yield Part(number, tuple(spans))


def boundary(file: CorpusFile, position: int, settings: ShardSettings) -> int | None:
    """The first place from `position` on where a document ends, or None for the end of the file."""
    if position >= file.size:
        return None
    with open(file.path, "rb") as stream:
        stream.seek(position)
        tail = b""
        while chunk := stream.read(BLOCK):
            data = tail + chunk
            end = document_end(data, file, settings.blanks_separate_docs)
            if end:
                place = stream.tell() - len(data) + end
                return place if place < file.size else None
            tail = data[-64:]  # a blank line may lie across two chunks
    return None


def document_end(data: bytes, file: CorpusFile, blanks_separate_docs: bool) -> int:
    """Length of the bytes up to the first document boundary; 0 if there is none."""
    if file.is_json or not blanks_separate_docs:
        return data.find(b"\n") + 1
    match = BLANK_LINE.search(data)
    return match.end() if match else 0


def spool_spans(
    file: CorpusFile, size: int, settings: ShardSettings, folder: Path, number: int, wanted: Callable[[Part], bool]
) -> Iterator[Span]:
    """Decompress a file and yield a Span of about `size` bytes after the other, laid down in `folder` where wanted."""
    start, stop, out, damage = 0, 0, None, []

    def chunks() -> Iterator[bytes]:
        try:
            yield from decompressed(file)
        except DamagedFileError as error:
            if settings.on_error == "stop":
                raise
            damage.append(error)

    with contextlib.ExitStack() as opened:
        for data, ends in cut_into_spans(chunks(), size, file, settings.blanks_separate_docs):
            if start == stop and wanted(Part(number, (Span(file, start, None),))):
                out = opened.enter_context(open(folder / f"spool_{number:05d}", "wb"))
            if out:
                out.write(data)
            stop += len(data)
            if ends:
                opened.close()
                yield Span(file, start, stop, Path(out.name) if out else None)
                start, out, number = stop, None, number + 1
    if damage:
        yield Span(file, stop, stop, is_damaged=True)


def cut_into_spans(
    chunks: Iterable[bytes], size: int, file: CorpusFile, blanks_separate_docs: bool
) -> Iterator[tuple[bytes, bool]]:
    """Yield (bytes, whether a span ends behind them); spans hold whole documents and at least `size` bytes."""
    length, data = 0, b""  # bytes of the span that were yielded, bytes that were not
    for chunk in chunks:
        data += chunk
        while len(data) > (free := max(0, size - length)):
            end = document_end(data[free:], file, blanks_separate_docs)
            if not end:
                break
            yield data[: free + end], True
            length, data = 0, data[free + end :]
        cut = max(0, len(data) - 64)  # a blank line may lie across two chunks
        yield data[:cut], False
        length, data = length + cut, data[cut:]
    if length or data:
        yield data, True


def place_at(files: Sequence[CorpusFile], offset: int) -> tuple[CorpusFile, int]:
    """(file, position) of a byte of the whole corpus."""
    for file in files:
        if offset < reckoned_size(file):
            return file, offset
        offset -= reckoned_size(file)
    raise AssertionError("behind the end of the corpus")
