"""Corpus files, and the plan that cuts them into parts.

A document of a text ends at a blank line and at the end of the file; of JSON, each object is one document, on a line of
its own or in one array; of WikiExtractor's output, each article between `<doc ...>` and `</doc>`. Which of them a file
is, is told from its contents. Files may be plain or compressed. The plan cuts a corpus into parts of about the same
size at document boundaries; it depends on the files alone, so any number of workers makes the same parts.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from electra_paddle.config import ShardSettings
from electra_paddle.data.compression import BLOCK, COMPRESSIONS, DamagedFileError, decompressed
from electra_paddle.data.recognition import ARTICLE_END, LONGEST_FIRST_LINE, SAMPLE_BYTES, recognise
from electra_paddle.errors import ConfigError, DataError, reason, some_of

if TYPE_CHECKING:
    from electra_paddle.config.shards import ShardSettings


FORMATS = (".txt", ".jsonl", ".json")
DEFAULTS = ShardSettings()
EXPECTED = "a .txt or .jsonl file, a folder of them, or a pattern"
EXPANSION = 4  # what a compressed byte is reckoned to become, where the plan needs a size
SMALLEST_PART, MOST_PARTS = 8_000_000, 512  # bytes of text; beyond that many parts each becomes larger
END_OF_ARTICLE = re.compile(rb"(?m)^" + ARTICLE_END + rb"[ \t\r]*\n")
BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")


class CorpusFile(NamedTuple):
    """A file of the corpus."""

    path: Path
    name: str  # in messages and in the manifest
    size: int  # bytes on the disk
    changed: int  # when, in nanoseconds
    compression: str  # one of COMPRESSIONS, or nothing
    layout: str = "text"  # or "lines" or "array" of JSON objects, or "articles"
    encoding: str = "utf-8"
    has_cr_lines: bool = False  # lines end with a carriage return alone

    @property
    def is_json(self) -> bool:
        return self.layout in ("lines", "array")

    @property
    def is_stream(self) -> bool:
        """Whether the text is made from the file's bytes, and so cannot be entered in the middle."""
        return bool(self.compression) or self.layout == "array" or self.encoding != "utf-8" or self.has_cr_lines


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


def corpus_files(paths: Sequence[Path] | Path, settings: ShardSettings = DEFAULTS) -> list[CorpusFile]:
    """The files of a corpus in a fixed order.

    Args:
        paths: one or several files, folders (all files below them that end in .txt, .jsonl or .json, or in nothing
            and hold JSON or WikiExtractor's articles; plain or compressed) or patterns such as `news/*.txt.xz`.
        settings: its `encoding` and `text_field` are compared with what the files hold.

    Raises:
        DataError: nothing there, or nothing in it; text in another encoding.
        ConfigError: a text_field for files without JSON.
    """
    files = []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        path = Path(path)
        if path.is_dir():
            found = [corpus_file(file, file.relative_to(path).as_posix(), settings) for file in files_below(path)]
            found = [file for file in found if corpus_format(file.path)[0] or file.layout != "text"]
            if not found:
                raise DataError(
                    path,
                    "no .txt, .jsonl or .json file",
                    "at least one",
                    "name files of other endings by a pattern: FOLDER/*",
                )
            files += found
        elif path.is_file():
            files.append(corpus_file(path, path.name, settings))
        elif path.exists():
            raise DataError(
                path, "neither a file nor a folder", "a .txt or .jsonl file, a folder of them, or a pattern"
            )
        else:
            matches = glob.glob(str(path), recursive=True)  # noqa: PTH207 (the pattern may be absolute)
            named = sorted(file for file in map(Path, matches) if file.is_file())
            if not named:
                raise DataError(path, "no such file or folder", EXPECTED)
            files += [corpus_file(file, file.name, settings) for file in named]
    if settings.text_field != "text" and not any(file.is_json for file in files):
        raise ConfigError("--text-field", settings.text_field, "none, as no file holds JSON")
    return files


def files_below(folder: Path) -> list[Path]:
    """The files of a folder that may be of a corpus, sorted.

    Raises:
        DataError: a folder that cannot be read.
    """

    def refuse(error: OSError) -> NoReturn:
        raise DataError(error.filename, reason(error), "a folder that can be read") from error

    found, seen = [], set()
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        seen.add(os.path.realpath(parent))
        folders[:] = [name for name in folders if os.path.realpath(Path(parent, name)) not in seen]  # links in a circle
        found += [Path(parent, name) for name in names]
    return sorted(file for file in found if file.is_file() and corpus_format(file)[0] in (*FORMATS, ""))


def corpus_format(path: Path) -> tuple[str, str]:
    """(ending of the format, ending of the compression or nothing) of a file's name."""
    suffix = ".zst" if path.suffix == ".zstd" else path.suffix
    return (Path(path.stem).suffix, suffix) if suffix in COMPRESSIONS else (suffix, "")


def corpus_file(path: Path, name: str, settings: ShardSettings = DEFAULTS) -> CorpusFile:
    """A file with what its beginning says of it.

    Raises:
        DataError: it cannot be read, or holds text in another encoding.
    """
    ending, compression = corpus_format(path)
    try:
        status = path.stat()
        file = CorpusFile(path, name, status.st_size, status.st_mtime_ns, compression, encoding=settings.encoding)
        contents = recognise(*beginning(file))
    except OSError as error:
        raise DataError(path, reason(error), "a file that can be read") from error
    if contents.likely_encoding and settings.encoding == "utf-8":
        raise DataError(
            name,
            f"text that is no UTF-8 but seems to be {contents.likely_encoding}",
            "UTF-8 text",
            f"give --encoding {contents.likely_encoding}, or convert it: "
            f"iconv -f {contents.likely_encoding.upper()} -t UTF-8 {path} > NEW",
        )
    layout = "lines" if ending == ".jsonl" and contents.layout == "text" else contents.layout
    return file._replace(layout=layout, has_cr_lines=contents.has_cr_lines)


def beginning(file: CorpusFile) -> tuple[bytes, bool]:
    """(first bytes of a file's text, whether that is all of it); of JSON up to its first line's end."""
    chunks: list[bytes] = []
    size, is_first_line = 0, True
    with contextlib.suppress(DamagedFileError):  # reading for real tells of it
        for chunk in decompressed(file, SAMPLE_BYTES):
            chunks.append(chunk)
            size += len(chunk)
            is_first_line = is_first_line and b"\n" not in chunk
            needs_more = is_first_line and chunks[0].lstrip()[:1] == b"{" and size < LONGEST_FIRST_LINE
            if size >= SAMPLE_BYTES and not needs_more:
                return b"".join(chunks), False
    return b"".join(chunks), True


def notes_about(files: Sequence[CorpusFile]) -> list[str]:
    """Lines that tell the user what was recognised in files, and which were given twice."""
    notes = []
    kinds = {
        "lines": "JSON lines by their contents",
        "array": "arrays of JSON objects",
        "articles": "WikiExtractor's articles, one a document",
    }
    for layout, text in kinds.items():
        names = [file.name for file in files if file.layout == layout and corpus_format(file.path)[0] != ".jsonl"]
        if names:
            notes.append(f"read as {text}: {some_of(names)}")
    names = [file.name for file in files if file.has_cr_lines]
    if names:
        notes.append(f"lines end with a carriage return in: {some_of(names)}")
    counts = Counter(file.path.resolve() for file in files)
    twice = sorted({file.name for file in files if counts[file.path.resolve()] > 1})
    if twice:
        notes.append(f"given more than once, and read as often: {some_of(twice)}")
    return notes


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
        if file.is_stream and reckoned_size(file) > size:
            if spans:
                yield Part(number, tuple(spans))
                number, spans, filled = number + 1, [], 0
            for span in spool_spans(file, size, settings, spool_dir, number, wanted):
                yield Part(number, (span,))
                number += 1
            continue
        start: int | None = 0
        while start is not None:
            stop = None if file.is_stream else boundary(file, start + size - filled, settings)
            spans.append(Span(file, start, stop))
            filled += reckoned_size(file) if file.is_stream else (stop or file.size) - start
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
    if file.layout == "articles":
        match = END_OF_ARTICLE.search(data)
        return match.end() if match else 0
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
