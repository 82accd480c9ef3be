"""Exported networks in bfloat16 and in 8-bit integers: close to the module's answers, and only where it helps."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hub.conftest import save_network
from hub.test_deploy import OTHER, TEXT, Tiny, items_of

from electra_paddle import runtime
from electra_paddle.cli import run_command
from electra_paddle.errors import ElectraPaddleError
from electra_paddle.hub.deployment import paddle_network
from electra_paddle.hub.packaging.module_archive import export_module

needs_bf16 = pytest.mark.skipif(not runtime.has_fast_bf16(), reason="the processor is slower in bf16")
pytestmark = pytest.mark.filterwarnings("ignore:.*untrained", "ignore:::onnx", "ignore:::onnxruntime")


@pytest.fixture
def make(tiny_run):
    """Make a module from the weights of the small run."""
    return lambda task=None, **arguments: Tiny(task, **{"pretrained": tiny_run, **arguments})


def test_int8_stores_weights_in_bytes_and_answers_nearly_the_same(make, tmp_path):
    import onnx

    model = make("seq-cls")
    about = model.export(tmp_path / "int8", "onnx", "int8")
    difference = about["largest_difference"]
    assert about["precision"] == "int8" and difference["fp32"] <= 1e-5 < difference["int8"] < 0.2
    tensors = onnx.load(str(tmp_path / "int8/network.onnx")).graph.initializer
    weights = [onnx.numpy_helper.to_array(each) for each in tensors if each.data_type == onnx.TensorProto.INT8]
    assert len(weights) >= 2 * 6  # of both layers
    # With more than 7 bits processors without VNNI overflow.
    assert 60 <= max(abs(each.astype(int)).max() for each in weights) <= 64
    _, exact = model.predict([[TEXT]], return_prob=True)
    _, close = model.predict([[TEXT]], return_prob=True, engine="onnx")
    assert close[0] == pytest.approx(exact[0], abs=0.1)


@needs_bf16
@pytest.mark.parametrize("task", ["text-matching", "fill-mask", "question-answering"])
def test_bf16_is_close_and_its_file_is_in_float32(make, tmp_path, task):
    model = make(task)
    about = model.export(tmp_path / "bf16", precision="bf16")
    difference = about["largest_difference"]
    assert about["precision"] == "bf16" and difference["fp32"] <= 1e-5 < difference["bf16"] < 0.1
    num_values = sum(math.prod(parameter.shape) for parameter in model.parameters())
    assert (tmp_path / "bf16" / paddle_network.PARAMETERS).stat().st_size >= 4 * num_values


@needs_bf16
def test_bf16_answers_nearly_the_same_whatever_thread_asks(make, tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "num_threads", lambda: 2)
    model = make("seq-cls")
    model.export(tmp_path / "bf16", precision="bf16")
    items = items_of(model.handler)
    labels, probabilities = (np.array(part) for part in model.predict(items, 24, return_prob=True))
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(model.predict, items, 24, engine="inference", return_prob=True) for _ in range(6)]
    answers = [answer.result() for answer in asked]
    assert all(answer == answers[0] for answer in answers)  # to the bit: every thread's network is in bfloat16
    difference = np.abs(np.array(answers[0][1]) - probabilities)
    assert 1e-6 < difference.max() < 0.01
    is_clear = np.abs(probabilities[:, 0] - probabilities[:, 1]) > 0.02
    assert is_clear.any() and (np.array(answers[0][0]) == labels)[is_clear].all()


@needs_bf16
def test_bf16_leaves_all_but_matrix_products_in_float32(make, tiny_shape, tmp_path, monkeypatch):
    from paddlenlp.transformers import ElectraDiscriminator

    save_network(ElectraDiscriminator, tmp_path, tiny_shape, seed=2)  # of small weights, as pre-training begins with
    model = make(pretrained=tmp_path)
    model.export(tmp_path / "bf16", precision="bf16")

    def error():
        ((_, exact),), ((_, close),) = (model.predict([[TEXT]], engine=engine) for engine in ("eager", "inference"))
        return np.abs(np.array(close) - np.array(exact)).mean()

    ours = error()
    model.engines.clear()
    monkeypatch.setattr(paddle_network, "keep_others_in_float32", lambda config, is_old: None)
    assert 1e-5 < ours < 0.75 * error()


@pytest.mark.parametrize(
    ("vendor", "flags", "fast"),
    [
        ("GenuineIntel", "avx512_bf16 amx_bf16", True),
        ("GenuineIntel", "avx512_bf16", False),
        ("AuthenticAMD", "avx512f avx512_bf16", True),
        ("AuthenticAMD", "avx2", False),
    ],
)
def test_bf16_is_for_amx_and_for_amd(monkeypatch, vendor, flags, fast):
    monkeypatch.setattr(runtime, "cpu_description", lambda: f"vendor_id\t: {vendor}\nflags\t\t: {flags}\n")
    assert runtime.has_fast_bf16() is fast


def test_bf16_is_refused_on_a_processor_that_is_slower_in_it(make, tmp_path, monkeypatch):
    folder = tmp_path / "bf16"
    make("seq-cls").export(folder)
    about = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    (folder / "export.json").write_text(json.dumps(about | {"precision": "bf16"}), encoding="utf-8")
    monkeypatch.setattr(runtime, "cpu_description", lambda: "model name\t: Some CPU\nflags\t\t: avx2 avx512_bf16")
    message = r"precision: found 'bf16' on a processor that is faster without \(Some CPU\), expected .* 'fp32'$"
    with pytest.raises(ElectraPaddleError, match=message):
        make("seq-cls", exported=folder).predict([[TEXT]], engine="inference")
    with pytest.raises(ElectraPaddleError, match=message):
        make("seq-cls").export(tmp_path / "other", precision="bf16")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(("format", "precision"), [("onnx", "int8"), pytest.param("paddle", "bf16", marks=needs_bf16)])
def test_command_exports_a_module_and_prints_its_accuracy(tiny_run, tmp_path, capsys, format, precision):
    labelled = tmp_path / "test.tsv"
    labelled.write_text(f"label\ttext_a\n0\t{TEXT}\n1\t{TEXT}\n1\t{OTHER}\n", encoding="utf-8")
    module = export_module(tiny_run, tmp_path / "chinese_electra_tiny")
    out = tmp_path / "network"
    arguments = [str(module), str(out), "--task", "seq-cls", "--format", format, "--precision", precision]
    assert run_command("export_inference", [*arguments, "--labelled", str(labelled)], "export_inference") == 0
    printed = capsys.readouterr().out
    assert f"{out}: seq-cls in the format {format}, {precision}" in printed
    assert f"in {precision} by " in printed
    assert "(3 texts): 33.33%" in printed or "(3 texts): 66.67%" in printed
    assert "points" in printed
