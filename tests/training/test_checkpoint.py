import json

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


def test_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path):
    model, optimizer, schedule = make_run()
    checkpoints = Checkpoints(tmp_path, SHAPE)
    steps(model, optimizer, schedule, range(7))
    checkpoints.save(7, model, optimizer)
    steps(model, optimizer, schedule, range(7, 12))
    other, other_optimizer, other_schedule = make_run()
    start = Checkpoints(tmp_path, SHAPE).restore(other, other_optimizer, other_schedule)
    assert start == 7
    assert other_schedule.get_lr() == pytest.approx(0.01 * 13 / 20)
    steps(other, other_optimizer, other_schedule, range(7, 12))
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert (one.numpy() == two.numpy()).all()


def test_only_the_newest_are_kept_and_halves_are_not_seen(tmp_path):
    model, optimizer, schedule = make_run()
    checkpoints = Checkpoints(tmp_path, SHAPE, keep=2)
    for step in (1, 2, 3):
        checkpoints.save(step, model, optimizer)
    (tmp_path / "step_00000009.partial").mkdir()
    assert [path.name for path in checkpoints.paths()] == ["step_00000002", "step_00000003"]
    assert checkpoints.restore(model, optimizer, schedule) == 3


def test_no_checkpoint_means_from_the_start(tmp_path):
    assert Checkpoints(tmp_path / "none", SHAPE).restore(*make_run()) == 0


def test_checkpoint_of_another_shape_names_what_differs(tmp_path):
    model, optimizer, _ = make_run()
    Checkpoints(tmp_path, SHAPE).save(1, model, optimizer)
    other = {**SHAPE, "generator": {"hidden_size": 16}}
    with pytest.raises(CheckpointError, match=r"state.json: found generator.hidden_size 8, expected 16 as configured"):
        Checkpoints(tmp_path, other).latest()


def test_damaged_checkpoint_is_named(tmp_path):
    model, optimizer, schedule = make_run()
    path = Checkpoints(tmp_path, SHAPE).save(1, model, optimizer)
    (path / "optimizer.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"optimizer.safetensors: found no readable tensors"):
        Checkpoints(tmp_path, SHAPE).restore(model, optimizer, schedule)
    (path / "state.json").write_text(json.dumps({"steps": 1}))
    with pytest.raises(CheckpointError, match=r"state.json: found a damaged checkpoint"):
        Checkpoints(tmp_path, SHAPE).latest()
