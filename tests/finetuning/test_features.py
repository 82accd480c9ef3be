import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

from electra_paddle.batch import ProcessShare
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.finetuning import features as module
from electra_paddle.finetuning.batches import EvaluationBatches, TrainingBatches, epoch_batches
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.features import Features, fingerprint, load_features, make_features
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.kinds.texts import TextExample, TextFeature
from electra_paddle.finetuning.workers import in_processes
from electra_paddle.text import SPECIAL_TOKENS, Tokenizer, Vocabulary

CHARACTERS = [chr(0x4E00 + number) for number in range(40)]
TOKENIZER = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *CHARACTERS]))
DESCRIPTION = TaskDescription("t", labels=("0", "1"))


def kind(**entries):
    return make_kind(DESCRIPTION, FinetuningConfig(**entries))


def examples(count):
    rng = np.random.default_rng(0)
    return [
        TextExample(str(n), f"t:{n}", "".join(rng.choice(CHARACTERS, rng.integers(1, 30))), None, n % 2)
        for n in range(count)
    ]


def features(count=50):
    return make_features(kind(), examples(count), TOKENIZER, 1)


def equal(one, other):
    return one.columns.keys() == other.columns.keys() and all(
        (one.columns[name] == other.columns[name]).all() for name in one.columns
    )


def test_features_are_the_same_from_disk_and_from_several_processes(tmp_path, monkeypatch):
    alone = features()
    monkeypatch.setattr(module, "LEAST", 1)
    assert equal(alone, make_features(kind(), examples(50), TOKENIZER, 3))
    alone.save(tmp_path / "f.safetensors")
    loaded = Features.load(TextFeature, tmp_path / "f.safetensors")
    assert equal(alone, loaded)
    assert loaded[7].input_ids.tolist() == [
        2,
        *TOKENIZER.encode(examples(50)[7].text_a),
        3,
    ]


def test_damaged_cache_is_made_anew(tmp_path):
    path = tmp_path / "train.tsv"
    path.touch()
    made = load_features(tmp_path / "cache", kind(), path, "train", examples(5), TOKENIZER)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    assert equal(made, load_features(tmp_path / "cache", kind(), path, "train", examples(5), TOKENIZER))


def test_everything_that_shapes_features_changes_their_fingerprint(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("1\t好\n", encoding="utf-8")
    first = fingerprint(kind(), path, "train", TOKENIZER)
    assert fingerprint(kind(learning_rate=1.0, seed=3), path, "train", TOKENIZER) == first
    others = [
        fingerprint(kind(max_seq_length=64), path, "train", TOKENIZER),
        fingerprint(kind(), path, "train", Tokenizer(TOKENIZER.vocabulary, do_lower_case=False)),
        fingerprint(kind(), path, "train", Tokenizer(Vocabulary([*TOKENIZER.vocabulary.tokens, "x"]))),
        fingerprint(
            make_kind(dataclasses.replace(DESCRIPTION, labels=("1", "0")), kind().config), path, "train", TOKENIZER
        ),
    ]
    path.write_text("0\t好\n", encoding="utf-8")
    others.append(fingerprint(kind(), path, "train", TOKENIZER))
    assert len({first, *others}) == 6


def kill_yourself(number):
    import os
    import signal

    if number:
        os.kill(os.getpid(), signal.SIGKILL)


def test_killed_worker_is_an_error_and_no_endless_wait():
    with pytest.raises(DataError, match="num_processes: found a worker that was killed"):
        in_processes(kill_yourself, [(0,), (1,)], "num_processes")


def ids_of(batches):
    return sorted(
        tuple(row[row > 0])
        for batch in batches
        for row, weight in zip(batch.input_ids, batch.weights, strict=True)
        if weight
    )


@pytest.mark.parametrize("by_length", [True, False])
def test_every_epoch_trains_on_every_example_once_in_a_new_order(by_length):
    rows = features()
    batches = TrainingBatches(rows, kind(), 8, seed=1, by_length=by_length)
    first, second = list(batches.iterate(0, 7)), list(batches.iterate(7, 14))
    assert ids_of(first) == ids_of(second) == sorted(tuple(row.input_ids) for row in rows)
    assert [batch.labels.tolist() for batch in first] != [batch.labels.tolist() for batch in second]
    resumed = list(batches.iterate(5, 14))
    assert all((one.input_ids == other.input_ids).all() for one, other in zip(resumed[2:], second, strict=True))


def test_processes_share_each_batch_and_filled_up_rows_weigh_nothing():
    rows = features(13)
    whole = list(TrainingBatches(rows, kind(), 8, seed=1).iterate(0, 2))
    shares = [list(TrainingBatches(rows, kind(), 8, 1, ProcessShare(rank, 2, 2)).iterate(0, 2)) for rank in (0, 1)]
    for step in (0, 1):
        assert ids_of([whole[step]]) == ids_of([share[step] for share in shares])
        assert {len(share[step].labels) for share in shares} == {4}
        weights = np.concatenate([share[step].weights for share in shares])
        assert weights.tolist() == [4.0] * len(whole[step].labels) + [0.0] * (8 - len(whole[step].labels))


def test_batches_by_length_are_hardly_padded():
    lengths = np.random.default_rng(0).integers(5, 128, 5000)

    def share_of_padding(by_length):
        batches = epoch_batches(lengths, 32, [0, 0], by_length)
        assert sorted(np.concatenate(batches)) == list(range(5000))
        return 1 - lengths.sum() / sum(len(rows) * lengths[rows].max() for rows in batches)

    assert share_of_padding(True) < 0.05 < 0.4 < share_of_padding(False)


def test_evaluation_has_every_row_once_and_pads_to_the_batch_only():
    rows = features(13)
    batches = EvaluationBatches(rows, kind(), 4)
    assert [len(batches[number].labels) for number in range(len(batches))] == [4, 4, 4, 1]
    assert sorted(batches.order) == list(range(13))
    assert batches[0].input_ids.shape[1] == sorted(rows.lengths)[3]
    assert EvaluationBatches(rows, kind(), 4, length=40)[0].input_ids.shape == (4, 40)


@pytest.mark.parametrize(("epochs", "expected"), [(0.5, 1), (1, 3), (2.5, 7)])
def test_updates_are_rounded_down_and_none_at_all_is_refused(epochs, expected):
    from electra_paddle.finetuning.trial import num_train_steps

    assert num_train_steps(9, FinetuningConfig(train_batch_size=4, num_train_epochs=epochs)) == expected
    with pytest.raises(
        ConfigError, match="num_train_epochs: found 0.3, expected at least 0.333, which makes one update"
    ):
        num_train_steps(9, FinetuningConfig(train_batch_size=4, num_train_epochs=0.3))


def test_fractions_stay_fractions_and_whole_numbers_stay_whole():
    class Row(NamedTuple):
        example: int
        input_ids: list
        label: float

    rows = Features.pack(Row, [Row(0, [2, 3], 1.0), Row(1, [2, 5, 3], 0.25)])
    assert [row.label for row in rows] == [1.0, 0.25]
    assert [type(value) for value in (rows[1].example, rows[0].label)] == [int, float]
