"""Heads, gradients and whole fine-tuning updates against numbers of the reference (TensorFlow 1.15)."""

import numpy as np
import paddle
import pytest
from conftest import assert_close, shared_file
from models.test_pretraining_golden import read_checkpoint

from electra_paddle.batch import ClassificationBatch
from electra_paddle.config import FinetuningConfig
from electra_paddle.conversion.names import name_table, task_table
from electra_paddle.finetuning.description import load_description
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.model import TaskModel
from electra_paddle.training.loop import TrainingLoop
from electra_paddle.training.optimizer import build_optimizer, layerwise_factors
from electra_paddle.training.schedule import build_schedule
from electra_paddle.training.transfer import to_tensors

pytestmark = pytest.mark.usefixtures("both_branches")

VARIABLES = {  # the reference's name of each parameter
    names.paddle: names.tensorflow
    for names in name_table(None, 3, has_projection=True) + task_table("xnli", ["task_specific/xnli/dense/kernel"])
}


@pytest.fixture(scope="module")
def golden():
    return np.load(shared_file("golden/finetune_steps.npz"))


@pytest.fixture
def model(golden):
    """The reference's network with its head, without dropout."""
    from paddlenlp.transformers import ElectraConfig

    arrays = read_checkpoint("tf_release/electra_small")
    shape = {
        "vocab_size": len(arrays["electra/embeddings/word_embeddings"]),
        "embedding_size": 64,
        "hidden_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 512,
        "num_labels": 3,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    kind = make_kind(load_description("xnli"), FinetuningConfig())
    network = kind.build_network(ElectraConfig(**shape))
    for name, parameter in network.named_parameters():
        parameter.set_value({**arrays, **variables(golden)}[variable(name)])
    return TaskModel(kind, network)


def variables(golden):
    return {name.removeprefix("var/"): golden[name] for name in golden.files if name.startswith("var/")}


def variable(name):
    """The reference's name of a network's parameter."""
    return VARIABLES[name]


@pytest.fixture
def batch(golden):
    """The reference's batch; its last row fills it up and has no weight."""
    rows = np.load(shared_file("golden/pretraining_forward.npz"))
    tokens = [rows[name].astype(np.int64) for name in ("input_ids", "segment_ids", "input_mask")]
    weights = (golden["task_id"] == 0).astype(np.float32)
    return ClassificationBatch(*tokens, golden["label_ids"].astype(np.int64), weights)


def test_loss_logits_and_gradients_equal_the_reference(model, batch, golden):
    output = model(to_tensors(batch))
    assert_close(output.logits, golden["logits"], atol=2e-5)
    assert_close(output.loss, golden["loss_per_row"][:-1].sum(), atol=2e-5)
    output.loss.backward()
    gradients = {variable(name): parameter.grad.numpy() for name, parameter in model.network.named_parameters()}
    assert set(gradients) == set(golden["names"])
    for name, expected in zip(golden["names"], golden["grad_norm"], strict=True):
        np.testing.assert_allclose(np.linalg.norm(gradients[name].astype("float64")), expected, rtol=1e-3, atol=1e-4)
        if f"grad/{name}" in golden.files:
            assert_close(gradients[name], golden[f"grad/{name}"], atol=2e-3)


class Recorder:
    """Takes a Monitor's place."""

    def __init__(self):
        self.losses, self.norms = [], []

    def add(self, step, metrics, learning_rate, **latest):
        self.losses.append(float(metrics["loss"]))
        self.norms.append(metrics["gradient_norm"])


def test_four_updates_equal_the_reference(model, batch, golden):
    """In the flavour that sums the gradients of a repeated token before it takes the norm, as Paddle does."""
    total, start, count = (int(golden[name]) for name in ("num_train_steps", "first_global_step", "n_steps"))
    rate, warmup = float(golden["learning_rate"]), float(golden["warmup_proportion"])
    schedule = build_schedule(rate, total, total * warmup)
    schedule.step(start)
    names = [name for name, _ in model.named_parameters()]
    factors = layerwise_factors(names, int(golden["n_layers"]), float(golden["layerwise_lr_decay"]))
    optimizer = build_optimizer(model, schedule, float(golden["weight_decay"]), factors)
    before = {variable(name): parameter.numpy().copy() for name, parameter in model.network.named_parameters()}
    recorder = Recorder()
    loop = TrainingLoop(model, optimizer, schedule, recorder, lambda _, output: {"loss": output.loss})
    loop.run([batch] * count, start)
    with paddle.no_grad():
        recorder.losses.append(float(model(to_tensors(batch)).loss))
    np.testing.assert_allclose(recorder.losses, golden["onehot/loss"], atol=2e-4)
    np.testing.assert_allclose(recorder.norms, golden["onehot/global_norm_reference"], rtol=1e-4)
    after = {variable(name): parameter.numpy() for name, parameter in model.network.named_parameters()}
    for number, name in enumerate(golden["names"]):
        sums = after[name].astype("float64")
        assert_close(sums.sum(), golden["onehot/after_sum"][number], atol=2e-3)
        delta = np.linalg.norm(sums - before[name])
        np.testing.assert_allclose(delta, golden["onehot/delta_norm"][number], rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize(("variant", "task"), [("two", "chnsenticorp"), ("three", "xnli")])
def test_head_equals_the_reference_on_given_hidden_states(variant, task):
    from electra_paddle.models.task_losses import classification_loss

    golden = np.load(shared_file("golden/classification_head.npz"))
    kernel, bias = (
        paddle.to_tensor(golden[f"{variant}/var/task_specific/{task}/dense/{kind}"]) for kind in ("kernel", "bias")
    )
    hidden = paddle.to_tensor(golden["final_hidden"], stop_gradient=False)  # [B, L, H]
    logits = paddle.matmul(hidden[:, 0], kernel) + bias  # [B, C]
    assert_close(logits, golden[f"{variant}/eval/{task}/logits"])
    labels = paddle.to_tensor(golden[f"{variant}/label_ids/{task}"].astype(np.int64))
    weights = paddle.to_tensor((golden[f"{variant}/task_id"] == 0).astype(np.float32))
    loss = classification_loss(logits, labels, weights)
    assert_close(loss, golden[f"{variant}/train/total_loss"])
    loss.backward()
    assert_close(hidden.grad, golden[f"{variant}/grad/final_hidden"])
