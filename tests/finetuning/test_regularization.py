"""What makes fine-tuned models steadier, by numbers computed by hand and in runs."""

import json
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from finetuning.conftest import CHARACTERS, write_splits

import electra_paddle
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.kinds.objective import class_weights
from electra_paddle.training.callbacks import Callback

MOOD = TaskDescription("mood", labels=("bad", "good"))
ALL = {
    "class_weights": "balanced",
    "label_smoothing": 0.1,
    "focal_gamma": 1.0,
    "fgm_epsilon": 0.5,
    "r_drop_alpha": 1.0,
    "ema_decay": 0.8,
}


def logits_of(rows):
    """Logits whose softmax has these probabilities."""
    import paddle

    return paddle.to_tensor(np.log(rows), "float32")


@pytest.mark.parametrize(
    ("options", "expected"),
    [  # the right labels have probabilities 0.8 and 0.4, and the rows count 1 and 3
        ({}, -np.log(0.8) - 3 * np.log(0.4)),
        ({"class_weights": [2.0, 0.5]}, -2 * np.log(0.8) - 1.5 * np.log(0.4)),
        ({"focal_gamma": 2.0}, -(0.2**2) * np.log(0.8) - 3 * 0.6**2 * np.log(0.4)),
        (
            {"label_smoothing": 0.1},
            -np.log(0.8**0.95 * 0.2**0.05) - 3 * np.log(0.4**0.95 * 0.6**0.05),
        ),
    ],
)
def test_losses_are_those_computed_by_hand(options, expected):
    import paddle

    from electra_paddle.models.task_losses import weighted_classification_loss

    logits = logits_of([[0.8, 0.2], [0.6, 0.4], [0.5, 0.5]])
    labels, weights = paddle.to_tensor([0, 1, -1]), paddle.to_tensor([1.0, 3.0, 1.0])  # the third has no label
    assert float(weighted_classification_loss(logits, labels, weights, **options)) == pytest.approx(expected, rel=1e-5)


def test_balanced_classes_weigh_the_same_and_others_as_they_are_told():
    assert class_weights("balanced", MOOD, {"bad": 1, "good": 3}) == [2.0, pytest.approx(2 / 3)]
    assert class_weights({"good": 3}, MOOD, {}) == [1.0, 3.0]
    assert FinetuningConfig(class_weights='{"good": 3}').class_weights == {"good": 3}
    for wanted, message in (
        ({"fine": 2}, "class_weights: found label 'fine', expected bad or good"),
        ("balanced", "class_weights: found balanced, with no example of 'good'"),
    ):
        with pytest.raises(ConfigError, match=message):
            class_weights(wanted, MOOD, {"bad": 1, "good": 0})
    for value in ("balance", '{"good": "much"}', '{"good": -1}', "[1, 2]", "{"):
        with pytest.raises(ConfigError, match="class_weights"):
            FinetuningConfig(class_weights=value)


def test_divergence_of_r_drop_is_the_mean_of_both_directions():
    import paddle

    from electra_paddle.models.task_losses import sigmoid_divergence, softmax_divergence

    one, other = logits_of([[0.8, 0.2], [0.9, 0.1]]), logits_of([[0.5, 0.5], [0.1, 0.9]])
    forth = 0.8 * np.log(0.8 / 0.5) + 0.2 * np.log(0.2 / 0.5)
    back = 0.5 * np.log(0.5 / 0.8) + 0.5 * np.log(0.5 / 0.2)
    known, weights = paddle.to_tensor([1.0, 0.0]), paddle.to_tensor([3.0, 1.0])
    assert float(softmax_divergence(one, other, known, weights)) == pytest.approx(3 * (forth + back) / 2, rel=1e-5)
    yes, no = (paddle.to_tensor([[np.log(p / (1 - p))]], "float32") for p in (0.8, 0.5))
    assert float(sigmoid_divergence(yes, no, known[:1], weights[:1])) == pytest.approx(3 * (forth + back) / 2, rel=1e-5)


class Losses(NamedTuple):
    loss: object


def test_adversarial_step_has_its_length_along_each_rows_gradient():
    """The loss is the squared length of a row's embeddings: from n it grows to n + epsilon."""
    import paddle

    from electra_paddle.finetuning.regularization import training_output

    network = paddle.nn.Layer()
    network.electra = paddle.nn.Layer()
    network.electra.embeddings = paddle.nn.Layer()
    words = network.electra.embeddings.word_embeddings = paddle.nn.Embedding(3, 2)
    words.weight.set_value(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 2.0]], "float32"))
    config = FinetuningConfig(fgm_epsilon=0.5)
    kind = SimpleNamespace(config=config, forward=lambda network, ids: Losses((words(ids) ** 2).sum()))
    output = training_output(kind, network, paddle.to_tensor([[0, 1], [2, 1], [1, 1]]))
    assert float(output.loss) == pytest.approx(5**2 + 5.5**2 + 2**2 + 2.5**2)  # the third row has no gradient
    output.loss.backward()
    expected = np.array([[6.0, 8.0], [0.0, 0.0], [0.0, 4.0]]) * [[1 + 5.5 / 5], [1], [1 + 2.5 / 2]]
    assert np.allclose(words.weight.grad.numpy(), expected)
    assert float(kind.forward(network, paddle.to_tensor([[0, 1]])).loss) == 25  # and nothing is moved afterwards


def test_average_of_weights_is_that_computed_by_hand(both_branches):
    import paddle

    from electra_paddle.training.averaging import WeightAverage
    from electra_paddle.training.optimizer import build_optimizer

    layer = paddle.nn.Linear(1, 1, bias_attr=False)
    layer.weight.set_value(np.array([[1.0]], "float32"))
    average = WeightAverage(layer, build_optimizer(layer, 0.1), 0.75)
    for value in (5.0, 3.0):
        layer.weight.set_value(np.array([[value]], "float32"))
        average.update()
    assert float(average.tensors["weight"]) == 0.75 * (0.75 * 1 + 0.25 * 5) + 0.25 * 3
    with average.applied():
        assert float(layer.weight) == 2.25
    assert float(layer.weight) == 3
    average.restore({"weight": np.array([[7.0]], "float32")})
    average.apply()
    assert float(layer.weight) == 7


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("multi_label", "class_weights"),
        ("multi_label", "focal_gamma"),
        ("regression", "r_drop_alpha"),
        ("reading_comprehension", "label_smoothing"),
    ],
)
def test_options_that_a_kind_does_not_have_are_refused(kind, name):
    description = TaskDescription("t", kind, format="squad" if kind == "reading_comprehension" else "tsv")
    with pytest.raises(ConfigError, match=f"{name}: found .*, expected none for kind {kind}"):
        make_kind(description, FinetuningConfig(**{name: ALL[name]}))


def test_values_that_cannot_be_are_refused():
    for name, value in (("label_smoothing", 1.0), ("ema_decay", 1.0), ("fgm_epsilon", -1.0), ("r_drop_alpha", -0.1)):
        with pytest.raises(ConfigError, match=name):
            FinetuningConfig(**{name: value})
    with pytest.raises(ConfigError, match="fgm_epsilon: found 1 with fp16, expected bf16 or fp32"):
        FinetuningConfig(fgm_epsilon=1.0, precision="fp16")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Texts with the first character are good, one in four."""
    data_dir = tmp_path_factory.mktemp("regularization")
    rng, splits = np.random.default_rng(0), {}
    for split, count in (("train", 64), ("dev", 16)):
        rows = splits[split] = []
        for number in range(count):
            text = "".join(rng.choice(CHARACTERS[1:], 6))
            rows.append(f"good\t{CHARACTERS[0]}{text[1:]}" if number % 4 == 0 else f"bad\t{text}")
    write_splits(data_dir, "mood", splits)
    return data_dir


@pytest.fixture(scope="module")
def finetune(data_dir, model_dir):
    def run(name, **settings):
        return electra_paddle.finetune(
            MOOD,
            data_dir=data_dir,
            init_checkpoint=model_dir,
            output_dir=data_dir / name,
            max_seq_length=16,
            train_batch_size=8,
            learning_rate=1e-3,
            layerwise_lr_decay=0.0,
            model_hparam_overrides={"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
            loggers=[],
            **{"num_train_epochs": 1.0, **settings},
        )

    return run


def weights_of(results):
    from electra_paddle.tensors import read_tensors

    return read_tensors(results.models[0] / "model.safetensors")


def test_each_option_changes_the_weights_and_accumulation_does_not(finetune):
    plain = weights_of(finetune("plain"))
    for number, (name, value) in enumerate(ALL.items()):
        if name != "r_drop_alpha":  # without dropout both passes are equal
            other = weights_of(finetune(f"one_{number}", **{name: value}))
            assert max(np.abs(plain[key] - other[key]).max() for key in plain) > 1e-5, name
    whole, parts = (weights_of(finetune(f"all_{n}", gradient_accumulation_steps=n, **ALL)) for n in (1, 4))
    for key in whole:
        assert np.allclose(whole[key], parts[key], atol=2e-5), key


class StopsAt(Callback):
    """Ends a run as a crash does."""

    def on_step(self, session):
        if session.step == 11:
            raise KeyboardInterrupt


def test_interrupted_trial_keeps_its_average_and_the_best_is_one_of_averages(finetune):
    settings = {"save_checkpoints_steps": 4, "eval_steps": 6, "num_train_epochs": 2.0, **ALL}
    whole = finetune("whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        finetune("cut", callbacks=[StopsAt()], **settings)
    again = finetune("cut", **settings)
    for name in ("model.safetensors", "task.json"):
        assert (again.models[0] / name).read_bytes() == (whole.models[0] / name).read_bytes()
    assert again.trials == whole.trials
    assert json.loads((whole.models[0] / "task.json").read_text())["labels"] == ["bad", "good"]


def test_tagger_has_the_options_of_classes_too(model_dir, tmp_path):
    folder = tmp_path / "finetuning_data/places"
    folder.mkdir(parents=True)
    lines = [f"{CHARACTERS[0]} B-LOC\n{CHARACTERS[1]} I-LOC\n{CHARACTERS[2]} O\n" for _ in range(16)]
    for split in ("train", "dev"):
        (folder / f"{split}.txt").write_text("\n".join(lines), encoding="utf-8")
    results = electra_paddle.finetune(
        TaskDescription(
            "places", "tagging", format="bio", files={split: (f"{split}.txt",) for split in ("train", "dev")}
        ),
        data_dir=tmp_path,
        init_checkpoint=model_dir,
        output_dir=tmp_path / "out",
        max_seq_length=16,
        train_batch_size=8,
        num_train_epochs=1.0,
        loggers=[],
        **ALL,
    )
    assert 0 <= results.trials[0]["dev"]["f1"] <= 100
