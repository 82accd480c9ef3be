import itertools

import numpy as np
import pytest
from small_corpus import WORDS, build, random_text

from electra_paddle.data import pairs
from electra_paddle.data.evaluation import hold_out
from electra_paddle.data.shards import Shards
from electra_paddle.text import Vocabulary


@pytest.fixture
def shards(tmp_path, monkeypatch):
    (tmp_path / "corpus.txt").write_text(random_text(0, num_documents=100), encoding="utf-8")
    Vocabulary(WORDS).save(tmp_path / "vocab.txt")
    build(tmp_path)
    monkeypatch.setattr(pairs, "CHUNK", 150)  # tokens of text to be counted at a time
    monkeypatch.setattr("electra_paddle.data.evaluation.BLOCK", 10)  # examples of a part
    return Shards(tmp_path / "shards")


def counted_by_hand(part):
    """[V, V] by reading example after example."""
    vocabulary, expected = Vocabulary(WORDS), np.zeros((len(WORDS), len(WORDS)), int)
    special = {vocabulary.pad, vocabulary.unk, vocabulary.cls, vocabulary.sep, vocabulary.mask}
    ids, lengths, *_ = part.read(np.arange(len(part)), 64)
    for row, _length in zip(ids.tolist(), lengths.tolist(), strict=True):
        for first, second in itertools.pairwise(row):
            expected[first, second] += not {first, second} & special
    return expected


def test_pairs_are_counted_within_examples_and_without_special_tokens(shards):
    part = hold_out(shards, 0.1)[0]
    expected = counted_by_hand(part)
    assert expected.sum() > 1000
    assert (pairs.count_pairs(part, Vocabulary(WORDS)).toarray() == expected).all()


@pytest.mark.parametrize("share_held_out", [0, 0.1])
def test_interrupted_count_goes_on_where_it_was_saved(shards, tmp_path, share_held_out):
    part, vocabulary, file = hold_out(shards, share_held_out)[0], Vocabulary(WORDS), tmp_path / "model/pair_counts.npz"
    chunks = []

    def stop_after_three(count):
        chunks.append(count)
        if len(chunks) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pairs.count_pairs(part, vocabulary, file, stop_after_three, save_seconds=0)
    rest = []
    resumed = pairs.count_pairs(part, vocabulary, file, rest.append, save_seconds=0)
    alone = []
    straight = pairs.count_pairs(part, vocabulary, on_tokens=alone.append)
    assert (resumed.toarray() == straight.toarray()).all()
    assert chunks[:2] + rest == alone  # the third was counted, not saved
    assert pairs.count_pairs(part, vocabulary, file, pytest.fail).sum() == straight.sum()  # read, not counted


def test_counts_of_other_shards_or_damaged_ones_are_not_taken_which_is_said(shards, tmp_path, capsys):
    vocabulary, file = Vocabulary(WORDS), tmp_path / "pair_counts.npz"
    pairs.count_pairs(shards, vocabulary, file)
    part = hold_out(shards, 0.1)[0]
    assert capsys.readouterr().err == ""
    assert (pairs.count_pairs(part, vocabulary, file).toarray() == counted_by_hand(part)).all()
    wanted = "expected those of this run; they are counted anew\n"
    found = f"{file}: found counts of other shards or of another vocabulary, {wanted}"
    assert capsys.readouterr().err == found
    file.write_bytes(file.read_bytes()[:500])
    assert (pairs.count_pairs(part, vocabulary, file).toarray() == counted_by_hand(part)).all()
    said = capsys.readouterr().err
    assert said.startswith(f"{file}: found a damaged file (") and said.endswith(wanted)
