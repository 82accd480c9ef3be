"""Plain and compressed files as chunks of bytes."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from electra_paddle.errors import DataError

if TYPE_CHECKING:
    from electra_paddle.data.corpus import CorpusFile


COMPRESSIONS = (".gz", ".xz", ".zst")
BLOCK = 250_000  # bytes read at a time; what is made from them stays in a core's cache
DAMAGED = (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile)


def decompressed(file: CorpusFile) -> Iterator[bytes]:
    """Yield the bytes of a file's text in chunks.

    Raises:
        DataError: damaged or truncated compressed data.
    """
    num_bytes = 0
    try:
        with open(file.path, "rb") as raw:
            for chunk in read_chunks(raw, file.compression):
                num_bytes += len(chunk)
                yield chunk
    except DAMAGED as error:
        raise DamagedFileError(
            file.name,
            f"damaged {file.compression} data after {num_bytes:,} bytes of text ({error})",
            "a whole file",
            "fetch it again, or give --on-error skip",
        ) from error


class DamagedFileError(DataError):
    """Compressed data that ends too early or is none."""


def read_chunks(raw: BinaryIO, compression: str) -> Iterator[bytes]:
    """Yield the text of an open file in chunks."""
    if compression == ".zst":
        yield from read_zstandard(raw)
        return
    stream: gzip.GzipFile | lzma.LZMAFile | BinaryIO = raw
    if compression == ".gz":
        stream = gzip.GzipFile(fileobj=raw)
    elif compression == ".xz":
        stream = lzma.LZMAFile(raw)
    waiting = bytearray()
    while True:
        try:
            piece = stream.read1(BLOCK)  # type: ignore[union-attr]  # raw is an open file, which has it too
        except DAMAGED:
            yield bytes(waiting)  # what came before the damage
            raise
        waiting += piece
        if waiting and (not piece or len(waiting) >= BLOCK):
            yield bytes(waiting)
            waiting.clear()
        if not piece:
            return


def read_zstandard(raw: BinaryIO) -> Iterator[bytes]:
    """Frame by frame: the library's own reader takes a truncated file for a short one."""
    import zstandard

    frame = zstandard.ZstdDecompressor().decompressobj()
    data, begun = raw.read(BLOCK), False
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
        data = data or raw.read(BLOCK)
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
