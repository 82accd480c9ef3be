"""Pretrained directories of strangers: used, or refused in one line before a network is built."""

import json
import random
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import electra_paddle
from electra_paddle import runtime
from electra_paddle.cli import main
from electra_paddle.errors import CheckpointError, ElectraPaddleError
from electra_paddle.text import SPECIAL_TOKENS, Vocabulary


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A tiny discriminator's directory."""
    runtime.start()
    from paddlenlp.transformers import ElectraConfig, ElectraDiscriminator

    from electra_paddle.models.pretrained_directory import save_pretrained

    vocabulary = Vocabulary([*SPECIAL_TOKENS, *"一二三四五"])
    config = ElectraConfig(
        vocab_size=10,
        embedding_size=8,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    folder = tmp_path_factory.mktemp("models") / "whole"
    save_pretrained(ElectraDiscriminator(config), folder, vocabulary, True, "# tiny")
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    """A copy to damage."""
    return shutil.copytree(whole, tmp_path / "copy")


def change(folder, **entries):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers 1000000000, expected a whole number from 1 to 1,000"),
        ({"num_hidden_layers": -1}, "num_hidden_layers -1, expected a whole number from 1"),
        ({"num_hidden_layers": 3}, "num_hidden_layers 3, expected 2, as in model.safetensors"),
        ({"hidden_size": "16"}, "hidden_size '16', expected a whole number"),
        ({"hidden_size": True}, "hidden_size True, expected a whole number"),
        ({"hidden_size": 32}, "hidden_size 32, expected 16, as in model.safetensors"),
        ({"vocab_size": 21128}, "vocab_size 21128, expected 10, as in model.safetensors"),
        ({"num_attention_heads": 3}, "num_attention_heads 3, expected a divisor of hidden_size 16"),
        ({"hidden_act": "boom"}, "hidden_act 'boom', expected gelu or "),
        ({"hidden_act": ["gelu"]}, "hidden_act"),
        ({"hidden_act": "gelu_new"}, "hidden_act 'gelu_new', expected gelu or "),
        ({"is_decoder": True}, "is_decoder True, expected false"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key', expected \"absolute\""),
        ({"hidden_dropout_prob": "0.1"}, "hidden_dropout_prob '0.1', expected a number from 0 to 1"),
        ({"hidden_dropout_prob": 2}, "hidden_dropout_prob 2, expected a number from 0 to 1"),
        ({"id2label": ["a"]}, "id2label that is a list, expected an object"),
        ({"architectures": "ElectraDiscriminator"}, "architectures that is a str, expected a list"),
    ],
)
def test_configuration_that_no_network_has_is_refused(folder, entries, message):
    change(folder, **entries)
    with pytest.raises(CheckpointError) as caught:
        electra_paddle.from_pretrained(folder)
    assert message in str(caught.value) and str(caught.value).startswith(f"{folder / 'config.json'}: found ")


@pytest.mark.parametrize("command", ["convert_tf --to tf", "export_hub_module"])
def test_sizes_that_are_not_the_weights_are_refused_before_anything_is_written(whole, tmp_path, capsys, command):
    for component in ("generator", "discriminator"):
        change(shutil.copytree(whole, tmp_path / "run" / component), num_hidden_layers=3)
    name, *options = command.split()
    out = tmp_path / "out.tar.gz" if name == "export_hub_module" else tmp_path / "out"
    assert main([name, str(tmp_path / "run"), str(out), *options]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert "num_hidden_layers 3, expected 2, as in model.safetensors" in line
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_sizes_that_are_not_the_weights_are_said_where_the_weights_count(folder, tmp_path, capsys):
    change(folder, num_hidden_layers=3)
    assert main(["convert_hf", str(folder), str(tmp_path / "out"), "--to", "hf"]) == 0
    assert "num_hidden_layers" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "config.json").read_text())["num_hidden_layers"] == 2


def test_json_without_end_is_one_line(folder):
    for text in ('{"a": ' * 100_000, "[" * 100_000, "{", "[]", "\x00"):
        (folder / "config.json").write_text(text)
        with pytest.raises(CheckpointError) as caught:
            electra_paddle.from_pretrained(folder)
        assert len(str(caught.value)) < 500


def test_layer_of_a_number_that_no_network_has_is_refused(folder, tmp_path, capsys):
    path = folder / "model.safetensors"
    arrays = load_file(path)
    arrays["electra.encoder.layers.999999999.norm1.weight"] = arrays["electra.encoder.layers.0.norm1.weight"]
    save_file(arrays, path, metadata={"format": "np"})
    with pytest.raises(CheckpointError, match=r"num_hidden_layers 2, expected 3|999,?999,?999"):
        electra_paddle.from_pretrained(folder)
    names = {name.replace("encoder.layers", "encoder.layer"): array for name, array in arrays.items()}
    save_file(names, path, metadata={"format": "pt"})
    capsys.readouterr()
    assert main(["convert_hf", str(folder), str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_numbers_that_are_none_are_said_once(folder, capsys):
    path = folder / "model.safetensors"
    arrays = load_file(path)
    for name in ("electra.encoder.layers.0.norm1.weight", "electra.encoder.layers.1.norm1.bias"):
        arrays[name] = np.full_like(arrays[name], np.nan)
    save_file(arrays, path, metadata={"format": "np"})
    electra_paddle.from_pretrained(folder)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("WARNING")]
    assert "numbers that are infinite or none, in electra.encoder.layers.0.norm1.weight, electra.encoder" in line


def test_any_value_in_a_configuration_is_used_or_refused(folder, whole):
    rng, config = random.Random(0), json.loads((whole / "config.json").read_text())
    values = [0, -1, 1, 2, 16, 10**12, 1.5, float("nan"), None, "", "x" * 1000, [], [1], {}, {"0": "a"}, True]
    for _ in range(300):
        name = rng.choice(sorted(config))
        (folder / "config.json").write_text(json.dumps({**config, name: rng.choice(values)}))
        try:
            electra_paddle.from_pretrained(folder)
        except ElectraPaddleError as error:
            assert len(str(error)) < 2000
