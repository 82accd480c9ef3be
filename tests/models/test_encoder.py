"""The faster layers beside Paddle's own: same values, same gradients, dropout of the right rate and scale."""

import copy

import numpy as np
import paddle
import pytest
from conftest import assert_close
from paddlenlp.transformers import ElectraConfig, ElectraModel

from electra_paddle.models import cpu_ops, encoder
from electra_paddle.models.encoder import EncoderLayer, speed_up

SHAPE = {
    "vocab_size": 50,
    "embedding_size": 16,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
LENGTHS = [9, 4, 7]


@pytest.fixture
def networks():
    """PaddleNLP's encoder with random weights, and the same one made faster; no dropout."""
    paddle.seed(0)
    own = ElectraModel(ElectraConfig(**SHAPE, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    rng = np.random.default_rng(0)
    for parameter in own.parameters():
        parameter.set_value(rng.normal(0, 0.3, parameter.shape).astype("float32"))
    faster = copy.deepcopy(own)
    speed_up(faster)
    return own, faster


def inputs():
    ids = paddle.to_tensor(np.random.default_rng(1).integers(1, 50, (3, 9)))
    mask = paddle.to_tensor((np.arange(9) < np.array(LENGTHS)[:, None]).astype("int64"))
    return ids, mask


def run(network, weights):
    """(hidden states, gradients by name) of a weighted sum of the hidden states."""
    ids, mask = inputs()
    hidden = network(ids, attention_mask=mask)
    (hidden * weights).sum().backward()
    return hidden, {name: parameter.grad for name, parameter in network.named_parameters()}


def test_faster_layers_compute_what_paddlenlp_computes(networks):
    own, faster = networks
    assert all(type(layer) is EncoderLayer for layer in faster.encoder.layers)
    weights = paddle.to_tensor(np.random.default_rng(2).normal(size=(3, 9, 32)).astype("float32"))
    expected, expected_gradients = run(own, weights)
    hidden, gradients = run(faster, weights)
    assert_close(hidden, expected)
    for name, gradient in expected_gradients.items():
        assert_close(gradients[name], gradient, atol=1e-5 * max(1, float(gradient.abs().max())))


def test_state_dict_is_unchanged(networks):
    own, faster = networks
    assert list(faster.state_dict()) == list(own.state_dict())


def test_frozen_parameters_get_no_gradient(networks):
    own, faster = networks
    for network in networks:
        for name, parameter in network.named_parameters():
            parameter.stop_gradient = "bias" in name or "embeddings" in name or ".0." in name
    weights = paddle.ones([3, 9, 32])
    weights[:, :, ::3] = -2.0
    _, expected = run(own, weights)
    _, gradients = run(faster, weights)
    assert any(gradient is None for gradient in expected.values())
    for name, gradient in expected.items():
        assert (gradients[name] is None) == (gradient is None), name
        if gradient is not None:
            assert_close(gradients[name], gradient, atol=1e-5 * max(1, float(gradient.abs().max())))


def test_without_gradients_it_computes_the_same(networks):
    own, faster = networks
    ids, mask = inputs()
    with paddle.no_grad():
        assert_close(faster(ids, attention_mask=mask), own(ids, attention_mask=mask))


def test_vocabulary_product_and_its_gradients_equal_paddles():
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=shape).astype("float32") for shape in ((5, 8), (21, 8), (21,))]
    weights = paddle.to_tensor(rng.normal(size=(5, 21)).astype("float32"))
    one, other = ([paddle.to_tensor(array, stop_gradient=False) for array in arrays] for _ in range(2))
    (encoder.linear(*one, transposed=True) * weights).sum().backward()
    ((paddle.matmul(other[0], other[1], transpose_y=True) + other[2]) * weights).sum().backward()
    for tensor, expected in zip(one, other, strict=True):
        assert_close(tensor.grad, expected.grad)


def test_dropout_keeps_the_right_share_scales_it_and_passes_the_same_gradients():
    paddle.seed(1)
    x = paddle.ones([400, 500])
    x.stop_gradient = False
    y = cpu_ops.DropoutFunction.apply(x, 0.1)
    kept = y.numpy() > 0
    assert abs(kept.mean() - 0.9) < 5 * np.sqrt(0.09 / kept.size)
    assert_close(y.numpy()[kept], np.full(kept.sum(), 1 / 0.9), atol=1e-4)
    y.sum().backward()
    assert_close(x.grad, y)
    paddle.seed(1)
    assert_close(cpu_ops.DropoutFunction.apply(x, 0.1), y)
    assert (cpu_ops.DropoutFunction.apply(x, 0.1).numpy() != y.numpy()).any()


def test_dropout_of_a_layer_has_the_gradients_of_what_it_kept():
    """Central differences, the random numbers repeated."""
    layer = paddle.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, activation="gelu", attn_dropout=0.4, act_dropout=0)
    speed_up(layer)
    rng = np.random.default_rng(4)
    for parameter in layer.parameters():
        parameter.set_value(rng.normal(0, 0.5, parameter.shape).astype("float32"))
    weights = rng.normal(size=(2, 5, 8))

    def value(x):
        paddle.seed(7)
        return (layer(x).astype("float64") * paddle.to_tensor(weights)).sum()

    start = rng.normal(size=(2, 5, 8)).astype("float32")
    x = paddle.to_tensor(start, stop_gradient=False)
    value(x).backward()
    for _ in range(3):
        direction = rng.normal(size=start.shape)
        step = 1e-3 * direction / np.linalg.norm(direction)
        ahead, behind = (float(value(paddle.to_tensor((start + sign * step).astype("float32")))) for sign in (1, -1))
        slope = float((x.grad.numpy() * step).sum())
        assert abs((ahead - behind) / 2 - slope) < 0.02 * np.abs(x.grad.numpy()).max() * 1e-3


def test_fused_attention_computes_what_paddles_own_computes():
    """Its arithmetic, on a CPU; which kernel a GPU takes for it cannot be seen here."""
    own = paddle.nn.MultiHeadAttention(16, 4)
    own.eval()
    x = paddle.to_tensor(np.random.default_rng(5).normal(size=(3, 9, 16)).astype("float32"))
    mask = (inputs()[1].astype("float32") - 1).unsqueeze([1, 2]) * 1e9  # [B, 1, 1, L]
    expected = own(x, x, x, mask)
    own.__class__ = encoder.FusedAttention
    heads = [project(x).reshape([0, 0, 4, 4]) for project in (own.q_proj, own.k_proj, own.v_proj)]
    try:
        context = own.attend(*heads, mask)
    except RuntimeError as error:  # Paddle 2.6 has it for GPUs alone
        pytest.skip(str(error).splitlines()[0])
    assert_close(own.out_proj(context), expected)


def test_attention_is_not_fused_without_a_gpu():
    if paddle.device.get_device() != "cpu":
        pytest.skip("there is a GPU")
    attention = paddle.nn.MultiHeadAttention(16, 4)
    assert encoder.fuse_attention(attention, "bf16") is None and type(attention) is paddle.nn.MultiHeadAttention
