"""Masked batches for one process; batch number n depends on (seed, n) and on nothing else.

A global batch is cut into equal parts: one for each process, or several one after the other where gradients are
accumulated. The numbers of its slots and tokens, by which losses are divided, are those of the whole batch divided by
the parts, so that the mean over the parts is the loss of the batch.
"""

import collections
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from electra_paddle.batch import TokenBatch
from electra_paddle.data.masking import Draws, mask_batch, num_masked
from electra_paddle.data.order import shuffled
from electra_paddle.errors import ConfigError


class PretrainingBatches:
    """The rows of every global batch that belong to one of `num_processes` processes. Shapes: B rows, L sequence.

    Args:
        shards: Shards.
        vocabulary: Vocabulary.
        batch_size: sequences of the global batch.
        max_seq_length: tokens of a row.
        mask_prob: see `num_masked`.
        max_predictions_per_seq: slots for masked positions of a row.
        seed: fixes order and masking.
        whole_word_mask: mask whole words; the shards must know where words begin.
        mask_sampling: see `mask_batch`.
        num_accumulated: parts of a process.

    Raises:
        ConfigError: an option that does not fit the shards or the number of processes.
    """

    streams = (0, 1)  # of random numbers: for the order, for the masking

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
        whole_word_mask=False,
        mask_sampling="without_replacement",
        num_accumulated=1,
    ):
        self.num_parts = num_processes * num_accumulated
        if batch_size % self.num_parts:
            parts = f"{num_processes} processes" + (f" x {num_accumulated} parts" if num_accumulated > 1 else "")
            raise ConfigError("train_batch_size", batch_size, f"a multiple of the {parts}")
        if max_seq_length != shards.manifest["max_seq_length"]:
            raise ConfigError(
                "max_seq_length",
                max_seq_length,
                f"{shards.manifest['max_seq_length']}, as the shards in {shards.folder}",
            )
        if whole_word_mask and not shards.has_word_starts:
            raise ConfigError(
                "whole_word_mask",
                "true",
                "shards built with --word-starts",
                "build the shards again with it, or set whole_word_mask false",
            )
        self.shards, self.vocabulary, self.seed = shards, vocabulary, seed
        self.batch_size, self.max_seq_length = batch_size, max_seq_length
        self.mask_prob, self.num_slots = mask_prob, min(max_predictions_per_seq, max_seq_length)
        self.whole_word_mask, self.mask_sampling = whole_word_mask, mask_sampling
        self.rows = slice(rank * batch_size // num_processes, (rank + 1) * batch_size // num_processes)

    def __getitem__(self, number):
        """This process's rows of global batch `number`, all its parts, as a MaskedBatch of numpy arrays.

        The random numbers are drawn for the whole batch, so that a row's do not depend on which process has it.
        """
        examples = self.examples(number)  # [B] of all processes
        rng = np.random.default_rng([self.seed, self.streams[1], number])
        draws = Draws.make(rng, len(examples), self.max_seq_length, self.num_slots)
        if self.whole_word_mask:  # how many slots whole words use is known only once they are chosen
            batch = self._mask(examples, draws)
            slots, tokens = batch.mlm_normalizer, batch.rtd_normalizer
            batch = batch._make([*(array[self.rows] for array in batch[:-2]), slots, tokens])
        else:
            batch = self._mask(examples[self.rows], draws.cut(self.rows))
            lengths, seconds = self.shards.lengths(examples)  # [B], [B]
            slots = num_masked(lengths, seconds, self.mask_prob, self.num_slots, self.mask_sampling).sum()
            tokens = lengths.sum()
        return batch._replace(
            mlm_normalizer=np.float32(slots / self.num_parts), rtd_normalizer=np.float32(tokens / self.num_parts)
        )

    def examples(self, number):
        """Numbers of the examples of global batch `number`, [B]. Every epoch has an order of its own."""
        positions = np.arange(number * self.batch_size, (number + 1) * self.batch_size)  # [B] in the endless stream
        epochs, places = np.divmod(positions, len(self.shards))  # [B], [B]
        return np.concatenate(
            [
                shuffled(places[epochs == epoch], len(self.shards), [self.seed, self.streams[0], int(epoch)])
                for epoch in np.unique(epochs)
            ]
        )

    def _mask(self, examples, draws):
        input_ids, lengths, seconds, word_starts = self.shards.read(examples, self.max_seq_length)
        return mask_batch(
            token_batch(input_ids, lengths, seconds),
            draws,
            self.vocabulary.mask,
            self.mask_prob,
            self.mask_sampling,
            word_starts if self.whole_word_mask else None,
        )

    def iterate(self, start, stop, prefetch=4):
        """Yield batches start..stop-1, made by a thread in the background, which ends with the generator."""
        maker = ThreadPoolExecutor(1, "batches")
        numbers = iter(range(start, stop))
        try:
            coming = collections.deque(maker.submit(self.__getitem__, n) for n in itertools.islice(numbers, prefetch))
            while coming:
                batch = coming.popleft().result()  # raises what the thread raised
                coming.extend(maker.submit(self.__getitem__, n) for n in itertools.islice(numbers, 1))
                yield batch
        finally:
            maker.shutdown(cancel_futures=True)


def token_batch(input_ids, lengths, seconds):
    """A TokenBatch [B, L] of rows already padded with zeros.

    Args:
        input_ids: [B, L].
        lengths: [B] tokens of each row.
        seconds: [B] where the second segment begins; the length if there is none.
    """
    places = np.arange(input_ids.shape[1])  # [L]
    is_token = places < lengths[:, None]  # [B, L]
    is_second = is_token & (places >= seconds[:, None])  # [B, L]
    return TokenBatch(input_ids, is_second.astype(np.int64), is_token.astype(np.int64))
