"""The held-out part of the shards, and the batches in which it is evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from electra_paddle.data.loader import PretrainingBatches
from electra_paddle.data.order import shuffled

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.data.masking import MaskingSettings
    from electra_paddle.data.shards import Examples, Shards
    from electra_paddle.text import Vocabulary


LEAST, MOST = 128, 12_800  # examples held out: a batch and a whole evaluation of the original's
BLOCK = 10_000  # examples read at a time
HELD_OUT = [2]  # key of the permutation that decides which


def hold_out(shards: Shards, fraction: float) -> tuple[Examples, Examples | None]:
    """(examples for training, examples for evaluation) of Shards; (shards, None) where the fraction is 0.

    At least a batch is held out, as long as that is not more than a tenth. Which examples it is follows from their
    number alone, not from the run's seed: scores of several seeds can be compared, and a run that goes on from the
    weights of another one has not seen them either.
    """
    total = len(shards)
    count = min(max(round(fraction * total), min(LEAST, total // 10)), MOST) if fraction else 0
    if not count:
        return shards, None
    return ShardsPart(shards, 0, total - count), ShardsPart(shards, total - count, total)


class ShardsPart:
    """The examples at some places of a fixed random order of Shards, read in the same ways as all of them."""

    def __init__(self, shards: Shards, start: int, stop: int) -> None:
        self.shards, self.start, self.stop = shards, start, stop
        self.folder, self.manifest, self.has_word_starts = shards.folder, shards.manifest, shards.has_word_starts

    def __len__(self) -> int:
        return self.stop - self.start

    def numbers(self, places: Array) -> Array:
        """Numbers in the shards of this part's examples [B], counted from 0."""
        return shuffled(self.start + np.asarray(places, np.int64), len(self.shards), HELD_OUT)

    def lengths(self, places: Array) -> tuple[Array, Array]:
        """See Shards."""
        return self.shards.lengths(self.numbers(places))

    def token_chunks(self, size: int, first: int = 0) -> Iterator[Array]:
        """See Shards; of this part, in no particular order."""
        for start in range(first * BLOCK, len(self), BLOCK):
            places = np.arange(start, min(start + BLOCK, len(self)))
            ids, lengths, *_ = self.read(places, self.manifest["max_seq_length"])  # [B, L]
            yield ids[np.arange(ids.shape[1]) < lengths[:, None]]

    def read(self, places: Array, length: int) -> tuple[Array, Array, Array, Array | None]:
        """See Shards."""
        return self.shards.read(self.numbers(places), length)


class EvaluationBatches(PretrainingBatches):
    """Whole batches for evaluation: every example once, the last batch shorter, the same questions every time.

    They depend on nothing but the shards: neither on the run's seed nor on the number of processes, each of which
    takes some of the batches.

    Args:
        max_batches: how many there are at most.
        batch_size, masking: as for PretrainingBatches.
    """

    streams = (3, 4)  # of random numbers

    def __init__(
        self, shards: Examples, vocabulary: Vocabulary, batch_size: int, max_batches: int, masking: MaskingSettings
    ) -> None:
        super().__init__(shards, vocabulary, batch_size, masking, seed=0)
        self.max_batches = max_batches

    def __len__(self) -> int:
        return min(self.max_batches, -(-len(self.shards) // self.batch_size))

    def examples(self, number: int) -> Array:
        """Numbers of the examples of batch `number`, [B], fewer in the last."""
        places = np.arange(number * self.batch_size, min((number + 1) * self.batch_size, len(self.shards)))
        return shuffled(places, len(self.shards), [self.seed, self.streams[0]])
