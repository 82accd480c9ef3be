import gc
import random
import threading
import time

import numpy as np
import pytest

from electra_paddle.config.shards import ShardSettings
from electra_paddle.data.build import build_pretraining_data
from electra_paddle.data.loader import PretrainingBatches, ProcessShare, token_batch
from electra_paddle.data.masking import MaskingSettings
from electra_paddle.data.shards import Shards
from electra_paddle.errors import ConfigError
from electra_paddle.text import Vocabulary

PHRASES = [
    "北京",
    "大学",
    "学生",
    "喜欢",
    "看",
    "电影",
    "图书馆",
    "里",
    "有",
    "很多",
    "老师",
    "我们",
    "今天",
    "公园",
    "苹果",
]
PHRASES += ["中华人民共和国"]
LENGTH, SLOTS = 32, 4  # a full row has 0.15 * 32 = 4.8, rounded 5, which the slots cut to 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A vocabulary, and shards of its text with and without word starts."""
    folder = tmp_path_factory.mktemp("loader")
    rng = random.Random(0)
    lines = []
    for _ in range(50):
        lines += ["".join(rng.choices(PHRASES, k=rng.randint(2, 20))) for _ in range(4)] + [""]
    (folder / "corpus.txt").write_text("\n".join(lines), encoding="utf-8")
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    Vocabulary([*specials, *sorted(set("".join(PHRASES)))]).save(folder / "vocab.txt")
    for name, word_starts in (("plain", False), ("words", True)):
        settings = ShardSettings(max_seq_length=LENGTH, word_starts=word_starts)
        build_pretraining_data(folder / "corpus.txt", folder / "vocab.txt", folder / name, settings)
    return folder


@pytest.fixture
def batches(folder):
    """Function that makes PretrainingBatches."""
    vocabulary = Vocabulary.load(folder / "vocab.txt")

    def make(batch_size=8, length=LENGTH, seed=7, shards="plain", **options):
        shards = Shards(folder / shards, vocabulary)
        masking = {name: options.pop(name) for name in ("whole_word_mask", "mask_sampling") if name in options}
        settings = MaskingSettings(length, 0.15, SLOTS, **masking)
        return PretrainingBatches(shards, vocabulary, batch_size, settings, seed, ProcessShare(**options))

    return make


KINDS = {
    "plain": {},
    "reference": {"mask_sampling": "reference"},
    "words": {"whole_word_mask": True, "shards": "words"},
}


def test_types_and_attention_follow_from_lengths():
    ids = np.arange(12).reshape(2, 6)
    batch = token_batch(ids, np.array([5, 4]), np.array([3, 4]))
    assert batch.input_ids is ids
    assert batch.token_type_ids.tolist() == [[0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0]]
    assert batch.token_type_ids.dtype == batch.attention_mask.dtype == np.int64


def test_rows_are_the_examples_of_the_shards(batches):
    loader = batches()
    examples, batch = loader.examples(2), loader[2]
    input_ids, lengths, seconds, _ = loader.shards.read(examples, LENGTH)
    assert (batch.input_ids == input_ids).all()
    assert (batch.attention_mask.sum(axis=1) == lengths).all()
    assert (batch.token_type_ids.sum(axis=1) == lengths - seconds).all() and (seconds < lengths).any()
    assert batch.masked_positions.shape == (8, SLOTS)


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_see_together_what_one_process_sees(batches, kind):
    whole = batches(**KINDS[kind])
    ranks = [batches(**KINDS[kind], rank=rank, num_processes=4) for rank in range(4)]
    for number in (0, 3, 50):
        together, parts = whole[number], [rank[number] for rank in ranks]
        for array, *pieces in [each for each in zip(together, *parts, strict=True) if np.ndim(each[0])]:
            assert [len(piece) for piece in pieces] == [2, 2, 2, 2]
            assert (array == np.concatenate(pieces)).all()
        assert together.mlm_normalizer == together.masked_weights.sum()
        assert together.rtd_normalizer == together.attention_mask.sum()
        for part in parts:
            assert part.mlm_normalizer == together.mlm_normalizer / 4
            assert part.rtd_normalizer == together.rtd_normalizer / 4
            assert part.mlm_normalizer.dtype == part.rtd_normalizer.dtype == np.float32


def test_rank_does_not_read_the_tokens_of_the_others(batches, monkeypatch):
    loader = batches(rank=1, num_processes=4)
    numbers, read = [], loader.shards.read

    def note(examples, length):
        numbers.extend(examples)
        return read(examples, length)

    monkeypatch.setattr(loader.shards, "read", note)
    loader[5]
    assert numbers == loader.examples(5)[2:4].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_batch_depends_on_seed_and_number_only(batches, kind):
    loader = batches(**KINDS[kind])
    late = loader[40]
    assert all((a == b).all() for a, b in zip(late, batches(**KINDS[kind])[40], strict=True))
    other = batches(**KINDS[kind], seed=8)
    assert (loader.examples(40) != other.examples(40)).any()
    streamed = list(loader.iterate(38, 42))
    assert len(streamed) == 4
    assert all((a == b).all() for a, b in zip(late, streamed[2], strict=True))


def test_same_examples_are_masked_anew_in_another_batch_and_under_another_seed(batches, monkeypatch):
    monkeypatch.setattr(PretrainingBatches, "examples", lambda self, number: np.arange(8))
    same, again, later, other = batches()[3], batches()[3], batches()[4], batches(seed=8)[3]
    assert (same.input_ids == later.input_ids).all() and (same.input_ids == other.input_ids).all()
    assert (same.masked_positions == again.masked_positions).all()
    assert (same.masked_positions != later.masked_positions).any(axis=1).sum() > 4
    assert (same.masked_positions != other.masked_positions).any(axis=1).sum() > 4


def test_every_epoch_holds_every_example_once_in_an_order_of_its_own(batches):
    loader = batches(batch_size=7)
    size = len(loader.shards)
    assert size % 7 and size > 21  # so that batches lie across the ends of epochs
    stream = np.concatenate([loader.examples(number) for number in range(size // 7 * 3 + 3)])
    epochs = [stream[epoch * size : (epoch + 1) * size].tolist() for epoch in range(3)]
    assert all(sorted(epoch) == list(range(size)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_batch_may_be_larger_than_all_examples(batches):
    size = len(batches().shards)
    counts = np.bincount(batches(batch_size=3 * size).examples(1))
    assert counts.tolist() == [3] * size


def test_reference_sampling_repeats_positions_and_the_default_does_not(batches):
    def share_of_repeated(kind):
        repeated = []
        for batch in batches(**KINDS[kind]).iterate(0, 30):
            for positions, weights in zip(batch.masked_positions, batch.masked_weights, strict=True):
                used = positions[weights > 0]
                repeated.append(len(set(used)) < len(used))
        return np.mean(repeated)

    assert share_of_repeated("plain") == 0
    assert 0.1 < share_of_repeated("reference") < 0.6


def test_whole_words_of_the_shards_are_masked(batches):
    loader = batches(**KINDS["words"])
    num_long = 0
    for number in range(10):
        batch = loader[number]
        starts = loader.shards.read(loader.examples(number), LENGTH)[3]
        word = np.cumsum(starts, axis=1)  # number of each token's word in the row
        for row in range(8):
            chosen = set(batch.masked_positions[row][batch.masked_weights[row] > 0])
            words = set(word[row, list(chosen)])
            tokens = set(np.flatnonzero(np.isin(word[row], list(words)) & (batch.attention_mask[row] == 1)))
            if tokens != chosen:  # single tokens, as no word is short enough
                sizes = np.bincount(word[row, batch.input_ids[row] > loader.vocabulary.mask])
                assert sizes[sizes > 0].min() > len(chosen)
            num_long += len(words) < len(chosen)
    assert num_long > 20


def test_whole_words_need_shards_with_word_starts(batches):
    message = "whole_word_mask: found true, expected shards built with --word-starts; build the shards again"
    with pytest.raises(ConfigError, match=message):
        batches(whole_word_mask=True)


def test_word_starts_of_the_shards_change_nothing_without_whole_word_mask(batches):
    plain, words = batches()[3], batches(shards="words")[3]
    assert all((a == b).all() for a, b in zip(plain, words, strict=True))


def test_options_that_do_not_fit_are_refused(batches):
    with pytest.raises(ConfigError, match="train_batch_size: found 8, expected a multiple of the 3 processes"):
        batches(num_processes=3)
    with pytest.raises(ConfigError, match="max_seq_length: found 64, expected 32"):
        batches(length=64)


# The thread in the background


def num_threads():
    return sum(thread.name.startswith("batches") for thread in threading.enumerate())


def test_error_in_the_background_reaches_the_caller_in_its_turn(batches, monkeypatch):
    loader = batches()
    read, calls = loader.shards.read, []

    def fail_later(examples, length):
        calls.append(examples)
        if len(calls) == 3:
            raise OSError("disk")
        return read(examples, length)

    monkeypatch.setattr(loader.shards, "read", fail_later)
    stream = loader.iterate(0, 9)
    next(stream), next(stream)
    with pytest.raises(OSError, match="disk"):
        next(stream)
    assert not num_threads()


@pytest.mark.parametrize("taken", [1, 3])
def test_thread_ends_when_the_consumer_stops_early(batches, taken):
    stream = batches().iterate(0, 1000)
    for _ in range(taken):
        next(stream)
    assert num_threads() == 1
    stream.close()
    assert not num_threads()


def test_thread_ends_when_the_consumer_fails(batches):
    def consume(stream):
        for _ in stream:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory") as caught:
        consume(batches().iterate(0, 1000))
    del caught  # the traceback holds the generator, until whoever caught the error is done with it
    gc.collect()
    assert not num_threads()


def test_nothing_is_made_before_it_is_asked_for_and_only_so_much_ahead(batches, monkeypatch):
    loader = batches()
    made = []
    monkeypatch.setattr(PretrainingBatches, "__getitem__", lambda self, number: made.append(number) or number)
    stream = loader.iterate(5, 1000, prefetch=3)
    assert not num_threads()
    assert next(stream) == 5
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)
    assert made == [5, 6, 7, 8]
    stream.close()


def test_stream_of_few_or_no_batches_ends(batches):
    loader = batches()
    assert list(loader.iterate(4, 4)) == []
    assert len(list(loader.iterate(4, 6))) == 2
    assert not num_threads()
