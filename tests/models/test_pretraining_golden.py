"""Forward and backward pass, and a resumed update, against numbers of the reference (TensorFlow 1.15)."""

import json

import numpy as np
import paddle
import pytest
from conftest import ROOT, assert_close, shared_file

from electra_paddle.batch import MaskedBatch
from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.conversion.convert_tf import convert_from_tf
from electra_paddle.conversion.names import name_table
from electra_paddle.conversion.tensor_bundle import TensorBundle
from electra_paddle.models.pretraining import ElectraForJointPretraining, JointSettings
from electra_paddle.pretraining.batch_metrics import pretraining_metrics
from electra_paddle.pretraining.metrics import answers_of, count, scores
from electra_paddle.training.checkpoint import Checkpoints
from electra_paddle.training.optimizer import build_optimizer
from electra_paddle.training.schedule import build_schedule

pytestmark = pytest.mark.usefixtures("both_branches")

NETS = {  # name -> (forward file, checkpoint prefix, hidden size, layers, embedding size)
    "micro": ("pretraining_forward_micro.npz", "tf_release_micro/electra_small", 32, 2, 16),
    "main": ("pretraining_forward.npz", "tf_release/electra_small", 128, 3, 64),
}


def variables_of(model):
    """The reference's variable for each parameter of the joint model."""
    variables = {}
    for network in ("generator", "discriminator"):
        config = getattr(model, network).electra.config
        has_projection = config["embedding_size"] != config["hidden_size"]
        for names in name_table(network, config["num_hidden_layers"], has_projection):
            variables[f"{network}.{names.paddle}"] = names.tensorflow
    return {name: variables[name] for name, _ in model.named_parameters()}


def golden_path(name):
    copied = ROOT / "tests/golden" / name
    return copied if copied.exists() else shared_file(f"golden/{name}")


def read_checkpoint(name):
    """The arrays of a checkpoint of the reference."""
    bundle = TensorBundle(golden_path(name + ".index").with_suffix(""))
    return {variable: bundle[variable] for variable in bundle.entries}


def build_net(name, arrays, **options):
    """One of NETS with the weights of a checkpoint, every one of them used, without dropout."""
    _, _, hidden_size, num_layers, embedding_size = NETS[name]
    overrides = {"hidden_size": hidden_size, "num_hidden_layers": num_layers}
    vocab_size = len(arrays["electra/embeddings/word_embeddings"])
    shape = discriminator_geometry("small", vocab_size, embedding_size, overrides)
    model = ElectraForJointPretraining(generator_geometry(shape), shape, JointSettings(**options))
    variables = variables_of(model)
    for name, parameter in model.named_parameters():
        parameter.set_value(arrays[variables[name]])
    assert set(variables.values()) == set(arrays)
    model.eval()
    return model


@pytest.fixture(scope="module", params=NETS)
def net(request):
    forward, checkpoint, *_ = NETS[request.param]
    golden = np.load(golden_path(forward), allow_pickle=False)
    arrays = read_checkpoint(checkpoint)

    def build(case):
        options = (
            {"temperature": 0.7, "disallow_correct": True, "gen_weight": 0.6, "disc_weight": 20.0}
            if case == "C"
            else {}
        )
        return build_net(request.param, arrays, **options)

    return golden, build


def golden_batch(golden, case):
    case = "B" if case == "C" else case  # C repeats B's masking
    weights = golden[f"{case}_masked_lm_weights"]
    attention_mask = golden["input_mask"]
    arrays = MaskedBatch(
        golden["input_ids"].astype("int64"),
        golden["segment_ids"].astype("int64"),
        attention_mask.astype("int64"),
        golden[f"{case}_gen_input_ids"].astype("int64"),
        golden[f"{case}_masked_lm_positions"].astype("int64"),
        golden[f"{case}_masked_lm_ids"].astype("int64"),
        weights,
        np.zeros_like(weights),  # the reference's own numbers for its sampling are returned beside
        np.float32(weights.sum()),
        np.float32(attention_mask.sum()),
    )
    uniforms = np.random.RandomState(int(golden[f"{case}_gumbel_seed"])).random_sample(
        (*weights.shape, int(golden["vocab_size"]))
    )
    return MaskedBatch(*map(paddle.to_tensor, arrays)), paddle.to_tensor(uniforms.astype("float32"))


@pytest.mark.parametrize("case", ["A", "B", "C"])  # A repeats positions, drawn with replacement
def test_forward_equals_the_reference(net, case):
    golden, build = net
    batch, uniforms = golden_batch(golden, case)
    with paddle.no_grad():
        output = build(case)(batch, uniforms)
    if case != "C":
        assert_close(output.mlm_logits, golden[f"{case}_gen_logits"])
    used = batch.masked_weights.numpy() > 0
    assert (output.sampled_ids.numpy() == golden[f"{case}_sampled_ids"])[used].all()
    assert (output.corrupted.input_ids.numpy() == golden[f"{case}_disc_input_ids"]).all()
    assert (output.corrupted.is_replaced.numpy() == golden[f"{case}_is_fake"]).all()
    assert_close(output.rtd_logits, golden[f"{case}_disc_logits"])
    assert_close(output.mlm_loss, golden[f"{case}_mlm_loss"])
    assert_close(output.rtd_loss, golden[f"{case}_disc_loss"])
    assert_close(output.loss, golden[f"{case}_total_loss"], atol=1e-4)


@pytest.mark.parametrize("case", ["A", "B"])
def test_metrics_equal_the_reference(net, case):
    golden, build = net
    batch, uniforms = golden_batch(golden, case)
    with paddle.no_grad():
        metrics = pretraining_metrics(batch, build(case)(batch, uniforms))
    assert_close(metrics["mlm_loss"], golden[f"{case}_metric_masked_lm_loss"])
    assert_close(metrics["mlm_accuracy"], golden[f"{case}_metric_masked_lm_accuracy"])
    assert_close(metrics["sampled_accuracy"], golden[f"{case}_metric_sampled_masked_lm_accuracy"])
    assert_close(metrics["rtd_accuracy"], golden[f"{case}_metric_disc_accuracy"])
    assert_close(metrics["rtd_precision"], golden[f"{case}_metric_disc_precision"])
    assert_close(metrics["rtd_recall"], golden[f"{case}_metric_disc_recall"])


@pytest.mark.parametrize("case", ["A", "B"])
def test_gradients_equal_the_reference(net, case):
    golden, build = net
    is_micro = int(golden["vocab_size"]) == 400
    gradients = np.load(golden_path("gradients_micro.npz" if is_micro else "gradients.npz"), allow_pickle=False)
    batch, uniforms = golden_batch(golden, case)
    model = build(case)
    model(batch, uniforms).loss.backward()
    variables = variables_of(model)
    ours = {variables[name]: parameter.grad.numpy().astype("f8") for name, parameter in model.named_parameters()}
    assert set(ours) == set(map(str, gradients["names"]))
    for name, norm in zip(gradients["names"], gradients[f"{case}_total_norm"], strict=True):
        if "key/bias" in name:  # softmax does not see it: its gradient is rounding noise around 0
            assert np.abs(ours[name]).max() < 1e-5
            continue
        assert_close(np.linalg.norm(ours[name]), norm, atol=1e-7, rtol=1e-3)
        if f"{case}_grad/{name}" in gradients:
            expected = gradients[f"{case}_grad/{name}"]
            assert_close(ours[name].reshape(expected.shape), expected, atol=1e-3 * np.abs(expected).max())
    tables = {"word": gradients["word_rows"], "position": np.arange(4)}
    for table, rows in tables.items():
        name = f"electra/embeddings/{table}_embeddings"
        expected = gradients[f"{case}_grad_rows/{name}"]
        assert_close(ours[name][rows], expected, atol=1e-3 * np.abs(expected).max())
    total_norm = np.sqrt(sum((gradient**2).sum() for gradient in ours.values()))
    assert_close(total_norm, gradients[f"{case}_global_norm_reference"], atol=0, rtol=1e-5)


@pytest.mark.parametrize("case", ["A", "B"])
@pytest.mark.parametrize("part", ["mlm", "disc"])
def test_gradients_of_each_loss_equal_the_reference(net, part, case):
    """Each loss by itself: its norm at every variable, and none at all where TensorFlow sees no path."""
    golden, build = net
    is_micro = int(golden["vocab_size"]) == 400
    gradients = np.load(golden_path("gradients_micro.npz" if is_micro else "gradients.npz"), allow_pickle=False)
    batch, uniforms = golden_batch(golden, case)
    model = build(case)
    output = model(batch, uniforms)
    (output.mlm_loss if part == "mlm" else output.rtd_loss).backward()
    variables = variables_of(model)
    ours = {variables[name]: parameter.grad for name, parameter in model.named_parameters()}
    norms, connected = gradients[f"{case}_{part}_norm"], gradients[f"{case}_{part}_connected"]
    for name, norm, is_connected in zip(gradients["names"], norms, connected, strict=True):
        if not is_connected:
            assert ours[name] is None or not ours[name].numpy().any(), name
        elif "key/bias" not in name:
            assert_close(np.linalg.norm(ours[name].numpy().astype("f8")), norm, atol=1e-7, rtol=1e-3)


def test_resumed_step_equals_the_reference(tmp_path):
    """Weights, both moments and the number of updates come from a converted TensorFlow checkpoint; then one update.

    Seen: parameters differ by at most 3e-8, of steps of up to 3e-4, and the loss by 2e-6.
    """
    golden = np.load(golden_path("resumed_step_micro.npz"), allow_pickle=False)
    source = golden_path("tf_checkpoint/model.ckpt-30.index").with_suffix("")
    convert_from_tf(source, tmp_path / "run")
    arrays = read_checkpoint("tf_checkpoint/model.ckpt-30")
    weights = {name: array for name, array in arrays.items() if not name.endswith(("adam_m", "adam_v", "global_step"))}
    model = build_net("micro", {name: np.zeros_like(array) for name, array in weights.items()})
    schedule = build_schedule(
        float(golden["learning_rate"]), int(golden["num_train_steps"]), int(golden["num_warmup_steps"])
    )
    optimizer = build_optimizer(model, schedule, float(golden["weight_decay"]))
    state = json.loads(next(tmp_path.glob("run/checkpoints/*/state.json")).read_text())
    identity = {name: state[name] for name in ("generator", "discriminator", "vocab_sha256")}
    checkpoints = Checkpoints(tmp_path / "run/checkpoints", identity)
    checkpoints.restore(checkpoints.latest(), model, optimizer)
    assert checkpoints.latest().step == golden["global_step_before"]
    schedule.step(checkpoints.latest().step)
    assert_close(schedule.get_lr(), golden["lr_used"], atol=1e-10)

    batch, uniforms = golden_batch(np.load(golden_path(NETS["micro"][0]), allow_pickle=False), "B")
    loss = model(batch, uniforms).loss
    loss.backward()
    optimizer.step()
    assert_close(loss, golden["total_loss"], atol=1e-4)
    variables = variables_of(model)
    after = {variables[name]: parameter.numpy() for name, parameter in model.named_parameters()}
    assert set(after) == set(map(str, golden["names"]))
    for number, name in enumerate(golden["names"]):
        ours, before = after[name].astype("f8"), weights[name].reshape(after[name].shape).astype("f8")
        if f"after/{name}" in golden:
            assert_close(ours.reshape(golden[f"after/{name}"].shape), golden[f"after/{name}"], atol=2e-7)
        assert_close(ours.sum(), golden["sum"][number], atol=2e-7 * ours.size)
        assert_close(np.abs(ours).sum(), golden["abs_sum"][number], atol=2e-7 * ours.size)
        assert_close(np.linalg.norm(ours - before), golden["delta_norm"][number], atol=2e-7)


@pytest.mark.parametrize("cases", ["A", "B", "AB"])
def test_evaluation_equals_the_reference(net, cases):
    golden, build = net
    counts = []
    for case in cases:
        batch, uniforms = golden_batch(golden, case)
        with paddle.no_grad():
            counts.append(count(answers_of(batch, build(case)(batch, uniforms)), with_padding=True))
    result = scores({name: sum(one[name] for one in counts) for name in counts[0]})
    expected = {name: golden[key] for name in result if (key := f"{cases}_metric_{name}") in golden}
    assert len(expected) == 8
    for name, value in expected.items():
        assert_close(result[name], value)
