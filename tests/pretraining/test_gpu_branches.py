"""Runs as on a GPU, on a CPU: kernels that are started and values that are read are counted, and runs go on."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import load_tool

from electra_paddle.pretraining.batch_metrics import pretraining_metrics
from electra_paddle.tensors import read_tensors
from electra_paddle.training.callbacks import Callback
from electra_paddle.training.checkpoint import Checkpoints
from electra_paddle.training.loggers import Run
from electra_paddle.training.monitor import Monitor
from electra_paddle.training.session import Session, SessionSettings

TOOL = load_tool("count_launches")
masked_batch, ROWS = TOOL.masked_batch, TOOL.ROWS


def network(num_layers):
    return TOOL.network("small", num_layers)


@pytest.mark.parametrize("batch", ["full", "padded"])
@pytest.mark.parametrize(("size", "most"), [("small", 1500), ("base", 1500), ("large", 2700)])
def test_update_starts_few_kernels(gpu_branches, size, batch, most):
    """Seen for small: 1,445 on Paddle 3.3 and 1,447 on 2.6, with padding 51 more; docs/gpu.md has all."""
    counts = TOOL.launches_of_an_update(TOOL.network(size), batch == "padded")
    assert counts["forward"] > 600 and counts["update"] <= most, counts
    assert counts["optimizer"] < 60 and counts["ema_decay"] == 6  # whatever the number of parameters


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
    seen = []
    counting = SimpleNamespace(**{name: lambda *_: None for name in ("on_start", "on_end")})
    counting.on_step = lambda session: seen.append(len(reads))
    session = Session(network(1), settings, Checkpoints(tmp_path / "checkpoints", {}), callbacks=[counting])
    monitor = Monitor(Run(tmp_path, "small", 0, 21, "pre-train"), ["jsonl"], log_steps=20, sequences_per_step=ROWS)
    session.run((masked_batch(step, is_padded=True) for step in range(21)), monitor, pretraining_metrics)
    assert seen[:19] == [seen[0]] * 19  # after each of the first 19 updates
    assert 0 < seen[19] - seen[18] <= 2, reads  # update 20 is the first that is reported
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
