"""Hyper-parameters that are tried, compared on dev, and written down."""

import json
import sys

import pytest
from finetuning.conftest import CHARACTERS

import electra_paddle
from electra_paddle.config import FinetuningConfig, load_config
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.finetuning.search import Tried, load_space, ranked, search_table
from electra_paddle.finetuning.search_space import SearchSpace

SETTINGS = {"max_seq_length": 16, "train_batch_size": 4, "loggers": [], "layerwise_lr_decay": 0.0}
MOODS = electra_paddle.TaskDescription("moods", labels=("bad", "good"))
RANGES = {
    "search": "optuna",
    "num_settings": 4,
    "space": {
        "learning_rate": {"low": "1e-4", "high": "1e-2", "log": True},
        "train_batch_size": {"low": 2, "high": 8, "step": 2},
        "lr_schedule": ["linear", "constant"],
    },
}


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "finetuning_data/moods"
    folder.mkdir(parents=True)
    labels = ["bad", "good"] * 8
    rows = [f"{label}\t{CHARACTERS[label == 'good'] * 3}{CHARACTERS[n]}" for n, label in enumerate(labels)]
    for split in ("train", "dev", "test"):
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def search(data_dir, model_dir):
    def run(space, **settings):
        options = {"data_dir": data_dir, "init_checkpoint": model_dir, "output_dir": data_dir / "out", **SETTINGS}
        return electra_paddle.search(MOODS, space, **{**options, **settings})

    return run


GRID = {"space": {"learning_rate": ["1e-6", 1e-2], "num_train_epochs": [0.25, 4]}}  # YAML takes 1e-6 for text


def test_all_combinations_are_tried_and_the_best_on_dev_is_written_and_tested_once(search, data_dir, model_dir, capsys):
    found = search(GRID)
    output = capsys.readouterr().out
    settings = [each.setting for each in found.tried]
    assert sorted((each["learning_rate"], each["num_train_epochs"]) for each in settings) == [
        (1e-6, 0.25), (1e-6, 4.0), (1e-2, 0.25), (1e-2, 4.0),
    ]  # fmt: skip
    scores = [each.score for each in found.tried]
    assert scores == sorted(scores, reverse=True) and found.best == {"learning_rate": 1e-2, "num_train_epochs": 4.0}
    assert output.count("moods test: accuracy") == 1  # by the best setting, after all have been compared
    assert set(found.results.summary) == {"dev", "test"} and found.results.summary["dev"]["mean"] == scores[0]
    best = data_dir / "out/results/moods_best.yaml"
    again = electra_paddle.finetune(
        MOODS,
        data_dir=data_dir,
        init_checkpoint=model_dir,
        output_dir=data_dir / "again",
        **{**SETTINGS, **{name: getattr(load_config(FinetuningConfig, best), name) for name in GRID["space"]}},
    )
    assert again.trials == found.results.trials
    table = (data_dir / "out/results/moods_search.md").read_text().splitlines()
    assert table[0] == "| learning_rate | num_train_epochs | dev | std | folder |" and len(table) == 6
    assert table[2].startswith(f"| 0.01 | 4.0 | {scores[0]:.2f} | 0.00 | search/moods/")
    assert json.loads((data_dir / "out/results/moods_search.json").read_text())[0]["setting"] == found.best


def test_finished_settings_are_not_trained_again_and_only_the_best_models_are_kept(search, data_dir, capsys):
    first = search(GRID, do_test=False)
    models = list((data_dir / "out/search/moods").glob("*/finetuning_models/moods_model_1/model.safetensors"))
    assert len(models) == 1 and first.results.best_model == models[0].parent
    trained = models[0].stat().st_mtime_ns
    capsys.readouterr()
    again = search(GRID, do_test=False)
    assert capsys.readouterr().out.count("finished before with the same settings") == 5  # and once more of the best
    assert again.tried == first.tried and models[0].stat().st_mtime_ns == trained
    wider = search({"space": {**GRID["space"], "num_train_epochs": [0.25, 4, 5]}}, do_test=True)
    assert len(wider.tried) == 6 and first.tried[0] in wider.tried
    assert len(list((data_dir / "out/finetuning_features").iterdir())) == 3  # of train, dev and test, for all settings
    with pytest.raises(ConfigError, match=r"\(weight_decay_rate 0.01 -> 0.1\)"):
        search(GRID, weight_decay_rate=0.1)


def test_setting_that_does_not_train_is_last_and_the_search_goes_on(search, capsys):
    found = search({"space": {"learning_rate": [1e30, 1e-2]}}, max_bad_steps=1, do_test=False, num_train_epochs=4.0)
    assert [each.setting["learning_rate"] for each in found.tried] == [1e-2, 1e30]
    assert found.tried[1].score is None and "this setting failed: " in capsys.readouterr().out
    assert search_table(found.tried).splitlines()[-1].startswith("| 1e+30 | failed |  | search/moods/")


def test_folds_are_what_settings_are_compared_by_where_there_is_no_dev_file(search, data_dir):
    (data_dir / "finetuning_data/moods/dev.tsv").unlink()
    space = {"space": {"learning_rate": [1e-6, 1e-2]}}
    with pytest.raises(
        ConfigError, match="search: found no dev split, expected one to compare settings by; .* --folds"
    ):
        search(space)
    found = search(space, folds=2, num_train_epochs=4.0)
    assert found.best == {"learning_rate": 1e-2}
    assert found.tried[0].score == found.results.summary["held_out"]["mean"]


def test_optuna_proposes_within_its_ranges_and_the_same_again(search, capsys):
    pytest.importorskip("optuna", reason="needs the extra `search`")
    found = search(RANGES, num_train_epochs=2.0)
    for each in found.tried:
        assert 1e-4 <= each.setting["learning_rate"] <= 1e-2
        assert each.setting["train_batch_size"] in (2, 4, 6, 8)
        assert each.setting["lr_schedule"] in ("linear", "constant")
    assert len({each.folder for each in found.tried}) == 4
    capsys.readouterr()
    longer = search({**RANGES, "num_settings": 6}, num_train_epochs=2.0)
    assert capsys.readouterr().out.count("finished before with the same settings") >= 3  # all but the one tested
    assert len(longer.tried) == 6 and {each.folder for each in found.tried} <= {each.folder for each in longer.tried}


def test_optuna_looks_where_scores_were_high():
    pytest.importorskip("optuna", reason="needs the extra `search`")
    space = load_space({**RANGES, "num_settings": 60})
    scores, rates = [], []
    for setting in space.propose(0, scores):
        rates.append(setting["learning_rate"])
        scores.append(None if len(rates) == 3 else -abs(setting["learning_rate"] - 2e-3))  # one fails
    assert len(rates) == 60
    by_chance, late = (sum(1e-3 < rate < 4e-3 for rate in part) for part in (rates[:10], rates[-20:]))
    assert late / 20 > 1.5 * by_chance / 10


def test_absent_optuna_ends_in_one_line(search, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"search: found optuna, but .*; pip install 'electra-paddle\[search\]'"):
        search(RANGES)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "space: found nothing, expected a mapping"),
        ({"space": {"learning_rat": [1]}}, "space.learning_rat: found an unknown key, expected 'learning_rate'"),
        ({"space": {"seed": [0, 1]}}, "space.seed: found an unknown key"),
        ({"space": {"learning_rate": 1e-4}}, "space.learning_rate: found 0.0001, expected a list of values"),
        ({"space": {"learning_rate": []}}, "space.learning_rate: found .*, expected a list of values"),
        ({"space": {"learning_rate": {"low": 1, "high": 2}}}, "found a range with grid, expected a list of values"),
        ({"search": "random", "space": {"seed": [1]}}, "search: found 'random', expected grid or optuna"),
        ({**RANGES, "space": {"learning_rate": {"low": 1, "hi": 2}}}, "space.learning_rate.hi: found an unknown key"),
        ({**RANGES, "space": {"learning_rate": {"low": 2, "high": 1}}}, "found low 2.0 and high 1.0"),
        ({**RANGES, "space": {"learning_rate": {"low": "x", "high": 1}}}, "rate.low: found 'x', expected a number"),
        ({**RANGES, "space": {"learning_rate": {"high": 1}}}, "rate.low: found None, expected a number"),
        ({**RANGES, "space": {"train_batch_size": {"low": 1.5, "high": 3}}}, "low: found 1.5, expected a whole number"),
        ({**RANGES, "space": {"learning_rate": {"low": 0, "high": 1, "log": True}}}, "log with low 0.0"),
        ({**RANGES, "space": {"learning_rate": {"low": 0, "high": 1, "log": 3}}}, "log: found 3, expected true"),
        ({**RANGES, "space": {"learning_rate": {"low": 0, "high": 1, "step": 0}}}, "step: found 0, expected above 0"),
        ({**RANGES, "space": {"length_batching": {"low": 0, "high": 1}}}, "found a range, expected a list of values"),
        ({**RANGES, "num_settings": 0}, "num_settings: found 0, expected at least 1"),
    ],
)  # fmt: skip
def test_space_that_cannot_be_searched_is_refused(entries, message):
    with pytest.raises(ConfigError, match=message):
        load_space(entries)


def test_value_that_no_run_takes_is_refused_before_any_runs(search, data_dir):
    with pytest.raises(ConfigError, match="space: learning_rate: found 'fast', expected a number"):
        search({"space": {"learning_rate": [1e-4, "fast"]}})
    with pytest.raises(ConfigError, match="space: lr_schedule: found 'sine', expected 'cosine', perhaps"):
        search({"space": {"lr_schedule": ["linear", "sine"]}})
    with pytest.raises(ConfigError, match="do_train: found false with a search"):
        search(GRID, do_train=False)
    (data_dir / "finetuning_data/moods/train.tsv").unlink()
    with pytest.raises(DataError, match="train.tsv: found no such file"):
        search(GRID)
    assert not (data_dir / "out").exists()


def test_first_of_equals_is_the_best_and_failures_stand_last():
    tried = [Tried({"a": n}, str(n), score, 0.0) for n, score in enumerate((None, 1.0, 2.0, 2.0))]
    assert [each.setting["a"] for each in ranked(tried)] == [2, 3, 1, 0]


def test_file_of_a_space_is_read(tmp_path):
    (tmp_path / "space.yaml").write_text("space: {learning_rate: [1e-4, 3e-4]}\n")
    assert load_space(tmp_path / "space.yaml") == SearchSpace(space={"learning_rate": ["1e-4", "3e-4"]})
