"""Every entry of the original's pre-training configuration, with its default and another value."""

import argparse
import json

import pytest

from electra_paddle.config import PretrainingConfig, add_entries, resolve
from electra_paddle.errors import ConfigError

ENTRIES = {  # name -> (the original's default, another value)
    "model_name": (None, "m"),
    "debug": (False, True),
    "do_train": (True, False),
    "do_eval": (False, True),
    "electra_objective": (True, False),
    "gen_weight": (1.0, 0.6),
    "disc_weight": (50.0, 20.0),
    "mask_prob": (0.15, 0.25),
    "learning_rate": (5e-4, 2e-4),
    "lr_decay_power": (1.0, 0.5),
    "weight_decay_rate": (0.01, 0.1),
    "num_warmup_steps": (10_000, 5),
    "save_checkpoints_steps": (1000, 10),
    "num_train_steps": (1_000_000, 100),
    "num_eval_steps": (100, 7),
    "keep_checkpoint_max": (5, 0),
    "model_size": ("small", "base"),
    "model_hparam_overrides": ({}, {"num_hidden_layers": 24}),
    "embedding_size": (None, 256),
    "vocab_size": (30522, 21128),
    "do_lower_case": (True, False),
    "uniform_generator": (False, True),
    "untied_generator_embeddings": (False, True),
    "untied_generator": (True, False),
    "generator_layers": (1.0, 0.5),
    "generator_hidden_size": (0.25, 0.33333),
    "disallow_correct": (False, True),
    "temperature": (1.0, 0.7),
    "max_seq_length": (128, 512),
    "train_batch_size": (128, 96),
    "eval_batch_size": (128, 96),
    "vocab_file": ("DATA/vocab.txt", "v.txt"),
    "model_dir": ("DATA/models/NAME", "m"),
}
WITHOUT_EFFECT = {  # the original reads them on TPUs only, or not at all
    "iterations_per_loop": 200,
    "num_tpu_cores": 1,
    "results_txt": "r.txt",
    "results_pkl": "r.pkl",
}
REFUSED = {  # name -> (value that is like leaving it out, value that is refused)
    "use_tpu": (False, True),
    "tpu_job_name": (None, "job"),
    "tpu_name": (None, "name"),
    "tpu_zone": (None, "zone"),
    "gcp_project": (None, "project"),
    "electric_objective": (False, True),
    "two_tower_generator": (False, True),
    "pretrain_tfrecords": (None, "pretrain_tfrecords/pretrain_data.tfrecord*"),
}
# The original has to be told them; ours follow from nothing, the file and the shards.
OWN_DEFAULTS = {"model_name", "vocab_size", "do_lower_case"}
TOGETHER = {"do_train": {"do_eval": True}, "do_eval": {"do_train": False}}  # what else an entry needs


def configure(**entries):
    parser = argparse.ArgumentParser()
    add_entries(parser, PretrainingConfig)
    entries = {"data_dir": "DATA", "model_name": "NAME", **entries}
    return resolve(PretrainingConfig, parser.parse_args(["--hparams", json.dumps(entries)]))


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_entry_of_the_original_is_accepted_and_has_its_default(name):
    default, other = ENTRIES[name]
    if name not in OWN_DEFAULTS:
        found = getattr(configure(), name)
        assert found == (type(found)(default) if default is not None else None)
    found = getattr(configure(**{name: other, **TOGETHER.get(name, {})}), name)
    assert found == type(found)(other)


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_entry_without_effect_changes_nothing(name):
    assert configure(**{name: WITHOUT_EFFECT[name]}) == configure()


@pytest.mark.parametrize("name", REFUSED)
def test_entry_without_a_counterpart_is_refused_with_a_sentence_when_it_is_on(name):
    off, on = REFUSED[name]
    assert configure(**{name: off}) == configure()
    with pytest.raises(ConfigError, match=rf"{name}: found .* expected no such entry; [\w-]+ .* \w+"):
        configure(**{name: on})


def test_small_networks_have_embeddings_of_128_and_others_of_their_width():
    assert configure().geometries(100)[1].embedding_size == 128
    assert configure(model_size="base").geometries(100)[1].embedding_size == 768


def test_debug_is_a_tiny_run_whose_entries_can_be_overridden_but_whose_network_cannot():
    config = configure(debug=True, num_train_steps=3, model_hparam_overrides={"hidden_size": 64})
    assert (config.num_train_steps, config.train_batch_size) == (3, 8)
    assert configure(debug=True).num_train_steps == 20
    generator, discriminator = config.geometries(100)
    names = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "embedding_size")
    assert [getattr(discriminator, name) for name in names] == [3, 144, 576, 4, 128]
    assert [getattr(generator, name) for name in names] == [3, 36, 144, 1, 128]
