"""Real transformers and PyTorch load what we write, and we load what they write."""

import dataclasses
import json
import subprocess

import numpy as np
import paddle
import pytest
from conftest import ROOT, assert_close
from safetensors.numpy import load_file

import electra_paddle
from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.conversion.convert_hf import convert_from_hf, convert_to_hf
from electra_paddle.conversion.directories import Network, write_network
from electra_paddle.conversion.shapes import expected_shapes
from electra_paddle.text import Vocabulary

PEER = ROOT / ".venv-peers/bin/python"
DISCRIMINATOR = discriminator_geometry("small", 120, 24, {"hidden_size": 128, "num_hidden_layers": 3})
SHAPES = {
    "discriminator": DISCRIMINATOR,
    "generator": generator_geometry(DISCRIMINATOR, 0.5),
    "encoder": discriminator_geometry("small", 120, 64, {"hidden_size": 64, "num_hidden_layers": 2}),  # no projection
}
KINDS = {"discriminator": "discriminator", "generator": "generator", "encoder": None}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(0x4E00 + number) for number in range(115))]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PEER.exists(), reason="needs the environment of `make peers`: PyTorch and transformers"),
]


def run_peer(*arguments):
    command = [str(PEER), str(ROOT / "tests/conversion/peer.py"), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module", params=SHAPES)
def ours(request, tmp_path_factory):
    """(name, pretrained directory) of a network whose weights are all random: no norm is 1, no bias 0."""
    rng = np.random.default_rng(5)
    shape, kind = SHAPES[request.param], KINDS[request.param]
    arrays = {
        name: rng.normal(0, 0.1, size).astype("float32") + ("norm" in name and name.endswith("weight"))
        for name, size in expected_shapes(kind, shape).items()
    }
    folder = tmp_path_factory.mktemp(request.param) / "ours"
    write_network(Network(kind, shape, arrays, []), folder, Vocabulary(WORDS), {"do_lower_case": True}, "a test")
    return request.param, folder


def random_inputs(tmp_path):
    """Path of a .npz of padded sequences of two segments, and its content."""
    rng = np.random.default_rng(6)
    mask = (np.arange(17) < np.array([[17], [11], [5]])).astype("int64")
    inputs = {
        "input_ids": rng.integers(5, 120, (3, 17)) * mask,
        "token_type_ids": (np.arange(17) > 6) * mask,
        "attention_mask": mask,
    }
    np.savez(tmp_path / "inputs.npz", **inputs)
    return tmp_path / "inputs.npz", inputs


def run_ours(folder, name, inputs):
    """(last hidden states, logits or None) of a pretrained directory."""
    tensors = {key: paddle.to_tensor(array).astype("int64") for key, array in inputs.items()}
    model = electra_paddle.from_pretrained(folder)
    with paddle.no_grad():
        hidden = electra_paddle.from_pretrained(folder, encoder=True)(**tensors)
        return hidden, None if name == "encoder" else model(**tensors)


def test_transformers_compute_the_same_with_what_we_wrote(ours, tmp_path):
    name, folder = ours
    convert_to_hf(folder, tmp_path / "hf")
    path, inputs = random_inputs(tmp_path)
    run_peer("read", tmp_path / "hf", name, path, tmp_path / "theirs.npz")
    theirs = np.load(tmp_path / "theirs.npz")
    hidden, logits = run_ours(folder, name, inputs)
    assert_close(hidden, theirs["hidden"])
    if name != "encoder":
        assert_close(logits, theirs["logits"])
    vocabulary = Vocabulary(WORDS)
    known = [vocabulary.ids.get(character, vocabulary.unk) for character in "一二三"]
    assert theirs["tokens"].tolist() == [vocabulary.cls, *known, vocabulary.unk, vocabulary.sep]


@pytest.mark.parametrize("form", ["safetensors", "zip", "legacy"])
def test_what_transformers_wrote_is_read_exactly(ours, form, tmp_path):
    name, folder = ours
    convert_to_hf(folder, tmp_path / "hf")
    arrays = load_file(tmp_path / "hf/model.safetensors")
    np.savez(tmp_path / "weights.npz", config=json.dumps(dataclasses.asdict(SHAPES[name])), **arrays)
    run_peer("write", tmp_path / "weights.npz", tmp_path / "theirs", name, form)
    files = {path.name for path in (tmp_path / "theirs").iterdir()}
    assert files & {"model.safetensors", "pytorch_model.bin"} == {
        "model.safetensors" if form == "safetensors" else "pytorch_model.bin"
    }
    convert_from_hf({"": tmp_path / "theirs"}, tmp_path / "back", vocab_file=folder / "vocab.txt")
    before, after = (load_file(path / "model.safetensors") for path in (folder, tmp_path / "back"))
    assert before.keys() == after.keys()
    assert all((before[key] == after[key]).all() for key in before)
    theirs, ours_again = (json.loads((path / "config.json").read_text()) for path in (folder, tmp_path / "back"))
    assert theirs == ours_again


KIND_OF = {
    "sequence": "classification",
    "several": "multi_label",
    "number": "regression",
    "token": "tagging",
    "answers": "reading_comprehension",
    "choices": "multiple_choice",
}


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """Fine-tuned models as transformers writes them."""
    folder = tmp_path_factory.mktemp("heads")
    run_peer("heads", folder)
    for name in KIND_OF:
        (folder / name / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return folder


def outputs_of(folder, ids):
    """What our network of a fine-tuned directory gives, under transformers' names."""
    network = electra_paddle.from_pretrained(folder)
    tensor = paddle.to_tensor(ids).astype("int64")
    types = paddle.ones_like(tensor) if type(network).__name__ == "ElectraReader" else paddle.zeros_like(tensor)
    with paddle.no_grad():
        output = network(tensor, paddle.zeros_like(tensor))
        if type(network).__name__ == "ElectraReader":
            hidden = network.electra(tensor, token_type_ids=paddle.zeros_like(tensor))
            output = network.reading(hidden, types, paddle.ones_like(tensor))
            return {"start_logits": output.start_logits.numpy(), "end_logits": output.end_logits.numpy()}
    logits = output.numpy()
    return {"logits": logits.T if type(network).__name__ == "ElectraChoiceScorer" else logits}


@pytest.mark.parametrize("name", KIND_OF)
def test_fine_tuned_models_answer_alike_here_and_there(heads, name, tmp_path):
    from electra_paddle.cli import main

    assert main(["convert_hf", str(heads / name), str(tmp_path / "own")]) == 0
    assert json.loads((tmp_path / "own/task.json").read_text())["kind"] == KIND_OF[name]
    theirs = np.load(heads / f"{name}.npz")
    for folder in (tmp_path / "own", heads / name):
        ours = outputs_of(folder, theirs["ids"])
        for key, array in ours.items():
            # our reader keeps answers out of the place of [SEP], transformers' does not
            expected = theirs[key][:, 1:] if name == "answers" else theirs[key]
            assert_close(array[:, 1:] if name == "answers" else array, expected)
    convert_to_hf(tmp_path / "own", tmp_path / "back")
    run_peer("run", tmp_path / "back", heads / f"{name}.npz", tmp_path / "back.npz")
    for key, array in np.load(tmp_path / "back.npz").items():
        assert_close(array, theirs[key], 1e-6)


def test_single_layer_of_ours_is_run_by_transformers(heads, tmp_path):
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.models import heads as ours
    from electra_paddle.models.initialization import initialize
    from electra_paddle.models.pretrained_directory import save_pretrained

    shape = {"embedding_size": 24, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = np.load(heads / "sequence.npz")["ids"]
    for name in ("ElectraClassifier", "ElectraMultiLabelClassifier", "ElectraRegressor", "ElectraChoiceScorer"):
        network = getattr(ours, name)(ElectraConfig(vocab_size=120, intermediate_size=96, num_labels=4, **shape))
        initialize(network, 0, std=0.2)
        save_pretrained(network, tmp_path / name, Vocabulary(WORDS), True, "#")
        convert_to_hf(tmp_path / name, tmp_path / f"{name}-hf")
        run_peer("run", tmp_path / f"{name}-hf", heads / "sequence.npz", tmp_path / f"{name}.npz")
        (expected,) = np.load(tmp_path / f"{name}.npz").values()
        assert_close(outputs_of(tmp_path / name, ids)["logits"], expected)


def test_shards_and_checkpoints_of_trainings_are_read(ours, tmp_path):
    name, folder = ours
    if name != "discriminator":
        pytest.skip("of the discriminator")
    convert_to_hf(folder, tmp_path / "hf")
    run_peer("shards", tmp_path / "hf", tmp_path / "shards", "200KB")
    run_peer("lightning", tmp_path / "hf", tmp_path)
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    before = load_file(folder / "model.safetensors")
    for number, source in enumerate((tmp_path / "shards", tmp_path / "last.ckpt")):
        convert_from_hf({"": source}, tmp_path / f"out{number}", vocab_file=folder / "vocab.txt")
        after = load_file(tmp_path / f"out{number}/model.safetensors")
        assert before.keys() == after.keys() and all((before[key] == after[key]).all() for key in before)


@pytest.mark.parametrize("lower", [True, False])
def test_vocabulary_and_case_come_from_a_tokenizer_of_transformers_alone(ours, tmp_path, lower):
    name, folder = ours
    if name != "discriminator":
        pytest.skip("of the discriminator")
    convert_to_hf(folder, tmp_path / "hf")
    settings = json.loads((tmp_path / "hf/tokenizer_config.json").read_text())
    (tmp_path / "hf/tokenizer_config.json").write_text(json.dumps({**settings, "do_lower_case": lower}))
    run_peer("tokenizer", tmp_path / "hf", tmp_path / "tokenizer")
    assert (tmp_path / "tokenizer/tokenizer.json").is_file() and not (tmp_path / "tokenizer/vocab.txt").exists()
    for file in ("model.safetensors", "config.json"):
        (tmp_path / "tokenizer" / file).write_bytes((tmp_path / "hf" / file).read_bytes())
    convert_from_hf({"": tmp_path / "tokenizer"}, tmp_path / "out")
    assert (tmp_path / "out/vocab.txt").read_text(encoding="utf-8").split() == WORDS
    assert json.loads((tmp_path / "out/tokenizer_config.json").read_text())["do_lower_case"] is lower
