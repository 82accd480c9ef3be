"""Zip and tar files of strangers: what lies in them, and one file of them at a time.

Nothing is unpacked by the name that it has there, so that no name leads anywhere.
"""

from __future__ import annotations

import contextlib
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from electra_paddle.errors import DataError, reason

GB = 10**9
MOST_BYTES = 8 * GB  # of one file, once unpacked
MOST_FILES = 100_000
BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
EXPECTED, ADVICE = "a zip or tar file that can be read", "fetch it again"


class Header(tarfile.TarInfo):
    """A member's header. `tarfile` reads long names and attributes into memory, however long they claim to be."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
        header = super().frombuf(buf, encoding, errors)
        if header.size > 1 << 20 and not (header.isreg() or header.islnk() or header.issym()):
            raise tarfile.ReadError(f"a header of {header.size:,} bytes")
        return header


class Member(NamedTuple):
    """A file in an archive."""

    name: str  # with its folders, as it stands there
    size: int  # bytes, as the archive claims


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or a tar file, packed or not."""
    with contextlib.suppress(*BROKEN, OSError):
        return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    return False


def members(path: Path) -> list[Member]:
    """The ordinary files of an archive; links, devices and hidden files are none.

    Raises:
        DataError: it is damaged, or has more than MOST_FILES.
    """
    with reported(path):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found = [Member(entry.filename, entry.file_size) for entry in archive.infolist() if not entry.is_dir()]
        else:
            found = []
            with tarfile.open(path, tarinfo=Header) as tar:
                for entry in tar:
                    if entry.isreg():
                        found.append(Member(entry.name, entry.size))
                    if len(found) > MOST_FILES:
                        break
        if len(found) > MOST_FILES:
            raise DataError(path, f"more than {MOST_FILES:,} files", "a data set")
    return [member for member in found if not member.name.rpartition("/")[2].startswith(".")]


@contextlib.contextmanager
def opened_member(path: Path, name: str) -> Iterator[IO[bytes]]:
    """One file of an archive as a stream.

    Raises:
        DataError: it is damaged, locked by a password, or larger than MOST_BYTES, also while it is read.
    """
    with reported(path), contextlib.ExitStack() as stack:
        stream: IO[bytes] | None
        if zipfile.is_zipfile(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            size = archive.getinfo(name).file_size
            stream = stack.enter_context(archive.open(name))
        else:
            tar = stack.enter_context(tarfile.open(path, tarinfo=Header))
            entry = next(entry for entry in tar if entry.name == name and entry.isreg())
            size, stream = entry.size, tar.extractfile(entry)
        if size > MOST_BYTES:
            found = f"{name} of {size / GB:,.1f} GB, once unpacked"
            raise DataError(path, found, f"{MOST_BYTES / GB:g} GB at most", "unpack it yourself if you trust it")
        assert stream is not None
        yield stream


@contextlib.contextmanager
def reported(path: Path) -> Iterator[None]:
    """What is wrong with an archive as one line."""
    try:
        yield
    except DataError:
        raise
    except BROKEN as error:
        raise DataError(path, f"a damaged or locked archive ({reason(error)})", EXPECTED, ADVICE) from error
