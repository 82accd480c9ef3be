import argparse
import json

import pytest

from electra_paddle.config import FinetuningConfig, PretrainingConfig, add_entries, load_config, resolve, save_config
from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.errors import ConfigError


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
