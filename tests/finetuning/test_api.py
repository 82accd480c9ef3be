"""Fine-tuning called from Python, with a kind of task of a user's own."""

import json

import pytest
from finetuning.conftest import CHARACTERS
from own_parts import Diary

import electra_paddle
from electra_paddle import task_kinds
from electra_paddle.errors import CheckpointError, ConfigError, DataError

GOOD, BAD = CHARACTERS[0], CHARACTERS[1]
SETTINGS = {
    "max_seq_length": 16,
    "train_batch_size": 4,
    "num_train_epochs": 8.0,
    "learning_rate": 1e-2,
    "layerwise_lr_decay": 0.0,
    "log_steps": 1,
    "loggers": ["jsonl"],
}


def write_task(data_dir, name, rows):
    folder = data_dir / "finetuning_data" / name
    folder.mkdir(parents=True)
    text = "".join(f"{label}\t{text}\n" for label, text in rows)
    for split in ("train", "dev"):
        (folder / f"{split}.tsv").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    rest = CHARACTERS[2:]
    write_task(folder, "moods", [("good" if n % 2 else "bad", (GOOD if n % 2 else BAD) + rest[n]) for n in range(20)])
    write_task(folder, "hotels", [(5 if n % 2 else 1, (GOOD if n % 2 else BAD) + rest[n]) for n in range(20)])
    return folder


@pytest.fixture(scope="module")
def moods():
    return electra_paddle.TaskDescription("moods", labels=("bad", "good"))


@pytest.fixture(scope="module")
def results(data_dir, model_dir, moods):
    return electra_paddle.finetune(
        moods, data_dir=data_dir, init_checkpoint=model_dir, output_dir=data_dir / "out", num_trials=2, **SETTINGS
    )


def test_results_hold_trials_summary_and_models_that_answer(results, data_dir):
    assert [set(trial) for trial in results.trials] == [{"dev"}, {"dev"}]
    accuracies = [trial["dev"]["accuracy"] for trial in results.trials]
    assert results.metric == "accuracy" and results.summary["dev"]["max"] == max(accuracies)
    assert [folder.name for folder in results.models] == ["moods_model_1", "moods_model_2"]
    assert results.best_model == results.models[accuracies.index(max(accuracies))]
    finetuned = electra_paddle.from_finetuned(results.best_model)
    assert finetuned.predict([GOOD * 3, BAD * 3]) == ["good", "bad"]


def test_another_call_leaves_no_state_and_gives_the_same_bytes(results, data_dir, model_dir, moods):
    again = electra_paddle.finetune(
        moods, data_dir=data_dir, init_checkpoint=model_dir, output_dir=data_dir / "again", **SETTINGS
    )
    weights = [(each.models[0] / "model.safetensors").read_bytes() for each in (results, again)]
    assert weights[0] == weights[1] and again.trials == results.trials[:1]


def test_callback_is_told_of_a_trials_events(data_dir, model_dir, moods):
    Diary.events.clear()
    electra_paddle.finetune(
        moods,
        data_dir=data_dir,
        init_checkpoint=model_dir,
        output_dir=data_dir / "told",
        callbacks=[Diary()],
        **{**SETTINGS, "lr_schedule": "own_parts:halves"},
    )
    assert Diary.events == [("start", 0), ("step", 1), ("step", 2), ("step", 3), ("end", 3)]


def test_evaluate_scores_a_file_as_the_run_did(results, data_dir, moods):
    file = data_dir / "finetuning_data/moods/dev.tsv"
    evaluation = electra_paddle.evaluate(results.models[0], file, moods)
    assert evaluation.scores == pytest.approx(results.trials[0]["dev"])
    assert [prediction.label for prediction in evaluation.predictions[:2]] == [0, 1]
    with pytest.raises(ConfigError, match="task: found none, expected a file that describes it; moods is not built in"):
        electra_paddle.evaluate(results.models[0], file)
    with pytest.raises(ConfigError, match="labels: found no or yes, expected bad or good, as the model has them"):
        electra_paddle.evaluate(results.models[0], file, electra_paddle.TaskDescription(labels=("no", "yes")))


def test_settings_that_are_of_no_use_are_refused(data_dir, moods, results, tmp_path):
    with pytest.raises(ConfigError, match="task_names: found .*, expected the task as the first argument"):
        electra_paddle.finetune(moods, task_names=["moods"])
    folder = tmp_path / "damaged"
    folder.mkdir()
    for text, found in (("[]", "no 'name'"), ('{"name": "x"}', "no 'kind'"), ("{", "no readable description")):
        (folder / "task.json").write_text(text)
        with pytest.raises(CheckpointError, match=found):
            electra_paddle.from_finetuned(folder)


@pytest.fixture
def stars(monkeypatch):
    """A kind that is registered from outside for as long as a test lasts."""
    monkeypatch.setattr(task_kinds, "KINDS", dict(task_kinds.KINDS))
    entry = task_kinds.KindEntry("stars", "own_kind:Stars", "ElectraStars", "stars", "own_kind:StarsTask")
    for module in ("finetuning.description", "finetuning.kinds.base", "hub.weights"):
        monkeypatch.setattr(f"electra_paddle.{module}.KINDS", task_kinds.KINDS)
    task_kinds.register_kind(entry)
    return electra_paddle.TaskDescription("hotels", "stars")


def test_kind_of_ones_own_is_fine_tuned_and_answers_in_a_hub_module_and_its_page(stars, data_dir, model_dir):
    from electra_paddle.hub.module import ElectraModule

    options = {**SETTINGS, "num_train_epochs": 20.0, "learning_rate": 2e-3}
    results = electra_paddle.finetune(
        stars, data_dir=data_dir, init_checkpoint=model_dir, output_dir=data_dir / "stars", **options
    )
    (folder,) = results.models
    assert json.loads((folder / "task.json").read_text())["kind"] == "stars"
    finetuned = electra_paddle.from_finetuned(folder)
    high, low = finetuned.predict([GOOD * 2, BAD * 2])
    assert high > low + 1
    with pytest.raises(DataError, match=r"texts\[0\]: found 7, expected a text"):
        finetuned.predict([7])

    module = type("Hotels", (ElectraModule,), {"name": "hotels", "summary": "", "directory": ""})(pretrained=folder)
    assert module.task == "stars" and module.is_trained
    assert module.predict([[GOOD * 2], [BAD * 2]]) == pytest.approx([high, low], abs=1e-5)
    assert module.predict([GOOD * 2], output="dict") == [{"answer": pytest.approx(high, abs=1e-5)}]
    assert '"task": "stars"' in module.page("hotels")
