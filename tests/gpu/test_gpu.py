"""What can be compared on a GPU only, `make test-gpu`; the same tests run on a CPU with the branches of a GPU.

Those of the reference's numbers, models/test_pretraining_golden.py and finetuning/test_golden.py, run on a GPU, too.
"""

import json
import os

import numpy as np
import paddle
import pytest
from conftest import ROOT, assert_close
from end_to_end.test_fleet import NO_DROPOUT, losses, weights
from hub.conftest import WORDS
from models.test_encoder import Kernel, UnpaddedKernel
from pretraining.test_gpu_branches import final_state, masked_batch, network

from electra_paddle import runtime
from electra_paddle.batch import Layout
from electra_paddle.hub.module import ElectraModule
from electra_paddle.models import encoder
from electra_paddle.pretraining.batch_metrics import pretraining_metrics
from electra_paddle.tensors import read_tensors
from electra_paddle.training.checkpoint import Checkpoints
from electra_paddle.training.loggers import Run
from electra_paddle.training.monitor import Monitor
from electra_paddle.training.session import Session, SessionSettings

NUM_STEPS = 60


def curve(folder, precision):
    """Losses of updates on the same few batches, without dropout, and the session."""
    model = network(1)
    for layer in model.sublayers():
        if isinstance(layer, paddle.nn.Dropout):
            layer.p = 0.0
        if isinstance(layer, paddle.nn.MultiHeadAttention):
            layer.dropout = 0.0
    settings = SessionSettings(NUM_STEPS, 3e-3, 10, precision=precision)
    session = Session(model, settings, Checkpoints(folder / "checkpoints", {}))
    assert session.precision == precision
    encoder.fuse_attention(model, precision)
    monitor = Monitor(Run(folder, "curve", 0, NUM_STEPS, "pre-train"), ["jsonl"], log_steps=10)
    session.run((masked_batch(step % 4, is_padded=True) for step in range(NUM_STEPS)), monitor, pretraining_metrics)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return np.array([[row["mlm_loss"], row["rtd_loss"]] for row in rows]), session


@pytest.fixture(scope="module")
def in_float32():
    """The curve, once for each device."""
    return {}


@pytest.mark.parametrize("precision", ["bf16", "bf16_o2", "fp16"])
def test_curves_of_half_precision_stay_near_float32(device, tmp_path, in_float32, precision):
    if device not in in_float32:
        in_float32[device], _ = curve(tmp_path / "fp32", "fp32")
    expected = in_float32[device]
    found, session = curve(tmp_path / precision, precision)
    assert expected[-1, 0] < 0.9 * expected[0, 0]  # it learns
    assert np.abs(found - expected).max() > 0
    np.testing.assert_allclose(found[:, 0], expected[:, 0], rtol=0.06)
    np.testing.assert_allclose(found[:, 1], expected[:, 1], atol=0.15)  # other tokens are drawn; fp16 begins late
    weights = read_tensors(session.checkpoints.latest().path / "model.safetensors")
    for name, parameter in session.model.named_parameters():
        assert weights[name].dtype == np.float32 and (parameter.numpy() == weights[name]).all(), name


@pytest.mark.parametrize("precision", ["fp32", "bf16", "bf16_o2", "fp16"])
def test_run_that_was_interrupted_ends_as_one_that_was_not(device, tmp_path, precision):
    """To the bit, with what `deterministic` sets."""
    *_, expected = final_state(tmp_path / "whole", precision=precision)
    *_, found = final_state(tmp_path / "cut", 6, precision)
    assert expected.keys() == found.keys()
    assert all((expected[name] == found[name]).all() for name in expected)


@pytest.mark.parametrize("precision", ["bf16_o2", "fp32"])
def test_run_goes_on_in_another_precision(device, tmp_path, precision):
    """From and to master weights; the numbers that were not rounded are those of the checkpoint."""
    others = {"bf16_o2": "fp32", "fp32": "bf16_o2"}
    *_, before = final_state(tmp_path, precision=precision)
    checkpoints = Checkpoints(tmp_path / "checkpoints", {})
    settings = SessionSettings(9, 1e-2, 3, precision=others[precision])
    session = Session(network(1), settings, checkpoints, checkpoints.latest())
    with session.optimizer.updating():
        checkpoints.save(10, session.model, session.optimizer)
    path = checkpoints.latest().path
    assert path.name == "step_00000010"
    for name, key in before:
        assert (read_tensors(path / f"{name}.safetensors")[key] == before[name, key]).all(), key


@pytest.mark.parametrize("is_padded", [False, True], ids=["padding computed", "padding left out"])
def test_fused_attention_computes_what_the_layers_compute_without(device, monkeypatch, is_padded):
    from paddlenlp.transformers import ElectraConfig, ElectraModel

    shape = {"hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 64, "embedding_size": 16}
    paddle.seed(0)
    electra = ElectraModel(ElectraConfig(vocab_size=60, num_hidden_layers=2, **shape))
    encoder.speed_up(electra)
    electra.eval()
    arrays = masked_batch(is_padded=True)
    layout = Layout.of(arrays.attention_mask)
    ids, kinds, mask = (paddle.to_tensor(each) for each in arrays[:3])
    with paddle.no_grad():
        expected = electra(ids, token_type_ids=kinds, attention_mask=mask).numpy()
        if device != "GPU":  # it has no such kernels
            monkeypatch.setattr(paddle.nn.functional, "scaled_dot_product_attention", Kernel())
            monkeypatch.setattr(paddle.nn.functional.flash_attention, "flash_attn_unpadded", UnpaddedKernel())
        if (reason := encoder.fuse_attention(electra, "bf16", may_unpad=is_padded)) is not None:
            pytest.skip(reason)
        tensors = layout._replace(index=paddle.to_tensor(layout.index), starts=paddle.to_tensor(layout.starts))
        with runtime.autocast("bf16"), encoder.unpadded(tensors if is_padded else None):
            found = electra(ids, token_type_ids=kinds, attention_mask=mask).astype("float32").numpy()
    is_token = arrays.attention_mask > 0
    assert_close(found[is_token], expected[is_token], atol=0.05)
    assert bool(found[~is_token].any()) != is_padded


TEXTS = [["".join(WORDS[5:20])], ["".join(WORDS[8:10])]]


@pytest.fixture(scope="module")
def hub_modules(tiny_run):
    """[(module, its answers on a CPU)]."""
    kind = type("Tiny", (ElectraModule,), {"name": "tiny", "summary": "", "directory": ""})
    modules = [kind(task, pretrained=tiny_run) for task in ("embedding", "replaced-token-detection")]
    return [(module, module.predict(TEXTS, use_gpu=False)) for module in modules]


def numbers(answer):
    """All floats in nested lists, tuples and dicts."""
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, list | tuple | np.ndarray):
        return [number for each in answer for number in numbers(each)]
    return [answer] if isinstance(answer, float | np.floating) else []


def test_hub_module_answers_on_a_gpu_as_on_a_cpu(hub_modules, device):
    for module, expected in hub_modules:
        found = module.predict(TEXTS, use_gpu=device == "GPU")
        assert len(numbers(expected)) > 10
        assert_close(numbers(found), numbers(expected), atol=1e-4)


FORCED = """
from electra_paddle import runtime
runtime.is_cpu = lambda: False
runtime.usable_precision = lambda name: (name, None)
"""


@pytest.mark.parametrize(
    "options",
    [pytest.param([], marks=pytest.mark.slow), ["--gradient-accumulation-steps", "2", "--sharding-stage", "1"]],
)
def test_two_processes_of_gpus_have_the_losses_of_one(device, project, tmp_path, monkeypatch, options):
    if device == "GPU" and paddle.device.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    if device != "GPU":
        (tmp_path / "sitecustomize.py").write_text(FORCED)
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    names = [f"{device.partition(' ')[0]}_{number}_{len(options)}" for number in (1, 2)]
    project.pretrain(names[0], *NO_DROPOUT, num_train_steps=20)
    project.launch(2, names[1], *NO_DROPOUT, *options, num_train_steps=20)
    np.testing.assert_allclose(losses(project, names[1]), losses(project, names[0]), rtol=1e-5)
    for key, expected in weights(project, names[0]).items():
        np.testing.assert_allclose(weights(project, names[1])[key], expected, atol=2e-5)
