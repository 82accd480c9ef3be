"""Cross-validation: who is held out when, what is predicted, and what becomes of it."""

import json
import random

import numpy as np
import pytest
from finetuning.conftest import CHARACTERS
from finetuning.test_conformance import write_squad
from hypothesis import given
from hypothesis import strategies as st

import electra_paddle
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.comprehension.squad import Question
from electra_paddle.finetuning.features import Features
from electra_paddle.finetuning.folds import HELD_OUT, assign_folds, fold_of, note_rare
from electra_paddle.finetuning.job import prepare
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.kinds.tagging import TaggingExample
from electra_paddle.finetuning.kinds.texts import TextExample, TextFeature

SETTINGS = {"max_seq_length": 16, "train_batch_size": 4, "num_train_epochs": 2.0, "loggers": [], "learning_rate": 1e-2}
MOODS = electra_paddle.TaskDescription("moods", labels=("bad", "good"))
READING = electra_paddle.TaskDescription("reading", kind="reading_comprehension", format="squad")
LABELS = ["bad", "good", "good"] * 5


def texts(labels):
    return [TextExample(str(number), "", "", None, label) for number, label in enumerate(labels)]


def test_every_fold_has_its_share_of_each_label_and_the_same_seed_the_same_folds():
    kind, examples = make_kind(MOODS, FinetuningConfig()), texts([0] * 20 + [1] * 10)
    folds = assign_folds(kind, examples, 5, seed=1)
    assert [np.bincount(folds[rows]).tolist() for rows in (slice(20), slice(20, 30))] == [[0, *[4] * 5], [0, *[2] * 5]]
    assert (folds == assign_folds(kind, examples, 5, seed=1)).all()
    assert (folds != assign_folds(kind, examples, 5, seed=2)).any()


def test_questions_about_one_text_are_in_one_fold():
    kind = make_kind(READING, FinetuningConfig())
    questions = [Question(str(number), "", "?", f"text {number % 7}", ("t",), (0,)) for number in range(40)]
    folds = assign_folds(kind, questions, 3, seed=0)
    assert all(len({*folds[first::7].tolist()}) == 1 for first in range(7)) and {*folds.tolist()} == {1, 2, 3}
    with pytest.raises(ConfigError, match="folds: found 8, expected at most 7, the number of texts"):
        assign_folds(kind, questions, 8, seed=0)


def test_sentences_are_dealt_out_evenly():
    kind = make_kind(electra_paddle.TaskDescription("tags", "tagging", labels=("O", "B-X")), FinetuningConfig())
    sentences = [TaggingExample(str(number), "", ("a",), (0,)) for number in range(10)]
    assert sorted(np.bincount(assign_folds(kind, sentences, 4, seed=0))[1:]) == [2, 2, 3, 3]
    with pytest.raises(ConfigError, match="folds: found 11, expected at most 10, the number of examples"):
        assign_folds(kind, sentences, 11, seed=0)


def test_label_rarer_than_folds_is_told_and_folds_that_no_label_fills_are_refused(capsys):
    kind, examples = make_kind(MOODS, FinetuningConfig()), texts([0] * 6 + [1] * 2)
    assert set(assign_folds(kind, examples, 4, seed=0)) == {1, 2, 3, 4}
    note_rare(kind, examples, 4)
    assert capsys.readouterr().out == "moods: labels with fewer examples than folds, not in each: good (2)\n"
    with pytest.raises(ConfigError, match="folds: found 7, expected at most 6, the examples of the most frequent"):
        assign_folds(kind, examples, 7, seed=0)


@given(st.lists(st.tuples(st.integers(0, 5), st.lists(st.integers(0, 9), max_size=4)), min_size=1), st.data())
def test_features_of_some_examples_are_their_rows_numbered_anew(rows, data):
    """An example may have several rows, or none."""
    features = [TextFeature(example, ids, len(ids), example + 100) for example, ids in rows]
    numbers = data.draw(st.lists(st.integers(0, 7), unique=True, min_size=1))
    found = Features.pack(TextFeature, features).of_examples(np.array(numbers))
    kept = [feature for feature in features if feature.example in numbers]
    assert len(found) == len(kept)
    for row, feature in zip(found, kept, strict=True):
        assert row.input_ids.tolist() == feature.input_ids
        assert (numbers[row.example], row.second, row.label) == feature[:1] + feature[2:]


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "finetuning_data/moods"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        rows = [f"{label}\t{CHARACTERS[label == 'good']}{CHARACTERS[n]}" for n, label in enumerate(LABELS)]
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def finetune(data_dir, model_dir):
    def run(task=MOODS, **settings):
        options = {"data_dir": data_dir, "init_checkpoint": model_dir, "output_dir": data_dir / "out", **SETTINGS}
        return electra_paddle.finetune(task, **{**options, **settings})

    return run


def out_of_fold(data_dir):
    text = (data_dir / "out/results/moods_out_of_fold.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_each_example_is_predicted_by_the_model_that_was_not_trained_on_it(finetune, data_dir):
    results = finetune(folds=3)
    rows = out_of_fold(data_dir)
    assert [row["gold"] for row in rows] == LABELS
    assert [row["where"].rpartition("/")[2] for row in rows] == [f"train.tsv:{line}" for line in range(1, 16)]
    assert sorted(row["fold"] for row in rows) == [1] * 5 + [2] * 5 + [3] * 5
    lines = (data_dir / "finetuning_data/moods/train.tsv").read_text(encoding="utf-8").splitlines()
    for fold, model in enumerate(results.models, 1):
        held = [number for number, row in enumerate(rows) if row["fold"] == fold]
        answers = electra_paddle.from_finetuned(model).predict([lines[n].split("\t")[1] for n in held], 32, True)
        for number, (label, probabilities) in zip(held, answers, strict=True):
            assert rows[number]["predicted"] == label
            assert rows[number]["probabilities"] == pytest.approx(probabilities, abs=1e-5)


def test_scores_are_those_of_the_file_and_of_each_fold(finetune, data_dir, capsys):
    results = finetune(folds=3)
    output = capsys.readouterr().out
    rows = out_of_fold(data_dir)
    is_right = np.array([row["gold"] == row["predicted"] for row in rows])
    folds = np.array([row["fold"] for row in rows])
    of_folds = [100 * is_right[folds == number].mean() for number in (1, 2, 3)]
    assert [trial[HELD_OUT]["accuracy"] for trial in results.trials] == pytest.approx(of_folds)
    assert results.summary[HELD_OUT]["mean"] == pytest.approx(np.mean(of_folds))
    assert results.summary[HELD_OUT]["std"] == pytest.approx(np.std(of_folds, ddof=1))
    saved = json.loads((data_dir / "out/results/moods_results.json").read_text())
    assert saved["combined"]["out of fold"][HELD_OUT]["accuracy"] == pytest.approx(100 * is_right.mean())
    assert f"| out, out of fold | {100 * is_right.mean():.2f} | - |" in output
    assert "moods, accuracy: maximum (mean) of 3 folds" in output and "moods_out_of_fold.jsonl written" in output
    assert set(results.trials[0]) == {"test", HELD_OUT}  # test is predicted by every fold


def test_finished_folds_are_not_trained_again_and_other_folds_are_another_experiment(finetune, data_dir, capsys):
    first = finetune(folds=3)
    before = (data_dir / "out/results/moods_out_of_fold.jsonl").stat().st_mtime_ns
    capsys.readouterr()
    again = finetune(folds=3)
    assert capsys.readouterr().out.count("finished before with the same settings") == 3
    assert again.trials == first.trials and again.combined == first.combined
    assert (data_dir / "out/results/moods_out_of_fold.jsonl").stat().st_mtime_ns == before
    for settings in ({"folds": 2}, {"folds": 0}):
        with pytest.raises(ConfigError, match=rf"\(folds 3 -> {settings['folds']}\)"):
            finetune(**settings)
    evaluated = finetune(folds=3, do_train=False)
    assert [trial["test"] for trial in evaluated.trials] == [trial["test"] for trial in first.trials]


def test_parts_of_a_fold_are_all_of_the_training_data(data_dir, model_dir):
    config = FinetuningConfig(data_dir=data_dir, init_checkpoint=model_dir, output_dir=data_dir / "x", folds=3)
    job = prepare(config, MOODS)
    feature = [TextFeature(number, [number], 1, 0) for number in range(15)]
    features = {"train": Features.pack(TextFeature, feature)}
    for number in (1, 2, 3):
        part, rows = fold_of(job, features, number)
        ids = {split: {example.id for example in part.examples[split]} for split in ("train", HELD_OUT)}
        assert len(ids["train"]) == 10 and ids["train"] | ids[HELD_OUT] == {str(number) for number in range(15)}
        for split in ("train", HELD_OUT):
            assert [str(row.input_ids[0]) for row in rows[split]] == [each.id for each in part.examples[split]]


def test_reader_is_cross_validated_too(finetune, data_dir):
    folder = data_dir / "finetuning_data/reading"
    folder.mkdir()
    content = write_squad(READING, random.Random(0), (), 6)
    for split in ("train", "dev"):
        (folder / f"{split}.json").write_text(content, encoding="utf-8")
    results = finetune(READING, folds=2, ensemble=True, max_seq_length=32, num_train_epochs=1.0)
    text = (data_dir / "out/results/reading_out_of_fold.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["id"] for row in rows] == [f"Q{number}" for number in range(6)]
    assert all(row["gold"] and row["probabilities"] for row in rows)
    assert results.combined["out of fold"][HELD_OUT].keys() >= {"average", "f1", "em"}
    written = data_dir / "out/results/reading_qa"
    saved = json.loads((written / "reading_dev_ensemble_preds.json").read_text())
    assert saved == json.loads((written / "reading_dev_preds.json").read_text()) and len(saved) == 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folds": 1}, "folds: found 1, expected at least 2, or 0"),
        ({"folds": 3, "num_trials": 2}, "num_trials: found 2 with folds, expected 1"),
        ({"folds": 3, "keep_all_models": False}, "keep_all_models: found false with folds or an ensemble"),
        ({"ensemble": True}, "ensemble: found true with num_trials 1, expected 2 trials or folds at least"),
        ({"ensemble": True, "num_trials": -1}, "ensemble: found true with num_trials -1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        FinetuningConfig(**settings)
