"""Masked batches for one process; batch number n depends on (seed, n) and on nothing else."""

import queue
import threading

import numpy as np

from electra_paddle.data.masking import mask_batch
from electra_paddle.errors import ConfigError
from electra_paddle.text import pad

ORDER, MASKING = 0, 1  # streams of random numbers


class PretrainingBatches:
    """The rows of every global batch that belong to one of `num_processes` processes.

    Args:
        shards: Shards.
        vocabulary: Vocabulary.
        batch_size: sequences of the global batch.
        max_seq_length: tokens of a row.
        mask_prob, max_predictions_per_seq: see `mask_batch`.
        seed: fixes order and masking.
    """

    def __init__(
        self,
        shards,
        vocabulary,
        batch_size,
        max_seq_length,
        mask_prob,
        max_predictions_per_seq,
        seed,
        rank=0,
        num_processes=1,
    ):
        if batch_size % num_processes:
            raise ConfigError("train_batch_size", batch_size, f"a multiple of the {num_processes} processes")
        if max_seq_length != shards.manifest["max_seq_length"]:
            raise ConfigError(
                "max_seq_length",
                max_seq_length,
                f"{shards.manifest['max_seq_length']}, as the shards in {shards.folder}",
            )
        self.shards, self.vocabulary, self.batch_size, self.max_seq_length = (
            shards,
            vocabulary,
            batch_size,
            max_seq_length,
        )
        self.mask_prob, self.max_predictions_per_seq, self.seed = mask_prob, max_predictions_per_seq, seed
        self.num_processes = num_processes
        self.rows = slice(rank * batch_size // num_processes, (rank + 1) * batch_size // num_processes)
        self._epoch, self._order = None, None

    def __getitem__(self, number):
        """This process's rows of global batch `number`, as a MaskedBatch of numpy arrays.

        The whole global batch is masked and then cut, so that every process counts the same normalizers.
        """
        rng = np.random.default_rng([self.seed, MASKING, number])
        batch = mask_batch(
            self._token_batch(number), self.vocabulary, self.mask_prob, self.max_predictions_per_seq, rng
        )
        *rows, slots, tokens = batch
        share = np.float32(self.num_processes)
        return batch._make([*(array[self.rows] for array in rows), slots / share, tokens / share])

    def _token_batch(self, number):
        positions = range(number * self.batch_size, (number + 1) * self.batch_size)
        return pad([self.shards[self._example(position)] for position in positions], self.max_seq_length)

    def _example(self, position):
        """The example at a position of the endless stream, which is shuffled anew every epoch."""
        epoch, place = divmod(position, len(self.shards))
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([self.seed, ORDER, epoch]).permutation(len(self.shards))
        return self._order[place]

    def iterate(self, start, stop, prefetch=4):
        """Yield batches start..stop-1, made by a thread in the background."""
        ready, cancelled = queue.Queue(prefetch), threading.Event()

        def produce():
            try:
                for number in range(start, stop):
                    if cancelled.is_set():
                        return
                    ready.put(self[number])
            except BaseException as error:  # handed to the consumer, who raises it
                ready.put(error)

        thread = threading.Thread(target=produce, daemon=True)
        thread.start()
        try:
            for _ in range(start, stop):
                batch = ready.get()
                if isinstance(batch, BaseException):
                    raise batch
                yield batch
        finally:
            cancelled.set()
            while thread.is_alive():  # make room for a producer that waits to put its last batch
                while not ready.empty():
                    ready.get_nowait()
                thread.join(0.01)
