"""Plain and compressed files as chunks of bytes."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import json
import lzma
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from electra_paddle.errors import DataError

if TYPE_CHECKING:
    from electra_paddle.data.corpus import CorpusFile


COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
SPACE = re.compile(r"\s*")
BLOCK = 250_000  # bytes read at a time; what is made from them stays in a core's cache
DAMAGED = (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile)


def decompressed(file: CorpusFile, size: int = BLOCK) -> Iterator[bytes]:
    """Yield the bytes of a file's text in chunks.

    Args:
        size: bytes that are read at a time.

    Raises:
        DataError: damaged or truncated compressed data.
    """
    num_bytes = 0
    try:
        with open(file.path, "rb") as raw:
            chunks = read_chunks(raw, file.compression, size)
            if file.encoding != "utf-8":
                chunks = as_utf8(chunks, file)
            if file.has_cr_lines:
                chunks = (chunk.replace(b"\r", b"\n") for chunk in chunks)
            if file.layout == "array":
                chunks = array_lines(chunks, file.name)
            for chunk in chunks:
                num_bytes += len(chunk)
                yield chunk
    except DAMAGED as error:
        raise DamagedFileError(
            file.name,
            f"damaged {file.compression} data after {num_bytes:,} bytes of text ({error})",
            "a whole file",
            "fetch it again, or give --on-error skip",
        ) from error


def behind_space(text: str, place: int) -> int:
    """The first place from one on that holds no white space."""
    space = SPACE.match(text, place)
    return space.end() if space else place


def as_utf8(chunks: Iterable[bytes], file: CorpusFile) -> Iterator[bytes]:
    """The same text in UTF-8.

    Raises:
        DataError: it is not in the file's encoding.
    """
    decoder, num_bytes = codecs.getincrementaldecoder(file.encoding)(), 0
    try:
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
            num_bytes += len(chunk)
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        found = f"no {file.encoding} after some {num_bytes:,} bytes"
        raise DataError(file.name, found, f"text in --encoding {file.encoding}") from error


def array_lines(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """A JSON array of objects as lines of JSON, an element a line; no more is kept of it than a few elements.

    Raises:
        DamagedFileError: it is no such array.
    """
    decode, parse = codecs.getincrementaldecoder("utf-8-sig")().decode, json.JSONDecoder().raw_decode
    text, place, count, is_open, is_over, iterator = "", 0, 0, False, False, iter(chunks)
    while True:
        if not is_open and (bracket := re.match(r"\s*\[", text)):
            is_open, place = True, bracket.end()
        if is_open:
            place = behind_space(text, place)
            if text[place : place + 1] == "]":
                return
            if not count or text[place : place + 1] == ",":
                begin = behind_space(text, place + bool(count))
                with contextlib.suppress(ValueError, RecursionError):  # an element that goes on behind the text so far
                    value, end = parse(text, begin)
                    if end < len(text) or is_over:
                        yield json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
                        place, count = end, count + 1
                        continue
        if is_over:
            found = f"a JSON array that is damaged behind element {count:,}"
            raise DamagedFileError(name, found, "a JSON array of objects")
        text, place = text[place:], 0
        more: list[str] = []
        while not is_over and sum(map(len, more)) < max(BLOCK, len(text)):  # doubled: an element is parsed anew
            chunk = next(iterator, None)
            is_over = chunk is None
            more.append(decode(chunk or b""))
        text += "".join(more)


class DamagedFileError(DataError):
    """Compressed data that ends too early or is none."""


def read_chunks(raw: BinaryIO, compression: str, size: int = BLOCK) -> Iterator[bytes]:
    """Yield the text of an open file in chunks."""
    if compression == ".zst":
        yield from read_zstandard(raw, size)
        return
    stream: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | BinaryIO = raw
    if compression == ".gz":
        stream = gzip.GzipFile(fileobj=raw)
    elif compression == ".bz2":
        stream = bz2.BZ2File(raw)
    elif compression == ".xz":
        stream = lzma.LZMAFile(raw)
    waiting = bytearray()
    while True:
        try:
            piece = stream.read1(size)  # type: ignore[union-attr]  # raw is an open file, which has it too
        except (*DAMAGED, OSError) as error:
            yield bytes(waiting)  # what came before the damage
            if type(error) is OSError and error.errno is None:  # bz2 has no error of its own for damaged data
                raise EOFError(str(error)) from error
            raise
        waiting += piece
        if waiting and (not piece or len(waiting) >= size):
            yield bytes(waiting)
            waiting.clear()
        if not piece:
            return


def read_zstandard(raw: BinaryIO, size: int) -> Iterator[bytes]:
    """Frame by frame: the library's own reader takes a truncated file for a short one."""
    import zstandard

    frame = zstandard.ZstdDecompressor().decompressobj()
    data, begun = raw.read(size), False
    while data:
        begun = True
        try:
            chunk = frame.decompress(data)
        except zstandard.ZstdError as error:
            raise EOFError(str(error)) from error
        if chunk:
            yield chunk
        data = frame.unused_data if frame.eof else b""
        if frame.eof:
            frame, begun = zstandard.ZstdDecompressor().decompressobj(), False
        data = data or raw.read(size)
    if begun:
        raise EOFError("the last frame is not whole")


def measured_expansion(file: CorpusFile, num_bytes: int = 4_000_000) -> float:
    """Bytes of text for each byte on the disk, seen on the beginning of a file; 1 where there is nothing to see."""
    total = 0
    with open(file.path, "rb") as raw:
        try:
            for chunk in read_chunks(raw, file.compression):
                total += len(chunk)
                if total >= num_bytes:
                    break
        except DAMAGED:
            pass  # reading for real tells of it
        return total / raw.tell() if total else 1
