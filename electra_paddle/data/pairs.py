"""Count over shards how often a token stands right before another one."""

from __future__ import annotations

import hashlib
import json
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electra_paddle.errors import reason
from electra_paddle.files import written_whole
from electra_paddle.text import Vocabulary

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from electra_paddle.data.shards import Examples


CHUNK = 8_000_000  # tokens counted at a time
SAVE_SECONDS = 60  # between two states on disk


def count_pairs(
    shards: Examples,
    vocabulary: Vocabulary,
    file: Path | None = None,
    on_tokens: Callable[[int], None] = lambda count: None,
    save_seconds: float = SAVE_SECONDS,
) -> csr_array:
    """[V, V] scipy sparse array of int64; pairs with a special token in them are left out.

    Memory grows with the different pairs, not with the tokens.

    Args:
        file: where the counts are kept. Interrupted, the same call goes on from there; finished, it reads them. Counts
            of other shards that lie there are replaced, which is said.
        on_tokens: is told how many more tokens were counted.
    """
    from scipy import sparse

    size = len(vocabulary)
    special = np.zeros(size, bool)
    special[[vocabulary.pad, vocabulary.unk, vocabulary.cls, vocabulary.sep, vocabulary.mask]] = True
    key = identity_of(shards, vocabulary)
    total, first = read_counts(file, key, size) if file else (None, 0)
    if total is None:
        total = sparse.csr_array((size, size), dtype=np.int64)
    saved, done = time.monotonic(), first
    for tokens in shards.token_chunks(CHUNK, first):
        is_word = ~special[tokens]
        both = is_word[:-1] & is_word[1:]
        keys, counts = np.unique(tokens[:-1][both].astype(np.int64) * size + tokens[1:][both], return_counts=True)
        total = total + sparse.csr_array((counts, (keys // size, keys % size)), shape=(size, size))
        done += 1
        on_tokens(len(tokens))
        if file and time.monotonic() - saved >= save_seconds:
            write_counts(file, key, total, done)
            saved = time.monotonic()
    if file and done > first:
        write_counts(file, key, total, done)
    return total


def identity_of(shards: Examples, vocabulary: Vocabulary) -> str:
    """Differs where the counted tokens do."""
    parts = [vocabulary.sha256, len(shards), json.dumps(shards.manifest["shards"], sort_keys=True)]
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def write_counts(file: Path, key: str, counts: csr_array, done: int) -> None:
    with written_whole(file) as partial, open(partial, "wb") as stream:
        np.savez(stream, key=key, data=counts.data, indices=counts.indices, indptr=counts.indptr, done=done)


def read_counts(file: Path, key: str, size: int) -> tuple[csr_array | None, int]:
    """(counts, chunks counted), or (None, 0) where there is no such state of the same shards."""
    from scipy import sparse

    try:
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as state:
            if str(state["key"]) == key:
                entries = (state["data"], state["indices"], state["indptr"])
                return sparse.csr_array(entries, shape=(size, size)), int(state["done"])
            found = "counts of other shards or of another vocabulary"
    except FileNotFoundError:
        return None, 0
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        found = f"a damaged file ({reason(error)})"
    print(f"{file}: found {found}, expected those of this run; they are counted anew", file=sys.stderr)
    return None, 0
