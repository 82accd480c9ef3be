import errno
import os
import subprocess

import numpy as np
import paddle
import pytest

from electra_paddle.errors import CheckpointError
from electra_paddle.training.checkpoint import Checkpoints
from electra_paddle.training.optimizer import build_optimizer
from electra_paddle.training.schedule import build_schedule

SHAPE = {"generator": {"hidden_size": 8}, "vocab_sha256": "abc"}


def make_run():
    model = paddle.nn.Sequential(paddle.nn.Linear(4, 3), paddle.nn.LayerNorm(3))
    schedule = build_schedule(0.01, 20, 2)
    return model, build_optimizer(model, schedule), schedule


def steps(model, optimizer, schedule, numbers):
    for number in numbers:
        inputs = paddle.to_tensor(np.random.default_rng(number).standard_normal((5, 4)).astype("float32"))
        (model(inputs) ** 2 - inputs[:, :3]).sum().backward()
        optimizer.step()
        optimizer.clear_grad()
        schedule.step()


def restored(folder, identity=SHAPE):
    """(Checkpoint, model, optimizer, schedule) of a run that goes on."""
    model, optimizer, schedule = make_run()
    checkpoints = Checkpoints(folder, identity)
    checkpoint = checkpoints.latest()
    checkpoints.restore(checkpoint, model, optimizer)
    schedule.step(checkpoint.step)
    return checkpoint, model, optimizer, schedule


def test_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path):
    model, optimizer, schedule = make_run()
    steps(model, optimizer, schedule, range(7))
    Checkpoints(tmp_path, SHAPE).save(7, model, optimizer, {"loss_scale": {"value": 8.0}})
    steps(model, optimizer, schedule, range(7, 12))
    checkpoint, other, other_optimizer, other_schedule = restored(tmp_path)
    assert checkpoint.step == 7 and checkpoint.progress == {"loss_scale": {"value": 8.0}}
    assert other_schedule.get_lr() == pytest.approx(0.01 * 13 / 20)
    steps(other, other_optimizer, other_schedule, range(7, 12))
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert (one.numpy() == two.numpy()).all()


def test_only_the_newest_are_kept_and_halves_are_not_seen(tmp_path):
    model, optimizer, _ = make_run()
    checkpoints = Checkpoints(tmp_path, SHAPE, keep=2)
    for step in (1, 2, 3):
        checkpoints.save(step, model, optimizer)
    (tmp_path / "step_00000009.partial").mkdir()
    assert [path.name for path in checkpoints.paths()] == ["step_00000002", "step_00000003"]
    assert checkpoints.latest().step == 3


def test_no_checkpoint_means_from_the_start(tmp_path):
    assert Checkpoints(tmp_path / "none", SHAPE).latest() is None


def test_checkpoint_of_another_shape_names_what_differs(tmp_path):
    model, optimizer, _ = make_run()
    Checkpoints(tmp_path, SHAPE).save(1, model, optimizer)
    other = {**SHAPE, "generator": {"hidden_size": 16}}
    with pytest.raises(CheckpointError, match=r"state.json: found generator.hidden_size 8, expected 16 as configured"):
        Checkpoints(tmp_path, other).latest()


def test_checksums_are_read_by_sha256sum(tmp_path):
    model, optimizer, _ = make_run()
    path = Checkpoints(tmp_path, SHAPE).save(1, model, optimizer)
    result = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=path, capture_output=True, text=True, check=True)
    assert sorted(result.stdout.splitlines()) == [
        "model.safetensors: OK", "optimizer.safetensors: OK", "state.json: OK",
    ]  # fmt: skip


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "flipped bit in the weights": lambda path: flip_a_bit(path / "model.safetensors"),
    "flipped bit in the moments": lambda path: flip_a_bit(path / "optimizer.safetensors"),
    "changed state": lambda path: (path / "state.json").write_text('{"step": 9}'),
    "cut weights": lambda path: (path / "model.safetensors").write_bytes(b""),
    "lost moments": lambda path: (path / "optimizer.safetensors").unlink(),
    "lost checksums": lambda path: (path / "SHA256SUMS").unlink(),
    "cut checksums": lambda path: (path / "SHA256SUMS").write_text(""),
    "garbage for checksums": lambda path: (path / "SHA256SUMS").write_bytes(bytes(range(256))),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_newest_is_set_aside_and_the_one_before_used(tmp_path, damage, capsys):
    model, optimizer, schedule = make_run()
    checkpoints = Checkpoints(tmp_path, SHAPE)
    steps(model, optimizer, schedule, range(2))
    checkpoints.save(2, model, optimizer)
    before = model[0].weight.numpy().copy()
    steps(model, optimizer, schedule, range(2, 4))
    DAMAGES[damage](checkpoints.save(4, model, optimizer))
    checkpoint, other, _, _ = restored(tmp_path)
    assert checkpoint.step == 2 and (other[0].weight.numpy() == before).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_00000002", "step_00000004.damaged"]
    warning = capsys.readouterr().err
    assert warning.startswith("WARNING: ") and "kept as step_00000004.damaged, going on from step_00000002" in warning


def test_nothing_whole_is_an_error_and_nothing_is_touched(tmp_path):
    model, optimizer, _ = make_run()
    path = Checkpoints(tmp_path, SHAPE).save(1, model, optimizer)
    flip_a_bit(path / "model.safetensors")
    expected = r"step_00000001: found model.safetensors is damaged.*; to begin anew, remove"
    with pytest.raises(CheckpointError, match=expected):
        Checkpoints(tmp_path, SHAPE).latest()
    assert path.exists()


def test_what_cannot_be_written_leaves_the_older_ones(tmp_path, monkeypatch):
    model, optimizer, _ = make_run()
    checkpoints = Checkpoints(tmp_path, SHAPE)
    checkpoints.save(1, model, optimizer)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match=r"step_00000002: found no space left on device"):
        checkpoints.save(2, model, optimizer)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000001"]


def full(descriptor):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_folders_of_other_names_neither_count_nor_go(tmp_path):
    """Copies such as step_best were taken for the newest, and the real ones deleted."""
    for name in ("step_best", "step_00000099_copy", "step_7", "step_00000005.damaged"):
        (tmp_path / name).mkdir()
    (tmp_path / "step_00000098").write_text("a file")
    checkpoints = Checkpoints(tmp_path, {}, keep=2)
    layer = paddle.nn.Linear(3, 2)
    optimizer = build_optimizer(layer, build_schedule(0.1, 200_000_000, 0, 1.0), 0.0)
    for step in (8, 9, 100_000_001):
        checkpoints.save(step, layer, optimizer)
    assert [path.name for path in checkpoints.paths()] == ["step_00000009", "step_100000001"]
    assert checkpoints.latest().step == 100_000_001
    assert {path.name for path in tmp_path.iterdir()} >= {"step_best", "step_00000099_copy", "step_7", "step_00000098"}
