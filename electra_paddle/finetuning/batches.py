"""Features to batches. B examples of a global batch; P parts it is cut into, one a process and accumulation."""

import numpy as np

POOL = 64  # batches whose rows are sorted by length together


class TrainingBatches:
    """Batches of a run, all fixed by the seed; every process yields its rows of each.

    A batch that cannot be cut into equal parts is filled up with rows of weight 0. As the mean is taken over the
    parts' gradients and the loss is a sum, all other rows weigh as much as there are parts.

    Args:
        features: Features.
        kind: TaskKind.
        batch_size: rows of an update, over all processes.
        rank, num_processes: of this process.
        num_accumulated: parts of a process's rows.
        by_length: whether rows of similar length come together.
        length: tokens that rows are padded to; None: the longest of the batch.
    """

    def __init__(
        self,
        features,
        kind,
        batch_size,
        seed,
        rank=0,
        num_processes=1,
        num_accumulated=1,
        by_length=True,
        length=None,
    ):
        self.features, self.kind, self.batch_size, self.seed = features, kind, batch_size, seed
        self.rank, self.num_processes, self.num_accumulated = rank, num_processes, num_accumulated
        self.by_length, self.length = by_length, length

    def iterate(self, start, stop):
        """Yield this process's rows of batches `start` to `stop`, every feature once an epoch."""
        per_epoch = num_batches(len(self.features), self.batch_size)
        for epoch in range(start // per_epoch, -(-stop // per_epoch)):
            batches = epoch_batches(self.features.lengths, self.batch_size, [self.seed, epoch], self.by_length)
            first = epoch * per_epoch
            for rows in batches[max(0, start - first) : stop - first]:
                yield self._share(rows)

    def _share(self, rows):
        """The batch of this process's share of feature numbers."""
        num_parts = self.num_processes * self.num_accumulated
        num_missing = -len(rows) % num_parts
        weights = np.repeat(np.float32([num_parts, 0]), [len(rows), num_missing])
        rows = np.append(rows, np.repeat(rows[:1], num_missing))
        size = len(rows) // self.num_processes
        share = slice(self.rank * size, (self.rank + 1) * size)
        batch = self.kind.collate([self.features[number] for number in rows[share]], self.length)
        return batch._replace(weights=weights[share])


class EvaluationBatches:
    """Every feature once, rows of similar length together; has a length and gives any batch by its number.

    Attributes:
        order: numbers of the features in the order of the batches' rows.
    """

    def __init__(self, features, kind, batch_size, by_length=True, length=None):
        self.features, self.kind, self.batch_size, self.length = features, kind, batch_size, length
        self.order = np.argsort(features.lengths, kind="stable") if by_length else np.arange(len(features))

    def __len__(self):
        return num_batches(len(self.features), self.batch_size)

    def __getitem__(self, number):
        rows = self.order[number * self.batch_size : (number + 1) * self.batch_size]
        return self.kind.collate([self.features[row] for row in rows], self.length)


def num_batches(num_rows, batch_size):
    return -(-num_rows // batch_size)


def epoch_batches(lengths, batch_size, seed, by_length):
    """Lists of row numbers, all rows in a random order; with `by_length` rows of similar length together.

    The order is that of pools of some batches, within which rows are sorted by length, cut to batches, and these
    shuffled: as random as it can be without rows padded to the length of a far longer one.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    if not by_length:
        return cut(order, batch_size)
    batches = []
    for pool in cut(order, POOL * batch_size):
        batches += cut(pool[np.argsort(lengths[pool], kind="stable")], batch_size)
    return [batches[number] for number in rng.permutation(len(batches))]


def cut(rows, size):
    return [rows[start : start + size] for start in range(0, len(rows), size)]
