"""Packed examples on disk: arrays that are mapped into memory, and a manifest that says what they are.

A folder of shards holds `manifest.json` and for each shard
`NAME.tokens.npy`    [T] all ids, special tokens included, one example after the other
`NAME.examples.npy`  [N + 1, 2] where each example begins, and where in it the second segment begins (its length if
                     there is none); the last row holds the end of the tokens
`NAME.words.npy`     one bit a token, set where a word begins; only if word starts were asked for
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from electra_paddle.arrays import Array
from electra_paddle.errors import DataError, reason
from electra_paddle.files import sha256
from electra_paddle.parsing import parse_json

if TYPE_CHECKING:
    from electra_paddle.data.packing import Packed
    from electra_paddle.text import Vocabulary


FORMAT = 3
READABLE = (2, 3)  # 2 had no checksum of the manifest itself
MANIFEST = "manifest.json"
CHECKSUM = "checksum"  # of the manifest, in itself
ADVICE = "build the shards again"
CHECKED_AT_ONCE = 1_000_000  # examples


Manifest = dict[str, Any]  # what manifest.json says


class Examples(Protocol):
    """Numbered examples: Shards, or a part of them."""

    folder: Path
    manifest: Manifest
    has_word_starts: bool

    def __len__(self) -> int: ...

    def lengths(self, numbers: Array) -> tuple[Array, Array]: ...

    def read(self, numbers: Array, length: int) -> tuple[Array, Array, Array, Array | None]: ...

    def token_chunks(self, size: int, first: int = 0) -> Iterator[Array]: ...


class ShardWriter:
    """Streams examples into the files of one shard, which get their names when all is written.

    Args:
        folder: an existing folder.
        name: of the shard.
        vocab_size: decides about the width of an id (2 bytes up to 65,536 entries).
        has_word_starts: whether there is a `words` file.
    """

    def __init__(self, folder: Path, name: str, vocab_size: int, has_word_starts: bool = False) -> None:
        self.name = name
        self.num_examples = self.num_tokens = 0
        self._tokens = ArrayFile(folder / f"{name}.tokens.npy", np.uint16 if vocab_size <= 1 << 16 else np.uint32)
        self._examples = ArrayFile(folder / f"{name}.examples.npy", np.int64, (2,))
        self._words = ArrayFile(folder / f"{name}.words.npy", np.uint8) if has_word_starts else None
        self._waiting = np.array([], bool)  # bits that do not fill a byte yet
        self._files = [file for file in (self._tokens, self._examples, self._words) if file]

    def add(self, packed: Packed) -> None:
        """Append Packed examples."""
        ends = np.cumsum(packed.lengths)
        self._examples.append(np.stack([self.num_tokens + ends - packed.lengths, packed.seconds], axis=1))
        self._tokens.append(packed.ids)
        if self._words:
            bits = np.concatenate([self._waiting, packed.word_starts])
            whole = len(bits) // 8 * 8
            self._words.append(np.packbits(bits[:whole]))
            self._waiting = bits[whole:]
        self.num_examples += len(packed.lengths)
        self.num_tokens += len(packed.ids)

    def close(self) -> dict[str, Any] | None:
        """Finish the files; returns the shard's entry of the manifest, or None if there were no examples."""
        if not self.num_examples:
            self.discard()
            return None
        self._examples.append(np.array([[self.num_tokens, 0]]))
        if self._words:
            self._words.append(np.packbits(self._waiting))
        return {
            "name": self.name,
            "num_examples": self.num_examples,
            "num_tokens": self.num_tokens,
            "sha256": {file.path.name: file.close() for file in self._files},
        }

    def discard(self) -> None:
        """Remove what was written."""
        for file in self._files:
            file.discard()


class ArrayFile:
    """A .npy file that grows along its first axis."""

    def __init__(self, path: Path, dtype: npt.DTypeLike, row: tuple[int, ...] = ()) -> None:
        self.path, self.dtype, self.row, self.length = path, np.dtype(dtype), row, 0
        self._partial = path.with_name(path.name + ".partial")
        self._stream = open(self._partial, "wb+")
        self._write_header()

    def _write_header(self) -> None:  # numpy leaves room in it for the final length
        header = np.lib.format.header_data_from_array_1_0(np.empty((0, *self.row), self.dtype))
        np.lib.format.write_array_header_1_0(self._stream, {**header, "shape": (self.length, *self.row)})

    def append(self, array: Array) -> None:
        self._stream.write(np.ascontiguousarray(array, self.dtype).data)
        self.length += len(array)

    def close(self) -> str:
        """Give the file its name; returns its SHA-256."""
        self._stream.seek(0)
        self._write_header()
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        checksum = sha256(self._partial)
        self._partial.rename(self.path)
        return checksum

    def discard(self) -> None:
        self._stream.close()
        self._partial.unlink(missing_ok=True)


class Shards:
    """Read access to a folder of shards by numbers of examples.

    Raises:
        DataError: no shards there, another vocabulary's, or a file that is missing or has another length.
    """

    def __init__(self, folder: Path | str, vocabulary: Vocabulary | None = None) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        if vocabulary is not None and self.manifest["vocab_sha256"] != vocabulary.sha256:
            raise DataError(
                self.folder / MANIFEST,
                f"shards of another vocabulary ({self.manifest['vocab_size']} entries)",
                f"the vocabulary of this run ({len(vocabulary)} entries)",
                ADVICE,
            )
        self.has_word_starts = self.manifest["word_starts"]
        self._shards = self.manifest["shards"]
        allow_open_files(3 * len(self._shards))
        self._tokens = [self._open(shard, "tokens", (shard["num_tokens"],)) for shard in self._shards]
        self._examples = [self._open(shard, "examples", (shard["num_examples"] + 1, 2)) for shard in self._shards]
        self._words = None
        if self.has_word_starts:
            self._words = [self._open(shard, "words", (-(-shard["num_tokens"] // 8),)) for shard in self._shards]
        self._starts = np.cumsum([0] + [shard["num_examples"] for shard in self._shards])
        for shard, examples in zip(self._shards, self._examples, strict=True):
            self._check_bounds(shard, examples)

    def _check_bounds(self, shard: Mapping[str, Any], examples: Array) -> None:
        """Refuse examples that lie outside of the tokens, are empty, or longer than they may be."""
        path, most = self.folder / f"{shard['name']}.examples.npy", self.manifest["max_seq_length"]
        for first in range(0, len(examples) - 1, CHECKED_AT_ONCE):
            rows = examples[first : first + CHECKED_AT_ONCE + 1]
            lengths, seconds = np.diff(rows[:, 0]), rows[:-1, 1]
            is_sound = (lengths > 0) & (lengths <= most) & (seconds >= 0) & (seconds <= lengths)
            if not is_sound.all():
                number = first + int(np.argmin(is_sound))
                raise DataError(path, f"a damaged example (number {number:,})", "the file of the manifest", ADVICE)
        if examples[0, 0] != 0 or examples[-1, 0] != shard["num_tokens"]:
            raise DataError(path, "examples that are not all of the tokens", "the file of the manifest", ADVICE)

    def _open(self, shard: Mapping[str, Any], kind: str, shape: tuple[int, ...]) -> Array:
        path = self.folder / f"{shard['name']}.{kind}.npy"
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # of whatever type a damaged header leads to
            raise DataError(
                path, f"a damaged or missing shard ({reason(error)})", "the file of the manifest", ADVICE
            ) from error
        if array.shape != shape:
            raise DataError(path, f"an array of shape {array.shape}", f"{shape} as the manifest says", ADVICE)
        return array

    def __len__(self) -> int:
        return int(self._starts[-1])

    def lengths(self, numbers: Array) -> tuple[Array, Array]:
        """(lengths, seconds), both [B]: of the examples with these numbers [B]; no tokens are read."""
        _, begins, ends, seconds = self._locate(numbers)
        return ends - begins, seconds

    def read(self, numbers: Array, length: int) -> tuple[Array, Array, Array, Array | None]:
        """The examples with these numbers [B], padded with zeros.

        Returns:
            (input_ids [B, length] int64, lengths [B], seconds [B], word_starts [B, length] bool or None).
        """
        shards, begins, ends, seconds = self._locate(numbers)
        input_ids = np.zeros((len(begins), length), np.int64)
        word_starts = np.zeros((len(begins), length), bool) if self._words else None
        for row, (shard, begin, end) in enumerate(zip(shards.tolist(), begins.tolist(), ends.tolist(), strict=True)):
            input_ids[row, : end - begin] = self._tokens[shard][begin:end]
            if word_starts is not None and self._words is not None:
                bits = np.unpackbits(self._words[shard][begin // 8 : -(-end // 8)])
                word_starts[row, : end - begin] = bits[begin % 8 : begin % 8 + end - begin]
        if input_ids.size and input_ids.max() >= self.manifest["vocab_size"]:
            row = int(np.argmax(input_ids.max(axis=1)))
            name = self._shards[shards[row]]["name"]
            path = self.folder / f"{name}.tokens.npy"
            raise DataError(path, f"a damaged token (id {input_ids.max():,})", "the file of the manifest", ADVICE)
        return input_ids, ends - begins, seconds, word_starts

    def token_chunks(self, size: int, first: int = 0) -> Iterator[Array]:
        """Yield ids, special tokens included, in arrays of at most `size` within a shard, from array `first` on."""
        places = [(tokens, start) for tokens in self._tokens for start in range(0, len(tokens), size)]
        for tokens, start in places[first:]:
            yield np.asarray(tokens[start : start + size])

    def _locate(self, numbers: Array) -> tuple[Array, Array, Array, Array]:
        """(shard, first token, end, second segment) of examples, [B] each."""
        numbers = np.asarray(numbers, np.int64)
        shards = np.searchsorted(self._starts, numbers, side="right") - 1
        rows = numbers - self._starts[shards]
        entries = np.empty((len(numbers), 3), np.int64)
        for index, (shard, row) in enumerate(zip(shards.tolist(), rows.tolist(), strict=True)):
            two = self._examples[shard][row : row + 2]
            entries[index] = two[0, 0], two[1, 0], two[0, 1]
        return shards, *entries.T


def allow_open_files(count: int) -> None:
    """Raise this process's limit of open files, where the system has one: each mapped file counts."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 512
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder of shards."""
    path = Path(folder) / MANIFEST
    try:
        manifest = parse_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(path, "no such file", "shards", "make them with tasks/build_pretraining_data.py") from error
    except ValueError as error:
        raise DataError(path, "no valid JSON", "a manifest", ADVICE) from error
    if not isinstance(manifest, dict) or manifest.get("format") not in READABLE:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise DataError(path, f"format {found}", f"format {FORMAT}", ADVICE)
    if (manifest["format"] == FORMAT or CHECKSUM in manifest) and manifest.get(CHECKSUM) != manifest_checksum(manifest):
        raise DataError(path, "damaged contents (their checksum is another)", "the manifest as it was written", ADVICE)
    return manifest


def manifest_checksum(manifest: Manifest) -> str:
    """SHA-256 of a manifest's entries but for the checksum, however they are laid out."""
    entries = {name: value for name, value in manifest.items() if name != CHECKSUM}
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def verify(folder: Path, on_bytes: Callable[[int], None] = lambda count: None) -> dict[str, Any]:
    """Compare every file with its checksum in the manifest.

    Returns:
        the manifest.

    Raises:
        DataError: names every shard with a file that is missing or differs.
    """
    folder, damaged = Path(folder), []
    manifest = read_manifest(folder)
    for shard in manifest["shards"]:
        for name, checksum in shard["sha256"].items():
            path = folder / name
            if not path.is_file():
                damaged.append(f"{name} missing")
            elif sha256(path, on_bytes) != checksum:
                damaged.append(f"{name} changed")
    if damaged:
        raise DataError(folder, ", ".join(damaged), "the files that the manifest describes", ADVICE)
    return manifest
