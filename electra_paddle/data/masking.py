"""Choose the tokens that the generator has to fill. Shapes: B batch, L sequence, P slots for masked positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from electra_paddle.batch import MaskedBatch

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.batch import TokenBatch


MASK_TOKEN_PROB = 0.85  # a chosen position shows [MASK], otherwise its own token; there are no random tokens


class MaskingSettings(NamedTuple):
    """Settings of masking: how many tokens, and in how many slots of a row."""

    max_seq_length: int  # tokens of a row
    mask_prob: float  # see `num_masked`
    max_predictions_per_seq: int  # slots for masked positions of a row
    whole_word_mask: bool = False  # mask whole words; the shards must know where words begin
    mask_sampling: str = "without_replacement"  # see `mask_batch`

    @property
    def num_slots(self) -> int:
        """Slots of a row, no more than it has tokens."""
        return min(self.max_predictions_per_seq, self.max_seq_length)


class Draws(NamedTuple):
    """The random numbers of a batch: those of a row do not depend on any row's tokens, so rows can be cut out."""

    integers: Array  # [B, L] uint32, for the positions
    uniforms: Array  # [B, P] float32, for showing [MASK]
    sampling_uniforms: Array  # [B, P] float32, for the generator's answers

    @classmethod
    def make(cls, rng: np.random.Generator, batch_size: int, length: int, num_slots: int) -> Draws:
        return cls(
            rng.integers(0, 1 << 32, (batch_size, length), np.uint32),
            rng.random((batch_size, num_slots), np.float32),
            rng.random((batch_size, num_slots), np.float32),
        )

    def cut(self, rows: slice) -> Draws:
        return Draws(*(numbers[rows] for numbers in self))


def mask_batch(
    batch: TokenBatch,
    draws: Draws,
    mask_token: int,
    mask_prob: float,
    mask_sampling: str = "without_replacement",
    word_starts: Array | None = None,
) -> MaskedBatch:
    """Choose positions and hide most of them behind [MASK].

    Without replacement, the positions of a row are distinct and uniformly drawn. With word starts they are those of
    whole words, see `choose_words`. "reference" draws as the original does, see `choose_with_replacement`.
    Source: `mask` in `pretrain_helpers.py` of the original.

    Args:
        batch: TokenBatch of numpy arrays [B, L].
        draws: Draws for these rows; their P is the largest number of positions of a row.
        mask_token: id of [MASK].
        mask_prob: see `num_masked`.
        mask_sampling: "without_replacement" or "reference".
        word_starts: [B, L] bool, true at the first token of a word, to mask whole words.

    Returns:
        MaskedBatch of numpy arrays, its normalizers those of a batch in one part.
    """
    num_slots = draws.uniforms.shape[1]
    lengths = batch.attention_mask.sum(axis=1)  # [B]
    seconds = lengths - batch.token_type_ids.sum(axis=1)  # [B] where the second segment begins
    budgets = num_masked(lengths, seconds, mask_prob, num_slots, mask_sampling)  # [B]
    used = np.arange(num_slots) < budgets[:, None]  # [B, P]
    shows_mask = draws.uniforms < MASK_TOKEN_PROB  # [B, P]
    if mask_sampling == "reference":
        positions = choose_with_replacement(lengths, seconds, draws.integers[:, :num_slots])  # [B, P]
    else:
        candidates = find_candidates(lengths, seconds, batch.input_ids.shape[1])  # [B, L]
        if word_starts is None:
            positions = in_random_order(candidates, draws.integers)[:, :num_slots]  # [B, P]
        else:
            positions, used, slot_of_word = choose_words(word_starts, candidates, budgets, draws)
            shows_mask = np.take_along_axis(shows_mask, slot_of_word, axis=1)
    positions = np.where(used, positions, 0)
    labels = np.where(used, np.take_along_axis(batch.input_ids, positions, axis=1), 0)
    return MaskedBatch(
        *batch,
        hide(batch.input_ids, positions, used & shows_mask, mask_token),
        positions,
        labels,
        used.astype(np.float32),
        draws.sampling_uniforms,
        np.float32(used.sum()),
        np.float32(lengths.sum()),
    )


def num_masked(
    lengths: Array, seconds: Array, mask_prob: float, num_slots: int, mask_sampling: str = "without_replacement"
) -> Array:
    """Slots that each row uses, [B] int64: round(mask_prob * tokens), special tokens counted but never chosen.

    At least one and at most P; where positions are distinct, no more than there are candidates. The product is
    rounded to even and in float32, as in the original. Masking whole words may use fewer.
    """
    wanted = np.rint(lengths.astype(np.float32) * np.float32(mask_prob)).astype(np.int64)  # [B]
    wanted = np.clip(wanted, 1, num_slots)
    candidates = num_candidates(lengths, seconds)
    return np.where(candidates > 0, wanted, 0) if mask_sampling == "reference" else np.minimum(wanted, candidates)


def num_candidates(lengths: Array, seconds: Array) -> Array:
    """Tokens of each row that may be masked, [B]: all but [CLS], [SEP] and a second segment's [SEP].

    A text never holds the ids of special tokens (the tokenizer cannot make them), so that no token has to be read.
    """
    return lengths - 2 - (seconds < lengths)


def find_candidates(lengths: Array, seconds: Array, length: int) -> Array:
    """Whether each position may be masked, [B, L] bool."""
    places = np.arange(length, dtype=np.int32)  # [L]
    last, first_sep = (array.astype(np.int32)[:, None] - 1 for array in (lengths, seconds))  # [B, 1]
    return (places > 0) & (places < last) & (places != first_sep)


def in_random_order(candidates: Array, integers: Array) -> Array:
    """The positions of each row, candidates first and in random order, [B, L] int64.

    The position stands in the lowest bits of the number that is sorted: faster than an argsort, and ties (one pair in
    four million at L = 512) are broken alike everywhere.
    """
    position_bits = np.uint32((1 << (candidates.shape[1] - 1).bit_length()) - 1)
    keys = (integers >> np.uint32(1)) & ~position_bits | np.arange(candidates.shape[1], dtype=np.uint32)  # [B, L]
    keys |= (~candidates).astype(np.uint32) << np.uint32(31)
    keys.sort(axis=1)
    return (keys & position_bits).astype(np.int64)


def choose_with_replacement(lengths: Array, seconds: Array, integers: Array) -> Array:
    """Independent uniform draws from the candidates, [B, P] int64, as the original's: positions may repeat.

    The candidates are numbered from 1, over the [SEP] that may stand between them.
    """
    numbers = 1 + (integers * num_candidates(lengths, seconds).astype(np.uint64)[:, None] >> np.uint64(32))  # [B, P]
    positions = numbers.astype(np.int64)
    return positions + (positions >= seconds[:, None] - 1)


def choose_words(word_starts: Array, candidates: Array, budgets: Array, draws: Draws) -> tuple[Array, Array, Array]:
    """Words in random order until the budget of positions is used; a word beyond what is left of it is passed over.

    In a row without any word that fits, each token counts as a word. [MASK] is shown for all tokens of a word or for
    none: the word's first slot decides. Source: `create_masked_lm_predictions` of BERT; there each token decides.

    Returns:
        (positions [B, P] in ascending order, used [B, P] bool, slot of the first token of each slot's word [B, P]).
    """
    starts = word_starts | ~candidates  # [B, L]
    sizes = word_sizes(starts, candidates)  # [B, L]
    too_long = np.where(sizes > 0, sizes, budgets[:, None] + 1).min(axis=1) > budgets  # [B]
    if too_long.any():
        starts[too_long] = True
        sizes[too_long] = candidates[too_long]
    order = in_random_order(sizes > 0, draws.integers)  # [B, L] first tokens of words
    fits = fill(np.take_along_axis(sizes, order, axis=1), budgets)  # [B, L] in that order
    is_chosen = np.zeros_like(starts)
    np.put_along_axis(is_chosen, order, fits, axis=1)  # [B, L] at first tokens
    is_chosen = is_chosen[starts][np.cumsum(starts) - 1].reshape(starts.shape)  # [B, L] at all tokens

    slots = np.arange(draws.uniforms.shape[1])  # [P]
    used = slots < is_chosen.sum(axis=1)[:, None]  # [B, P]
    positions, slot_of_word = np.zeros(used.shape, np.int64), np.zeros(used.shape, np.int64)
    positions[used] = np.nonzero(is_chosen)[1]
    slot_of_word[used] = starts[is_chosen]
    slot_of_word = np.maximum.accumulate(slot_of_word * slots, axis=1)
    return positions, used, slot_of_word


def word_sizes(starts: Array, candidates: Array) -> Array:
    """Sizes of words [B, L] int32: at a word's first token its number of tokens, elsewhere 0. Each row begins with a
    start.
    """
    sizes = np.zeros(starts.shape, np.int32)
    sizes[starts] = np.diff(np.flatnonzero(starts), append=starts.size)
    return sizes * candidates


def fill(sizes: Array, budgets: Array) -> Array:
    """Choose items greedily in the given order: each is taken if its size still fits into the budget.

    Each pass takes what goes in until one does not, and drops that and all others that cannot go in any more.

    Args:
        sizes: [B, L] int32; 0 is nothing.
        budgets: [B].

    Returns:
        [B, L] bool.
    """
    taken, left = np.zeros(sizes.shape, bool), budgets.astype(np.int32)
    rows = np.arange(len(sizes))  # those in which something may still go in
    while len(rows):
        sizes = np.where(sizes <= left[rows, None], sizes, 0)  # [rows, L]
        fits = (sizes > 0) & (sizes.cumsum(axis=1, dtype=np.int32) <= left[rows, None])
        taken[rows] |= fits
        left[rows] -= np.where(fits, sizes, 0).sum(axis=1, dtype=np.int32)
        sizes = np.where(fits, 0, sizes)
        going_on = ((sizes > 0) & (sizes <= left[rows, None])).any(axis=1)
        rows, sizes = rows[going_on], sizes[going_on]
    return taken


def hide(input_ids: Array, positions: Array, shows_mask: Array, mask_token: int) -> Array:
    """Write [MASK] where one of a position's slots says so, [B, L].

    Args:
        positions, shows_mask: [B, P].
    """
    masked_input_ids = input_ids.copy()
    masked_input_ids[np.nonzero(shows_mask)[0], positions[shows_mask]] = mask_token
    return masked_input_ids
