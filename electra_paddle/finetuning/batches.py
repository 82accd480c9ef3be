"""Features to batches. B examples of a global batch; P parts it is cut into, one a process and accumulation."""

from __future__ import annotations

import collections
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_paddle.batch import ALONE, ProcessShare

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.finetuning.features import Features
    from electra_paddle.finetuning.kinds.base import AnyKind

POOL = 64  # batches whose rows are sorted by length together


class TrainingBatches:
    """Batches of a run, all fixed by the seed; every process yields its rows of each.

    A batch that cannot be cut into equal parts is filled up with rows of weight 0. As the mean is taken over the
    parts' gradients and the loss is a sum, all other rows weigh as much as there are parts.

    Args:
        features: of the training split.
        kind: the task's.
        batch_size: rows of an update, over all processes.
        seed: fixes the order.
        share: which rows are this process's, and in how many parts it computes them.
        by_length: whether rows of similar length come together.
        length: tokens that rows are padded to; None: the longest of the batch.
    """

    def __init__(
        self,
        features: Features,
        kind: AnyKind,
        batch_size: int,
        seed: int,
        share: ProcessShare = ALONE,
        by_length: bool = True,
        length: int | None = None,
    ) -> None:
        self.features, self.kind, self.batch_size, self.seed = features, kind, batch_size, seed
        self.share, self.by_length, self.length = share, by_length, length
        # Of each batch that was made: the examples of this process's rows, -1 where it was filled up. The reader of
        # these takes them away: more may have been made than were trained on.
        self.examples: collections.deque[Array] = collections.deque()

    def iterate(self, start: int, stop: int) -> Generator[Any, None, None]:
        """Yield this process's rows of batches `start` to `stop`, every feature once an epoch."""
        per_epoch = num_batches(len(self.features), self.batch_size)
        for epoch in range(start // per_epoch, -(-stop // per_epoch)):
            batches = epoch_batches(self.features.lengths, self.batch_size, [self.seed, epoch], self.by_length)
            first = epoch * per_epoch
            for rows in batches[max(0, start - first) : stop - first]:
                yield self._batch_of(rows)

    def _batch_of(self, rows: Array) -> Any:
        """The batch of this process's share of feature numbers."""
        num_parts = self.share.num_processes * self.share.num_accumulated
        num_missing = -len(rows) % num_parts
        weights = np.repeat(np.array([num_parts, 0], np.float32), [len(rows), num_missing])
        rows = np.append(rows, np.repeat(rows[:1], num_missing))
        size = len(rows) // self.share.num_processes
        own = slice(self.share.rank * size, (self.share.rank + 1) * size)
        self.examples.append(np.where(weights[own] > 0, self.features.columns["example"][rows[own]], -1))
        batch = self.kind.collate([self.features[number] for number in rows[own]], self.length)
        return batch._replace(weights=weights[own])


class EvaluationBatches:
    """All features once, rows of similar length together; a sequence of batches.

    Attributes:
        order: numbers of the features in the order of the batches' rows.
    """

    def __init__(
        self, features: Features, kind: AnyKind, batch_size: int, by_length: bool = True, length: int | None = None
    ) -> None:
        self.features, self.kind, self.batch_size, self.length = features, kind, batch_size, length
        self.order = np.argsort(features.lengths, kind="stable") if by_length else np.arange(len(features))

    def __len__(self) -> int:
        return num_batches(len(self.features), self.batch_size)

    def __getitem__(self, number: int) -> Any:
        rows = self.order[number * self.batch_size : (number + 1) * self.batch_size]
        return self.kind.collate([self.features[row] for row in rows], self.length)


def num_batches(num_rows: int, batch_size: int) -> int:
    return -(-num_rows // batch_size)


def epoch_batches(lengths: Array, batch_size: int, seed: Sequence[int], by_length: bool) -> list[Array]:
    """Lists of row numbers, all rows in a random order; with `by_length` rows of similar length together.

    The order is that of pools of some batches, within which rows are sorted by length, cut to batches, and these
    shuffled: as random as it can be without rows padded to the length of a far longer one.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    if not by_length:
        return cut(order, batch_size)
    batches: list[Array] = []
    for pool in cut(order, POOL * batch_size):
        batches += cut(pool[np.argsort(lengths[pool], kind="stable")], batch_size)
    return [batches[number] for number in rng.permutation(len(batches))]


def cut(rows: Array, size: int) -> list[Array]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
