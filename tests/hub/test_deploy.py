"""Exported networks: they answer what the module answers, and nothing else than the module's own is taken."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import ROOT
from hub.conftest import NAME, WORDS, save_network
from hub.test_tasks import assert_same

import electra_paddle
from electra_paddle import runtime
from electra_paddle.cli import run_command
from electra_paddle.errors import ElectraPaddleError
from electra_paddle.hub.deployment.engines import ENGINES
from electra_paddle.hub.module import ElectraModule
from electra_paddle.hub.tasks.registry import BUILT_IN as TASKS

TEXT, OTHER = "".join(WORDS[5:25]), "".join(WORDS[30:36])
FORMAT_ENGINES = [(format, engine) for engine, format in ENGINES.items()]
pytestmark = pytest.mark.filterwarnings("ignore:.*untrained", "ignore:::onnx", "ignore:::onnxruntime")


class Tiny(ElectraModule):
    name, summary, directory = NAME, "tiny", "nowhere"


@pytest.fixture(scope="module")
def make(tiny_run):
    """Make a module from the weights of the small run."""
    return lambda task=None, **arguments: Tiny(task, **{"pretrained": tiny_run, **arguments})


@pytest.fixture(scope="module")
def exported(make, tmp_path_factory):
    """A classifier's network in Paddle's format."""
    folder = tmp_path_factory.mktemp("exported") / "network"
    make("seq-cls").export(folder)
    return folder


def items_of(head):
    """Items of several lengths; long texts are cut or taken in windows."""
    texts = [TEXT, OTHER, TEXT + OTHER, TEXT * 3, TEXT[3:9]]
    if head.component == "generator":
        texts = [f"{text[:4]}[MASK]{text[4:]}[MASK]" for text in texts]
    further = {"second text": OTHER[::-1], "question": OTHER[::-1], "choices": f"{OTHER}|{TEXT[:3]}|{TEXT}"}
    if head.num_texts == (1, 2):
        return [[text] for text in texts]
    return [[text, *map(further.get, head.text_names[1 : max(head.num_texts)])] for text in texts]


@pytest.mark.parametrize(("format", "engine"), FORMAT_ENGINES)
@pytest.mark.parametrize("task", TASKS)
def test_exported_network_of_every_task_answers_as_the_module_at_every_length_and_batch_size(
    make, tmp_path, task, format, engine
):
    model = make(task)
    about = model.export(tmp_path / "network", format)
    assert 0 < about["largest_difference"]["fp32"] <= 1e-5 and about["task"] == task
    fresh = make(task, exported=tmp_path / "network")  # another process would begin with this
    items = items_of(model.handler)
    options = {"max_seq_len": 24, "return_prob": model.handler.has_classes}
    expected = model.predict(items, **options)
    for batch_size in (1, 3, 32):
        assert_same(fresh.predict(items, batch_size=batch_size, engine=engine, **options), expected)
    assert_same(model.predict(items, **options), expected)  # exporting has left the module as it was


@pytest.mark.parametrize("engine", ["eager", "inference"])
def test_answers_are_the_same_whatever_thread_asks(make, exported, monkeypatch, engine):
    monkeypatch.setattr(runtime, "num_threads", lambda: 2)
    model = make("seq-cls", exported=exported)
    items = items_of(model.handler)
    expected = model.predict(items, 24, return_prob=True)
    for _ in range(5):  # threads that come and go
        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(model.predict, items, 24, engine=engine, return_prob=True) for _ in range(3)]
        for answers in asked:
            assert_same(answers.result(), expected)


def test_folder_holds_what_one_needs_and_no_pickle(exported):
    about = json.loads((exported / "export.json").read_text(encoding="utf-8"))
    assert about["inputs"] == dict.fromkeys(("input_ids", "token_type_ids", "attention_mask"), "int64 [batch, length]")
    assert (about["outputs"], about["labels"], about["precision"]) == (["probabilities"], [0, 1], "fp32")
    names = {path.name for path in exported.iterdir()}
    assert names == {"export.json", "vocab.txt", "tokenizer_config.json", *about["files"]}
    assert {name.partition(".")[2] for name in about["files"]} in ({"json", "pdiparams"}, {"pdmodel", "pdiparams"})


def test_onnx_file_names_inputs_and_outputs_and_runs_without_this_package(make, tmp_path):
    import onnxruntime

    model = make("text-matching")
    model.export(tmp_path / "network", "onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "network/network.onnx"), providers=["CPUExecutionProvider"])
    names = [f"{text}_{kind}" for text in ("query", "title") for kind in (
        "input_ids", "token_type_ids", "attention_mask"
    )]  # fmt: skip
    assert [value.name for value in session.get_inputs()] == names
    ids = np.array([[2, 7, 8, 3]])
    arrays = dict(zip(names, [ids, 0 * ids, 0 * ids + 1] * 2, strict=True))
    (probabilities,) = session.run(["probabilities"], arrays)
    text = WORDS[7] + WORDS[8]
    _, (expected,) = model.predict([[text, text]], return_prob=True)
    np.testing.assert_allclose(probabilities[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "tensorrt"}, "format: found 'tensorrt', expected 'paddle' or 'onnx'"),
        ({"precision": "fp16"}, "precision: found 'fp16', expected 'fp32' or 'bf16' or 'int8'"),
        ({"precision": "int8"}, "precision: found 'int8' in format 'paddle', expected format 'onnx'"),
        ({"tolerance": 0}, "tolerance: found 0, expected a number between 0 and 1, such as 1e-05"),
        ({"tolerance": 5}, "tolerance: found 5, expected a number between 0 and 1"),
        ({"tolerance": "1e-4"}, "tolerance: found '1e-4', expected a number between 0 and 1"),
        (
            {"precision": "bf16", "format": "onnx"},
            "precision: found 'bf16' in format 'onnx', expected format 'paddle'",
        ),
    ],
)
def test_export_refuses_in_one_sentence(make, tmp_path, arguments, message):
    with pytest.raises(ElectraPaddleError, match=message):
        make("seq-cls").export(tmp_path / "network", **arguments)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_but_an_exported_network_where_one_says_so(make, tmp_path):
    model = make()
    (tmp_path / "mine").mkdir()
    for overwrite in (False, True):
        with pytest.raises(ElectraPaddleError, match=r"OUT: found .*mine, which exists"):
            model.export(tmp_path / "mine", overwrite=overwrite)
    model.export(tmp_path / "network")
    with pytest.raises(ElectraPaddleError, match="--overwrite"):
        model.export(tmp_path / "network")
    model.export(tmp_path / "network", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "network"]


@pytest.mark.parametrize("format", ENGINES.values())
def test_trained_weights_whose_outputs_are_large_are_exported(tmp_path, format):
    """The shipped network's embeddings reach 8, and so do the sums in which a small number beside is rounded."""
    about = electra_paddle.load_module("chinese-electra-nano").export(tmp_path / "network", format)
    assert about["task"] == "embedding" and 0 < about["largest_difference"]["fp32"] <= 1e-5


def test_nothing_is_written_where_outputs_differ_by_more_than_the_tolerance(make, tmp_path):
    message = r"outputs that differ by .* from the module's, expected 1e-12 at most, .* \(--tolerance\) accepts it$"
    with pytest.raises(ElectraPaddleError, match=message):
        make().export(tmp_path / "network", tolerance=1e-12)
    assert not list(tmp_path.iterdir())
    assert make().export(tmp_path / "network", tolerance=0.1)["largest_difference"]["fp32"] > 1e-12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "tensorrt"}, "engine: found 'tensorrt', expected 'eager' or 'inference' or 'onnx'"),
        ({"engine": "onnx"}, "engine: found .* in the format 'paddle', expected 'onnx'"),
    ],
)
def test_predict_refuses_in_one_sentence(make, exported, options, message):
    with pytest.raises(ElectraPaddleError, match=message):
        make("seq-cls", exported=exported).predict([[TEXT]], **options)


def test_engine_without_an_exported_network_is_explained(make):
    with pytest.raises(ElectraPaddleError, match=r"engine: found 'inference'.*export\(DIR, format='paddle'\)"):
        make("seq-cls").predict([[TEXT]], engine="inference")


@pytest.mark.parametrize("damage", ["shorter", "other bytes", "absent"])
def test_damaged_network_is_refused(make, exported, tmp_path, damage):
    folder = tmp_path / "network"
    folder.mkdir()
    for path in exported.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    parameters = folder / "network.pdiparams"
    content = parameters.read_bytes()
    parameters.write_bytes(content[:-1] if damage == "shorter" else bytes([content[0] ^ 1]) + content[1:])
    if damage == "absent":
        parameters.unlink()
    with pytest.raises(ElectraPaddleError, match=r"network.pdiparams: found .* as exported; export it again"):
        make("seq-cls", exported=folder).predict([[TEXT]], engine="inference")


def test_folder_that_is_no_export_is_refused(make, tmp_path):
    with pytest.raises(ElectraPaddleError, match=r"export.json: found no readable configuration"):
        make("seq-cls", exported=tmp_path).predict([[TEXT]], engine="inference")


def test_network_of_another_task_or_of_other_weights_is_refused(make, exported, tiny_shape, tmp_path):
    from paddlenlp.transformers import ElectraDiscriminator

    with pytest.raises(ElectraPaddleError, match=r"another task \(seq-cls\)"):
        make("token-cls", exported=exported).predict([[TEXT]], engine="inference")
    save_network(ElectraDiscriminator, tmp_path, tiny_shape, seed=2)
    model = make("seq-cls", exported=exported, pretrained=tmp_path)
    with pytest.raises(ElectraPaddleError, match="other weights"):
        model.predict([[TEXT]], engine="inference")


def test_network_exported_before_training_is_refused_after_it(make, exported):
    import paddle

    model = make("seq-cls", exported=exported)
    model.predict([[TEXT]], engine="inference")
    optimizer = paddle.optimizer.SGD(0.1, model.parameters())
    model.train()
    ids = paddle.to_tensor([[2, 7, 3]])
    _, loss, _ = model(ids, paddle.zeros_like(ids), labels=paddle.to_tensor([1]))
    loss.backward()
    optimizer.step()
    with pytest.raises(ElectraPaddleError, match="other weights"):
        model.predict([[TEXT]], engine="inference")


def test_missing_onnxruntime_is_said_in_one_line(make, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # how Python marks what cannot be imported
    with pytest.raises(
        ElectraPaddleError, match=r"onnxruntime: found no such package.* pip install \"electra-paddle\[onnx\]\"$"
    ) as caught:
        make().export(tmp_path / "network", "onnx")
    assert "\n" not in str(caught.value)


def test_service_takes_the_engine_but_no_path(make, exported):
    model = make("seq-cls", exported=exported)
    assert model._serve([[TEXT]], engine="inference") == model._serve([[TEXT]])
    with pytest.raises(ElectraPaddleError, match="exported: found an unknown key"):
        model._serve([[TEXT]], exported="/elsewhere")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "int8"], "error: precision: found 'int8' in format 'paddle', expected format 'onnx'"),
        (["--task", "similarity", "--labelled", "x.tsv"], "error: --labelled: found a file for similarity"),
        (["--task", "seq-cls", "--labelled", "x.tsv"], "x.tsv: found no such file or directory"),
    ],
)
def test_command_ends_with_one_line(tiny_run, tmp_path, capsys, arguments, message):
    assert run_command("export_inference", [str(tiny_run), str(tmp_path / "out"), *arguments], "export_inference") == 2
    printed = capsys.readouterr().err.strip()
    assert message in printed.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_installed_module_exports_itself_and_predicts_with_every_engine(hub, tmp_path):
    answers = hub.python(f"""
model = hub.Module(name={NAME!r}, task="similarity")
item = [[{TEXT!r}, {OTHER!r}]]
result = [model.predict(item)]
for format, engine in (("paddle", "inference"), ("onnx", "onnx")):
    model.export({str(tmp_path)!r} + "/" + format, format)
    result.append(model.predict(item, engine=engine))
""")
    assert answers[1] == pytest.approx(answers[0], abs=1e-5) and answers[2] == pytest.approx(answers[0], abs=1e-5)
    options = ("--task", "similarity", "--exported", tmp_path / "onnx", "--engine", "onnx")
    printed = hub.command("run", NAME, *options, "--input_text", TEXT, OTHER)
    assert json.loads(printed.strip().splitlines()[-1])["similarity"] == pytest.approx(answers[0][0], abs=1e-5)


@pytest.mark.parametrize(("given", "expected"), [({}, "all"), ({"OMP_NUM_THREADS": "1"}, "1")])
def test_module_uses_all_cores_unless_the_user_says_otherwise(given, expected):
    """Paddle itself writes a 1 into OMP_NUM_THREADS where there is none."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    code = "import paddle; from electra_paddle import runtime; print(runtime.num_threads(), runtime.num_cores())"
    output = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**environment, "PYTHONPATH": str(ROOT), **given},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert output[0] == (output[1] if expected == "all" else expected)
