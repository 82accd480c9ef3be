"""Weights as others write them, in every layout; and fine-tuned heads, there and back. Without PyTorch: see
test_transformers.py for the real writers."""

import dataclasses
import json
import shutil

import numpy as np
import paddle
import pytest
from conftest import assert_close
from safetensors.numpy import load_file, save_file
from torch_files import Tensor, torch_zip

import electra_paddle
from electra_paddle.cli import main
from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.conversion.convert_hf import convert_from_hf, convert_to_hf
from electra_paddle.conversion.directories import Network, write_network
from electra_paddle.conversion.foreign import read_weights
from electra_paddle.conversion.heads import in_two_layers
from electra_paddle.conversion.published import pretrained_directories, pretrained_directory
from electra_paddle.conversion.shapes import expected_shapes
from electra_paddle.errors import CheckpointError
from electra_paddle.finetuning.converted import fine_tuned_directory
from electra_paddle.hub.weights import architecture_of, find_component
from electra_paddle.text import Vocabulary

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(0x4E00 + number) for number in range(40))]
SHAPE = discriminator_geometry(
    "small", 45, 24, {"hidden_size": 64, "num_hidden_layers": 2, "max_position_embeddings": 64}
)
SHAPES = {"discriminator": SHAPE, "generator": generator_geometry(SHAPE, 0.5), "encoder": SHAPE}
IDS = np.array([[2, 7, 9, 30, 3, 8, 3, 0], [2, 11, 12, 13, 14, 15, 16, 3]])


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """Pretrained directories of random numbers, one for each network."""
    folder = tmp_path_factory.mktemp("ours")
    rng = np.random.default_rng(0)
    for name, shape in SHAPES.items():
        kind = None if name == "encoder" else name
        arrays = {key: rng.normal(0, 0.1, size).astype("float32") for key, size in expected_shapes(kind, shape).items()}
        write_network(Network(kind, shape, arrays, []), folder / name, Vocabulary(WORDS), {"do_lower_case": True}, "t")
    return folder


@pytest.fixture
def theirs(ours, tmp_path):
    """The discriminator as Hugging Face has it."""
    convert_to_hf(ours / "discriminator", tmp_path / "hf")
    return tmp_path / "hf"


def hidden(folder):
    """Last hidden states of a model, wherever it is taken from."""
    model = electra_paddle.from_pretrained(folder, encoder=True)
    with paddle.no_grad():
        return model(paddle.to_tensor(IDS)).numpy()


def shard(folder, suffix=".safetensors"):
    """Replace a folder's weights by two shards and their list."""
    arrays = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names, places = sorted(arrays), {}
    for number in range(2):
        file = f"model-0000{number + 1}-of-00002{suffix}"
        own = {name: arrays[name] for name in names[number::2]}
        places |= dict.fromkeys(own, file)
        save_file(own, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def test_shards_are_read_like_one_file(theirs, ours):
    shard(theirs)
    assert_close(hidden(theirs), hidden(ours / "discriminator"), 0)
    index = theirs / "model.safetensors.index.json"
    listed = json.loads(index.read_text())
    index.write_text(json.dumps({"weight_map": {**listed["weight_map"], "electra.more.weight": "../elsewhere.bin"}}))
    with pytest.raises(CheckpointError, match=r"found a shard '../elsewhere.bin', expected the name of a file beside"):
        read_weights(theirs)
    index.write_text(json.dumps({"weight_map": {**listed["weight_map"], "x": "model-00001-of-00002.safetensors"}}))
    with pytest.raises(CheckpointError, match="found no x in the shards"):
        read_weights(theirs)


@pytest.mark.parametrize("prefix", ["module.", "discriminator.", "model.discriminator.", "_orig_mod.module."])
def test_prefixes_are_taken_off(theirs, ours, prefix):
    arrays = {prefix + name: array for name, array in load_file(theirs / "model.safetensors").items()}
    save_file(arrays, theirs / "model.safetensors")
    assert_close(hidden(theirs), hidden(ours / "discriminator"), 0)
    assert pretrained_directory(theirs) == pretrained_directory(theirs)  # converted once


@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict"])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt"])
def test_files_of_trainings_are_read(theirs, ours, key, suffix):
    arrays = load_file(theirs / "model.safetensors")
    (theirs / "model.safetensors").unlink()
    state = {f"model.{name}": Tensor(array) for name, array in arrays.items()}
    if key:
        state = {"epoch": 3, "lr": 0.5, key: state, "optimizer_states": [{"state": {0: {"step": 7}}}], "hooks": None}
    torch_zip(theirs / f"best{suffix}", state)
    assert_close(hidden(theirs), hidden(ours / "discriminator"), 0)
    assert_close(hidden(theirs / f"best{suffix}"), hidden(ours / "discriminator"), 0)


def test_both_networks_of_one_file_become_two_directories(ours, tmp_path, capsys):
    joint = tmp_path / "joint"
    shutil.copytree(ours / "discriminator", joint)
    arrays = {}
    for network in ("generator", "discriminator"):
        own = load_file(ours / network / "model.safetensors")
        arrays |= {f"{network}.{name}": array for name, array in own.items()}
    save_file(arrays, joint / "model.safetensors")
    assert main(["convert_hf", str(joint), str(tmp_path / "out")]) == 0
    for network in ("generator", "discriminator"):
        before, after = (load_file(folder / network / "model.safetensors") for folder in (ours, tmp_path / "out"))
        assert before.keys() == after.keys() and all((before[name] == after[name]).all() for name in before)
    assert_close(hidden(joint), hidden(ours / "discriminator"), 0)
    assert architecture_of(find_component(joint, "generator")) == "ElectraGenerator"
    (kept,) = pretrained_directories(joint)
    assert {path.name for path in kept.iterdir()} == {"generator", "discriminator"}
    assert pretrained_directories(ours) == [ours] and pretrained_directories(kept) == [kept]


def test_both_networks_with_one_encoder_become_two_directories(ours, tmp_path, capsys):
    head = load_file(ours / "generator/model.safetensors")
    shape = discriminator_geometry("small", 45, 24, {"hidden_size": 64, "num_hidden_layers": 2})
    sizes = expected_shapes("generator", dataclasses.replace(shape, max_position_embeddings=64))
    rng = np.random.default_rng(1)
    head = {name: rng.normal(0, 0.1, sizes[name]).astype("float32") for name in head if "generator" in name}
    arrays = {
        f"discriminator.{key}": array for key, array in load_file(ours / "discriminator/model.safetensors").items()
    }
    arrays |= {f"generator.{key}": array for key, array in head.items()} | {"loss.scale": np.ones(1, "float32")}
    save_file(arrays, tmp_path / "model.safetensors")
    options = ["--vocab-file", str(ours / "encoder/vocab.txt"), "--num-attention-heads", "2"]
    assert main(["convert_hf", str(tmp_path / "model.safetensors"), str(tmp_path / "out"), *options]) == 0
    told = capsys.readouterr().out
    assert "2 networks: discriminator, generator" in told and "guess" not in told
    assert "left out, as they belong to no network: loss.scale" in told
    generator, discriminator = (
        load_file(tmp_path / "out" / name / "model.safetensors") for name in ("generator", "discriminator")
    )
    for name, array in discriminator.items():
        assert (array == arrays[f"discriminator.{name}"]).all()
    assert generator.keys() == sizes.keys()
    for name, array in generator.items():
        assert (array == (head[name] if name in head else discriminator[name])).all()
    for name in ("generator", "discriminator"):
        assert json.loads((tmp_path / "out" / name / "config.json").read_text())["num_attention_heads"] == 2


def test_folders_of_paddlenlp_are_read(ours, tmp_path):
    """A bare encoder's, whose names have no prefix; and the layout of 2.x: model_config.json and .pdparams."""
    from paddlenlp.transformers import ElectraModel

    model = electra_paddle.from_pretrained(ours / "encoder")
    model.save_pretrained(str(tmp_path / "bare"))
    shutil.copy(ours / "encoder/vocab.txt", tmp_path / "bare")
    names = {name for file in (tmp_path / "bare").glob("*.pdparams") for name in paddle.load(str(file))}
    assert "embeddings.word_embeddings.weight" in names
    assert_close(hidden(tmp_path / "bare"), hidden(ours / "encoder"), 0)
    old = tmp_path / "old"
    old.mkdir()
    paddle.save(electra_paddle.from_pretrained(ours / "discriminator").state_dict(), str(old / "model_state.pdparams"))
    config = json.loads((ours / "discriminator/config.json").read_text())
    inner = {name: config[name] for name in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")}
    outer = {"init_args": [{**inner, "init_class": "ElectraModel"}], "init_class": "ElectraDiscriminator"}
    (old / "model_config.json").write_text(json.dumps(outer))
    shutil.copy(ours / "discriminator/vocab.txt", old)
    assert_close(hidden(old), hidden(ours / "discriminator"), 0)
    assert isinstance(model, ElectraModel)


def test_what_is_no_weights_is_refused_in_a_sentence(theirs, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("x")
    for source, found in (
        (tmp_path / "notes.txt", "found a file in .txt, expected weights: .safetensors or .bin or .pt"),
        (tmp_path / "nowhere", "found no such file or folder, expected a folder or file of weights"),
        (theirs.parent / "two", "found 2 files that may be weights (a.pt, b.pt)"),
    ):
        if source.name == "two":
            source.mkdir()
            (source / "a.pt").write_bytes(b"")
            (source / "b.pt").write_bytes(b"")
        assert main(["convert_hf", str(source), str(tmp_path / "out")]) == 2
        assert found in capsys.readouterr().err
    arrays = {
        f"bert.{name.removeprefix('electra.')}": array
        for name, array in load_file(theirs / "model.safetensors").items()
    }
    save_file(arrays, theirs / "model.safetensors")
    assert main(["convert_hf", str(theirs), str(tmp_path / "out")]) == 2
    assert "a checkpoint of BERT" in capsys.readouterr().err


def with_head(ours, folder, layers, **config):
    """A Hugging Face folder of the encoder and a head: name of a layer -> its number of outputs; returns its arrays."""
    convert_to_hf(ours / "encoder", folder)
    arrays = {f"electra.{name}": array for name, array in load_file(folder / "model.safetensors").items()}
    rng = np.random.default_rng(1)
    for name, size in layers.items():
        arrays[f"{name}.weight"] = rng.normal(0, 0.3, (size, SHAPE.hidden_size)).astype("float32")
        arrays[f"{name}.bias"] = rng.normal(0, 0.3, size).astype("float32")
    save_file(arrays, folder / "model.safetensors")
    entries = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**entries, **config}))
    return arrays


def by_hand(states, arrays, *layers):
    """Logits of states [..., H], a layer after the other, GELU between them."""
    from scipy.special import erf

    for number, name in enumerate(layers):
        if number:
            states = states * (1 + erf(states / np.sqrt(2))) / 2
        states = states @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"]
    return states


LABELS = {"id2label": {"0": "差", "1": "中", "2": "好"}}
TWO = {"classifier.dense": 64, "classifier.out_proj": 3}
TEXT, LONG = "".join(WORDS[6:12]), "".join(WORDS[6:36])


def states_of(folder, *texts):
    """Last hidden states [L, H] of a text, or of a pair."""
    ids, types = [2], [0]
    for number, text in enumerate(texts):
        ids += [*(WORDS.index(char) for char in text), 3]
        types += [number] * (len(text) + 1)
    model = electra_paddle.from_pretrained(folder, encoder=True)
    with paddle.no_grad():
        return model(paddle.to_tensor([ids]), token_type_ids=paddle.to_tensor([types])).numpy()[0]


def probabilities(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def test_classifier_of_two_layers_answers_alike_and_goes_back(ours, tmp_path, capsys):
    arrays = with_head(ours, tmp_path / "hf", TWO, architectures=["ElectraForSequenceClassification"], **LABELS)
    expected = probabilities(by_hand(states_of(ours / "encoder", TEXT)[0], arrays, *TWO))
    assert main(["convert_hf", str(tmp_path / "hf"), str(tmp_path / "own")]) == 0
    assert capsys.readouterr().out.endswith(f'in Python: electra_paddle.from_finetuned("{tmp_path}/own")\n')
    for folder in (tmp_path / "own", tmp_path / "hf"):
        ((label, found),) = electra_paddle.from_finetuned(folder).predict([TEXT], with_probabilities=True)
        assert list(found) == ["差", "中", "好"] and label == max(found, key=found.get)
        assert list(found.values()) == pytest.approx(expected.tolist(), abs=1e-5)
    module = hub_module(tmp_path / "hf")
    assert module.task == "seq-cls" and module.settings == {}
    assert module.predict([[TEXT]], return_prob=True)[1][0] == pytest.approx(expected.tolist(), abs=1e-5)
    assert main(["convert_hf", "--to", "hf", str(tmp_path / "own"), str(tmp_path / "back")]) == 0
    told = capsys.readouterr().out
    assert f'transformers.ElectraForSequenceClassification.from_pretrained("{tmp_path}/back")' in told
    back = load_file(tmp_path / "back/model.safetensors")
    assert back.keys() == arrays.keys() and all((back[name] == arrays[name]).all() for name in back)
    config = json.loads((tmp_path / "back/config.json").read_text())
    assert config["architectures"] == ["ElectraForSequenceClassification"] and config["id2label"] == LABELS["id2label"]
    assert main(["convert_hf", "--pair", str(tmp_path / "hf"), str(tmp_path / "pair")]) == 0
    expected = probabilities(by_hand(states_of(ours / "encoder", TEXT, "".join(WORDS[20:24]))[0], arrays, *TWO))
    ((_, found),) = electra_paddle.from_finetuned(tmp_path / "pair").predict(
        [(TEXT, "".join(WORDS[20:24]))], with_probabilities=True
    )
    assert list(found.values()) == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("layers", "config"),
    [
        ({"sequence_summary.summary": 64, "classifier": 1}, {"summary_activation": "tanh"}),
        ({"sequence_summary.summary": 64, "classifier": 1}, {"summary_type": "mean"}),
        ({"classifier.dense": 64, "classifier.out_proj": 2}, {"problem_type": "regression"}),
    ],
)
def test_head_that_computes_otherwise_is_left_out_and_said(ours, tmp_path, layers, config, capsys):
    with_head(ours, tmp_path / "hf", layers, **config)
    assert main(["convert_hf", str(tmp_path / "hf"), str(tmp_path / "own")]) == 0
    assert "NOTE: " in (told := capsys.readouterr().out) and "the head is left out (classifier" in told
    assert_close(hidden(tmp_path / "own"), hidden(ours / "encoder"), 0)


def test_no_sequence_is_longer_than_a_network_has_positions(ours, tmp_path):
    with_head(ours, tmp_path / "hf", TWO, **LABELS)
    assert len(electra_paddle.from_finetuned(tmp_path / "hf").predict(["".join(WORDS[6:16]) * 10])) == 1
    task = json.loads((fine_tuned_directory(tmp_path / "hf") / "task.json").read_text())
    assert task["settings"]["max_seq_length"] == SHAPE.max_position_embeddings == 64


@pytest.mark.parametrize(
    ("file", "entries", "message"),
    [
        ("tokenizer_config.json", {"tokenize_chinese_chars": False}, "tokenize_chinese_chars false, expected true"),
        ("tokenizer_config.json", {"do_lower_case": "no"}, 'do_lower_case "no", expected true or false'),
        ("tokenizer.json", {"normalizer": None}, "a normalizer null, expected BertNormalizer"),
        ("tokenizer.json", {"pre_tokenizer": {"type": "Metaspace"}}, 'a pre_tokenizer "Metaspace", expected Bert'),
        (
            "tokenizer.json",
            {"normalizer": {"type": "BertNormalizer", "handle_chinese_chars": False}},
            "handle_chinese_chars false, expected true",
        ),
    ],
)
def test_tokenizer_that_cuts_otherwise_is_refused(theirs, tmp_path, file, entries, message):
    (theirs / file).write_text(json.dumps(entries))
    with pytest.raises(CheckpointError, match=f"{theirs}/{file}: found {message}"):
        convert_from_hf({"": theirs}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_configuration_of_heads_alone_settles_their_number(theirs, tmp_path):
    (theirs / "config.json").write_text('{"num_attention_heads": 4}')
    assert not any("NOTE" in line for line in convert_from_hf({"": theirs}, tmp_path / "out"))
    assert json.loads((tmp_path / "out/config.json").read_text())["num_attention_heads"] == 4


def hub_module(folder):
    from electra_paddle.hub.module import ElectraModule

    return type("Own", (ElectraModule,), {"name": "own", "summary": "", "directory": ""})(pretrained=folder)


def test_other_problems_of_two_layers(ours, tmp_path):
    arrays = with_head(ours, tmp_path / "many", TWO, problem_type="multi_label_classification", **LABELS)
    logits = by_hand(states_of(ours / "encoder", TEXT)[0], arrays, *TWO)
    ((_, found),) = electra_paddle.from_finetuned(tmp_path / "many").predict([TEXT], with_probabilities=True)
    assert list(found.values()) == pytest.approx((1 / (1 + np.exp(-logits))).tolist(), abs=1e-5)
    one = {"classifier.dense": 64, "classifier.out_proj": 1}
    arrays = with_head(ours, tmp_path / "number", one)
    logits = by_hand(states_of(ours / "encoder", TEXT)[0], arrays, *one)
    assert electra_paddle.from_finetuned(tmp_path / "number").predict([TEXT]) == [pytest.approx(logits[0], abs=1e-5)]


def test_tags_answers_and_choices(ours, tmp_path):
    tags = {"id2label": {"0": "O", "1": "B-X", "2": "I-X"}, "architectures": ["ElectraForTokenClassification"]}
    arrays = with_head(ours, tmp_path / "tags", {"classifier": 3}, **tags)
    logits = by_hand(states_of(ours / "encoder", TEXT)[1:-1], arrays, "classifier")
    (found,) = electra_paddle.from_finetuned(tmp_path / "tags").predict([TEXT], with_probabilities=True)
    assert [probability for _, probability in found] == pytest.approx(probabilities(logits).max(-1).tolist(), abs=1e-5)
    arrays = with_head(ours, tmp_path / "answers", {"qa_outputs": 2})
    states = states_of(ours / "encoder", TEXT, LONG)
    start, end = by_hand(states, arrays, "qa_outputs")[len(TEXT) + 2 : -1].T
    best = max((start[a] + end[b], a, b) for a in range(len(LONG)) for b in range(a, len(LONG)))
    (told,) = electra_paddle.from_finetuned(tmp_path / "answers").predict([(LONG, TEXT)])
    assert (told["start"], told["end"]) == (best[1], best[2] + 1)
    layers = {"sequence_summary.summary": 64, "classifier": 1}
    arrays = with_head(ours, tmp_path / "choices", layers)
    logits = [
        by_hand(states_of(ours / "encoder", TEXT, choice)[0], arrays, *layers)[0] for choice in (LONG[:4], LONG[5:9])
    ]
    ((_, found),) = electra_paddle.from_finetuned(tmp_path / "choices").predict(
        [(TEXT, [LONG[:4], LONG[5:9]])], with_probabilities=True
    )
    assert list(found.values()) == pytest.approx(probabilities(np.array(logits)).tolist(), abs=1e-5)
    for name in ("tags", "answers", "choices"):
        before = load_file(tmp_path / name / "model.safetensors")
        convert_to_hf(pretrained_directory(tmp_path / name), tmp_path / f"{name}-back")
        after = load_file(tmp_path / f"{name}-back/model.safetensors")
        assert before.keys() == after.keys() and all((before[key] == after[key]).all() for key in before)


def test_heads_of_paddlenlp(ours, tmp_path):
    from paddlenlp.transformers import (
        ElectraForMultipleChoice,
        ElectraForQuestionAnswering,
        ElectraForSequenceClassification,
    )

    from electra_paddle.models import pretrained_directory as pretrained

    config = pretrained.load_config(ours / "encoder")
    config.num_labels, config.num_choices = 3, 2
    kinds = {}
    for architecture in (ElectraForSequenceClassification, ElectraForQuestionAnswering, ElectraForMultipleChoice):
        paddle.seed(0)
        network = architecture(config)
        pretrained.load_encoder(network, ours / "encoder")
        folder = tmp_path / architecture.__name__
        network.save_pretrained(str(folder))
        shutil.copy(ours / "encoder/vocab.txt", folder)
        network.eval()
        kinds[architecture.__name__] = network
    ids, types = paddle.to_tensor([[2, *range(6, 12), 3]]), paddle.zeros([1, 8], "int64")
    with paddle.no_grad():
        logits = kinds["ElectraForSequenceClassification"](ids, types).numpy()[0]
    model = electra_paddle.from_finetuned(tmp_path / "ElectraForSequenceClassification")
    ((_, found),) = model.predict([TEXT], with_probabilities=True)
    assert list(found.values()) == pytest.approx(probabilities(logits).tolist(), abs=1e-5)
    reader = electra_paddle.from_finetuned(tmp_path / "ElectraForQuestionAnswering").model.network
    reader.eval()
    with paddle.no_grad():
        starts, ends = kinds["ElectraForQuestionAnswering"](ids, types)[:2]
        mine = reader(ids, paddle.ones([1, 8], "int64") * 0 + 1)
        other = kinds["ElectraForQuestionAnswering"](ids, paddle.ones([1, 8], "int64"))
    assert_close(mine.start_logits, other[0])
    assert_close(mine.end_logits, other[1])
    assert starts.shape == ends.shape
    chooser = electra_paddle.from_finetuned(tmp_path / "ElectraForMultipleChoice").model.network
    chooser.eval()
    with paddle.no_grad():
        theirs = kinds["ElectraForMultipleChoice"](ids.expand([2, 8]).unsqueeze(0), types.expand([2, 8]).unsqueeze(0))
        assert_close(chooser(ids, types)[0, 0], theirs[0, 0])


def test_shards_that_change_are_converted_anew(ours, tmp_path, home):
    convert_to_hf(ours / "discriminator", tmp_path / "hf", "50KB")
    before = hidden(tmp_path / "hf")
    shard = sorted((tmp_path / "hf").glob("model-*.safetensors"))[0]
    save_file({name: 2 * array for name, array in load_file(shard).items()}, shard)
    assert np.abs(hidden(tmp_path / "hf") - before).max() > 1e-3
    assert len([path for path in home.glob("electra-paddle/local/*") if path.is_dir()]) == 2
    shard.unlink()
    with pytest.raises(CheckpointError, match=f"found no {shard.name}, expected all shards that it lists"):
        hidden(tmp_path / "hf")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("convert_hf S O --to hf --pair", "--pair: found the option with --to hf, expected no such option"),
        ("convert_hf S O --to hf --extend-vocab w", "--extend-vocab: found the option with --to hf"),
        ("convert_hf S O --max-shard-size 1GB", "--max-shard-size: found the option without --to hf"),
        ("convert_tf S O --to tf --extend-vocab w", "--extend-vocab: found the option with --to tf"),
        ("convert_tf S O --resumable", "--resumable: found the option without --to tf"),
    ],
)
def test_options_of_the_other_direction_are_refused(command, told, capsys):
    assert main(command.split()) == 2
    assert told in capsys.readouterr().err


def test_pair_is_refused_or_said_where_it_does_not_count(ours, tmp_path, capsys):
    with_head(ours, tmp_path / "answers", {"qa_outputs": 2})
    assert main(["convert_hf", "--pair", str(tmp_path / "answers"), str(tmp_path / "out")]) == 2
    assert "--pair: found a model for reading_comprehension" in capsys.readouterr().err
    assert main(["convert_hf", "--pair", str(ours / "encoder"), str(tmp_path / "out")]) == 0
    assert "no head of a task came with the encoder: --pair says nothing" in capsys.readouterr().out


def test_unknown_heads_are_left_out_in_a_sentence(ours, tmp_path, capsys):
    with_head(ours, tmp_path / "own", {"span_ffnn": 4, "classifier": 3})
    assert main(["convert_hf", str(tmp_path / "own"), str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "the head is left out (classifier.bias, classifier.weight" in told and "untrained" in told
    assert json.loads((tmp_path / "out/config.json").read_text())["architectures"] == ["ElectraModel"]
    with pytest.raises(CheckpointError, match="found no task.json, and a network of ElectraModel"):
        electra_paddle.from_finetuned(tmp_path / "own")


def test_one_layer_is_written_as_two_that_compute_the_same():
    rng = np.random.default_rng(0)
    weight, bias, states = rng.normal(size=(64, 5)), rng.normal(size=5), rng.normal(size=(7, 64))
    arrays = in_two_layers(weight, bias, 64, "f")
    arrays = {name: array.T if name.endswith("weight") else array for name, array in arrays.items()}
    found = by_hand(states, arrays, "classifier.dense", "classifier.out_proj")
    assert_close(found, states @ weight + bias, 1e-5)
    with pytest.raises(CheckpointError, match="found 33 classes and a hidden size of 64, expected at most 32"):
        in_two_layers(np.zeros((64, 33)), np.zeros(33), 64, "f")


def test_large_weights_are_written_in_several_files_and_read_again(ours, tmp_path, capsys):
    options = ["--to", "hf", "--max-shard-size", "50KB", str(ours / "discriminator"), str(tmp_path / "hf")]
    assert main(["convert_hf", *options]) == 0
    files = sorted(path.name for path in (tmp_path / "hf").glob("model*"))
    assert len(files) > 3 and files[-1] == "model.safetensors.index.json" and "model-00001-of-" in files[0]
    assert f"weights in {len(files) - 1} files" in capsys.readouterr().out
    assert_close(hidden(tmp_path / "hf"), hidden(ours / "discriminator"), 0)
    assert main(["convert_hf", *options[:3], "much", options[4], str(tmp_path / "more")]) == 2
    assert "--max-shard-size: found 'much', expected a size such as 500MB or 2GB" in capsys.readouterr().err


def test_reader_whose_ends_depend_on_starts_is_not_written_for_transformers(ours, tmp_path):
    from electra_paddle.models import pretrained_directory as pretrained
    from electra_paddle.models.initialization import initialize
    from electra_paddle.models.reading_comprehension import ElectraReader

    config = pretrained.load_config(ours / "encoder")
    for joint in (True, False):
        config.reading = {"joint_prediction": joint}
        network = ElectraReader(config)
        initialize(network, 0)
        pretrained.save_pretrained(network, tmp_path / f"reader-{joint}", Vocabulary(WORDS), True, "#")
    with pytest.raises(CheckpointError, match="a reader with joint_prediction, whose ends depend on starts"):
        convert_to_hf(tmp_path / "reader-True", tmp_path / "out")
    told = convert_to_hf(tmp_path / "reader-False", tmp_path / "out")
    assert "answerable, answerable_hidden of the head left out" in told[0]
