import json
import zipfile

import numpy as np
import paddle
import pytest
from conftest import shared_file
from small_checkpoint import SHAPE, TOKENS, random_variables, write_checkpoint

import electra_paddle
from electra_paddle.cli import run_command
from electra_paddle.conversion.convert_tf import convert_from_tf, convert_to_tf
from electra_paddle.conversion.published import own_networks
from electra_paddle.conversion.tensor_bundle import TensorBundle, data_path
from electra_paddle.conversion.validation import default_tolerance
from electra_paddle.errors import CheckpointError, ConfigError
from electra_paddle.finetuning.converted import describe
from electra_paddle.models.pretrained_directory import load_encoder, read_config
from electra_paddle.tensors import read_tensors


def read_all(prefix):
    bundle = TensorBundle(prefix)
    return {name: bundle[name] for name in bundle.entries}


def assert_same_variables(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.dtype == other[name].dtype and array.shape == other[name].shape
        assert array.tobytes() == other[name].tobytes(), name


@pytest.mark.parametrize(
    "name", ["tf_release/electra_small", "tf_release_micro/electra_small", "tf_checkpoint/model.ckpt-30"]
)
def test_checkpoint_of_the_reference_computes_the_same_and_goes_back_to_the_same_bytes(tmp_path, name):
    source = shared_file(f"golden/{name}.index").with_suffix("")
    golden = shared_file("golden/pretraining_forward" + (".npz" if "release/" in name else "_micro.npz"))
    report = convert_from_tf(source.parent, tmp_path / "out", check_file=golden)
    assert sum("_logits within" in line for line in report) == 5
    convert_to_tf(tmp_path / "out", tmp_path / "back", prefix=source.name)
    for path in source.parent.iterdir():
        assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"slots": True},
        {"body": "electra"},  # untied_generator false
        {"embeddings": "generator"},  # untied_generator_embeddings true
        {"embeddings": "generator", "slots": True},
        {"body": "electra", "slots": True},
    ],
)
def test_every_layout_goes_to_paddle_and_back(tmp_path, options):
    variables = random_variables(**options)
    prefix = write_checkpoint(tmp_path / "tf", variables)
    report = convert_from_tf(prefix, tmp_path / "out")
    assert [line for line in report if "parameters" in line]
    convert_to_tf(tmp_path / "out", tmp_path / "back")
    assert_same_variables(read_all(next((tmp_path / "back").glob("*.index")).with_suffix("")), variables)
    assert (tmp_path / "out/checkpoints/step_00000007").is_dir() == ("slots" in options)


@pytest.mark.parametrize(("network", "body"), [("generator", "electra"), ("discriminator", "generator")])
def test_network_without_partner_is_half_a_pair_unless_told(tmp_path, network, body):
    """What electra_objective false and uniform_generator true leave."""
    variables = random_variables((network,), body=body)
    prefix = write_checkpoint(tmp_path / "tf", variables)
    with pytest.raises(CheckpointError, match=f"found a {network} and no .*, expected both networks; give --partial"):
        convert_from_tf(prefix, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    convert_from_tf(prefix, tmp_path / "out", partial=True)
    convert_to_tf(tmp_path / "out", tmp_path / "back")
    assert_same_variables(read_all(tmp_path / "back/electra"), variables)


def test_source_may_be_a_zip_a_folder_or_a_prefix(tmp_path):
    prefix = write_checkpoint(tmp_path / "tf", random_variables(), "electra_small")
    with zipfile.ZipFile(tmp_path / "small.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in prefix.parent.iterdir():
            archive.write(path, f"chinese_electra_small/{path.name}")
        archive.writestr("__MACOSX/._electra_small.meta", b"\0" * 2000)
    for source in (tmp_path / "small.zip", prefix.parent, prefix, prefix.with_name("electra_small.index")):
        convert_from_tf(source, tmp_path / "out" / source.name)
    contents = {(folder / "discriminator/model.safetensors").read_bytes() for folder in (tmp_path / "out").iterdir()}
    assert len(contents) == 1


def test_file_named_checkpoint_chooses_among_several(tmp_path):
    for step in (1, 2):
        write_checkpoint(tmp_path / "tf", random_variables(seed=step), f"model.ckpt-{step}")
    with pytest.raises(CheckpointError, match="found model.ckpt-1, model.ckpt-2, expected one TensorFlow checkpoint"):
        convert_from_tf(tmp_path / "tf", tmp_path / "out")
    (tmp_path / "tf/checkpoint").write_text('model_checkpoint_path: "/elsewhere/model.ckpt-1"\n')
    convert_from_tf(tmp_path / "tf", tmp_path / "out")
    words = read_tensors(tmp_path / "out/generator/model.safetensors")["electra.embeddings.word_embeddings.weight"]
    assert np.array_equal(words, random_variables(seed=1)["electra/embeddings/word_embeddings"])


def test_tensors_win_over_a_configuration_that_is_another_networks(tmp_path):
    prefix = write_checkpoint(tmp_path / "tf", random_variables())
    wrong = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 128, "hidden_dropout_prob": 0.2}
    for network in ("generator", "discriminator"):
        prefix.with_name(f"{network}.json").write_text(json.dumps(wrong))
    report = convert_from_tf(prefix.parent, tmp_path / "out")
    assert sum("the configuration's hidden_size is 32, the tensors' 8" in line for line in report) == 1
    generator, discriminator = (read_config(tmp_path / "out" / name) for name in ("generator", "discriminator"))
    assert (generator["hidden_size"], generator["num_attention_heads"], generator["intermediate_size"]) == (8, 1, 32)
    assert (discriminator["num_attention_heads"], discriminator["hidden_dropout_prob"]) == (4, 0.2)


def test_fine_tuned_checkpoint_becomes_a_classifier(tmp_path):
    from electra_paddle.models.heads import ElectraClassifier
    from electra_paddle.models.pretrained_directory import load_config, load_model

    variables = {
        name: array for name, array in random_variables(("discriminator",)).items() if "predictions" not in name
    }
    rng = np.random.default_rng(1)
    variables["task_specific/chnsenticorp/dense/kernel"] = rng.normal(size=(32, 2)).astype("float32")
    variables["task_specific/chnsenticorp/dense/bias"] = rng.normal(size=2).astype("float32")
    prefix = write_checkpoint(tmp_path / "tf", {**variables, "global_step": np.array(9, "int64")})
    assert run_command("convert_tf", [str(prefix), str(tmp_path / "out")], "convert_tf") == 0
    folder = tmp_path / "out/chnsenticorp"
    model = ElectraClassifier(load_config(folder))
    load_model(model, folder)
    model.eval()
    ids = paddle.to_tensor([[2, 7, 8, 3]])
    hidden = model.electra(ids)[:, 0].numpy()
    expected = hidden @ variables["task_specific/chnsenticorp/dense/kernel"]
    expected = expected + variables["task_specific/chnsenticorp/dense/bias"]
    assert np.allclose(model(ids).numpy(), expected, atol=1e-5)
    (prediction,) = electra_paddle.from_finetuned(folder).predict(["".join(TOKENS[6:9])])
    assert prediction in ("0", "1")
    convert_to_tf(folder, tmp_path / "back")
    assert_same_variables(read_all(tmp_path / "back/model.ckpt"), variables)


@pytest.mark.parametrize(
    ("layers", "variant"),
    [
        ({"qa_hidden": (64, 512), "dense_1": (512, 1), "dense_2": (64, 512), "dense_3": (512, 1)}, (True, True, True)),
        ({"qa_hidden": (64, 512), "dense_1": (512, 1), "dense_2": (32, 1)}, (True, True, False)),
        ({"qa_hidden": (64, 512), "dense_1": (512, 1)}, (True, False, True)),
        ({"dense_1": (32, 1), "dense_2": (64, 512), "dense_3": (512, 1)}, (False, True, True)),
    ],
)
def test_fine_tuned_reader_of_each_variant_converts_and_answers(tmp_path, layers, variant):
    variables = encoder_only(random_variables(("discriminator",)))
    rng = np.random.default_rng(1)
    for name, shape in {"dense": (32, 1), **layers}.items():
        variables[f"task_specific/cmrc2018/{name}/kernel"] = rng.normal(0, 0.1, shape).astype("float32")
        variables[f"task_specific/cmrc2018/{name}/bias"] = np.zeros(shape[1], "float32")
    prefix = write_checkpoint(tmp_path / "tf", variables)
    assert run_command("convert_tf", [str(prefix), str(tmp_path / "out")], "convert_tf") == 0
    names = ("joint_prediction", "answerable_classifier", "answerable_uses_start_logits")
    assert read_config(tmp_path / "out/cmrc2018")["reading"] == dict(zip(names, variant, strict=True))
    reader = electra_paddle.from_finetuned(tmp_path / "out/cmrc2018")
    written = read_tensors(tmp_path / "out/cmrc2018/model.safetensors")
    assert np.array_equal(written["reading.start.weight"], variables["task_specific/cmrc2018/dense/kernel"])
    assert reader.kind.description.kind == "reading_comprehension"
    back = tmp_path / "back"
    assert run_command("convert_tf", ["--to", "tf", str(tmp_path / "out/cmrc2018"), str(back)], "convert_tf") == 0
    assert_same_variables(read_all(back / "model.ckpt"), variables)


@pytest.mark.parametrize("component", ["", "discriminator", "generator"])
def test_published_name_goes_to_tensorflow_and_back(tmp_path, component):
    name = f"electra-paddle/chinese-electra-nano-{component}" if component else "chinese-electra-nano"
    convert_to_tf(name, tmp_path / "tf")
    convert_from_tf(tmp_path / "tf", tmp_path / "out", partial=bool(component))
    kept = own_networks("chinese-electra-nano")
    for network in [component] if component else kept:
        back, own = (read_tensors(path / "model.safetensors") for path in (tmp_path / "out" / network, kept[network]))
        assert_same_variables(back, own)


def test_network_without_configuration_is_not_left_out_silently(tmp_path):
    convert_from_tf(write_checkpoint(tmp_path / "tf", random_variables()), tmp_path / "out")
    (tmp_path / "out/discriminator/config.json").unlink()
    with pytest.raises(CheckpointError, match="discriminator/config.json: found no readable configuration"):
        convert_to_tf(tmp_path / "out", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_network_by_itself_goes_back(tmp_path):
    variables = random_variables()
    prefix = write_checkpoint(tmp_path / "tf", variables)
    convert_from_tf(prefix, tmp_path / "out")
    convert_to_tf(tmp_path / "out/discriminator", tmp_path / "back")
    alone = {name: array for name, array in variables.items() if not name.startswith("generator")}
    assert_same_variables(read_all(tmp_path / "back/electra"), alone)


def test_head_that_the_original_lacks_is_not_written(tmp_path, capsys):
    variables = encoder_only(random_variables(("discriminator",)))
    variables["task_specific/mood/dense/kernel"] = np.zeros((32, 2), "float32")
    variables["task_specific/mood/dense/bias"] = np.zeros(2, "float32")
    convert_from_tf(write_checkpoint(tmp_path / "tf", variables), tmp_path / "out")
    config = tmp_path / "out/mood/config.json"
    config.write_text(config.read_text().replace("ElectraClassifier", "ElectraChoiceScorer"))
    with pytest.raises(CheckpointError, match=r"a head of classifier \(ElectraChoiceScorer\), expected one that"):
        convert_to_tf(tmp_path / "out/mood", tmp_path / "back")


def test_missing_and_unknown_variables_are_refused_and_partial_lists_them(tmp_path):
    variables = random_variables()
    del variables["generator/encoder/layer_1/output/dense/bias"]
    variables["electra/pooler/kernel"] = np.zeros((2, 2), "float32")
    prefix = write_checkpoint(tmp_path / "tf", variables)
    with pytest.raises(CheckpointError, match="found no generator/encoder/layer_1/output/dense/bias, expected every"):
        convert_from_tf(prefix, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))
    report = convert_from_tf(prefix, tmp_path / "out", partial=True)
    assert "PARTIAL: generator/encoder/layer_1/output/dense/bias is missing, its numbers are random" in report
    assert "PARTIAL: electra/pooler/kernel is left out" in report
    load_encoder_of(tmp_path / "out/discriminator")


def load_encoder_of(folder):
    from electra_paddle.models.heads import ElectraClassifier
    from electra_paddle.models.pretrained_directory import load_config

    load_encoder(ElectraClassifier(load_config(folder)), folder)


def bert(variables):
    return {name.replace("electra/", "bert/"): array for name, array in variables.items()}


def encoder_only(variables):
    return {name: array for name, array in variables.items() if name.startswith("electra/")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (bert, r"found a checkpoint of BERT \(variables bert/...\), expected one of ELECTRA"),
        (
            lambda variables: {"a": np.zeros(1, "float32")},
            r"found no electra/embeddings/word_embeddings \(a is the first",
        ),
        (encoder_only, "found an encoder without a head"),
    ],
)
def test_other_checkpoints_are_named(tmp_path, change, message):
    prefix = write_checkpoint(tmp_path / "tf", change(random_variables()))
    with pytest.raises(CheckpointError, match=message):
        convert_from_tf(prefix, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


def cut_data(prefix):
    data_path(prefix).write_bytes(data_path(prefix).read_bytes()[:-9])


def damage_data(prefix):
    path = data_path(prefix)
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_data, "bytes, expected .*; it was cut short"),
        (lambda prefix: data_path(prefix).unlink(), "no such file, expected shard 1 of 1"),
        (damage_data, "found damaged bytes in .*, expected those of its checksum"),
        (lambda prefix: prefix.with_name("electra.index").write_bytes(b"\0" * 100), "found a damaged table"),
        (lambda prefix: prefix.with_name("vocab.txt").unlink(), "no vocab.txt beside the checkpoint.*--vocab-file"),
        (
            lambda prefix: prefix.with_name("vocab.txt").write_text("\n".join(TOKENS[:40]) + "\n", encoding="utf-8"),
            "word embeddings of 50 entries and a vocabulary of 40 lines",
        ),
    ],
)
def test_damaged_source_ends_in_one_line_and_writes_nothing(tmp_path, capsys, damage, message):
    import re

    prefix = write_checkpoint(tmp_path / "tf", random_variables())
    damage(prefix)
    assert run_command("convert_tf", [str(prefix), str(tmp_path / "out")], "convert_tf") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and re.search(message, line)
    assert not list(tmp_path.glob("out*"))


def test_index_whose_block_has_a_flipped_bit_is_refused(tmp_path):
    prefix = write_checkpoint(tmp_path / "tf", random_variables())
    index = prefix.with_name("electra.index")
    data = bytearray(index.read_bytes())
    for position in (30, len(data) // 2, len(data) - 60):
        index.write_bytes(bytes(data[:position]) + bytes([data[position] ^ 4]) + bytes(data[position + 1 :]))
        with pytest.raises(CheckpointError):
            TensorBundle(prefix)


def test_logits_that_differ_leave_nothing_behind(tmp_path):
    source = shared_file("golden/tf_release_micro/electra_small.index").with_suffix("")
    golden = dict(np.load(shared_file("golden/pretraining_forward_micro.npz"), allow_pickle=False))
    golden["B_disc_logits"] = golden["B_disc_logits"] + np.float32(0.001)
    np.savez(tmp_path / "golden.npz", **golden)
    with pytest.raises(CheckpointError, match="B_disc_logits off by 0.001, expected at most 1e-05"):
        convert_from_tf(source, tmp_path / "out", check_file=tmp_path / "golden.npz")
    assert not list(tmp_path.glob("out*"))


def golden_with(tmp_path, **changes):
    """The golden logits of the micro release, with arrays replaced, or left out where they are None."""
    golden = {**np.load(shared_file("golden/pretraining_forward_micro.npz"), allow_pickle=False), **changes}
    np.savez(tmp_path / "golden.npz", **{name: array for name, array in golden.items() if array is not None})
    return tmp_path / "golden.npz"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda folder: np.savez(folder / "golden.npz"),
            "found no arrays, expected input_ids, segment_ids, input_mask",
        ),
        (lambda folder: np.savez(folder / "golden.npz", a=np.zeros(3)), "found no gen_input_ids among a, expected"),
        (lambda folder: golden_with(folder, segment_ids=None), "found no segment_ids among"),
        (lambda folder: golden_with(folder, B_masked_lm_positions=None), "found no B_masked_lm_positions among"),
        (lambda folder: golden_with(folder, B_disc_logits=None), "found no B_disc_logits among"),
        (lambda folder: golden_with(folder, B_gen_logits=np.zeros((1, 2))), r"found B_gen_logits \[1, 2\], expected"),
        (
            lambda folder: golden_with(folder, B_disc_logits=np.full((4, 32), "1")),
            r"found B_disc_logits \[4, 32\] of <U1, expected logits in floating point",
        ),
        (
            lambda folder: golden_with(folder, input_ids=np.array([["a"]])),
            r"found input_ids \[1, 1\] of <U1, expected whole",
        ),
        (
            lambda folder: golden_with(folder, segment_ids=np.full((4, 32), 0.5)),
            "found segment_ids .* of float64, expected",
        ),
        (
            lambda folder: golden_with(folder, segment_ids=np.zeros((4, 31), int)),
            r"expected \[4, 32\], as input_ids has",
        ),
        (
            lambda folder: golden_with(folder, segment_ids=np.full((4, 32), 2)),
            "found segment_ids from 2 to 2, expected 0 to 1",
        ),
        (
            lambda folder: golden_with(folder, B_disc_input_ids=np.full((4, 32), 400)),
            "found B_disc_input_ids from 400 to 400, expected 0 to 399",
        ),
        (
            lambda folder: golden_with(folder, B_masked_lm_positions=np.full((4, 4), 32)),
            "found B_masked_lm_positions from 32 to 32, expected 0 to 31",
        ),
        (
            lambda folder: golden_with(folder, input_ids=np.ones((4, 513), int)),
            "found 513 tokens a row, expected at most 512",
        ),
        (lambda folder: (folder / "golden.npz").write_text("none"), "found no readable logits"),
        (lambda folder: None, "found no readable logits .no such file"),
    ],
)
def test_logits_that_cannot_be_compared_are_refused(tmp_path, make, message):
    source = shared_file("golden/tf_release_micro/electra_small.index").with_suffix("")
    make(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        convert_from_tf(source, tmp_path / "out", check_file=tmp_path / "golden.npz")
    assert not list(tmp_path.glob("out*"))


def test_tolerance_follows_depth_and_numbers_unless_it_is_given(tmp_path):
    assert default_tolerance(12, np.dtype("float32")) == (1e-5, "float32")
    assert default_tolerance(24, np.dtype("float32")) == (2e-5, "float32, 24 layers")
    assert default_tolerance(2, np.dtype("float16")) == (1e-2, "the file's logits are float16")
    source = shared_file("golden/tf_release_micro/electra_small.index").with_suffix("")
    logits = np.load(shared_file("golden/pretraining_forward_micro.npz"))["B_disc_logits"] + np.float32(0.001)
    golden = golden_with(tmp_path, B_disc_logits=logits)
    arguments = [str(source), str(tmp_path / "out"), "--check", str(golden)]
    assert run_command("convert_tf", arguments, "convert_tf") == 2
    assert run_command("convert_tf", [*arguments, "--tolerance", "0.0011"], "convert_tf") == 0
    assert run_command("convert_tf", [str(source), str(tmp_path / "other"), "--tolerance", "0.1"], "convert_tf") == 2
    for bad in ("0", "2", "nan", "much"):
        with pytest.raises(SystemExit):
            run_command("convert_tf", [*arguments, "--tolerance", bad], "convert_tf")


def test_fine_tuned_checkpoint_is_compared_too(tmp_path):
    variables = encoder_only(random_variables(("discriminator",)))
    variables["task_specific/reviews/dense/kernel"] = np.ones((32, 2), "float32")
    variables["task_specific/reviews/dense/bias"] = np.array([1, 2], "float32")
    prefix = write_checkpoint(tmp_path / "tf", variables)
    with pytest.raises(CheckpointError, match=r"nosuch.npz: found no readable logits \(no such file"):
        convert_from_tf(prefix, tmp_path / "out", check_file=tmp_path / "nosuch.npz")
    report = convert_from_tf(prefix, tmp_path / "out")
    assert any(line.startswith("fingerprint of reviews: logits from ") for line in report)
    rows = {"input_ids": np.array([[2, 7, 8, 3]]), "segment_ids": np.zeros((1, 4)), "input_mask": np.ones((1, 4))}
    model = electra_paddle.from_pretrained(tmp_path / "out/reviews")
    logits = model(paddle.to_tensor(rows["input_ids"])).numpy()
    np.savez(tmp_path / "right.npz", **rows, logits=logits)
    np.savez(tmp_path / "wrong.npz", **rows, logits=logits + np.float32(0.1))
    report = convert_from_tf(prefix, tmp_path / "again", check_file=tmp_path / "right.npz")
    assert any("logits within 0 (at most 1e-05: float32)" in line for line in report)
    with pytest.raises(CheckpointError, match="logits off by 0.1, expected at most 1e-05"):
        convert_from_tf(prefix, tmp_path / "third", check_file=tmp_path / "wrong.npz")


def test_number_of_heads_that_nothing_tells_is_said_and_can_be_given(tmp_path):
    prefix = write_checkpoint(tmp_path / "tf", random_variables())
    report = convert_from_tf(prefix, tmp_path / "guessed")
    guesses = [line for line in report if "--num-attention-heads" in line]
    assert "1 attention heads are a guess, one for each 64 of 32 hidden units" in guesses[1] and len(guesses) == 2
    report = convert_from_tf(prefix, tmp_path / "told", num_attention_heads=4)
    assert not [line for line in report if "guess" in line]
    heads = [read_config(tmp_path / "told" / name)["num_attention_heads"] for name in ("generator", "discriminator")]
    assert heads == [1, 4]  # of 8 units each
    with pytest.raises(CheckpointError, match="--num-attention-heads 5 for 32 hidden units, expected a divisor"):
        convert_from_tf(prefix, tmp_path / "odd", num_attention_heads=5)


def test_case_is_that_of_the_tokenizer_beside_the_checkpoint(tmp_path):
    prefix = write_checkpoint(tmp_path / "tf", random_variables())
    (tmp_path / "tf/tokenizer_config.json").write_text('{"do_lower_case": false, "strip_accents": false}')
    convert_from_tf(prefix, tmp_path / "out")
    settings = json.loads((tmp_path / "out/generator/tokenizer_config.json").read_text())
    assert settings["do_lower_case"] is False and settings["strip_accents"] is False
    (tmp_path / "tf/tokenizer_config.json").write_text('{"do_lower_case": true}')
    with pytest.raises(ConfigError, match="--cased"):
        convert_from_tf(prefix, tmp_path / "other", do_lower_case=False)
    (tmp_path / "tf/tokenizer_config.json").write_text('{"model_max_length": 512}')
    convert_from_tf(prefix, tmp_path / "cased", do_lower_case=False)
    convert_to_tf(tmp_path / "cased", tmp_path / "there")
    convert_from_tf(tmp_path / "there", tmp_path / "back")
    for folder in ("cased", "back"):
        settings = json.loads((tmp_path / folder / "generator/tokenizer_config.json").read_text())
        assert settings["do_lower_case"] is False


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ('{"hidden_act": "gelu_new"}', "found hidden_act 'gelu_new', expected gelu or"),
        ('{"num_attention_heads": "4"}', "found num_attention_heads '4', expected a whole number"),
        ('{"is_decoder": true}', "found is_decoder True, expected false"),
        ("[1]", "found a list, expected a configuration in JSON"),
        ("{", "found no readable configuration"),
    ],
)
def test_configuration_that_no_network_has_is_named(tmp_path, entries, message):
    prefix = write_checkpoint(tmp_path / "tf", random_variables())
    (tmp_path / "tf/discriminator.json").write_text(entries)
    with pytest.raises(CheckpointError, match=f"{tmp_path}/tf/discriminator.json: {message}"):
        convert_from_tf(prefix.parent, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_fine_tuned_kind_and_labels_go_to_tensorflow_and_back(tmp_path, capsys):
    variables = encoder_only(random_variables(("discriminator",)))
    variables["task_specific/names/dense/kernel"] = np.ones((32, 3), "float32")
    variables["task_specific/names/dense/bias"] = np.array([1, 2, 3], "float32")
    prefix = write_checkpoint(tmp_path / "tf", variables)
    assert run_command("convert_tf", [str(prefix), str(tmp_path / "guessed")], "convert_tf") == 0
    told = capsys.readouterr().out
    assert "NOTE: names: its single layer is taken for classification, not multi_label, regression, tagging" in told
    assert told.endswith(f'in Python: electra_paddle.from_finetuned("{tmp_path}/guessed/names")\n')
    labels = {"0": "O", "1": "B-X", "2": "I-X"}
    config = {"architectures": ["ElectraTagger"], "id2label": labels, "hidden_size": 32, "num_attention_heads": 4}
    (tmp_path / "tf/discriminator.json").write_text(json.dumps(config))
    for source, out in ((tmp_path / "tf", "tags"), (tmp_path / "there", "again")):
        assert not any("NOTE" in line for line in convert_from_tf(source, tmp_path / out, describe=describe))
        assert electra_paddle.from_finetuned(tmp_path / out / "names").kind.description.kind == "tagging"
        assert read_config(tmp_path / out / "names")["id2label"] == labels
        if out == "tags":
            convert_to_tf(tmp_path / "tags/names", tmp_path / "there")


def test_weights_of_another_framework_are_sent_to_their_command(tmp_path, capsys):
    prefix = write_checkpoint(tmp_path / "tf", random_variables())
    (tmp_path / "best.pt").write_bytes(b"PK")
    assert run_command("convert_tf", [str(tmp_path / "best.pt"), str(tmp_path / "out")], "convert_tf") == 2
    assert f"convert it: python -m electra_paddle convert_hf {tmp_path}/best.pt OUT" in capsys.readouterr().err
    assert run_command("convert_hf", [str(prefix.parent), str(tmp_path / "out")], "convert_hf") == 2
    assert f"converted by: python -m electra_paddle convert_tf {prefix.parent} OUT" in capsys.readouterr().err


def test_folder_that_is_there_is_not_touched(tmp_path):
    prefix = write_checkpoint(tmp_path / "tf", random_variables())
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    with pytest.raises(CheckpointError, match="found something there already, expected a new folder"):
        convert_from_tf(prefix, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "name", ["../evil.index", "/evil.index", "a/../../evil.index", "..\\evil.index", "C:evil.index"]
)
def test_zip_entry_that_leaves_the_folder_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(name, b"evil")
    with pytest.raises(CheckpointError, match="expected entries within the zip's own folder"):
        convert_from_tf(tmp_path / "evil.zip", tmp_path / "out/deep/deeper")
    assert not list(tmp_path.rglob("evil.index"))


@pytest.mark.parametrize("name", ["electra.data-00000-of-00001", "vocab.txt"])
def test_zip_bomb_is_refused_before_anything_is_unpacked(tmp_path, name, monkeypatch):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b"\0" * 20_000_000)
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("something is unpacked"))
    with pytest.raises(CheckpointError, match="20,000,000 bytes, packed to .*, expected weights, which hardly shrink"):
        convert_from_tf(tmp_path / "bomb.zip", tmp_path / "out")


def test_truncated_zip_is_refused(tmp_path):
    prefix = write_checkpoint(tmp_path / "tf", random_variables())
    with zipfile.ZipFile(tmp_path / "small.zip", "w") as archive:
        for path in prefix.parent.iterdir():
            archive.write(path, path.name)
    whole = (tmp_path / "small.zip").read_bytes()
    (tmp_path / "short.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="found no zip, expected a published zip"):
        convert_from_tf(tmp_path / "short.zip", tmp_path / "out")
    at = whole.index(b"[MASK]")
    (tmp_path / "flipped.zip").write_bytes(whole[:at] + b"X" + whole[at + 1 :])
    with pytest.raises(CheckpointError, match="a damaged zip .*vocab.txt.*, expected a published zip; fetch it again"):
        convert_from_tf(tmp_path / "flipped.zip", tmp_path / "out")


def test_white_space_token_of_the_vocabulary_survives(tmp_path):
    tokens = [*TOKENS[:-1], "\u2028"]
    prefix = write_checkpoint(tmp_path / "tf", random_variables(), tokens=tokens)
    convert_from_tf(prefix, tmp_path / "out")
    assert (tmp_path / "out/generator/vocab.txt").read_bytes() == prefix.with_name("vocab.txt").read_bytes()


def test_pair_that_was_not_trained_together_does_not_become_one_checkpoint(tmp_path):
    for seed in (1, 2):
        convert_from_tf(write_checkpoint(tmp_path / f"tf{seed}", random_variables(seed=seed)), tmp_path / f"out{seed}")
    (tmp_path / "out1/generator").rename(tmp_path / "generator1")
    (tmp_path / "out2/generator").rename(tmp_path / "out1/generator")
    with pytest.raises(CheckpointError, match="two networks of different embeddings, expected a pair"):
        convert_to_tf(tmp_path / "out1", tmp_path / "back")
    assert not list(tmp_path.glob("back*"))


def test_resumable_checkpoint_has_moments_of_zero(tmp_path):
    variables = random_variables()
    convert_from_tf(write_checkpoint(tmp_path / "tf", variables), tmp_path / "out")
    convert_to_tf(tmp_path / "out", tmp_path / "back", resumable=True)
    back = read_all(tmp_path / "back/model.ckpt-0")
    assert back.pop("global_step") == 0
    assert len(back) == 3 * len(variables)
    assert not any(array.any() for name, array in back.items() if name.endswith(("adam_m", "adam_v")))


def test_shape_of_the_small_discriminator_of_the_tests_is_told(tmp_path):
    convert_from_tf(write_checkpoint(tmp_path / "tf", random_variables()), tmp_path / "out")
    config = read_config(tmp_path / "out/discriminator")
    told = {name: config[name] for name in ("vocab_size", "embedding_size", "hidden_size", "num_hidden_layers")}
    assert told == {"vocab_size": 50, "embedding_size": 16, "hidden_size": 32, "num_hidden_layers": 2}
    assert SHAPE.num_attention_heads == config["num_attention_heads"]
