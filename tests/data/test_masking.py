import itertools

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from electra_paddle.batch import TokenBatch
from electra_paddle.config import PretrainingConfig
from electra_paddle.data.masking import (
    Draws,
    choose_with_replacement,
    fill,
    find_candidates,
    hide,
    in_random_order,
    mask_batch,
    num_candidates,
    num_masked,
)
from electra_paddle.errors import ConfigError

CLS, SEP, MASK, TEXT = 2, 3, 4, 5  # ids; text from 5 on


def make_batch(rows, length):
    """TokenBatch of (size of the first segment, size of the second) pairs; every text token is another one."""
    ids, types, tokens = (np.zeros((len(rows), length), np.int64) for _ in range(3))
    for row, (first, second) in enumerate(rows):
        parts = [CLS, *range(TEXT, TEXT + first), SEP]
        begin = len(parts)
        parts += [*range(TEXT + first, TEXT + first + second), SEP] if second else []
        ids[row, : len(parts)], types[row, begin : len(parts)], tokens[row, : len(parts)] = parts, 1, 1
    return TokenBatch(ids, types, tokens)


def mask(batch, num_slots, mask_prob=0.15, seed=0, **options):
    draws = Draws.make(np.random.default_rng(seed), *batch.input_ids.shape, num_slots)
    return mask_batch(batch, draws, MASK, mask_prob, **options)


def segments(length):
    """Sizes of two segments that fit; either may be empty, not both."""
    return st.tuples(st.integers(0, length - 2), st.integers(0, length - 3)).filter(
        lambda sizes: 0 < sum(sizes) <= length - 2 - bool(sizes[1])
    )


batches = st.integers(5, 40).flatmap(
    lambda length: st.lists(segments(length), min_size=1, max_size=8).map(lambda rows: make_batch(rows, length))
)
probs = st.floats(0.01, 0.99)
seeds = st.integers(0, 2**32)


@pytest.mark.parametrize(
    ("tokens", "masked"),
    [
        *[(3, 1), (20, 3), (128, 19)],
        *[(10, 2), (30, 4), (50, 8), (70, 10)],  # 1.5, 4.5, 7.5, 10.5 go to even
        (190, 29),  # 28.5 goes to 28, but in float32 it is a little more
        *[(512, 77), (530, 79)],
    ],
)
def test_number_of_masked_positions_is_rounded_to_even_and_bounded(tokens, masked):
    lengths = np.array([tokens])
    assert num_masked(lengths, lengths, 0.15, 79) == masked


def test_distinct_positions_are_no_more_than_the_candidates():
    lengths, seconds = np.array([5, 5, 5]), np.array([5, 3, 2])  # [CLS] a b c [SEP]; a | b; empty first segment
    assert num_candidates(lengths, seconds).tolist() == [3, 2, 2]
    assert num_masked(lengths, seconds, 0.9, 9).tolist() == [3, 2, 2]
    assert num_masked(lengths, seconds, 0.9, 9, "reference").tolist() == [4, 4, 4]


@given(batches)
def test_candidates_are_the_tokens_that_are_not_special(batch):
    lengths = batch.attention_mask.sum(axis=1)
    seconds = lengths - batch.token_type_ids.sum(axis=1)
    expected = (batch.attention_mask == 1) & ~np.isin(batch.input_ids, [CLS, SEP, MASK])
    assert (find_candidates(lengths, seconds, batch.input_ids.shape[1]) == expected).all()
    assert (num_candidates(lengths, seconds) == expected.sum(axis=1)).all()


def test_candidates_come_first_in_the_order_of_their_random_numbers():
    candidates = np.array([[False, True, True, False, True, True]])
    integers = np.array([[0, 3 << 20, 1 << 20, 0, 2 << 20, 1 << 20]], np.uint32)
    assert in_random_order(candidates, integers).tolist() == [[2, 5, 4, 1, 0, 3]]
    largest = np.full((1, 6), 2**32 - 1, np.uint32)
    assert in_random_order(candidates, largest).tolist() == [[1, 2, 4, 5, 0, 3]]


@given(batches, probs, st.integers(1, 12), seeds, st.sampled_from(["without_replacement", "reference"]))
def test_masking_keeps_its_promises(batch, mask_prob, num_slots, seed, mask_sampling):
    num_slots = min(num_slots, batch.input_ids.shape[1])
    masked = mask(batch, num_slots, mask_prob, seed, mask_sampling=mask_sampling)
    used = masked.masked_weights == 1
    assert ((masked.masked_weights == 0) | used).all()
    lengths = batch.attention_mask.sum(axis=1)
    seconds = lengths - batch.token_type_ids.sum(axis=1)
    assert (used.sum(axis=1) == num_masked(lengths, seconds, mask_prob, num_slots, mask_sampling)).all()
    assert (used.any(axis=1)).all()
    assert masked.mlm_normalizer == used.sum() and masked.rtd_normalizer == lengths.sum()
    for row in range(len(lengths)):
        chosen = masked.masked_positions[row][used[row]]
        assert (batch.input_ids[row, chosen] >= TEXT).all()
        assert (masked.masked_labels[row][used[row]] == batch.input_ids[row, chosen]).all()
        if mask_sampling == "without_replacement":
            assert len(set(chosen)) == len(chosen)
        changed = np.flatnonzero(masked.masked_input_ids[row] != batch.input_ids[row])
        assert set(changed) <= set(chosen) and (masked.masked_input_ids[row, changed] == MASK).all()
    assert not masked.masked_positions[~used].any() and not masked.masked_labels[~used].any()


@pytest.mark.parametrize("mask_sampling", ["without_replacement", "reference"])
def test_every_candidate_is_drawn_equally_often(mask_sampling):
    rows, num_rows = [(10, 0), (4, 5), (0, 9)], 2000
    for first, second in rows:
        batch = make_batch([(first, second)] * num_rows, 12)
        masked = mask(batch, 3, 0.25, mask_sampling=mask_sampling)
        counts = np.bincount(masked.masked_labels.ravel(), minlength=TEXT + first + second)[TEXT:]
        expected, freedom = 3 * num_rows / (first + second), first + second - 1
        assert counts.sum() == 3 * num_rows
        assert ((counts - expected) ** 2 / expected).sum() < freedom + 4 * (2 * freedom) ** 0.5


def test_85_percent_of_the_chosen_positions_show_mask():
    masked = mask(make_batch([(60, 0)] * 1000, 64), 9)
    shows = (masked.masked_input_ids == MASK).sum() / masked.mlm_normalizer
    assert abs(shows - 0.85) < 4 * (0.85 * 0.15 / masked.mlm_normalizer) ** 0.5


@pytest.mark.parametrize("options", [{}, {"mask_sampling": "reference"}, {"word_starts": True}])
def test_a_row_is_masked_alike_whatever_rows_are_beside_it(options):
    rng = np.random.default_rng(0)
    batch = make_batch([(rng.integers(1, 12), rng.integers(0, 12)) for _ in range(9)], 32)
    starts = rng.random((9, 32)) < 0.6
    draws = Draws.make(rng, 9, 32, 6)

    def part(rows):
        words = {"word_starts": starts[rows]} if "word_starts" in options else {}
        own = TokenBatch(*(array[rows] for array in batch))
        return mask_batch(own, draws.cut(rows), MASK, 0.25, **{**options, **words})

    whole, few = part(slice(None)), part(slice(3, 5))
    for array, one in list(zip(whole, few, strict=True))[:7]:
        assert (array[3:5] == one).all()


# Draws as the original's


def test_numbers_of_candidates_become_positions_past_the_separator():
    lengths, seconds = np.array([6, 6, 6]), np.array([6, 4, 2])  # a b c d; a b | c; | a b c
    first, last = np.zeros((3, 1), np.uint32), np.full((3, 1), 2**32 - 1, np.uint32)
    assert choose_with_replacement(lengths, seconds, first).ravel().tolist() == [1, 1, 2]
    assert choose_with_replacement(lengths, seconds, last).ravel().tolist() == [4, 4, 4]
    last_third = np.full((3, 1), 2**32 // 3 * 2 - 1, np.uint32)  # of three candidates the second
    assert choose_with_replacement(lengths, seconds, last_third).ravel().tolist()[1:] == [2, 3]


def test_positions_repeat_as_often_as_in_draws_with_replacement():
    num_rows = 20_000
    masked = mask(make_batch([(10, 0)] * num_rows, 12), 3, 0.25, mask_sampling="reference")
    assert (masked.masked_weights == 1).all()
    distinct = np.array([len(set(row)) for row in masked.masked_positions.tolist()])
    for number, share in ((3, 0.72), (2, 0.27), (1, 0.01)):  # 9/10 * 8/10, the rest, 1/10 * 1/10
        assert abs((distinct == number).mean() - share) < 4 * (share * (1 - share) / num_rows) ** 0.5


def test_position_drawn_twice_shows_mask_if_either_draw_says_so():
    ids = np.array([[2, 10, 11, 12, 13, 3]])
    positions = np.array([[1, 1, 2, 2, 3, 3]])
    shows_mask = np.array([[True, False, False, True, False, False]])
    assert hide(ids, positions, shows_mask, MASK).tolist() == [[2, 4, 4, 12, 13, 3]]


@pytest.mark.parametrize("case", ["A", "B"])  # A repeats positions
def test_hiding_equals_the_reference(case):
    golden = np.load(ROOT / "tests/golden/pretraining_forward_micro.npz", allow_pickle=False)
    shows_mask = (golden[f"{case}_replace_uniform"] < 0.85) & (golden[f"{case}_masked_lm_weights"] > 0)
    hidden = hide(golden["input_ids"], golden[f"{case}_masked_lm_positions"], shows_mask, 103)
    assert (hidden == golden[f"{case}_gen_input_ids"]).all()


# Whole words


@pytest.mark.parametrize(
    ("sizes", "budget", "taken"),
    [
        ([2, 3, 1, 1], 4, [0, 2, 3]),  # 3 has no room, what is smaller has
        ([3, 3, 2, 4, 1], 4, [0, 4]),
        ([5, 4, 3], 2, []),
        ([1, 1, 1], 2, [0, 1]),
        ([0, 2, 0, 1], 9, [1, 3]),
    ],
)
def test_words_go_in_where_there_is_room(sizes, budget, taken):
    assert np.flatnonzero(fill(np.array([sizes]), np.array([budget]))).tolist() == taken


@given(st.integers(1, 20).flatmap(lambda n: st.lists(st.lists(st.integers(0, 6), min_size=n, max_size=n), min_size=1)))
def test_filling_many_rows_equals_filling_one_word_after_the_other(rows):
    budgets = np.arange(len(rows)) % 11
    for row, budget, taken in zip(rows, budgets, fill(np.array(rows), budgets), strict=True):
        for size, is_taken in zip(row, taken, strict=True):
            assert is_taken == (0 < size <= budget)
            budget -= size * is_taken


@given(batches, probs, st.integers(1, 12), seeds, st.floats(0.05, 1))
def test_whole_words_are_masked_within_the_budget(batch, mask_prob, num_slots, seed, share_of_starts):
    shape = batch.input_ids.shape
    num_slots = min(num_slots, shape[1])
    starts = np.random.default_rng(seed).random(shape) < share_of_starts
    special = np.isin(batch.input_ids, [CLS, SEP])
    starts = (starts | special | np.roll(special, 1, axis=1)) & (batch.attention_mask == 1)
    noise = np.random.default_rng(seed + 1).random(shape) < 0.5  # what stands at other than text does not matter
    given_starts = np.where(batch.input_ids >= TEXT, starts, noise)
    masked = mask(batch, num_slots, mask_prob, seed, word_starts=given_starts)
    lengths = batch.attention_mask.sum(axis=1)
    seconds = lengths - batch.token_type_ids.sum(axis=1)
    budgets = num_masked(lengths, seconds, mask_prob, num_slots)
    for row, budget in enumerate(budgets):
        used = masked.masked_weights[row] == 1
        chosen = masked.masked_positions[row][used].tolist()
        assert len(set(chosen)) == len(chosen) and 0 < len(chosen) <= budget
        assert (masked.masked_labels[row][used] == batch.input_ids[row, chosen]).all()
        assert not masked.masked_positions[row][~used].any() and not masked.masked_labels[row][~used].any()
        bounds = [*np.flatnonzero(starts[row]), lengths[row]]
        words = [set(range(*pair)) for pair in itertools.pairwise(bounds)]
        words = [word for word in words if not special[row, min(word)]]
        shown = set(np.flatnonzero(masked.masked_input_ids[row] != batch.input_ids[row]))
        assert shown <= set(chosen) and (masked.masked_input_ids[row, list(shown)] == MASK).all()
        if min(map(len, words)) > budget:  # no word fits: as many single tokens
            assert len(chosen) == budget and not special[row, chosen].any()
            continue
        taken = [word for word in words if word & set(chosen)]
        assert set().union(*taken) == set(chosen)
        assert all(word <= shown or not word & shown for word in taken)
        assert all(len(word) > budget - len(chosen) for word in words if word not in taken)


def test_words_of_one_size_are_drawn_equally_often_and_decide_once_about_showing_mask():
    num_rows = 3000
    starts = np.tile(np.array([[1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]], bool), (num_rows, 1))  # five words of two
    masked = mask(make_batch([(10, 0)] * num_rows, 12), 4, 0.33, word_starts=starts)
    assert (masked.masked_weights == 1).all()
    counts = np.bincount(masked.masked_labels.ravel(), minlength=TEXT + 10)[TEXT:]
    assert (counts[::2] == counts[1::2]).all()
    expected = 2 * num_rows / 5
    assert ((counts[::2] - expected) ** 2 / expected).sum() < 4 + 4 * 8**0.5
    shown = (masked.masked_input_ids == MASK).sum(axis=1)
    for number, share in ((4, 0.7225), (2, 0.255), (0, 0.0225)):  # of two words both, one, none
        assert abs((shown == number).mean() - share) < 4 * (share * (1 - share) / num_rows) ** 0.5


def test_row_of_one_long_word_has_single_tokens_masked():
    starts = np.array([[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]] * 2, bool)
    starts[1, 2:] = True  # the row beside it goes by its words
    masked = mask(make_batch([(10, 0)] * 2, 12), 4, 0.2, word_starts=starts)
    assert masked.masked_weights.sum(axis=1).tolist() == [2, 2]
    assert len(set(masked.masked_positions[0][:2])) == 2


# The entries of the configuration


def test_unknown_mask_sampling_is_refused():
    with pytest.raises(
        ConfigError, match="mask_sampling: found 'referense', expected without_replacement or reference"
    ):
        PretrainingConfig(mask_sampling="referense")
    assert PretrainingConfig(mask_sampling="reference").mask_sampling == "reference"


def test_reference_sampling_of_whole_words_is_refused():
    with pytest.raises(ConfigError, match="mask_sampling: found reference together with whole_word_mask"):
        PretrainingConfig(mask_sampling="reference", whole_word_mask=True)
    assert PretrainingConfig(whole_word_mask=True).whole_word_mask
