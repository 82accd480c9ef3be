"""What a stranger begins with is what is recommended for his task and his model's size."""

import argparse
import dataclasses
import json
import shutil

import pytest
from finetuning.conftest import write_splits

from electra_paddle.commands import run_finetuning
from electra_paddle.config import FinetuningConfig
from electra_paddle.config.loading import build_config
from electra_paddle.finetuning.description import TaskDescription, load_description
from electra_paddle.finetuning.job import prepare
from electra_paddle.finetuning.recommendation import say, size_of, with_recommended


@pytest.fixture
def small(model_dir, tmp_path):
    """A folder whose network has the layers of a small one; its weights would be noticed to be of fewer."""
    folder = shutil.copytree(model_dir, tmp_path / "small")
    entries = json.loads((folder / "config.json").read_text())
    (folder / "model.safetensors").unlink()
    (folder / "config.json").write_text(json.dumps({**entries, "num_hidden_layers": 12}))
    return folder


@pytest.fixture
def settle(small):
    def settle(description, **settings):
        settings = {"init_checkpoint": str(small), **settings}
        config, note = with_recommended(
            description, lambda values: build_config(FinetuningConfig, None, {**values, **settings})
        )
        say(note)
        return config

    return settle


def test_values_of_the_task_and_the_size_are_taken_and_said(settle, capsys):
    config = settle(load_description("cail2018"))
    assert (config.max_seq_length, config.learning_rate) == (512, 5e-4)
    said = (
        "cail2018: recommended for a small model: learning_rate 0.0005, max_seq_length 512 (--recommended false: none)"
    )
    assert capsys.readouterr().out == said + "\n"


def test_what_the_user_says_wins(settle, capsys):
    config = settle(load_description("cail2018"), learning_rate=1e-4, max_seq_length=64)
    assert (config.max_seq_length, config.learning_rate) == (64, 1e-4)
    assert capsys.readouterr().out == ""


def test_task_of_ones_own_gets_the_rate_of_the_models_size(settle):
    description = TaskDescription("mood")
    assert settle(description).learning_rate == 3e-4
    assert settle(description, recommended=False).learning_rate == 1e-4
    partly = dataclasses.replace(description, recommended={"all": {"num_train_epochs": 5}})
    assert (settle(partly).learning_rate, settle(partly).num_train_epochs) == (3e-4, 5)


def test_debug_runs_keep_their_values(settle):
    assert settle(load_description("cail2018"), debug=True).max_seq_length == 128


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ({"hidden_size": 128}, "small"),
        ({"hidden_size": 256, "num_hidden_layers": 12}, "small"),
        ({"hidden_size": 256, "num_hidden_layers": 4}, "nano"),
        ({"hidden_size": 128, "num_hidden_layers": 4}, "small"),
        ({"hidden_size": 768, "num_hidden_layers": 4}, "base"),
        ({"hidden_size": 1024, "num_hidden_layers": 24}, "large"),
    ],
)
def test_size_is_that_of_the_hidden_states_but_for_nano(shape, size):
    assert size_of(shape) == size


def test_network_without_dropout_is_fine_tuned_with_some(settle):
    config = settle(load_description("lcqmc"), init_checkpoint="chinese-electra-nano")
    assert config.model_hparam_overrides == {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    assert config.layerwise_lr_decay == 0


def test_length_is_the_models_where_it_has_less_than_recommended(settle, small):
    entries = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps({**entries, "max_position_embeddings": 200}))
    assert settle(load_description("cail2018")).max_seq_length == 200


def test_r_drop_without_dropout_is_said_to_be_of_no_effect(settle, model_dir, tmp_path, capsys):
    description = TaskDescription("mood", labels=("a", "b"))
    write_splits(tmp_path, "mood", {"train": ["a\t一", "b\t丁"]})
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    for overrides, is_said in ((off, True), ({}, False)):
        settings = {"init_checkpoint": str(model_dir), "model_hparam_overrides": overrides}
        prepare(settle(description, data_dir=tmp_path, r_drop_alpha=1.0, **settings), description)
        assert ("NOTE: r_drop_alpha has no effect" in capsys.readouterr().err) == is_said


def test_suite_and_command_line_win(small):
    parser = argparse.ArgumentParser()
    run_finetuning.add_arguments(parser)
    arguments = parser.parse_args(["--init-checkpoint", str(small), "--learning-rate", "2e-4"])
    config, note = run_finetuning.config_for(arguments, load_description("cail2018"), {"max_seq_length": 256})
    assert (config.learning_rate, config.max_seq_length, note) == (2e-4, 256, "")
