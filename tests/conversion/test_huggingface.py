"""Hugging Face folders: golden ones, written by transformers (see peer.py), and broken ones."""

import json
import shutil

import numpy as np
import paddle
import pytest
from conftest import ROOT, assert_close
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import electra_paddle
from electra_paddle.cli import main
from electra_paddle.conversion.convert_hf import convert_from_hf, convert_to_hf
from electra_paddle.conversion.published import own_networks
from electra_paddle.conversion.torch_file import read_torch_file
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.models.heads import ElectraClassifier

GOLDEN = ROOT / "tests/golden"
NETWORKS = ("generator", "discriminator")
QUERY = "electra.encoder.layer.1.attention.self.query.weight"
WORDS = "electra.embeddings.word_embeddings.weight"


def golden(network):
    return GOLDEN / "huggingface_micro" / network


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Both golden networks as pretrained directories."""
    out = tmp_path_factory.mktemp("pair") / "pair"
    convert_from_hf({network: golden(network) for network in NETWORKS}, out)
    return out


@pytest.fixture
def source(tmp_path):
    """The golden discriminator, to be broken, its weights in a .safetensors file."""
    folder = tmp_path / "source"
    shutil.copytree(golden("discriminator"), folder)
    change(folder, lambda arrays: arrays)
    return folder


def change(folder, function):
    """Replace a folder's weights by what a function makes of them."""
    old, new = folder / "pytorch_model.bin", folder / "model.safetensors"
    arrays = read_torch_file(old) if old.exists() else load_file(new)
    old.unlink(missing_ok=True)
    arrays = function({name: np.array(array) for name, array in arrays.items()})
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, new)


def without(*names):
    return lambda arrays: {name: array for name, array in arrays.items() if name not in names}


def inputs(case):
    """The reference's inputs and outputs."""
    with np.load(GOLDEN / "pretraining_forward_micro.npz") as file:
        arrays = {name: file[name] for name in file.files if name.startswith(case) or name[1] != "_"}
    mask = paddle.to_tensor(arrays["input_mask"]).astype("int64")
    types = paddle.to_tensor(arrays["segment_ids"]).astype("int64")
    return arrays, {"token_type_ids": types, "attention_mask": mask}


def test_discriminator_computes_what_the_reference_computes(pair):
    arrays, rest = inputs("A")
    model = electra_paddle.from_pretrained(pair / "discriminator")
    ids = paddle.to_tensor(arrays["A_disc_input_ids"]).astype("int64")
    with paddle.no_grad():
        assert_close(model.electra(ids, **rest), arrays["A_disc_hidden"])
        assert_close(model(ids, **rest), arrays["A_disc_logits"])


def test_generator_computes_what_the_reference_computes(pair):
    arrays, rest = inputs("A")
    model = electra_paddle.from_pretrained(pair / "generator")
    encoder = electra_paddle.from_pretrained(pair / "generator", encoder=True)
    ids = paddle.to_tensor(arrays["A_gen_input_ids"]).astype("int64")
    with paddle.no_grad():
        assert_close(encoder(ids, **rest), arrays["A_gen_hidden"])
        logits = model(ids, **rest).numpy()
    positions = arrays["A_masked_lm_positions"]
    assert_close(np.take_along_axis(logits, positions[..., None], axis=1), arrays["A_gen_logits"])


def test_there_and_back_nothing_changes(pair, tmp_path, capsys):
    assert main(["convert_hf", "--to", "hf", str(pair), str(tmp_path / "hf")]) == 0
    assert "44 parameters written for transformers' ElectraForMaskedLM" in capsys.readouterr().out
    for network in NETWORKS:
        assert main(["convert_hf", str(tmp_path / "hf" / network), str(tmp_path / network)]) == 0
        before, after = (load_file(folder / network / "model.safetensors") for folder in (pair, tmp_path))
        assert before.keys() == after.keys()
        assert all((before[name] == after[name]).all() for name in before)
        for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
            before, after = (folder / network / name for folder in (pair, tmp_path))
            if name == "tokenizer_config.json":
                assert json.loads(before.read_text()) == json.loads(after.read_text())
            else:
                assert before.read_bytes() == after.read_bytes()


def test_what_is_written_for_transformers(pair, tmp_path):
    convert_to_hf(pair / "generator", tmp_path / "hf")
    with safe_open(tmp_path / "hf/model.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}
        written = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    original = read_torch_file(golden("generator") / "pytorch_model.bin")
    original = {name.replace("gamma", "weight").replace("beta", "bias"): array for name, array in original.items()}
    assert original.keys() - written.keys() == {"generator_lm_head.weight", "electra.embeddings.position_ids"}
    assert all((original[name] == written[name]).all() for name in written)
    config = json.loads((tmp_path / "hf/config.json").read_text())
    assert config["architectures"] == ["ElectraForMaskedLM"] and config["layer_norm_eps"] == 1e-12
    theirs = json.loads((golden("generator") / "config.json").read_text())
    assert all(config[name] == theirs[name] for name in config.keys() - {"torch_dtype"})


def test_published_name_becomes_folders_of_hugging_face_which_come_back(tmp_path):
    assert main(["convert_hf", "chinese-electra-nano", str(tmp_path / "hf"), "--to", "hf"]) == 0
    for network in ("discriminator", "generator"):
        convert_from_hf({"": tmp_path / "hf" / network}, tmp_path / network)
    kept = own_networks("chinese-electra-nano")
    assert kept.keys() == {"discriminator", "generator"}
    for network, folder in kept.items():
        back, own = (load_file(path / "model.safetensors") for path in (tmp_path / network, folder))
        assert back.keys() == own.keys()
        assert all(back[name].tobytes() == array.tobytes() for name, array in own.items())


def test_bare_encoder_is_read_and_its_users_heads_are_called_untrained(source, tmp_path, capsys):
    def bare(arrays):
        body = {name: array for name, array in arrays.items() if name.startswith("electra.")}
        return {name.removeprefix("electra."): array for name, array in body.items()}

    change(source, bare)
    report = convert_from_hf({"": source}, tmp_path / "out")
    assert any("an encoder without head" in line for line in report)
    config = pretrained.load_config(tmp_path / "out")
    assert config.architectures == ["ElectraModel"]
    model = ElectraClassifier(config)
    loaded = pretrained.load_encoder(model, tmp_path / "out")
    assert len(loaded.loaded) == 39 and loaded.untrained == ["classifier.weight", "classifier.bias"]
    line = "39 parameters loaded, 2 missing, 0 extra; UNTRAINED: classifier.weight, classifier.bias"
    assert capsys.readouterr().err == f"{tmp_path}/out/model.safetensors: {line}\n"
    assert type(electra_paddle.from_pretrained(tmp_path / "out")).__name__ == "ElectraModel"
    convert_to_hf(tmp_path / "out", tmp_path / "back")
    assert load_file(tmp_path / "back/model.safetensors").keys() == bare(load_file_names()).keys()


def load_file_names():
    """Names of the golden discriminator that transformers' model has today."""
    arrays = read_torch_file(golden("discriminator") / "pytorch_model.bin")
    return without("electra.embeddings.position_ids")(arrays)


def test_half_precision_becomes_float32(source, tmp_path):
    change(source, lambda arrays: {name: array.astype("float16") for name, array in arrays.items()})
    convert_from_hf({"": source}, tmp_path / "out")
    arrays = load_file(tmp_path / "out/model.safetensors")
    assert {str(array.dtype) for array in arrays.values()} == {"float32"}


def test_bfloat16_is_read(source, tmp_path):
    before = load_file(source / "model.safetensors")
    header, parts, offset = {}, [], 0
    for name, array in before.items():
        kind, content = "I64", array.tobytes()
        if array.dtype == "float32":
            kind, content = "BF16", array.view("uint16").reshape(-1)[1::2].tobytes()
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [offset, offset + len(content)]}
        parts.append(content)
        offset += len(content)
    text = json.dumps(header).encode()
    (source / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))
    convert_from_hf({"": source}, tmp_path / "out")
    words = load_file(tmp_path / "out/model.safetensors")[WORDS]
    assert words.dtype == "float32"
    np.testing.assert_allclose(words, before[WORDS], rtol=2**-7)


def test_tensors_win_over_a_wrong_configuration(tmp_path):
    shutil.copytree(golden("generator"), tmp_path / "source")
    shutil.copyfile(golden("discriminator") / "config.json", tmp_path / "source/config.json")  # as of legal small
    report = convert_from_hf({"": tmp_path / "source"}, tmp_path / "out")
    assert any("the configuration's hidden_size is 32, the tensors' 8" in line for line in report)
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert (config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]) == (8, 32, 1)


def test_other_epsilon_in_the_configuration_is_noted(source, tmp_path):
    write_config(source, layer_norm_eps=1e-5)
    report = convert_from_hf({"": source}, tmp_path / "out")
    assert any("the configuration's layer_norm_eps is 1e-05, ours 1e-12" in line for line in report)


def refused(arguments, capsys):
    """The one line of an error."""
    capsys.readouterr()
    assert main(["convert_hf", *map(str, arguments)]) == 2
    output = capsys.readouterr()
    assert output.out == "" and output.err.startswith("error: ") and output.err.count("\n") == 1
    return output.err


def renamed(old, new):
    return lambda arrays: {name.replace(old, new): array for name, array in arrays.items()}


def added(name, array):
    return lambda arrays: arrays | {name: array}


SMALL = np.zeros((2, 32), "float32")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (without(QUERY), f"model.safetensors: found no {QUERY}, expected every parameter"),
        (without(QUERY, "electra.embeddings_project.bias"), "found no electra.embeddings_project.bias and 1 more"),
        (without("discriminator_predictions.dense.bias"), "found no discriminator_predictions.dense.bias"),
        (added("classifier.weight", SMALL), "found classifier.weight, which this network lacks"),
        (added(QUERY, SMALL), "electra.encoder.layers.1.self_attn.q_proj.weight [32, 2] (as Paddle has it), expected"),
        (added("generator_lm_head.bias", SMALL[0]), "found the heads of both networks"),
        (renamed("electra.", "bert."), "found a checkpoint of BERT (bert.embeddings.LayerNorm.bias), expected"),
        (renamed("discriminator_predictions.dense", "pooler.dense"), "found a checkpoint of BERT (pooler.dense.bias)"),
        (without("electra.encoder.layer.0.attention.self.query.weight"), "found no electra.encoder.layer.0.attention"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_nothing_is_written(function, message, source, tmp_path, capsys):
    change(source, function)
    before = sorted(tmp_path.rglob("*"))
    assert message in refused([source, tmp_path / "out"], capsys)
    assert sorted(tmp_path.rglob("*")) == before


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def write_config(folder, **entries):
    (folder / "config.json").write_text(json.dumps(entries))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: cut(folder / "model.safetensors"), "model.safetensors: found no readable tensors"),
        (lambda folder: (folder / "model.safetensors").unlink(), "source: found neither model.safetensors nor"),
        (lambda folder: shutil.rmtree(folder), "source: found no such file or folder"),
        (
            lambda folder: (folder / "vocab.txt").unlink(),
            "source: found no vocabulary, expected vocab.txt or tokenizer.json",
        ),
        (lambda folder: cut(folder / "vocab.txt"), "word embeddings of 400 entries and a vocabulary of"),
        (
            lambda folder: write_config(folder, model_type="bert"),
            "found a checkpoint of bert (discriminator_",
        ),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json: found no readable configuration"),
        (lambda folder: (folder.parent / "out").mkdir() or cut(folder / "vocab.txt"), "a vocabulary of"),
    ],
)
def test_broken_folders_are_refused_and_nothing_is_written(break_it, message, source, tmp_path, capsys):
    break_it(source)
    before = sorted(tmp_path.rglob("*"))
    assert message in refused([source, tmp_path / "out"], capsys)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("network", NETWORKS)
def test_truncated_file_of_pytorch_is_refused(network, tmp_path, capsys):
    shutil.copytree(golden(network), tmp_path / "source")
    cut(tmp_path / "source/pytorch_model.bin")
    message = refused([tmp_path / "source", tmp_path / "out"], capsys)
    assert "pytorch_model.bin: found no readable tensors" in message
    assert not (tmp_path / "out").exists()


def test_untied_output_table_is_refused(tmp_path, capsys):
    shutil.copytree(golden("generator"), tmp_path / "source")
    change(tmp_path / "source", lambda arrays: arrays | {"generator_lm_head.weight": arrays[WORDS] + 1})
    message = refused([tmp_path / "source", tmp_path / "out"], capsys)
    assert "found generator_lm_head.weight unlike the word embeddings, expected the same table twice" in message


def test_nothing_is_overwritten(source, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    assert "out: found something there already" in refused([source, tmp_path / "out"], capsys)


def test_half_a_pair_is_not_written_for_transformers(pair, tmp_path, capsys):
    shutil.copytree(pair / "generator", tmp_path / "run/generator")
    message = refused(["--to", "hf", tmp_path / "run", tmp_path / "out"], capsys)
    assert "found generator/ alone, expected both networks" in message
    assert not (tmp_path / "out").exists()


def test_pair_of_which_one_is_broken_is_not_written(pair, tmp_path, capsys):
    shutil.copytree(pair, tmp_path / "run")
    cut(tmp_path / "run/discriminator/model.safetensors")
    refused(["--to", "hf", tmp_path / "run", tmp_path / "out"], capsys)
    assert not (tmp_path / "out").exists()


def test_classifier_without_its_head_is_not_written(pair, tmp_path, capsys):
    shutil.copytree(pair / "discriminator", tmp_path / "tuned")
    write_config(tmp_path / "tuned", architectures=["ElectraClassifier"])
    message = refused(["--to", "hf", tmp_path / "tuned", tmp_path / "out"], capsys)
    assert "found architecture ElectraClassifier, and weights with discriminator_predictions.dense.bias" in message


def test_partial_conversion_lists_what_does_not_fit(source, tmp_path, capsys):
    change(source, without(QUERY))
    change(source, added("classifier.weight", SMALL))
    assert main(["convert_hf", "--partial", str(source), str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"PARTIAL: {QUERY} is missing, its numbers are random" in lines
    assert "PARTIAL: classifier.weight is left out" in lines
    assert lines[-2].endswith("42 parameters loaded, 1 missing, 1 extra")
    assert lines[-1] == f'in Python: electra_paddle.from_pretrained("{tmp_path / "out"}")'
    electra_paddle.from_pretrained(tmp_path / "out")


def test_huggingface_folder_is_taken_where_a_pretrained_directory_belongs(source, pair):
    for folder, network in ((source, "discriminator"), (golden("generator"), "generator")):
        found = electra_paddle.from_pretrained(folder).state_dict()
        expected = electra_paddle.from_pretrained(pair / network).state_dict()
        assert all((found[name].numpy() == expected[name].numpy()).all() for name in expected)


def test_old_weights_of_paddlenlp_are_read(pair, tmp_path):
    shutil.copytree(pair / "discriminator", tmp_path / "old")
    model = electra_paddle.from_pretrained(pair / "discriminator")
    (tmp_path / "old/model.safetensors").unlink()
    paddle.save(model.state_dict(), str(tmp_path / "old/model_state.pdparams"))
    again = electra_paddle.from_pretrained(tmp_path / "old")
    assert all((again.state_dict()[name].numpy() == value.numpy()).all() for name, value in model.state_dict().items())
