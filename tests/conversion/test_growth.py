"""A vocabulary that grows with the networks: rows of new words, there and back, and on to training."""

import json

import numpy as np
import pytest
from conversion.test_foreign import SHAPES, WORDS
from safetensors.numpy import load_file
from small_checkpoint import TOKENS, random_variables, write_checkpoint

import electra_paddle
from electra_paddle.cli import main
from electra_paddle.conversion.convert_hf import convert_from_hf, convert_to_hf
from electra_paddle.conversion.convert_tf import convert_from_tf, convert_to_tf
from electra_paddle.conversion.directories import Network, write_network
from electra_paddle.conversion.growth import Growth, inner_pieces
from electra_paddle.conversion.shapes import expected_shapes
from electra_paddle.conversion.tensor_bundle import TensorBundle
from electra_paddle.conversion.tokenizer_files import read_vocabulary
from electra_paddle.errors import DataError
from electra_paddle.text import Vocabulary

TABLE = "electra.embeddings.word_embeddings.weight"
LATIN = ["e", "##l", "##ec", "##tra", "gp", "##u"]


@pytest.fixture
def pair(tmp_path):
    """A pretrained directory for each network, with pieces of Latin words."""
    rng = np.random.default_rng(0)
    tokens = [*WORDS[: 45 - len(LATIN)], *LATIN]
    for kind in ("generator", "discriminator"):
        shapes = expected_shapes(kind, SHAPES[kind])
        arrays = {key: rng.normal(0, 0.1, size).astype("float32") for key, size in shapes.items()}
        network = Network(kind, SHAPES[kind], arrays, [])
        write_network(network, tmp_path / "pair" / kind, Vocabulary(tokens), {"do_lower_case": True}, "t")
    (tmp_path / "words.txt").write_text("electra\n\n##tragpu\ngpu\n龘\n一\nelectra\n", encoding="utf-8")
    return tmp_path / "pair"


def grow(pair, tmp_path, kind="generator"):
    out = tmp_path / f"grown-{kind}"
    report = convert_from_hf({"": pair / kind}, out, extend_vocab=tmp_path / "words.txt")
    return out, report


def test_rows_of_new_words_are_the_mean_of_their_pieces(pair, tmp_path):
    out, report = grow(pair, tmp_path)
    before, after = load_file(pair / "generator/model.safetensors"), load_file(out / "model.safetensors")
    tokens = (out / "vocab.txt").read_text(encoding="utf-8").split()
    assert tokens[45:] == ["electra", "##tragpu", "gpu", "龘"]
    ids = {token: number for number, token in enumerate(tokens)}
    pieces = [["e", "##l", "##ec", "##tra"], ["[UNK]"], ["gp", "##u"], ["[UNK]"]]
    for name in (TABLE, "generator_lm_head_bias"):
        assert np.array_equal(after[name][:45], before[name])
        for row, own in zip(after[name][45:], pieces, strict=True):
            assert row == pytest.approx(before[name][[ids[piece] for piece in own]].mean(axis=0), abs=1e-7)
    assert json.loads((out / "config.json").read_text())["vocab_size"] == 49
    assert f"{tmp_path}/words.txt: 4 words added, 1 there already" in report
    assert any("2 of them were unknown (##tragpu, 龘) and begin as [UNK]" in line for line in report)
    others = before.keys() - {TABLE, "generator_lm_head_bias"}
    assert all(np.array_equal(before[name], after[name]) for name in others)


def test_both_networks_of_a_folder_grow_together(pair, tmp_path):
    words = ["--extend-vocab", str(tmp_path / "words.txt"), "--num-attention-heads", "4"]
    assert main(["convert_hf", str(pair), str(tmp_path / "grown"), *words]) == 0
    for kind, heads in (("generator", SHAPES["generator"].hidden_size // 16), ("discriminator", 4)):
        config = json.loads((tmp_path / "grown" / kind / "config.json").read_text())
        assert (config["vocab_size"], config["num_attention_heads"]) == (49, heads)


def test_lines_of_a_vocabulary_stay_as_they_were_read(tmp_path):
    lines = [*WORDS, "\u3000", "b"]
    (tmp_path / "vocab.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    Vocabulary.load(tmp_path / "vocab.txt").extended(["龘"]).save(tmp_path / "grown.txt")
    assert (tmp_path / "grown.txt").read_text(encoding="utf-8").split("\n")[:-1] == [*lines, "龘"]
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<new>": len(lines)}))
    read_vocabulary(tmp_path)[0].save(tmp_path / "added.txt")
    assert (tmp_path / "added.txt").read_text(encoding="utf-8").split("\n")[:-1] == [*lines, "<new>"]


def test_pieces_within_a_word():
    vocabulary = Vocabulary([*WORDS[:5], "##a", "##ab", "##c"])
    assert inner_pieces("##abac", vocabulary) == [6, 5, 7]
    assert inner_pieces("##abd", vocabulary) == [1]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["一丁"], "'一丁', which text is cut into 一 丁 before words are looked up"),
        (["GPU"], "'GPU', which text is cut into gpu before words"),
        (["a-b"], "'a-b', which text is cut into"),
        (["一", "丁"], "2 words, all of them in the vocabulary"),
    ],
)
def test_words_that_text_is_never_cut_into_are_refused(words, found):
    with pytest.raises(DataError, match=f"words.txt: found {found}"):
        Growth(words, Vocabulary([*WORDS, "gpu", "a", "b", "-"]), {"do_lower_case": True}, "words.txt")


def test_network_that_has_grown_goes_to_transformers_and_tensorflow(pair, tmp_path):
    grown = tmp_path / "both"
    command = [
        "convert_hf",
        str(pair / "generator"),
        str(grown / "generator"),
        "--extend-vocab",
        str(tmp_path / "words.txt"),
    ]
    assert main(command) == 0
    convert_to_hf(grown / "generator", tmp_path / "hf")
    convert_from_hf({"": tmp_path / "hf"}, tmp_path / "again")
    one, other = (load_file(folder / "model.safetensors") for folder in (grown / "generator", tmp_path / "again"))
    assert one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
    convert_to_tf(grown / "generator", tmp_path / "tf")
    bundle = TensorBundle(tmp_path / "tf/electra")
    assert np.array_equal(bundle["electra/embeddings/word_embeddings"], one[TABLE])
    assert np.array_equal(bundle["generator_predictions/output_bias"], one["generator_lm_head_bias"])


def test_checkpoint_of_tensorflow_grows_too(tmp_path):
    prefix = write_checkpoint(tmp_path / "tf", random_variables())
    (tmp_path / "words.txt").write_text("龘\n", encoding="utf-8")
    report = convert_from_tf(prefix, tmp_path / "out", extend_vocab=tmp_path / "words.txt")
    assert any("1 words added" in line for line in report)
    tables = [
        load_file(tmp_path / "out" / kind / "model.safetensors")[TABLE] for kind in ("generator", "discriminator")
    ]
    assert np.array_equal(*tables) and len(tables[0]) == len(TOKENS) + 1
    model = electra_paddle.from_pretrained(tmp_path / "out/discriminator")
    assert model.electra.config.vocab_size == len(TOKENS) + 1


def test_fine_tuning_and_pre_training_go_on_from_it(tmp_path):
    prefix = write_checkpoint(tmp_path / "tf", random_variables())
    (tmp_path / "words.txt").write_text("龘\n", encoding="utf-8")
    convert_from_tf(prefix, tmp_path / "models", extend_vocab=tmp_path / "words.txt")
    data = tmp_path / "finetuning_data/mood"
    data.mkdir(parents=True)
    for split in ("train", "dev"):
        rows = [
            f"{('a', 'b')[number % 2]}\t{'龘龘' if number % 2 else TOKENS[7]}{TOKENS[8 + number % 5]}"
            for number in range(16)
        ]
        (data / f"{split}.tsv").write_text("\n".join(["label\ttext_a", *rows]) + "\n", encoding="utf-8")
    results = electra_paddle.finetune(
        electra_paddle.TaskDescription("mood"),
        data_dir=tmp_path,
        init_checkpoint=tmp_path / "models/discriminator",
        output_dir=tmp_path / "out",
        num_train_epochs=1,
        train_batch_size=8,
        max_seq_length=16,
        loggers=(),
    )
    assert len((results.models[0] / "vocab.txt").read_text(encoding="utf-8").split()) == len(TOKENS) + 1
    corpus = tmp_path / "corpus.txt"
    rng = np.random.default_rng(0)
    lines = ["".join(rng.choice([*TOKENS[6:], "龘"], 20)) for _ in range(200)]
    corpus.write_text("\n".join(lines) + "\n", encoding="utf-8")
    vocabulary = tmp_path / "models/discriminator/vocab.txt"
    shards = ["--corpus-dir", str(corpus), "--vocab-file", str(vocabulary), "--output-dir", str(tmp_path / "shards")]
    assert main(["build-pretraining-data", *shards, "--max-seq-length", "32", "--segment-rule", "lossless"]) == 0
    from electra_paddle.config import PretrainingConfig

    config = json.loads((tmp_path / "models/discriminator/config.json").read_text())
    shape = {
        name: config[name] for name in ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")
    }
    generator = json.loads((tmp_path / "models/generator/config.json").read_text())
    run = electra_paddle.pretrain(
        PretrainingConfig(
            data_dir=tmp_path,
            model_name="on",
            pretrain_shards=tmp_path / "shards",
            vocab_file=vocabulary,
            init_from=tmp_path / "models",
            initialization="original",
            embedding_size=config["embedding_size"],
            model_hparam_overrides=shape,
            generator_hidden_size=generator["hidden_size"] / config["hidden_size"],
            max_seq_length=32,
            train_batch_size=4,
            num_train_steps=2,
            loggers=(),
        )
    )
    assert run is not None
