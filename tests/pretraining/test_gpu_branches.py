"""Runs as on a GPU, on a CPU: kernels that are started and values that are read are counted, and runs go on."""

import collections
import json

import numpy as np
import paddle
import paddle.profiler
import pytest

from electra_paddle.batch import MaskedBatch
from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.models.pretraining import ElectraForJointPretraining
from electra_paddle.pretraining.batch_metrics import pretraining_metrics
from electra_paddle.tensors import read_tensors
from electra_paddle.training.callbacks import Callback
from electra_paddle.training.checkpoint import Checkpoints
from electra_paddle.training.loggers import Run
from electra_paddle.training.loop import to_tensors
from electra_paddle.training.monitor import Monitor
from electra_paddle.training.optimizer import build_optimizer
from electra_paddle.training.session import Session, SessionSettings

VOCAB_SIZE, ROWS, LENGTH, SLOTS = 60, 2, 16, 3


def network(num_layers):
    """The networks of `small` but for layers, widths and words, of which the number of launches does not depend."""
    shape = {"num_hidden_layers": num_layers, "hidden_size": 32, "intermediate_size": 64, "embedding_size": 16}
    discriminator = discriminator_geometry("small", VOCAB_SIZE, LENGTH, shape)
    model = ElectraForJointPretraining(generator_geometry(discriminator), discriminator)
    model.train()
    return model


def masked_batch(seed=0, is_padded=False):
    """Arrays."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, VOCAB_SIZE, (ROWS, LENGTH))
    positions = np.stack([rng.permutation(np.arange(1, 10))[:SLOTS] for _ in range(ROWS)])
    masked, mask = ids.copy(), np.ones_like(ids)
    np.put_along_axis(masked, positions, 4, 1)
    mask[0, 12:] = not is_padded
    return MaskedBatch(
        ids,
        np.zeros_like(ids),
        mask,
        masked,
        positions,
        np.take_along_axis(ids, positions, 1),
        np.ones((ROWS, SLOTS), np.float32),
        rng.random((ROWS, SLOTS), np.float32),
        np.float32(ROWS * SLOTS),
        np.float32(mask.sum()),
    )


def launches(function, *arguments):
    """(kernels that the function starts, what it returns)."""
    paddle.set_flags({"FLAGS_host_trace_level": 4})  # Paddle 2.6 leaves kernels out otherwise
    profiler = paddle.profiler.Profiler(
        targets=[paddle.profiler.ProfilerTarget.CPU], on_trace_ready=lambda profiler: None
    )
    profiler.start()
    result = function(*arguments)
    profiler.stop()
    names = collections.Counter()

    def walk(nodes):
        for node in nodes:
            names[node.name.rpartition(" ")[2]] += 1
            walk(node.children_node)

    for root in profiler.profiler_result.get_data().values():
        walk([root])
    return names["launch"] or names["compute"], result  # as Paddle 3 and Paddle 2.6 call it


def launches_of_an_update(num_layers, is_padded):
    """Part -> launches, once everything that is made only once is there."""
    model = network(num_layers)
    optimizer = build_optimizer(model, 1e-4)
    batch = to_tensors(masked_batch(is_padded=is_padded))
    for _ in range(2):
        counts = {}
        counts["forward"], output = launches(model, batch)
        counts["backward"], _ = launches(output.loss.backward)
        counts["metrics"], _ = launches(pretraining_metrics, batch, output)
        counts["optimizer"], _ = launches(optimizer.step)
        optimizer.clear_grad(set_to_zero=False)
    return counts


@pytest.mark.parametrize(("is_padded", "most"), [(False, 1500), (True, 1540)], ids=["full", "padded"])
def test_update_of_small_starts_few_kernels(gpu_branches, is_padded, most):
    """Each layer starts as many as every other. Seen: 1,453 on Paddle 3.3 and 1,463 on 2.6; with padding 54 more."""
    two, three = (launches_of_an_update(number, is_padded) for number in (2, 3))
    counts = {part: two[part] + 10 * (three[part] - two[part]) for part in two}
    assert three["optimizer"] == two["optimizer"]  # it does not depend on the number of parameters
    assert 600 < counts["forward"] < 760 and sum(counts.values()) <= most, counts


READING = ("numpy", "item", "tolist", "__float__", "__int__", "__bool__", "__index__", "__array__", "cpu")


@pytest.fixture
def reads(monkeypatch):
    """The names of the methods by which tensors were read."""
    names = []

    def noting(name, method):
        def read(self, *arguments, **options):
            names.append(name)
            return method(self, *arguments, **options)

        return read

    for name in READING:
        if method := getattr(paddle.Tensor, name, None):
            monkeypatch.setattr(paddle.Tensor, name, noting(name, method))
    return names


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("num_accumulated", [1, 2])
def test_nothing_is_read_from_the_device_between_reports(
    gpu_branches, reads, tmp_path, monkeypatch, precision, num_accumulated
):
    monkeypatch.setattr("electra_paddle.runtime.usable_precision", lambda name: (name, None))
    monkeypatch.setattr("electra_paddle.training.hardware.is_gpu", lambda: False)
    settings = SessionSettings(
        21, 1e-3, 3, precision=precision, gradient_accumulation_steps=num_accumulated, saves_last=False
    )
    session = Session(network(1), settings, Checkpoints(tmp_path / "checkpoints", {}))
    monitor = Monitor(Run(tmp_path, "small", 0, 21, "pre-train"), ["jsonl"], log_steps=20, sequences_per_step=ROWS)
    seen = []

    def batches():
        for step in range(21):
            seen.append(len(reads))
            yield masked_batch(step, is_padded=True)

    session.run(batches(), monitor, pretraining_metrics)
    assert seen[:20] == [seen[0]] * 20  # before each of the first 20 updates
    assert 0 < seen[20] - seen[19] <= 2, reads  # update 20 is the first that is reported
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [20, 21]
    assert all(np.isfinite(row[name]) for row in rows for name in ("loss", "rtd_auc", "gradient_norm"))


def final_state(folder, stops_at=None, precision="fp32"):
    """What the checkpoint of update 9 holds, after a run that goes on from `stops_at`."""

    class Stop(Callback):
        def on_step(self, session):
            session.should_stop = session.step == stops_at

    settings = SessionSettings(9, 1e-2, 3, precision=precision, save_checkpoints_steps=100)
    checkpoints = Checkpoints(folder / "checkpoints", {})
    for _ in range(2 if stops_at else 1):
        session = Session(network(1), settings, checkpoints, checkpoints.latest(), callbacks=[Stop()])
        stops_at = None if session.step else stops_at
        monitor = Monitor(Run(folder, "small", session.step, 9, "pre-train"), ["jsonl"], log_steps=4)
        arrays = (masked_batch(step) for step in range(session.step, 9))
        session.run(arrays, monitor, pretraining_metrics)
    path = checkpoints.latest().path
    losses = [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    tensors = {
        (name, key): value
        for name in ("model", "optimizer")
        for key, value in read_tensors(path / f"{name}.safetensors").items()
    }
    return checkpoints.latest().progress["loss_scale"], losses, tensors


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_run_that_was_interrupted_between_reports_ends_as_one_that_was_not(
    gpu_branches, tmp_path, monkeypatch, precision
):
    """To the bit, dropout on, and with the means of the interval in which it was interrupted."""
    monkeypatch.setattr("electra_paddle.runtime.usable_precision", lambda name: (name, None))
    scale, losses, expected = final_state(tmp_path / "whole", precision=precision)
    other_scale, other_losses, found = final_state(tmp_path / "cut", 6, precision)
    assert len(losses) == 3 and losses == other_losses and scale == other_scale
    assert expected.keys() == found.keys()
    assert all((expected[name] == found[name]).all() for name in expected)
