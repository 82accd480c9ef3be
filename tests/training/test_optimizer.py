"""Optimizer and schedule against the reference's numbers."""

import json
import math

import numpy as np
import paddle
import pytest
from conftest import ROOT, assert_close

from electra_paddle.errors import ConfigError
from electra_paddle.schedules import SCHEDULES, Course
from electra_paddle.training.optimizer import build_optimizer, layerwise_factors
from electra_paddle.training.schedule import Ending, build_schedule


@pytest.fixture
def golden():
    return np.load(ROOT / "tests/golden/optimizer.npz", allow_pickle=False)


def our_name(variable):
    """A variable of the reference under the name its parameter has in our networks, as far as the rules look."""
    return variable.replace("LayerNorm", "norm").replace("/layer_", ".layers.").replace("/", ".")


def run_steps(golden, recipe):
    names = [str(name) for name in golden[f"{recipe}/names"]]
    model = paddle.nn.Layer()
    parameters = {}
    for name in names:
        initial = golden[f"{recipe}/initial/{name}"]
        parameter = paddle.create_parameter(initial.shape, "float32")
        parameter.set_value(initial)
        parameters[name] = parameter
        add_nested(model, our_name(name).split("."), parameter)
    total = int(golden[f"{recipe}/num_train_steps"])
    warmup = max(int(golden[f"{recipe}/warmup_steps"]), total * float(golden[f"{recipe}/warmup_proportion"]))
    schedule = build_schedule(float(golden[f"{recipe}/learning_rate"]), total, warmup)
    decay = float(golden[f"{recipe}/layerwise_lr_decay"])
    factors = None
    if decay > 0:
        ours = [name for name, _ in model.named_parameters()]
        factors = layerwise_factors(ours, int(golden[f"{recipe}/n_layers"]), decay)
    optimizer = build_optimizer(model, schedule, float(golden[f"{recipe}/weight_decay"]), factors)
    for step in range(20):
        for name, parameter in parameters.items():
            parameter.grad = paddle.to_tensor(golden[f"{recipe}/grads/{name}"][step])
        optimizer.step()
        optimizer.clear_grad()
        schedule.step()
        yield step, parameters


def add_nested(layer, path, parameter):
    for part in path[:-1]:
        if part not in layer._sub_layers:
            layer.add_sublayer(part, paddle.nn.Layer())
        layer = layer._sub_layers[part]
    layer.add_parameter(path[-1], parameter)


def replica(golden, recipe):
    """The update rule in float64, with the betas as Paddle's kernel rounds them."""
    beta1, beta2 = float(np.float32(0.9)), float(np.float32(0.999))
    names = [str(name) for name in golden[f"{recipe}/names"]]
    keys = [str(key) for key in golden[f"{recipe}/lr_keys"]] if f"{recipe}/lr_keys" in golden else []
    state = {name: [golden[f"{recipe}/initial/{name}"].astype("f8"), 0.0, 0.0] for name in names}
    for step in range(20):
        grads = {name: golden[f"{recipe}/grads/{name}"][step].astype("f8") for name in names}
        norm = np.sqrt(sum((grad**2).sum() for grad in grads.values()))
        rates = np.atleast_1d(golden[f"{recipe}/lr_per_step"][step].astype("f8"))
        for name in names:
            parameter, m, v = state[name]
            grad = grads[name] / max(norm, 1.0)
            m, v = beta1 * m + (1 - beta1) * grad, beta2 * v + (1 - beta2) * grad**2
            update = m / (np.sqrt(v) + 1e-6)
            if "LayerNorm" not in name and "bias" not in name:
                update = update + 0.01 * parameter
            column = next(
                (i for i, key in enumerate(keys) if key in name + "/"), keys.index("task_specific/") if keys else 0
            )
            state[name] = [parameter - rates[column] * update, m, v]
        yield {name: parameter for name, (parameter, _, _) in state.items()}


@pytest.mark.usefixtures("both_branches")
@pytest.mark.parametrize("recipe", ["pretrain", "finetune"])
def test_twenty_steps_equal_the_reference(golden, recipe):
    """Within 1.5e-6 of the reference, and within 5e-7 of the exact rule with the kernel's rounded betas, which
    is where the rest comes from."""
    for (step, parameters), exact in zip(run_steps(golden, recipe), replica(golden, recipe), strict=True):
        for name, parameter in parameters.items():
            assert_close(parameter, golden[f"{recipe}/after/{name}"][step], atol=1.5e-6)
            assert_close(parameter, exact[name], atol=5e-7)


def test_schedule_equals_the_reference(golden):
    expected = golden["pretrain/lr_per_step"]
    total, warmup = int(golden["pretrain/num_train_steps"]), int(golden["pretrain/warmup_steps"])
    ours = [
        float(golden["pretrain/learning_rate"]) * SCHEDULES.load("linear")(step, Course(total, warmup))
        for step in range(20)
    ]
    assert_close(np.array(ours), expected, atol=1e-9)


@pytest.mark.parametrize("number", range(8))
def test_schedules_of_the_published_runs_equal_the_reference(number):
    """Without a warm-up the reference divides 0 by 0 before the first update; here the rate is the full one."""
    schedules = json.loads((ROOT / "tests/golden/schedule.json").read_text())["schedules"]
    assert len(schedules) == 8
    golden = schedules[number]
    peak, total, power = golden["learning_rate"], golden["num_train_steps"], golden["lr_decay_power"]
    schedule = build_schedule(peak, total, max(total * golden["warmup_proportion"], golden["warmup_steps"]), power)
    for step, expected in zip(golden["steps"], golden["lr"], strict=True):
        schedule.step(step)
        assert_close(schedule.get_lr(), peak if expected == "NaN" else expected, atol=5e-7 * peak)


def test_layerwise_factors_equal_the_reference():
    for golden in json.loads((ROOT / "tests/golden/schedule.json").read_text())["layerwise"]:
        names = {
            fragment: fragment.strip("/").replace("encoder/layer_", "encoder.layers.").replace("/", ".") + ".weight"
            for fragment in golden["factor"]
        }
        factors = layerwise_factors(names.values(), golden["n_layers"], golden["layerwise_lr_decay"])
        for fragment, expected in golden["factor"].items():
            assert factors[names[fragment]] == pytest.approx(expected, rel=1e-12)


def test_first_update_has_rate_zero_and_the_peak_lies_below_one():
    factors = [SCHEDULES.load("linear")(step, Course(100, 10)) for step in range(101)]
    assert factors[0] == 0 and factors[100] == 0
    assert max(factors) == factors[10] == pytest.approx(0.9)


def test_top_layer_decays_twice_and_embeddings_most():
    names = ["electra.embeddings.word_embeddings.weight", "electra.embeddings_project.bias"]
    names += [f"electra.encoder.layers.{layer}.linear1.weight" for layer in (0, 1, 11)] + ["classifier.weight"]
    factors = layerwise_factors(names, 12, 0.8)
    assert list(factors.values()) == pytest.approx([0.8**14, 0.8**14, 0.8**13, 0.8**12, 0.8**2, 1.0])


def rates(schedule, count):
    """Of the first updates."""
    values = []
    for _ in range(count):
        values.append(schedule.get_lr())
        schedule.step()
    return values


def test_constant_schedule_rises_and_stays():
    assert rates(build_schedule(2.0, 100, 4, name="constant"), 7) == [0, 0.5, 1.0, 1.5, 2.0, 2.0, 2.0]


def test_cosine_schedule_falls_along_half_a_cosine_after_the_warmup():
    values = rates(build_schedule(2.0, 10, 2, name="cosine"), 11)
    assert values[:3] == [0, 1.0, 2.0]
    assert values[6] == pytest.approx(1.0) and values[10] == pytest.approx(0.0, abs=1e-12)
    assert values[4] == pytest.approx(1 + math.cos(math.pi / 4))


def halves(step, course):
    """A schedule from outside of the package."""
    return 0.5**step


def test_schedule_of_ones_own_is_taken_by_its_path_or_under_a_name():
    SCHEDULES.register("halves", halves)
    assert rates(build_schedule(2.0, 10, 2, name="halves"), 3) == [2.0, 1.0, 0.5]
    assert SCHEDULES.load("electra_paddle.schedules:constant") is SCHEDULES.load("constant")
    with pytest.raises(ConfigError, match="lr_schedule: found 'cosinus', expected 'cosine', perhaps"):
        SCHEDULES.load("cosinus")
    with pytest.raises(ConfigError, match="lr_schedule: found no_module:schedule .*, expected module:attribute"):
        SCHEDULES.load("no_module:schedule")


def test_stable_schedule_falls_in_its_last_updates():
    schedule = build_schedule(2.0, 8, 2, name="warmup_stable_decay", ending=Ending(8, 4))
    assert rates(schedule, 9) == [0, 1.0, 2.0, 2.0, 2.0, 1.5, 1.0, 0.5, 0.0]


def test_decay_that_is_asked_for_begins_at_once_and_only_once():
    ending = Ending(1000, 4)
    schedule = build_schedule(2.0, 1000, 2, name="warmup_stable_decay", ending=ending)
    assert ending.state() is None
    rates(schedule, 6)
    ending.begin_decay(6)
    ending.begin_decay(7)
    assert (ending.step, ending.state()) == (10, 6)
    assert rates(schedule, 4) == [2.0, 1.5, 1.0, 0.5]
    again = build_schedule(2.0, 1000, 2, name="warmup_stable_decay", ending=Ending(1000, 4, ending.state()))
    again.step(8)
    assert rates(again, 2) == [1.0, 0.5]
