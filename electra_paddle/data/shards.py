"""Packed examples on disk: arrays that are mapped into memory, and a manifest that says what they are.

A folder of shards holds, for each shard, `shard_00000.tokens.npy` (all ids, special tokens included, one example
after the other), `shard_00000.offsets.npy` (where each example begins, and the end) and `shard_00000.seconds.npy`
(where in it the second segment begins; its length if there is none), and one `manifest.json`.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from electra_paddle.errors import DataError

FORMAT = 1
ARRAYS = {"tokens": None, "offsets": np.int64, "seconds": np.int32}
MANIFEST = "manifest.json"


class ShardWriter:
    """Writes examples into shards of about `shard_tokens` tokens.

    Args:
        folder: an existing folder.
        vocabulary: gives the special tokens, and the width of an id (2 bytes up to 65,536 entries).
    """

    def __init__(self, folder, vocabulary, shard_tokens=64_000_000):
        self.folder, self.vocabulary, self.shard_tokens = Path(folder), vocabulary, shard_tokens
        self.dtype = np.uint16 if len(vocabulary) <= 1 << 16 else np.uint32
        self.shards, self.num_examples, self.num_tokens = [], 0, 0
        self._start_shard()

    def _start_shard(self):
        self._ids, self._offsets, self._seconds = [], [0], []

    def add(self, example):
        """Append one Example as [CLS] first [SEP] or [CLS] first [SEP] second [SEP]."""
        vocabulary = self.vocabulary
        ids = [vocabulary.cls, *example.first, vocabulary.sep]
        self._seconds.append(len(ids))
        if example.second:
            ids += [*example.second, vocabulary.sep]
        self._ids.extend(ids)
        self._offsets.append(len(self._ids))
        if len(self._ids) >= self.shard_tokens:
            self._finish_shard()

    def _finish_shard(self):
        if not self._seconds:
            return
        name = f"shard_{len(self.shards):05d}"
        arrays = {"tokens": self._ids, "offsets": self._offsets, "seconds": self._seconds}
        checksums = {}
        for kind, dtype in ARRAYS.items():
            path = self.folder / f"{name}.{kind}.npy"
            np.save(path, np.asarray(arrays[kind], dtype or self.dtype))
            checksums[path.name] = sha256(path)
        self.shards.append(
            {"name": name, "num_examples": len(self._seconds), "num_tokens": len(self._ids), "sha256": checksums}
        )
        self.num_examples += len(self._seconds)
        self.num_tokens += len(self._ids)
        self._start_shard()

    def close(self, settings):
        """Write what is left and the manifest, `settings` included."""
        self._finish_shard()
        manifest = {
            "format": FORMAT,
            "vocab_size": len(self.vocabulary),
            "vocab_sha256": self.vocabulary.sha256,
            "num_examples": self.num_examples,
            "num_tokens": self.num_tokens,
            **settings,
            "shards": self.shards,
        }
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return manifest


class Shards:
    """Read access to a folder of shards by example number.

    Raises:
        DataError: no shards there, another vocabulary's, or a file that is missing or shorter than it was.
    """

    def __init__(self, folder, vocabulary):
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        if self.manifest["vocab_sha256"] != vocabulary.sha256:
            raise DataError(
                self.folder / MANIFEST,
                f"shards of another vocabulary ({self.manifest['vocab_size']} entries)",
                f"the vocabulary of this run ({len(vocabulary)} entries)",
                "build the shards again",
            )
        self._arrays = [{kind: self._open(shard["name"], kind) for kind in ARRAYS} for shard in self.manifest["shards"]]
        self._starts = np.cumsum([0] + [shard["num_examples"] for shard in self.manifest["shards"]])

    def _open(self, name, kind):
        path = self.folder / f"{name}.{kind}.npy"
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(
                path, f"a damaged or missing shard ({error})", "the file of the manifest", "build the shards again"
            ) from error

    def __len__(self):
        return int(self._starts[-1])

    def __getitem__(self, number):
        """(ids, position where the second segment begins) of one example."""
        shard = int(np.searchsorted(self._starts, number, side="right")) - 1
        arrays, row = self._arrays[shard], number - self._starts[shard]
        start, end = arrays["offsets"][row], arrays["offsets"][row + 1]
        return arrays["tokens"][start:end], int(arrays["seconds"][row])


def read_manifest(folder):
    """The manifest of a folder of shards."""
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(path, "no such file", "shards", "make them with tasks/build_pretraining_data.py") from error
    except ValueError as error:
        raise DataError(path, "no valid JSON", "a manifest", "build the shards again") from error
    if manifest.get("format") != FORMAT:
        raise DataError(path, f"format {manifest.get('format')}", f"format {FORMAT}", "build the shards again")
    return manifest


def sha256(path):
    with open(path, "rb") as stream:
        return (
            hashlib.file_digest(stream, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else hashlib.sha256(stream.read()).hexdigest()
        )
