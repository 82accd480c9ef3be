"""The optimizer of GPUs beside that of CPUs: the same numbers."""

import numpy as np
import paddle
import pytest

from electra_paddle import runtime
from electra_paddle.training.averaging import WeightAverage
from electra_paddle.training.checkpoint import Checkpoints, weights_of
from electra_paddle.training.flat_optimizer import FlatAdam
from electra_paddle.training.optimizer import build_optimizer


class Network(paddle.nn.Layer):
    """Weights of three shapes, biases, a norm."""

    def __init__(self):
        super().__init__()
        paddle.seed(0)
        self.words = paddle.nn.Embedding(7, 4)
        self.first, self.norm, self.second = paddle.nn.Linear(4, 6), paddle.nn.LayerNorm(6), paddle.nn.Linear(6, 4)


def pair(monkeypatch, **options):
    """(model, optimizer) of a CPU and of a GPU."""
    model, other = Network(), Network()
    one = model, build_optimizer(model, 0.1, **options)
    monkeypatch.setattr(runtime, "is_cpu", lambda: False)
    return one, (other, build_optimizer(other, 0.1, **options))


def update(model, optimizer, step, absent=(), value=None, loss_scale=1.0):
    rng = np.random.default_rng(step)
    for name, parameter in model.named_parameters():
        gradient = rng.standard_normal(parameter.shape).astype("float32") * loss_scale
        if value is not None and name == "first.bias":
            gradient[1] = value
        if name not in absent:
            parameter.grad = paddle.to_tensor(gradient)
    optimizer.loss_scale = loss_scale
    optimizer.step()
    optimizer.clear_grad(set_to_zero=False)


def state(model, optimizer):
    """name -> weight and both moments."""
    moments = optimizer.moments()
    return {
        name: [parameter.numpy().copy(), *(moment.numpy().copy() for moment in moments.get(parameter.name, ()))]
        for name, parameter in model.named_parameters()
    }


def assert_same(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, tensors in one.items():
        for a, b in zip(tensors, other[name], strict=True):
            np.testing.assert_allclose(a, b, **(tolerance or {"rtol": 0, "atol": 0}), err_msg=name)


def test_parameters_that_are_treated_alike_are_one_tensor(monkeypatch):
    _, (_, optimizer) = pair(monkeypatch)
    assert isinstance(optimizer, FlatAdam)
    assert [block.values.shape for block in optimizer._own] == [[28 + 24 + 24], [6 + 6 + 6 + 4]]
    names = [name for name, _ in Network().named_parameters()]
    _, (_, optimizer) = pair(monkeypatch, layer_factors={name: len(name) for name in names})
    assert sum(int(block.values.size) for block in optimizer._own) == 98 and len(optimizer._own) == 5


@pytest.mark.parametrize("factors", [None, 0.5])
def test_updates_are_those_of_the_optimizer_of_cpus(monkeypatch, factors):
    names = [name for name, _ in Network().named_parameters()]
    options = {"layer_factors": {name: 1.0 if "second" in name else factors for name in names}} if factors else {}
    one, other = pair(monkeypatch, **options)
    for step in range(5):
        update(*one, step, loss_scale=8.0)
        update(*other, step, loss_scale=8.0)
        assert float(other[1].global_norm) == pytest.approx(one[1].global_norm, rel=1e-6)
    assert_same(state(*one), state(*other), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_update_whose_norm_is_not_finite_changes_no_bit(monkeypatch, value):
    """3e38 is finite; its square is not."""
    _, other = pair(monkeypatch)
    update(*other, 0)
    before = state(*other)
    update(*other, 1, value=np.float32(value))
    assert not np.isfinite(float(other[1].global_norm))
    assert_same(before, state(*other))
    update(*other, 2)
    assert (state(*other)["first.weight"][0] != before["first.weight"][0]).any()


def test_first_update_whose_norm_is_not_finite_changes_no_bit(monkeypatch):
    _, other = pair(monkeypatch)
    before = [parameter.numpy().copy() for parameter in other[0].parameters()]
    update(*other, 1, value=np.nan)
    assert all((a == b.numpy()).all() for a, b in zip(before, other[0].parameters(), strict=True))
    assert not any(moment.any() for _, *moments in state(*other).values() for moment in moments)


def test_parameters_without_a_gradient_stay_as_they_are(monkeypatch):
    one, other = pair(monkeypatch)
    for step, absent in enumerate([(), ("words.weight", "second.bias"), ("first.weight",), ()]):
        before = state(*other)
        update(*one, step, absent)
        update(*other, step, absent)
        for name in absent if step else ():
            assert all((a == b).all() for a, b in zip(before[name], state(*other)[name], strict=True))
    assert_same(state(*one), state(*other), rtol=2e-6, atol=1e-7)


def test_weights_that_are_set_or_given_other_memory_are_those_that_are_updated(monkeypatch):
    one, other = pair(monkeypatch)
    for model, optimizer in (one, other):
        update(model, optimizer, 0)
        model.first.weight.set_value(np.full((4, 6), 2, "float32"))
        paddle.assign(paddle.full([6, 4], 3.0), output=model.second.weight)
        with paddle.no_grad():
            paddle.full([7, 4], 4.0)._share_buffer_to(model.words.weight)
        update(model, optimizer, 1)
    assert float(other[0].words.weight.min()) > 3.5
    assert_same(state(*one), state(*other), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("source", [0, 1], ids=["from CPU to GPU", "from GPU to GPU"])
def test_checkpoint_of_either_optimizer_goes_on_in_this_one(monkeypatch, tmp_path, source):
    both = pair(monkeypatch)
    for step in range(3):
        update(*both[source], step)
    checkpoints = Checkpoints(tmp_path, {})
    checkpoints.save(3, *both[source])
    _, other = pair(monkeypatch)
    checkpoints.restore(checkpoints.latest(), *other)
    assert_same(state(*both[source]), state(*other))
    for each in (both[source], other):
        update(*each, 3)
    assert_same(state(*both[source]), state(*other), **({} if source else {"rtol": 2e-6, "atol": 1e-7}))


def lowered(model, options=None):
    """An optimizer that keeps float32 masters of bfloat16 weights."""
    return build_optimizer(model, 0.1, copies_dtype="bfloat16", **(options or {}))


def in_bfloat16(array):
    return paddle.to_tensor(array).astype("bfloat16").astype("float32").numpy()


def test_master_weights_and_moments_are_those_of_float32_with_the_same_gradients(monkeypatch):
    """Gradients are rounded to bfloat16 for both; the model's own weights are the masters, rounded."""
    _, (reference, expected) = pair(monkeypatch)
    model = Network()
    optimizer = lowered(model)
    with optimizer.updating():
        assert all(parameter.dtype == paddle.bfloat16 for parameter in model.parameters())
        for step in range(5):
            rng = np.random.default_rng(step)
            for one, other in zip(reference.parameters(), model.parameters(), strict=True):
                gradient = paddle.to_tensor(rng.standard_normal(one.shape).astype("float32")).astype("bfloat16")
                one.grad, other.grad = gradient.astype("float32"), gradient
            for each in (expected, optimizer):
                each.step()
                each.clear_grad(set_to_zero=False)
        masters = weights_of(model, optimizer)
        for name, parameter in model.named_parameters():
            np.testing.assert_array_equal(
                parameter.astype("float32").numpy(), in_bfloat16(masters[name].numpy()), err_msg=name
            )
    assert all(parameter.dtype == paddle.float32 for parameter in model.parameters())
    assert_same(state(reference, expected), state(model, optimizer))
    assert any((masters[name].numpy() != in_bfloat16(masters[name].numpy())).any() for name in masters)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_update_of_master_weights_whose_norm_is_not_finite_changes_no_bit(monkeypatch, value):
    monkeypatch.setattr(runtime, "is_cpu", lambda: False)
    model = Network()
    optimizer = lowered(model)
    with optimizer.updating():
        for number in (0.5, value):
            before = {name: tensor.numpy().copy() for name, tensor in weights_of(model, optimizer).items()}
            for parameter in model.parameters():
                parameter.grad = paddle.full(parameter.shape, number).astype("bfloat16")
            optimizer.step()
    for name, parameter in model.named_parameters():
        assert (parameter.numpy() == before[name]).all(), name


def test_checkpoint_of_master_weights_goes_on_in_float32_and_back(monkeypatch, tmp_path):
    _, (reference, expected) = pair(monkeypatch)
    model = Network()
    optimizer = lowered(model)
    checkpoints = Checkpoints(tmp_path, {})
    with optimizer.updating():
        for parameter in model.parameters():
            parameter.grad = paddle.ones(parameter.shape, "bfloat16")
        optimizer.step()
        checkpoints.save(1, model, optimizer)
    checkpoints.restore(checkpoints.latest(), reference, expected)
    assert_same(state(model, optimizer), state(reference, expected))
    update(reference, expected, 1)
    checkpoints.save(2, reference, expected)
    again = Network()
    optimizer = lowered(again)
    checkpoints.restore(checkpoints.latest(), again, optimizer)
    assert_same(state(reference, expected), state(again, optimizer))


def test_averages_are_of_the_master_weights_and_reach_the_copies(monkeypatch):
    monkeypatch.setattr(runtime, "is_cpu", lambda: False)
    model = Network()
    optimizer = lowered(model)
    average = WeightAverage(model, optimizer, 0.5)
    with optimizer.updating():
        before = model.first.weight.numpy().copy()  # bits
        for parameter in model.parameters():
            parameter.grad = paddle.ones(parameter.shape, "bfloat16")
        optimizer.step()
        average.update()
        own = model.first.weight.numpy().copy()
        with average.applied():
            expected = in_bfloat16(average.tensors["first.weight"].numpy())
            np.testing.assert_array_equal(model.first.weight.astype("float32").numpy(), expected)
        assert (model.first.weight.numpy() == own).all() and (own != before).any()
