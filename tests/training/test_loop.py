from typing import Any, NamedTuple

import numpy as np
import paddle
import pytest

from electra_paddle.errors import TrainingError
from electra_paddle.training import loss_scale as loss_scale_module
from electra_paddle.training.loop import TrainingLoop
from electra_paddle.training.loss_scale import INITIAL_SCALE, LossScale
from electra_paddle.training.optimizer import build_optimizer, clip_gradients, share_out
from electra_paddle.training.schedule import build_schedule
from electra_paddle.training.transfer import parts


class Batch(NamedTuple):
    inputs: Any  # [B, 4]
    targets: Any  # [B, 2]
    weight: Any  # scalar


class Output(NamedTuple):
    loss: Any


class Regression(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        paddle.seed(0)
        self.linear = paddle.nn.Linear(4, 2)

    def forward(self, batch):
        return Output(((self.linear(batch.inputs) - batch.targets) ** 2).mean() * batch.weight)


class Notes:
    """A monitor that keeps what it is told."""

    def __init__(self):
        self.losses, self.passed = {}, []

    def add(self, step, metrics, learning_rate, loss_scale=None):
        self.losses[step] = float(metrics["loss"])

    def pass_over(self, step):
        self.passed.append(step)


def batches(count, broken=()):
    rng = np.random.default_rng(0)
    for number in range(count):
        inputs, targets = rng.standard_normal((8, 4)).astype("f4"), rng.standard_normal((8, 2)).astype("f4")
        yield Batch(inputs * np.float32("nan" if number in broken else 1), targets, np.float32(3))


def run(count=6, broken=(), **options):
    """(weights after each update, Notes)."""
    model, notes, history = Regression(), Notes(), []
    schedule = build_schedule(0.05, 100, 0)
    optimizer = build_optimizer(model, schedule)
    loop = TrainingLoop(
        model, optimizer, schedule, notes, lambda batch, output: {"loss": output.loss.detach()}, **options
    )
    loop.run(batches(count, broken), after_step=lambda step: history.append(model.linear.weight.numpy().copy()))
    return history, notes


@pytest.mark.parametrize("num_accumulated", [2, 8])
def test_accumulated_gradients_are_those_of_the_whole_batch(num_accumulated):
    whole, one = run()
    cut, two = run(num_accumulated=num_accumulated)
    assert np.abs(whole[-1] - whole[0]).max() > 0.01
    for a, b in zip(whole, cut, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-6)
    np.testing.assert_allclose(list(two.losses.values()), list(one.losses.values()), rtol=1e-6)


def test_parts_are_the_rows_in_order():
    (batch,) = batches(1)
    pieces = parts(batch, 4)
    assert [piece.inputs.shape for piece in pieces] == [(2, 4)] * 4
    assert (np.concatenate([piece.targets for piece in pieces]) == batch.targets).all()
    assert all(piece.weight == 3 for piece in pieces)


@pytest.mark.usefixtures("both_branches")
@pytest.mark.parametrize("report_steps", [1, 4])
def test_update_without_finite_gradients_changes_nothing_and_is_reported(capsys, report_steps):
    history, notes = run(broken={2, 4}, max_bad_steps=1, report_steps=report_steps)
    assert (history[2] == history[1]).all() and (history[4] == history[3]).all()
    assert (history[3] != history[2]).any()
    assert sorted(notes.losses) == [1, 2, 4, 6] and notes.passed == [3, 5]
    assert "update 3: a gradient norm of nan at learning rate 0.049" in capsys.readouterr().err


@pytest.mark.usefixtures("both_branches")
def test_too_many_in_a_row_stop_the_run():
    expected = r"update 4: found a gradient norm of nan at learning rate 0.0485, 3 times in a row, expected"
    with pytest.raises(TrainingError, match=expected):
        run(broken={1, 2, 3}, max_bad_steps=2)


@pytest.mark.usefixtures("both_branches")
def test_loss_scale_leaves_the_arithmetic_as_it_is():
    plain, _ = run()
    scaled, _ = run(loss_scale=LossScale(is_active=True))
    for a, b in zip(plain, scaled, strict=True):
        assert (a == b).all()


@pytest.mark.usefixtures("both_branches")
def test_overflow_halves_the_loss_scale_and_is_no_bad_step():
    scale = LossScale(is_active=True)
    history, notes = run(broken={1, 2}, loss_scale=scale)
    assert scale.state() == {"value": INITIAL_SCALE / 4, "num_good": 3} and notes.passed == [2, 3]
    assert (history[0] == history[2]).all() and (history[3] != history[2]).any()


@pytest.mark.parametrize("norm", [float, lambda value: paddle.to_tensor(value, dtype="float64")], ids=["CPU", "GPU"])
def test_loss_scale_grows_after_a_while_and_a_checkpoint_keeps_it(monkeypatch, norm):
    monkeypatch.setattr(loss_scale_module, "GROWTH_INTERVAL", 3)
    scale = LossScale(is_active=True)
    for value in (1.0, 1.0, float("inf"), 1.0, 1.0):
        scale.update(norm(value))
    other = LossScale(is_active=True)
    other.restore(scale.state())
    assert (other.value, other.num_good) == (INITIAL_SCALE / 2, 2)
    other.update(norm(1.0))
    assert (other.value, other.num_good) == (INITIAL_SCALE, 0)
    inactive = LossScale()
    inactive.update(float("inf"))
    assert inactive.value == 1 and inactive.state() == {}
    other.restore(inactive.state())
    assert other.value == INITIAL_SCALE


def make_parameters(*gradients):
    parameters = []
    for gradient in gradients:
        parameter = paddle.create_parameter(np.shape(gradient), "float32")
        parameter.grad = paddle.to_tensor(np.array(gradient, "float32"))
        parameters.append(parameter)
    return parameters


def test_gradients_are_clipped_by_their_global_norm():
    parameters = make_parameters([3.0], [[0.0, 4.0]])
    assert clip_gradients(parameters, 1.0) == pytest.approx(5)
    assert parameters[0].grad.tolist() == pytest.approx([0.6])
    assert parameters[1].grad.tolist() == [pytest.approx([0, 0.8])]
    assert clip_gradients(parameters, 2.0, loss_scale=4.0) == pytest.approx(0.25)
    assert parameters[0].grad.tolist() == pytest.approx([0.15])
    zero = make_parameters([0.0])
    assert clip_gradients(zero, 1.0) == 0 and zero[0].grad.tolist() == [0]


def test_shares_hold_every_parameter_once_and_are_alike_in_size():
    parameters = [paddle.create_parameter([size], "float32") for size in (50, 3, 20, 30, 7, 10)]
    shares = share_out(parameters, 3)
    assert sorted(int(p.size) for share in shares for p in share) == [3, 7, 10, 20, 30, 50]
    assert sorted(sum(int(p.size) for p in share) for share in shares) == [33, 37, 50]
    assert share_out(parameters, 1) == [parameters]
