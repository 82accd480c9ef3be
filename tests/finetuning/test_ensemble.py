"""Several models that answer as one."""

import json
import shutil

import numpy as np
import pytest
from finetuning.conftest import CHARACTERS

import electra_paddle
from electra_paddle.cli import main
from electra_paddle.errors import CheckpointError, ConfigError
from electra_paddle.hub.packaging.module_archive import export_module

SETTINGS = {"max_seq_length": 16, "train_batch_size": 4, "num_train_epochs": 3.0, "loggers": [], "learning_rate": 3e-3}
MOODS = electra_paddle.TaskDescription("moods", labels=("bad", "good"))
LABELS = ["bad", "good", "good"] * 6
TEXTS = [f"{CHARACTERS[label == 'good']}{CHARACTERS[n]}{CHARACTERS[-n]}" for n, label in enumerate(LABELS)]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("ensemble")
    folder = data_dir / "finetuning_data/moods"
    folder.mkdir(parents=True)
    rows = [f"{label}\t{text}" for label, text in zip(LABELS, TEXTS, strict=True)]
    for split in ("train", "test"):
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "challenge.tsv").write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    return data_dir


@pytest.fixture(scope="module")
def finetune(data_dir, model_dir):
    def run(**settings):
        options = {"data_dir": data_dir, "init_checkpoint": model_dir, "output_dir": data_dir / "out", **SETTINGS}
        return electra_paddle.finetune(MOODS, **{**options, **settings})

    return run


@pytest.fixture(scope="module")
def results(finetune):
    return finetune(num_trials=3, ensemble=True, write_probabilities=True, write_test_outputs=True)


def predictions(data_dir, split, number):
    """(labels, probabilities [N, 2]) of a file."""
    path = data_dir / f"out/test_predictions/moods_{split}_{number}_predictions.tsv"
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return [row[1] for row in rows], np.array([[float(cell) for cell in row[2:4]] for row in rows])


@pytest.mark.parametrize("split", ["test", "challenge"])
def test_probabilities_are_the_mean_of_the_trials(results, data_dir, split):
    mean = np.mean([predictions(data_dir, split, number)[1] for number in (1, 2, 3)], axis=0)
    labels, probabilities = predictions(data_dir, split, "ensemble")
    np.testing.assert_allclose(probabilities, mean, atol=2e-6)
    assert labels == [("bad", "good")[number] for number in mean.argmax(1)]


def test_score_is_that_of_the_written_predictions(results, data_dir):
    labels, _ = predictions(data_dir, "test", "ensemble")
    accuracy = 100 * np.mean([label == gold for label, gold in zip(labels, LABELS, strict=True)])
    saved = json.loads((data_dir / "out/results/moods_results.json").read_text())
    assert saved["combined"]["ensemble"]["test"]["accuracy"] == pytest.approx(accuracy)
    lines = (data_dir / "out/results/moods_results.txt").read_text().splitlines()
    assert lines[-1].startswith(f"moods test ensemble: accuracy: {accuracy:.2f} - loss: ") and len(lines) == 4
    assert f"| out, ensemble | {accuracy:.2f} |" in (data_dir / "out/results/moods_results.md").read_text()


def test_directory_and_list_of_models_answer_as_the_written_predictions(results, data_dir):
    labels, probabilities = predictions(data_dir, "test", "ensemble")
    assert results.ensemble_model.name == "moods_model_ensemble"
    assert json.loads((results.ensemble_model / "ensemble.json").read_text())["members"] == [
        f"../moods_model_{number}" for number in (1, 2, 3)
    ]
    for given in (results.ensemble_model, results.models, [str(results.ensemble_model)]):
        answers = electra_paddle.from_finetuned(given).predict(TEXTS, with_probabilities=True)
        assert [label for label, _ in answers] == labels
        found = [[row["bad"], row["good"]] for _, row in answers]
        np.testing.assert_allclose(found, probabilities, atol=2e-6)
    file = data_dir / "finetuning_data/moods/test.tsv"
    scores = electra_paddle.evaluate(results.models, file, MOODS).scores
    assert scores["accuracy"] == pytest.approx(results.combined["ensemble"]["test"]["accuracy"])


def test_same_command_makes_nothing_again_and_members_may_move_with_their_ensemble(results, finetune, data_dir):
    path = data_dir / "out/test_predictions/moods_test_ensemble_predictions.tsv"
    before = path.stat().st_mtime_ns
    again = finetune(num_trials=3, ensemble=True)
    assert again.combined == results.combined and path.stat().st_mtime_ns == before
    moved = data_dir / "moved"
    shutil.copytree(data_dir / "out/finetuning_models", moved)
    folders = moved / "moods_model_ensemble", results.ensemble_model
    finetuned = [electra_paddle.from_finetuned(folder) for folder in folders]
    assert finetuned[0].predict(TEXTS) == finetuned[1].predict(TEXTS)


def test_ensemble_of_models_that_are_there_is_made_without_training(finetune, data_dir, results):
    shutil.copytree(data_dir / "out/finetuning_models", data_dir / "later/finetuning_models")
    later = finetune(num_trials=3, ensemble=True, do_train=False, output_dir=data_dir / "later")
    assert later.combined["ensemble"]["test"] == results.combined["ensemble"]["test"]


def test_file_is_predicted_by_an_ensemble(results, data_dir, tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    arguments = ["predict", results.ensemble_model, tmp_path / "texts.txt", tmp_path / "answers.jsonl"]
    assert main([*map(str, arguments), "--probabilities"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    labels, probabilities = predictions(data_dir, "test", "ensemble")
    assert [row["label"] for row in rows] == labels
    assert [row["probability_good"] for row in rows] == pytest.approx(probabilities[:, 1].tolist(), abs=2e-6)


def test_ensemble_is_no_network_that_could_be_exported(results, tmp_path):
    message = "moods_model_ensemble: found an ensemble, expected one network; ensemble.json there names its members"
    with pytest.raises(CheckpointError, match=message):
        export_module(results.ensemble_model, tmp_path / "out", "a-b")


def test_models_that_do_not_fit_together_are_refused(results, finetune, data_dir, tmp_path):
    other = finetune(output_dir=data_dir / "other", num_trials=1, max_seq_length=8, num_train_epochs=0.5)
    message = r"moods_model_1/task.json: found settings .*8.*, expected .*16.*, as in .*out/finetuning_models"
    with pytest.raises(CheckpointError, match=message):
        electra_paddle.from_finetuned([results.models[0], other.models[0]])
    with pytest.raises(ConfigError, match="from_finetuned: found no folder, expected at least one"):
        electra_paddle.from_finetuned([])
    for text, found in (("{", "expecting"), ("[]", "no list of members"), ('{"members": []}', "no list of members")):
        (tmp_path / "ensemble.json").write_text(text)
        with pytest.raises(CheckpointError, match=f"ensemble.json: found {found}"):
            electra_paddle.from_finetuned(tmp_path)
    (tmp_path / "ensemble.json").write_text('{"members": ["../away"]}')
    with pytest.raises(CheckpointError, match=r"ensemble.json: found \.\./away, which is not there"):
        electra_paddle.from_finetuned(tmp_path)
