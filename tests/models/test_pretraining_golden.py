"""Forward and backward pass against numbers of the reference (TensorFlow 1.15)."""

import numpy as np
import paddle
import pytest
from conftest import ROOT, assert_close, shared_file
from tensor_bundle import read_bundle

from electra_paddle.batch import MaskedBatch
from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.models.pretraining import ElectraForJointPretraining, pretraining_metrics

NETS = {  # name -> (forward file, checkpoint prefix, hidden size, layers, embedding size)
    "micro": ("pretraining_forward_micro.npz", "tf_release_micro/electra_small", 32, 2, 16),
    "main": ("pretraining_forward.npz", "tf_release/electra_small", 128, 3, 64),
}
PARTS = {  # of a Paddle parameter's name -> of the TensorFlow variable's
    ".layers.": "/layer_",
    "self_attn.q_proj": "attention/self/query",
    "self_attn.k_proj": "attention/self/key",
    "self_attn.v_proj": "attention/self/value",
    "self_attn.out_proj": "attention/output/dense",
    "norm1": "attention/output/LayerNorm",
    "norm2": "output/LayerNorm",
    "linear1": "intermediate/dense",
    "linear2": "output/dense",
    "layer_norm": "LayerNorm",
    "dense_prediction": "dense_1",
    "generator_lm_head_bias": "generator_predictions/output_bias",
}


def tensorflow_name(name):
    """The variable of the reference for a parameter of the joint model."""
    net, _, rest = name.partition(".")
    if rest.startswith("electra.embeddings."):
        prefix, rest = "electra/", rest.removeprefix("electra.")
    elif rest.startswith("electra."):
        prefix, rest = ("generator/" if net == "generator" else "electra/"), rest.removeprefix("electra.")
    else:
        prefix = ""
    is_norm = "norm" in rest
    for part, replacement in PARTS.items():
        rest = rest.replace(part, replacement)
    rest = rest.replace(".", "/")
    if "embeddings/" in rest and rest.endswith("embeddings/weight"):
        rest = rest.removesuffix("/weight")
    elif is_norm:
        rest = rest.replace("/weight", "/gamma").replace("/bias", "/beta")
    return prefix + rest.replace("/weight", "/kernel")


def golden_path(name):
    copied = ROOT / "tests/golden" / name
    return copied if copied.exists() else shared_file(f"golden/{name}")


@pytest.fixture(scope="module", params=NETS)
def net(request):
    forward, checkpoint, hidden_size, num_layers, embedding_size = NETS[request.param]
    golden = np.load(golden_path(forward), allow_pickle=False)
    golden_path(checkpoint + ".index")
    arrays = read_bundle(golden_path(checkpoint + ".index").with_suffix(""))
    overrides = {"hidden_size": hidden_size, "num_hidden_layers": num_layers}
    shape = discriminator_geometry("small", int(golden["vocab_size"]), embedding_size, overrides)

    def build(case):
        options = (
            {"temperature": 0.7, "disallow_correct": True, "gen_weight": 0.6, "disc_weight": 20.0}
            if case == "C"
            else {}
        )
        model = ElectraForJointPretraining(generator_geometry(shape), shape, **options)
        used = set()
        for name, parameter in model.named_parameters():
            variable = tensorflow_name(name)
            parameter.set_value(arrays[variable].reshape(parameter.shape))
            used.add(variable)
        assert used == set(arrays)
        model.eval()
        return model

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
        np.float32(weights.sum()),
        np.float32(attention_mask.sum()),
    )
    uniforms = np.random.RandomState(int(golden[f"{case}_gumbel_seed"])).random_sample(
        (*weights.shape, int(golden["vocab_size"]))
    )
    return MaskedBatch(*map(paddle.to_tensor, arrays)), uniforms.astype("float32")


@pytest.mark.parametrize("case", ["B", "C"])
def test_forward_equals_the_reference(net, case):
    golden, build = net
    batch, uniforms = golden_batch(golden, case)
    with paddle.no_grad():
        output = build(case)(batch, uniforms)
    if case == "B":
        assert_close(output.mlm_logits, golden["B_gen_logits"])
    used = golden["B_masked_lm_weights"] > 0
    assert (output.sampled_ids.numpy() == golden[f"{case}_sampled_ids"])[used].all()
    assert (output.corrupted.input_ids.numpy() == golden[f"{case}_disc_input_ids"]).all()
    assert (output.corrupted.is_replaced.numpy() == golden[f"{case}_is_fake"]).all()
    assert_close(output.rtd_logits, golden[f"{case}_disc_logits"])
    assert_close(output.mlm_loss, golden[f"{case}_mlm_loss"])
    assert_close(output.loss, golden[f"{case}_total_loss"], atol=1e-4)


def test_metrics_equal_the_reference(net):
    golden, build = net
    batch, uniforms = golden_batch(golden, "B")
    with paddle.no_grad():
        metrics = pretraining_metrics(batch, build("B")(batch, uniforms))
    assert_close(metrics["mlm_loss"], golden["B_metric_masked_lm_loss"])
    assert_close(metrics["mlm_accuracy"], golden["B_metric_masked_lm_accuracy"])
    assert_close(metrics["sampled_accuracy"], golden["B_metric_sampled_masked_lm_accuracy"])
    assert_close(metrics["rtd_accuracy"], golden["B_metric_disc_accuracy"])
    assert_close(metrics["rtd_precision"], golden["B_metric_disc_precision"])
    assert_close(metrics["rtd_recall"], golden["B_metric_disc_recall"])


def test_gradients_equal_the_reference(net):
    golden, build = net
    is_micro = int(golden["vocab_size"]) == 400
    gradients = np.load(golden_path("gradients_micro.npz" if is_micro else "gradients.npz"), allow_pickle=False)
    batch, uniforms = golden_batch(golden, "B")
    model = build("B")
    model(batch, uniforms).loss.backward()
    ours = {tensorflow_name(name): parameter.grad.numpy().astype("f8") for name, parameter in model.named_parameters()}
    assert set(ours) == set(map(str, gradients["names"]))
    for name, norm in zip(gradients["names"], gradients["B_total_norm"], strict=True):
        if "key/bias" in name:  # softmax does not see it: its gradient is rounding noise around 0
            assert np.abs(ours[name]).max() < 1e-5
            continue
        assert_close(np.linalg.norm(ours[name]), norm, atol=1e-7, rtol=1e-3)
        if f"B_grad/{name}" in gradients:
            expected = gradients[f"B_grad/{name}"]
            assert_close(ours[name].reshape(expected.shape), expected, atol=1e-3 * np.abs(expected).max())
