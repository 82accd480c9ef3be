"""Checkpoints of `hub.Trainer`: what they bring along, and modules that are made of them."""

import json
import os
import warnings

import numpy as np
import pytest
from conftest import assert_close
from hub.conftest import NAME, WORDS

from electra_paddle.errors import ElectraPaddleError
from electra_paddle.hub.packaging.installation import unpack
from electra_paddle.hub.packaging.module_archive import export_module
from electra_paddle.hub.packaging.trainer_checkpoint import Missing

TEXTS = [["".join(WORDS[5:9])], ["".join(WORDS[9:40])]]
LABELS = {"0": "差", "1": "好", "2": "无"}


@pytest.fixture(scope="module")
def make(tiny_run):
    """Make a module from the weights of the small run."""
    from electra_paddle.hub.module import ElectraModule

    class Tiny(ElectraModule):
        name, summary, directory = NAME, "tiny", "nowhere"

    return lambda task=None, **arguments: Tiny(task, **{"pretrained": tiny_run, **arguments})


def train(model, folder):
    """The real Trainer, for one epoch of three examples."""
    import paddle
    from paddlehub import Trainer

    ids = np.array([[2, 5 + number, 6, 3] for number in range(3)])
    rows = [(row, row * 0, np.int64(number)) for number, row in enumerate(ids)]
    optimizer = paddle.optimizer.Adam(1e-3, parameters=model.parameters())
    trainer = Trainer(model, optimizer, checkpoint_dir=str(folder), use_vdl=False)
    trainer.train(rows, epochs=1, batch_size=3, eval_dataset=rows, save_interval=1)
    return trainer


@pytest.fixture(scope="module")
def trained(make, tmp_path_factory):
    """(module, the Trainer's folder)."""
    folder = tmp_path_factory.mktemp("ckpt")
    model = make("pair-cls", label_map=LABELS, hidden_act="relu")
    train(model, folder)
    return model, folder


@pytest.fixture
def without_description(trained, tmp_path):
    """A folder as earlier versions left it."""
    import paddle

    model, _ = trained
    (tmp_path / "old").mkdir()
    state = {name: value for name, value in model.state_dict().items() if name.startswith("model.")}
    paddle.save(state, str(tmp_path / "old/model.pdparams"))
    return tmp_path / "old"


def assets_of(archive):
    """The model in an archive."""
    return unpack(archive, archive.parent / "unpacked") / "assets"


PAIRS = [[text, "".join(WORDS[7:12])] for (text,) in TEXTS]


@pytest.mark.parametrize("name", ["best_model", "epoch_1", "best_model/model.pdparams"])
def test_checkpoint_brings_its_task_labels_and_settings(make, trained, name):
    model, folder = trained
    again = make(load_checkpoint=folder / name)
    assert again.task == "pair-cls" and again.label_map == {0: "差", 1: "好", 2: "无"}
    assert again.config.hidden_act == "relu"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answers, expected = (each.predict(PAIRS, return_prob=True) for each in (again, model))
    assert answers[0] == expected[0]
    assert_close(answers[1], expected[1])
    assert make("seq-cls", load_checkpoint=folder / name, label_map={0: 7, 1: 8, 2: 9}).label_map[2] == 9
    assert make("embedding", load_checkpoint=folder / name).task is None


def test_pipe_is_refused_instead_of_waited_for(make, tmp_path):
    os.mkfifo(tmp_path / "pipe.pdparams")
    with pytest.raises(ElectraPaddleError, match="found something other than a file, expected a file of parameters"):
        make("seq-cls", load_checkpoint=tmp_path / "pipe.pdparams")


def test_state_is_set_again_without_a_warning(make, trained):
    """As the Trainer does when it goes on."""
    import paddle

    model, folder = trained
    other = make("pair-cls", label_map=LABELS, hidden_act="relu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert other.set_state_dict(paddle.load(str(folder / "epoch_1/model.pdparams"))) == ([], [])
        assert_close(other.predict(PAIRS, return_prob=True)[1], model.predict(PAIRS, return_prob=True)[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"name": ""},
            r"found no model.pdparams, expected a folder that .* it has best_model, epoch_1: name one of them",
        ),
        ({"task": "token-cls"}, "model.pdparams: found parameters of task 'pair-cls', expected those of 'token-cls'"),
        ({"task": "text-matching"}, "found parameters of task 'pair-cls', expected those of 'text-matching'"),
        ({"num_classes": 5}, "label_map: found 3 labels, expected 5, as num_classes says"),
        ({"label_map": {0: "a", 1: "b"}}, r"found model.classifier.weight \[32, 3\], expected .*\[32, 2\]"),
    ],
)
def test_argument_that_contradicts_a_checkpoint_is_told(make, trained, arguments, message):
    arguments = dict(arguments)
    with pytest.raises(ElectraPaddleError, match=message):
        make(load_checkpoint=trained[1] / arguments.pop("name", "best_model"), **arguments)


def save_description(folder, content):
    import paddle

    folder.mkdir()
    paddle.save({"module_description": paddle.to_tensor(content)}, str(folder / "model.pdparams"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "an unreadable module_description"),
        (b"[]", "module_description with task None"),
        (b'{"task": 1}', "module_description with task 1"),
    ],
)
def test_description_that_makes_no_sense_is_told(make, tmp_path, content, message):
    save_description(tmp_path / "m", np.frombuffer(content, np.uint8))
    with pytest.raises(ElectraPaddleError, match=message):
        make(load_checkpoint=tmp_path / "m")


def test_description_may_not_ask_for_other_sizes(make, trained, tmp_path):
    content = json.loads(trained[0].state_dict()["module_description"].numpy().tobytes())
    content["arguments"] = {"num_hidden_layers": 500}
    save_description(tmp_path / "m", np.frombuffer(json.dumps(content).encode(), np.uint8))
    with pytest.raises(ElectraPaddleError, match="module_description with the argument num_hidden_layers"):
        make(load_checkpoint=tmp_path / "m")


@pytest.mark.parametrize("name", ["best_model", "best_model/model.pdparams"])
def test_module_of_a_checkpoint_answers_as_the_trained_one(make, trained, tmp_path, name):
    model, folder = trained
    out = tmp_path / "chinese_electra_trained.tar.gz"
    assets = assets_of(export_module(folder / name, out, version="2.1", summary="a summary"))
    module = (assets.parent / "module.py").read_text(encoding="utf-8")
    assert "name='chinese-electra-trained'" in module and "version='2.1'" in module and "'a summary'" in module
    again = make(pretrained=assets)
    assert again.task == "pair-cls" and list(again.label_map.values()) == list(LABELS.values())
    assert_close(again.predict(PAIRS, return_prob=True)[1], model.predict(PAIRS, return_prob=True)[1])
    renamed = export_module(folder / name, out, overwrite=True, missing=Missing(label_map='["a", "b", "c"]'))
    assert make(pretrained=assets_of(renamed)).label_map == {0: "a", 1: "b", 2: "c"}


def test_module_of_an_earlier_checkpoint_is_told_what_it_does_not_say(make, trained, without_description, tmp_path):
    (tmp_path / "labels.json").write_text(json.dumps(LABELS))
    out = tmp_path / "chinese_electra_old.tar.gz"
    base = str(make().assets)
    for missing, message in (
        (Missing(), "parameters alone, expected also --task and --pretrained, as it does not say"),
        (Missing("pair-cls"), "parameters alone, expected also --pretrained, as"),
        (Missing("pair-cls", None, base), "expected also --label-map, as it does not name its classes"),
        (Missing("pair-cls", '["a"]', base), "found 1 labels for a head of 3 classes"),
        (Missing("text-matching", "[1, 2, 3]", base), "task 'text-matching', expected seq-cls or token-cls or"),
    ):
        with pytest.raises(ElectraPaddleError, match=message) as caught:
            export_module(without_description, out, missing=missing)
        assert "\n" not in str(caught.value) and not out.exists()
    export_module(without_description, out, missing=Missing("pair-cls", str(tmp_path / "labels.json"), base))
    again = make(pretrained=assets_of(out), hidden_act="relu")
    expected = trained[0].predict(PAIRS, return_prob=True)
    answers = again.predict(PAIRS, return_prob=True)
    assert answers[0] == expected[0]
    assert_close(answers[1], expected[1])


def test_head_of_two_layers_goes_into_a_module(make, tiny_run, tmp_path):
    """That of the official modules."""
    import paddle
    from paddlenlp.transformers import ElectraForSequenceClassification

    from electra_paddle.models import pretrained_directory as pretrained

    config = pretrained.load_config(tiny_run / "discriminator")
    config.num_labels = 3
    network = ElectraForSequenceClassification(config)
    (tmp_path / "m").mkdir()
    state = {f"model.{name}": value for name, value in network.state_dict().items()}
    paddle.save(state, str(tmp_path / "m/model.pdparams"))
    out = tmp_path / "chinese_electra_official.tar.gz"
    export_module(tmp_path / "m", out, missing=Missing("seq-cls", json.dumps(LABELS), str(tiny_run)))
    expected = make("seq-cls", load_checkpoint=tmp_path / "m", label_map=LABELS).predict(TEXTS, return_prob=True)
    answers = make(pretrained=assets_of(out)).predict(TEXTS, return_prob=True)
    assert answers[0] == expected[0]
    assert_close(answers[1], expected[1])


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (Missing(task="token-cls"), "--task: found 'token-cls', expected 'pair-cls', for which"),
        (Missing(pretrained="base"), "--pretrained: found base, expected nothing: .* describes its network"),
    ],
)
def test_option_that_contradicts_the_checkpoint_is_told(trained, tmp_path, missing, message):
    with pytest.raises(ElectraPaddleError, match=message):
        export_module(trained[1] / "best_model", tmp_path / "out.tar.gz", missing=missing)
    with pytest.raises(ElectraPaddleError, match="it has best_model, epoch_1: name one of them"):
        export_module(trained[1], tmp_path / "out.tar.gz")


def test_matcher_is_loaded_but_makes_no_module(make, tmp_path):
    import paddle

    matcher = make("text-matching", num_classes=3)
    (tmp_path / "m").mkdir()
    paddle.save(matcher.state_dict(), str(tmp_path / "m/model.pdparams"))
    assert make(load_checkpoint=tmp_path / "m").label_map == {0: 0, 1: 1, 2: 2}
    with pytest.raises(
        ElectraPaddleError, match=r"'text-matching', .*; hub.Module\(..., load_checkpoint=...\) takes it"
    ):
        export_module(tmp_path / "m", tmp_path / "out.tar.gz")


def test_onnx_under_the_name_that_paddlehub_has_for_it(make, tmp_path):
    model = make()
    with pytest.raises(
        ElectraPaddleError, match="export_onnx_model: found opset_version, expected a folder's name alone"
    ):
        model.export_onnx_model(tmp_path / "onnx", opset_version=12)
    with pytest.raises(ElectraPaddleError, match="OUT: found .*, which exists, expected a new folder"):
        model.export_onnx_model(tmp_path)
