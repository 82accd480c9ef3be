"""Results of two experiments in one place: never mixed, never overwritten unasked."""

import json
import shutil

import pytest
from finetuning.conftest import CHARACTERS

import electra_paddle
from electra_paddle.config import FinetuningConfig, load_config
from electra_paddle.errors import ConfigError

SETTINGS = {
    "max_seq_length": 16,
    "train_batch_size": 4,
    "num_train_epochs": 1.0,
    "layerwise_lr_decay": 0.0,
    "loggers": [],
    "num_trials": 2,
}
MOODS = electra_paddle.TaskDescription("moods", labels=("bad", "good"))


@pytest.fixture
def data_dir(tmp_path):
    write_task(tmp_path, "moods")
    return tmp_path


def write_task(data_dir, name, num_rows=12, splits=("train", "dev", "test")):
    folder = data_dir / "finetuning_data" / name
    folder.mkdir(parents=True, exist_ok=True)
    labels = [("bad", "good")[number % 2] for number in range(num_rows)]
    rows = [f"{label}\t{CHARACTERS[number % 2]}{CHARACTERS[number]}" for number, label in enumerate(labels)]
    for split in splits:
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture
def finetune(data_dir, model_dir):
    def run(task=MOODS, **settings):
        options = {"data_dir": data_dir, "init_checkpoint": model_dir, "output_dir": data_dir / "out", **SETTINGS}
        return electra_paddle.finetune(task, **{**options, **settings})

    return run


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def saved_results(data_dir):
    return json.loads((data_dir / "out/results/moods_results.json").read_text())


@pytest.mark.parametrize(
    ("settings", "difference"),
    [
        ({"learning_rate": 5e-4}, r"learning_rate 0.0003 -> 0.0005"),
        ({"seed": 7, "num_trials": 1}, r"seed 0 -> 7"),
        ({"do_lower_case": None, "max_seq_length": 8, "do_train": False}, r"max_seq_length 16 -> 8"),
        ({"eval_steps": 2}, r"eval_steps null -> 2"),
    ],
)
def test_other_settings_are_refused_with_their_difference_and_touch_nothing(finetune, data_dir, settings, difference):
    finetune()
    before = files_of(data_dir / "out")
    message = rf"out: found results of moods from another experiment \({difference}\), expected the same experiment; "
    advice = "--hparams .*finetuning_config_moods.json" if settings.get("do_train") is False else "choose another"
    with pytest.raises(ConfigError, match=message + advice):
        finetune(**settings)
    assert files_of(data_dir / "out") == before


def test_changed_training_file_task_and_weights_are_named(finetune, data_dir, model_dir, tmp_path_factory):
    finetune(num_trials=1)
    with pytest.raises(ConfigError, match=r'\(task.labels \["bad", "good"\] -> \["good", "bad"\]\)'):
        finetune(electra_paddle.TaskDescription("moods", labels=("good", "bad")))
    write_task(data_dir, "moods", 13, ["train"])
    with pytest.raises(ConfigError, match=r"\(train.tsv has changed\)"):
        finetune(num_trials=1)
    write_task(data_dir, "moods", 12, ["train"])
    other = tmp_path_factory.mktemp("other") / "tiny"
    shutil.copytree(data_dir / "out/finetuning_models/moods_model_1", other)
    with pytest.raises(ConfigError, match=r"\(model.safetensors of init_checkpoint has changed\)"):
        finetune(init_checkpoint=other)


def test_same_experiment_goes_on_with_more_trials_other_splits_and_other_reports(finetune, data_dir, capsys):
    finetune(num_trials=1, do_test=False)
    model = data_dir / "out/finetuning_models/moods_model_1/model.safetensors"
    trained = model.stat().st_mtime_ns
    results = finetune(num_trials=2, log_steps=1, eval_batch_size=3, n_writes_test=1)
    assert model.stat().st_mtime_ns == trained
    assert [set(trial) for trial in results.trials] == [{"dev", "test"}] * 2
    capsys.readouterr()
    finetune(num_trials=1)
    assert "moods, trial 1: finished before with the same settings" in capsys.readouterr().out
    saved = saved_results(data_dir)
    assert (len(saved["trials"]), len(saved["further_trials"])) == (1, 1)
    assert len(finetune(num_trials=2).trials) == 2 and "further_trials" not in saved_results(data_dir)


def test_changed_dev_file_is_evaluated_without_training_and_earlier_scores_go(finetune, data_dir, capsys):
    finetune()
    model = data_dir / "out/finetuning_models/moods_model_1/model.safetensors"
    trained = model.stat().st_mtime_ns
    write_task(data_dir, "moods", 16, ["dev"])
    finetune(num_trials=1)
    assert "moods: dev.tsv changed since the last run: all scores are taken anew\n" in capsys.readouterr().out
    saved = saved_results(data_dir)
    assert saved["num_examples"]["dev"] == 16 and len(saved["trials"]) == 1 and "further_trials" not in saved
    assert model.stat().st_mtime_ns == trained


def test_beginning_anew_removes_what_there_was_of_this_task_only(finetune, data_dir, capsys):
    write_task(data_dir, "moods_dev")
    finetune(electra_paddle.TaskDescription("moods_dev", labels=("bad", "good")), write_test_outputs=True)
    other_task = files_of(data_dir / "out")
    finetune(write_test_outputs=True)
    finetune(learning_rate=5e-4, num_trials=1, begin_anew=True, do_test=False)
    assert "out: results of moods from an earlier experiment are removed (learning_rate" in capsys.readouterr().out
    after = files_of(data_dir / "out")
    assert other_task.items() <= after.items()
    own = [path.name for path in after.keys() - other_task.keys() if path.parts[0] != "finetuning_features"]
    assert not [name for name in own if "_2" in name or "test" in name] and "moods_dev_1_classes.tsv" in own
    assert len(saved_results(data_dir)["trials"]) == 1
    model = data_dir / "out/finetuning_models/moods_model_1/model.safetensors"
    trained = model.stat().st_mtime_ns
    finetune(learning_rate=5e-4, num_trials=2, begin_anew=True, do_test=False)  # the same experiment: goes on
    assert model.stat().st_mtime_ns == trained
    with pytest.raises(ConfigError, match="begin_anew: found true without do_train"):
        finetune(begin_anew=True, do_train=False)


def test_record_gives_the_settings_of_an_evaluation(finetune, data_dir):
    trained = finetune(learning_rate=5e-4, num_trials=1)
    saved = load_config(FinetuningConfig, data_dir / "out/finetuning_config_moods.json")
    assert saved.learning_rate == 5e-4
    evaluated = finetune(learning_rate=saved.learning_rate, num_trials=1, do_train=False)
    assert evaluated.trials == trained.trials


def test_results_of_another_version_are_evaluated_and_not_trained_over(finetune, data_dir, monkeypatch):
    trained = finetune(num_trials=1)
    monkeypatch.setattr("electra_paddle.finetuning.experiment.__version__", "9.0")
    with pytest.raises(ConfigError, match=r"\(version .* -> 9.0\)"):
        finetune(num_trials=1)
    assert finetune(num_trials=1, do_train=False).trials == trained.trials


def test_results_of_a_version_without_record_are_compared_by_what_there_is(finetune, data_dir):
    finetune(num_trials=1)
    record = data_dir / "out/finetuning_config_moods.json"
    saved = json.loads(record.read_text())
    assert saved.pop("experiment")
    record.write_text(json.dumps(saved))
    finetune(num_trials=1)
    record.write_text(json.dumps(saved))
    with pytest.raises(ConfigError, match=r"\(learning_rate 0.0003 -> 0.0005\)"):
        finetune(num_trials=1, learning_rate=5e-4)
    write_task(data_dir, "moods", 13, ["train"])
    record.write_text("[]")
    with pytest.raises(ConfigError, match=r"\(moods_model_1 was made with other settings or files\)"):
        finetune(num_trials=1)


def test_debug_run_gives_way(finetune, data_dir, capsys):
    finetune(debug=True, num_trials=1, num_train_epochs=0.4)
    finetune(num_trials=1)
    assert "results of moods from an earlier experiment are removed (debug true -> false" in capsys.readouterr().out
    assert json.loads((data_dir / "out/finetuning_models/moods_model_1/config.json").read_text())["hidden_size"] == 32
