"""Masked batches for one process; batch number n depends on (seed, n) and on nothing else.

A global batch is cut into equal parts: one for each process, or several one after the other where gradients are
accumulated. The numbers of its slots and tokens, by which losses are divided, are those of the whole batch divided by
the parts, so that the mean over the parts is the loss of the batch.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from electra_paddle.batch import ALONE, MaskedBatch, ProcessShare, TokenBatch
from electra_paddle.data.masking import Draws, MaskingSettings, mask_batch, num_masked
from electra_paddle.data.order import shuffled
from electra_paddle.errors import ConfigError

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.data.shards import Examples
    from electra_paddle.text import Vocabulary


class PretrainingBatches:
    """The rows of every global batch that belong to one of `num_processes` processes. Shapes: B rows, L sequence.

    Args:
        shards: Shards.
        vocabulary: Vocabulary.
        batch_size: sequences of the global batch.
        masking: MaskingSettings.
        seed: fixes order and masking.
        share: which rows are this process's, and in how many parts it computes them.

    Raises:
        ConfigError: an option that does not fit the shards or the number of processes.
    """

    streams = (0, 1)  # of random numbers: for the order, for the masking

    def __init__(
        self,
        shards: Examples,
        vocabulary: Vocabulary,
        batch_size: int,
        masking: MaskingSettings,
        seed: int,
        share: ProcessShare = ALONE,
    ) -> None:
        self.num_parts = share.num_processes * share.num_accumulated
        if batch_size % self.num_parts:
            parts = f"{share.num_processes} processes"
            parts += f" x {share.num_accumulated} parts" if share.num_accumulated > 1 else ""
            raise ConfigError("train_batch_size", batch_size, f"a multiple of the {parts}")
        if masking.max_seq_length != shards.manifest["max_seq_length"]:
            raise ConfigError(
                "max_seq_length",
                masking.max_seq_length,
                f"{shards.manifest['max_seq_length']}, as the shards in {shards.folder}",
            )
        if masking.whole_word_mask and not shards.has_word_starts:
            raise ConfigError(
                "whole_word_mask",
                "true",
                "shards built with --word-starts",
                "build the shards again with it, or set whole_word_mask false",
            )
        self.shards, self.vocabulary, self.seed = shards, vocabulary, seed
        self.batch_size, self.masking = batch_size, masking
        first, stop = (part * batch_size // share.num_processes for part in (share.rank, share.rank + 1))
        self.rows = slice(first, stop)

    def __getitem__(self, number: int) -> MaskedBatch:
        """This process's rows of global batch `number`, all its parts, as a MaskedBatch of numpy arrays.

        The random numbers are drawn for the whole batch, so that a row's do not depend on which process has it.
        """
        examples = self.examples(number)  # [B] of all processes
        rng = np.random.default_rng([self.seed, self.streams[1], number])
        draws = Draws.make(rng, len(examples), self.masking.max_seq_length, self.masking.num_slots)
        if self.masking.whole_word_mask:  # how many slots whole words use is known only once they are chosen
            batch = self._mask(examples, draws)
            slots, tokens = batch.mlm_normalizer, batch.rtd_normalizer
            batch = MaskedBatch._make(array[self.rows] if np.ndim(array) else array for array in batch)
        else:
            batch = self._mask(examples[self.rows], draws.cut(self.rows))
            lengths, seconds = self.shards.lengths(examples)  # [B], [B]
            masking = self.masking
            slots = num_masked(lengths, seconds, masking.mask_prob, masking.num_slots, masking.mask_sampling).sum()
            tokens = lengths.sum()
        return batch._replace(
            mlm_normalizer=np.float32(slots / self.num_parts), rtd_normalizer=np.float32(tokens / self.num_parts)
        )

    def examples(self, number: int) -> Array:
        """Numbers of the examples of global batch `number`, [B]. Every epoch has an order of its own."""
        positions = np.arange(number * self.batch_size, (number + 1) * self.batch_size)  # [B] in the endless stream
        epochs, places = np.divmod(positions, len(self.shards))  # [B], [B]
        return np.concatenate(
            [
                shuffled(places[epochs == epoch], len(self.shards), [self.seed, self.streams[0], int(epoch)])
                for epoch in np.unique(epochs)
            ]
        )

    def _mask(self, examples: Array, draws: Draws) -> MaskedBatch:
        input_ids, lengths, seconds, word_starts = self.shards.read(examples, self.masking.max_seq_length)
        return mask_batch(
            token_batch(input_ids, lengths, seconds),
            draws,
            self.vocabulary.mask,
            self.masking.mask_prob,
            self.masking.mask_sampling,
            word_starts if self.masking.whole_word_mask else None,
        )

    def iterate(self, start: int, stop: int, prefetch: int = 4) -> Generator[MaskedBatch, None, None]:
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


def token_batch(input_ids: Array, lengths: Array, seconds: Array) -> TokenBatch:
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
