"""Every entry of the original's fine-tuning configuration, with its default and another value."""

import argparse
import json
from pathlib import Path

import pytest

from electra_paddle.config import FinetuningConfig, add_entries, resolve
from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.job import check_shape

ENTRIES = {  # name -> (the original's default, another value)
    "debug": (False, True),
    "log_examples": (False, True),
    "num_trials": (1, 10),
    "do_train": (True, False),
    "do_eval": (True, False),
    "do_test": (True, False),
    "keep_all_models": (True, False),
    "model_hparam_overrides": ({}, {"hidden_dropout_prob": 0.0}),
    "embedding_size": (None, 128),
    "do_lower_case": (True, False),
    "learning_rate": (1e-4, 3e-4),
    "weight_decay_rate": (0.01, 0.1),
    "layerwise_lr_decay": (0.8, 0.9),
    "num_train_epochs": (3.0, 2.0),
    "warmup_proportion": (0.1, 0.2),
    "max_seq_length": (128, 512),
    "train_batch_size": (32, 16),
    "eval_batch_size": (32, 64),
    "predict_batch_size": (32, 64),
    "max_query_length": (64, 32),
    "doc_stride": (128, 256),
    "n_best_size": (20, 5),
    "answerable_classifier": (True, False),
    "answerable_uses_start_logits": (True, False),
    "answerable_weight": (0.5, 1.0),
    "joint_prediction": (True, False),
    "beam_size": (20, 5),
    "use_tfrecords_if_existing": (True, False),
    "write_test_outputs": (False, True),
    "n_writes_test": (5, 1),
    "init_checkpoint": ("DATA/models/NAME", "m"),
    # Ours differ: the task and the network have to be named or found, work is saved more often, and the length of an
    # answer is 30 with `compat: reference` only, and the threshold of no answer is chosen on dev.
    "max_answer_length": (30, 100),
    "task_names": (["chunk"], ["cmrc2018", "drcd"]),
    "qa_na_threshold": (-2.75, -1.0),
    "model_size": ("small", "base"),
    "vocab_size": (30522, 21128),
    "save_checkpoints_steps": (1_000_000, 100),
}
OWN_DEFAULTS = {
    "do_lower_case",
    "task_names",
    "model_size",
    "vocab_size",
    "save_checkpoints_steps",
    "max_answer_length",
    "qa_na_threshold",
}
WITHOUT_EFFECT = {  # of tasks that are not Chinese, or of TPUs
    "double_unordered": False,
    "iterations_per_loop": 200,
    "num_tpu_cores": 1,
}
REFUSED = {"use_tpu": True, "tpu_name": "name", "tpu_zone": "zone", "tpu_job_name": "job", "gcp_project": "project"}
EXAMPLE = """{
    "task_names": ["cmrc2018"],
    "max_seq_length": 512,
    "vocab_size": 21128,
    "model_size": "small",
    "do_train": true,
    "do_eval": true,
    "write_test_outputs": true,
    "num_train_epochs": 2,
    "learning_rate": 3e-4,
    "train_batch_size": 32,
    "eval_batch_size": 32,
}"""


def resolved(*hparams):
    parser = argparse.ArgumentParser()
    add_entries(parser, FinetuningConfig)
    return resolve(
        FinetuningConfig, parser.parse_args(["--data-dir", "DATA", "--model-name", "NAME", "--hparams", *hparams])
    )


def configure(**entries):
    return resolved(json.dumps(entries))


def as_type_of(found, value):
    return value if found is None or value is None else type(found)(value)


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_entry_of_the_original_is_accepted_and_has_its_default(name):
    default, other = ENTRIES[name]
    if name not in OWN_DEFAULTS:
        found = getattr(configure(), name)
        assert found == as_type_of(found, default)
    found = getattr(configure(**{name: other}), name)
    assert found == as_type_of(found, other) != getattr(configure(), name)


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_entry_without_effect_changes_nothing(name):
    assert configure(**{name: WITHOUT_EFFECT[name]}) == configure()


@pytest.mark.parametrize("name", REFUSED)
def test_entry_without_a_counterpart_is_refused_with_a_sentence_when_it_is_on(name):
    assert configure(**{name: None}) == configure()
    with pytest.raises(ConfigError, match=rf"{name}: found .* expected no such entry; [\w-]+ .* \w+"):
        configure(**{name: REFUSED[name]})


def test_example_of_the_original_is_read_with_a_warning_of_its_trailing_comma(capsys, tmp_path):
    config = resolved(EXAMPLE)
    assert (config.task_names, config.learning_rate, config.num_train_epochs) == (("cmrc2018",), 3e-4, 2.0)
    assert "WARNING: --hparams: found a comma before a closing bracket" in capsys.readouterr().err
    (tmp_path / "params_cmrc2018.json").write_text(EXAMPLE.replace("32,\n}", "32\n}"))
    assert resolved(str(tmp_path / "params_cmrc2018.json")) == config
    assert capsys.readouterr().err == ""


SMALL = {"hidden_size": 256, "num_hidden_layers": 12, "embedding_size": 128, "vocab_size": 21128}


def test_shape_that_is_the_models_own_may_be_said():
    check_shape(resolved(EXAMPLE), SMALL, "config.json")
    check_shape(
        configure(model_size="small", model_hparam_overrides={"num_hidden_layers": 24}),
        {**SMALL, "num_hidden_layers": 24},
        "config.json",
    )


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"model_size": "base"}, "hidden_size: found 768, expected 256 as in config.json"),
        ({"vocab_size": 30522}, "vocab_size: found 30522, expected 21128 as in config.json"),
        ({"embedding_size": 64}, "embedding_size: found 64, expected 128"),
        ({"model_hparam_overrides": {"num_hidden_layers": 3}}, "num_hidden_layers: found 3, expected 12"),
        ({"max_seq_length": 513}, "max_seq_length: found 513, expected at most 512"),
    ],
)
def test_shape_that_is_not_the_models_is_refused_rather_than_half_loaded(entries, message):
    with pytest.raises(ConfigError, match=message):
        check_shape(configure(**entries), SMALL, Path("config.json"))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"num_trials": 0}, "num_trials: found 0, expected at least 1"),
        ({"early_stopping": 3}, "early_stopping: found 3, expected 0 without eval_steps"),
        ({"precision": "fp8"}, "precision: found 'fp8'"),
        ({"on_error": "ignore"}, "on_error: found 'ignore', expected stop or skip"),
        ({"compat": "no"}, "compat: found 'no', expected corrected or reference"),
        ({"model_size": "tiny"}, "model_size: found 'tiny'"),
        ({"beam_size": 0}, "beam_size: found 0, expected at least 1"),
    ],
)
def test_impossible_value_names_its_entry(entries, message):
    with pytest.raises(ConfigError, match=message):
        configure(**entries)


def test_debug_is_a_short_run_whose_entries_can_be_overridden():
    config = configure(debug=True, train_batch_size=4)
    assert (config.train_batch_size, config.use_tfrecords_if_existing) == (4, False)


def test_recommended_values_take_the_place_of_defaults_only():
    parser = argparse.ArgumentParser()
    add_entries(parser, FinetuningConfig)
    arguments = parser.parse_args(["--learning-rate", "1e-5", "--hparams", "{train_batch_size: 8}"])
    recommended = {"learning_rate": "3e-4", "train_batch_size": 64, "max_seq_length": 512}
    config = resolve(FinetuningConfig, arguments, recommended)
    assert (config.learning_rate, config.train_batch_size, config.max_seq_length) == (1e-5, 8, 512)
    with pytest.raises(ConfigError, match="recommended: max_seq_lenght: found an unknown hyper-parameter"):
        resolve(FinetuningConfig, arguments, {"max_seq_lenght": 512})
