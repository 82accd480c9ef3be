import argparse
import dataclasses
import json

import pytest
from conftest import ROOT

from electra_paddle.config import (
    FinetuningConfig,
    PretrainingConfig,
    ShardSettings,
    add_entries,
    load_config,
    resolve,
    save_config,
)
from electra_paddle.config.geometry import Geometry, discriminator_geometry, generator_geometry, training_flops
from electra_paddle.config.loading import metavar_of, name_of
from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.suite import Suite


def parse(config_class, *arguments):
    parser = argparse.ArgumentParser()
    add_entries(parser, config_class)
    return resolve(config_class, parser.parse_args(arguments))


def test_options_beat_later_files_beat_earlier_files_beat_defaults(tmp_path):
    (tmp_path / "one.yaml").write_text("seed: 1\nmask_prob: 0.2\nlearning_rate: 3e-4\n")
    (tmp_path / "two.json").write_text('{"seed": 2, "mask_prob": 0.3}')
    files = ["--hparams", str(tmp_path / "one.yaml"), str(tmp_path / "two.json")]
    config = parse(PretrainingConfig, *files, "--seed", "3")
    assert (config.seed, config.mask_prob, config.learning_rate, config.lr_decay_power) == (3, 0.3, 3e-4, 1.0)


def test_original_command_line_is_understood():
    hparams = (
        '{"task_names": ["chnsenticorp"], "max_seq_length": 256, "num_trials": 10,}'  # the README's trailing comma
    )
    config = parse(FinetuningConfig, "--data-dir", "/d", "--model-name", "m", "--hparams", hparams)
    assert (config.task_names, config.max_seq_length, config.num_trials) == (("chnsenticorp",), 256, 10)
    assert str(config.init_checkpoint) == "/d/models/m"


def test_unknown_entry_names_file_key_and_nearest(tmp_path):
    (tmp_path / "h.json").write_text('{"learning_rte": 1}')
    with pytest.raises(ConfigError, match=r"h.json: learning_rte: found an unknown .*'learning_rate'"):
        parse(PretrainingConfig, "--hparams", str(tmp_path / "h.json"))


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ('{"train_batch_size": "many"}', "train_batch_size: found 'many', expected a whole number"),
        ('{"mask_prob": 1.5}', "mask_prob: found 1.5, expected between 0 and 1"),
        ('{"num_train_steps": 0}', "num_train_steps: found 0, expected at least 1"),
        ("[1, 2]", "No such file"),
        ("{1: 2", "no valid YAML or JSON"),
    ],
)
def test_wrong_value_names_key_and_expectation(hparams, message):
    with pytest.raises(ConfigError, match=message):
        parse(PretrainingConfig, "--hparams", hparams)


@pytest.mark.parametrize("config_class", [PretrainingConfig, FinetuningConfig])
def test_entries_of_the_original_without_a_counterpart_may_be_off_but_not_on(config_class):
    off = '{"use_tpu": false, "num_tpu_cores": 8, "tpu_name": null, "seed": 7}'
    assert parse(config_class, "--hparams", off).seed == 7
    with pytest.raises(
        ConfigError, match="--hparams: use_tpu: found True, expected no such entry; there are no TPUs here"
    ):
        parse(config_class, "--hparams", '{"use_tpu": true}')
    with pytest.raises(ConfigError, match="give pretrain_shards"):
        parse(config_class, "--hparams", '{"pretrain_tfrecords": "gs://x"}')


RECIPES = {  # the published table: learning rate, batch, updates; parameters of the whole graph
    "small": (5e-4, 1024, 1_000_000, 12_984_393),
    "small_ex": (5e-4, 384, 2_000_000, 25_815_497),
    "base": (2e-4, 256, 1_000_000, 107_925_321),
    "large": (1e-4, 96, 2_000_000, 345_026_441),
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_the_published_ones(name):
    files = [str(ROOT / f"configs/{kind}/{name}.yaml") for kind in ("model", "pretraining")]
    config = parse(PretrainingConfig, "--hparams", *files)
    rate, batch, steps, total = RECIPES[name]
    assert (config.learning_rate, config.train_batch_size, config.num_train_steps) == (rate, batch, steps)
    assert (config.max_seq_length, config.mask_prob, config.num_warmup_steps) == (512, 0.15, 10_000)
    generator, discriminator = config.geometries(21128)
    assert (
        discriminator.num_embedding_parameters
        + discriminator.num_encoder_parameters
        + discriminator.num_rtd_head_parameters
        + generator.num_encoder_parameters
        + generator.num_mlm_head_parameters
        == total
    )


def test_objectives_of_the_original_shape_the_networks():
    small = PretrainingConfig().geometries(100)
    assert small[0].hidden_size == 64 and small[0].embedding_size == 128
    assert PretrainingConfig(untied_generator_embeddings=True).geometries(100)[0].embedding_size == 64
    for options in ({"untied_generator": False}, {"electra_objective": False}):
        assert PretrainingConfig(**options).geometries(100)[0] == small[1]
    assert PretrainingConfig(electra_objective=False).geometries(100)[1] is None
    assert PretrainingConfig(uniform_generator=True).geometries(100) == (None, small[1])
    with pytest.raises(ConfigError, match="uniform_generator: found true with electra_objective false"):
        PretrainingConfig(uniform_generator=True, electra_objective=False)


def test_saved_configuration_loads_again(tmp_path):
    config = parse(PretrainingConfig, "--model-hparam-overrides", '{"hidden_size": 64}', "--embedding-size", "16")
    save_config(config, tmp_path / "c.json")
    saved = {key: value for key, value in json.loads((tmp_path / "c.json").read_text()).items() if value is not None}
    (tmp_path / "c.json").write_text(json.dumps(saved))
    assert load_config(PretrainingConfig, tmp_path / "c.json") == config


@pytest.mark.parametrize(
    ("size", "embedding", "overrides", "expected", "generator"),
    [  # the published shapes: (e, h, L, A, I) and the generator's (h, L, A, I)
        ("small", None, {}, (128, 256, 12, 4, 1024), (64, 12, 1, 256)),
        ("small", 256, {"num_hidden_layers": 24}, (256, 256, 24, 4, 1024), (64, 24, 1, 256)),
        ("base", None, {}, (768, 768, 12, 12, 3072), (192, 12, 3, 768)),
        ("large", None, {}, (1024, 1024, 24, 16, 4096), (256, 24, 4, 1024)),
        ("small", 128, {"num_hidden_layers": 4, "hidden_size": 128}, (128, 128, 4, 2, 512), (32, 4, 1, 128)),
    ],
)
def test_shapes_are_the_published_ones(size, embedding, overrides, expected, generator):
    shape = discriminator_geometry(size, 21128, embedding, overrides)
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    assert tuple(getattr(shape, name) for name in ("embedding_size", *names)) == expected
    assert tuple(getattr(generator_geometry(shape), name) for name in names) == generator


def test_unknown_override_and_uneven_heads_are_refused():
    with pytest.raises(ConfigError, match="model_hparam_overrides.hidden"):
        discriminator_geometry("small", 100, overrides={"hidden": 3})
    with pytest.raises(ConfigError, match="divisor of hidden_size"):
        discriminator_geometry("small", 100, overrides={"num_attention_heads": 3})
    with pytest.raises(ConfigError, match="'tiny', expected small or base or large"):
        discriminator_geometry("tiny", 100)


def test_predictions_per_sequence_follow_the_original():
    for length, prob, expected in ((128, 0.15, 19), (512, 0.15, 79), (512, 0.25, 130)):
        assert PretrainingConfig(max_seq_length=length, mask_prob=prob).max_predictions_per_seq == expected


def test_operations_by_hand():
    """Hidden 8, embedding 4, one layer of 8 x 32 x 8, ten words; sequences of 16 with 4 masked positions."""
    shape = Geometry(10, 4, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=32)
    projection, attention_weights, feed_forward, attention = 4 * 8, 4 * 8 * 8, 2 * 8 * 32, 2 * 16 * 8
    assert shape.encoder_flops(16) == 2 * (projection + attention_weights + feed_forward + attention) == 2112
    assert shape.mlm_head_flops == 2 * (8 * 4 + 4 * 10) == 144
    assert shape.rtd_head_flops == 2 * (8 * 8 + 8) == 144
    assert training_flops(shape, shape, 16, 4) == 3 * (2112 + 144 * 4 / 16 + 2112 + 144)
    assert training_flops(None, shape, 16, 4) == 3 * (2112 + 144)
    assert training_flops(shape, None, 16, 4) == 3 * (2112 + 36)


def test_intervals_follow_from_one_another():
    def intervals(**entries):
        config = PretrainingConfig(**entries)
        return config.eval_steps, config.samples_steps, config.histogram_steps

    assert intervals() == (1000, 1000, 10_000)
    assert intervals(save_checkpoints_steps=7) == (7, 7, 70)
    assert intervals(eval_steps=5, histogram_steps=9) == (5, 5, 9)
    with pytest.raises(ConfigError, match="samples_steps: found 0, expected at least 1"):
        PretrainingConfig(samples_steps=0)


@pytest.mark.parametrize("config_class", [PretrainingConfig, FinetuningConfig, ShardSettings, TaskDescription, Suite])
def test_types_of_entries_are_types_and_have_words(config_class):
    """With `from __future__ import annotations` they would be text, which nothing can be compared with."""
    for field in dataclasses.fields(config_class):
        assert not isinstance(field.type, str), field.name
        assert name_of(field.type) and metavar_of(field.type)
