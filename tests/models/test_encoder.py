"""The faster layers beside Paddle's own: same values, same gradients, dropout of the right rate and scale."""

import copy
import itertools

import numpy as np
import paddle
import pytest
from conftest import assert_close, bf16
from paddlenlp.transformers import ElectraConfig, ElectraModel

from electra_paddle import runtime
from electra_paddle.batch import Layout
from electra_paddle.kernels.plain import Plain
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
needs_bf16 = pytest.mark.skipif(not runtime.has_fast_bf16(), reason="the processor is slower in bf16")


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
    hidden = network(ids, token_type_ids=paddle.zeros_like(ids), attention_mask=mask)
    (hidden * weights).sum().backward()
    return hidden, {name: parameter.grad for name, parameter in network.named_parameters()}


def assert_same(own, faster):
    """Two networks with equal hidden states and gradients."""
    weights = paddle.to_tensor(np.random.default_rng(2).normal(size=(3, 9, 32)).astype("float32"))
    expected, expected_gradients = run(own, weights)
    hidden, gradients = run(faster, weights)
    assert_close(hidden, expected)
    for name, gradient in expected_gradients.items():
        assert_close(gradients[name], gradient, atol=1e-5 * max(1, float(gradient.abs().max())))


@pytest.mark.usefixtures("both_branches")
def test_faster_layers_compute_what_paddlenlp_computes(networks):
    own, faster = networks
    assert all(type(layer) is EncoderLayer for layer in faster.encoder.layers)
    assert_same(own, faster)


def test_without_onednn_layers_compute_the_same(networks, monkeypatch):
    own, faster = networks
    plain = Plain()
    monkeypatch.setattr(cpu_ops, "kernels", lambda: plain)
    assert_same(own, faster)


@needs_bf16
def test_in_bfloat16_only_factors_of_products_are_rounded():
    x, weight, bias = (paddle.randn(shape) for shape in ([6, 32], [32, 16], [16]))
    for tensor in (x, weight, bias):
        tensor.stop_gradient = False
    gradient = paddle.randn([6, 16])
    with runtime.autocast("bf16"):
        y = encoder.linear(x, weight, bias)
    (y * gradient).sum().backward()  # rounded as the forward pass was, though its context is over
    rounded_x, rounded_weight, rounded_gradient = (
        paddle.to_tensor(bf16(each.detach().numpy())[0]) for each in (x, weight, gradient)
    )  # Paddle 2.6 itself cuts the bits off
    assert_close(y, paddle.matmul(rounded_x, rounded_weight) + bias)
    assert_close(x.grad, paddle.matmul(rounded_gradient, rounded_weight, transpose_y=True))
    assert_close(weight.grad, paddle.matmul(rounded_x, rounded_gradient, transpose_x=True))
    assert_close(bias.grad, rounded_gradient.sum(0))
    assert_close(encoder.linear(x, weight, bias), paddle.matmul(x, weight) + bias)


@needs_bf16
def test_in_bfloat16_layers_stay_near_float32(networks):
    _, network = networks
    weights = paddle.to_tensor(np.random.default_rng(2).normal(size=(3, 9, 32)).astype("float32"))
    expected, expected_gradients = run(network, weights)
    expected_gradients = {name: gradient.clone() for name, gradient in expected_gradients.items()}
    network.clear_gradients()
    with runtime.autocast("bf16"):
        hidden, gradients = run(network, weights)
    assert 1e-4 < float((hidden - expected).abs().max()) < 0.3  # of numbers around 1, two layers of sums of 8 bits
    assert float((hidden - expected).square().mean().sqrt()) < 0.03
    for name, gradient in expected_gradients.items():
        difference = float((gradients[name] - gradient).norm())
        assert difference < 0.1 * float(gradient.norm()) + 1e-3, name


def test_state_dict_is_unchanged(networks):
    own, faster = networks
    assert list(faster.state_dict()) == list(own.state_dict())


@pytest.mark.usefixtures("both_branches")
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


@pytest.mark.usefixtures("both_branches")
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


def test_without_padding_no_mask_is_needed(networks, both_branches):
    own, faster = networks
    ids, _ = inputs()
    kinds = paddle.zeros_like(ids)
    expected = own(ids, token_type_ids=kinds, attention_mask=paddle.ones_like(ids))
    assert_close(encoder.encode(faster, ids, kinds, None), expected)


def test_layer_alone_computes_what_it_computes_in_a_network(networks, gpu_branches):
    own, faster = networks
    x = paddle.to_tensor(np.random.default_rng(5).normal(size=(3, 9, 32)).astype("float32"))
    mask = (inputs()[1].astype("float32") - 1).unsqueeze([1, 2]) * 1e9  # [B, 1, 1, L]
    assert_close(faster.encoder.layers[0](x, mask), own.encoder.layers[0](x, mask))


class Kernel:
    """In place of Paddle's fused attention: its arithmetic in float32, and what it was called with."""

    def __init__(self):
        self.calls = []

    def __call__(self, q, k, v, mask=None, rate=0.0, is_causal=False, training=True):
        if q.shape[1] == 8:  # the probe of `fuse_attention`
            return v
        self.calls.append((str(q.dtype).split(".")[-1], mask))
        q, k, v = (each.astype("float32").transpose([0, 2, 1, 3]) for each in (q, k, v))
        scores = paddle.matmul(q * q.shape[-1] ** -0.5, k, transpose_y=True)
        probs = paddle.nn.functional.softmax(scores if mask is None else scores + mask.astype("float32"))
        return paddle.matmul(probs, v).transpose([0, 2, 1, 3])


@pytest.fixture
def kernel(monkeypatch, gpu_branches):
    """A Kernel; whole networks are as under automatic casts to bfloat16."""
    kernel = Kernel()
    monkeypatch.setattr(paddle.nn.functional, "scaled_dot_product_attention", kernel)
    monkeypatch.setattr(runtime, "autocast_dtype", lambda: "bfloat16")
    return kernel


def test_every_layer_uses_the_fused_attention_with_one_mask(networks, kernel):
    own, faster = networks
    assert encoder.fuse_attention(faster, "bf16") is None
    ids, mask = inputs()
    kinds = paddle.zeros_like(ids)
    hidden = faster(ids, token_type_ids=kinds, attention_mask=mask)
    assert [dtype for dtype, _ in kernel.calls] == ["bfloat16"] * 2
    masks = [mask for _, mask in kernel.calls]
    assert masks[0] is masks[1] and masks[0].shape == [3, 1, 9, 9] and masks[0].dtype == paddle.bfloat16
    assert_close(hidden, own(ids, token_type_ids=kinds, attention_mask=mask), atol=0.1)  # queries of 8 bits
    encoder.encode(faster, ids, kinds, None)
    assert kernel.calls[2:] == [("bfloat16", None)] * 2


def test_fused_attention_passes_gradients_to_what_paddlenlp_calls_the_projections(networks, kernel):
    own, faster = networks
    encoder.fuse_attention(faster, "bf16")
    weights = paddle.to_tensor(np.random.default_rng(2).normal(size=(3, 9, 32)).astype("float32"))
    for network in networks:
        ids, mask = inputs()
        (network(ids, token_type_ids=ids * 0, attention_mask=mask) * weights).sum().backward()
    assert len(kernel.calls) == 2
    for name, parameter in own.named_parameters():
        expected = parameter.grad.numpy().astype("f8")
        found = dict(faster.named_parameters())[name].grad.numpy().astype("f8")
        if "k_proj.bias" not in name:  # it is 0 but for rounding
            assert np.linalg.norm(found - expected) < 0.05 * np.linalg.norm(expected), name


class UnpaddedKernel:
    """In place of Paddle's unpadded attention: its arithmetic, a sequence at a time, and what it was called with."""

    def __init__(self):
        self.calls = []

    def __call__(self, q, k, v, starts, starts_k, longest, longest_k, scale, dropout=0.0, causal=False, training=True):
        if q.shape[1:2] == [1]:  # the probe of `fuse_attention`
            return v, None
        assert starts is starts_k and longest == longest_k and not causal
        self.calls.append((str(q.dtype).split(".")[-1], q.shape[0], longest, dropout))
        rows = []
        for first, end in itertools.pairwise(starts.numpy().tolist()):
            own = [each.astype("float32")[first:end].transpose([1, 0, 2]) for each in (q, k, v)]  # [N, l, D]
            probs = paddle.nn.functional.softmax(paddle.matmul(own[0] * scale, own[1], transpose_y=True))
            rows.append(paddle.matmul(probs, own[2]).transpose([1, 0, 2]))
        return paddle.concat(rows), None


@pytest.fixture
def unpadded_kernel(monkeypatch, kernel):
    """An UnpaddedKernel; the type to which products are cast is float32, so that nothing is rounded."""
    unpadded_kernel = UnpaddedKernel()
    monkeypatch.setattr(paddle.nn.functional.flash_attention, "flash_attn_unpadded", unpadded_kernel)
    monkeypatch.setattr(runtime, "autocast_dtype", lambda: "float32")
    return unpadded_kernel


def layout_of(mask):
    layout = Layout.of(mask.numpy())
    return layout._replace(index=paddle.to_tensor(layout.index), starts=paddle.to_tensor(layout.starts))


def test_layout_tells_where_the_tokens_of_sequences_are():
    layout = Layout.of(np.array([[[1, 1, 0], [1, 0, 0]], [[1, 1, 1], [0, 0, 0]]]))  # two questions of two choices
    assert layout.index.tolist() == [0, 1, 3, 6, 7, 8] and layout.starts.tolist() == [0, 2, 3, 6, 6]
    assert (layout.longest, layout.shape, layout.starts.dtype) == (3, (4, 3), np.int32)


def test_without_padding_hidden_states_and_gradients_are_those_with_it(networks, kernel, unpadded_kernel):
    own, faster = networks
    assert encoder.fuse_attention(faster, "bf16", may_unpad=True) is None
    ids, mask = inputs()
    weights = paddle.to_tensor(np.random.default_rng(2).normal(size=(3, 9, 32)).astype("float32"))
    weights = weights * mask.unsqueeze(-1).astype("float32")
    expected, expected_gradients = run(own, weights)
    with encoder.unpadded(layout_of(mask)):
        hidden, gradients = run(faster, weights)
    assert unpadded_kernel.calls == [("float32", sum(LENGTHS), 9, 0.0)] * 2 and not kernel.calls
    is_token = mask.numpy().astype(bool)
    assert_close(hidden.numpy()[is_token], expected.numpy()[is_token])
    assert not hidden.numpy()[~is_token].any()
    for name, gradient in expected_gradients.items():
        assert_close(gradients[name], gradient, atol=1e-5 * max(1, float(gradient.abs().max())))


def test_padding_is_computed_where_the_layout_is_not_that_of_the_batch(networks, kernel, unpadded_kernel, monkeypatch):
    _, faster = networks
    encoder.fuse_attention(faster, "bf16", may_unpad=True)
    ids, mask = inputs()
    with encoder.unpadded(layout_of(mask[:2])):
        run(faster, paddle.ones([3, 9, 32]))
    with encoder.unpadded(None):
        run(faster, paddle.ones([3, 9, 32]))
    assert not unpadded_kernel.calls and len(kernel.calls) == 4
    encoder.fuse_attention(networks[0], "bf16")
    monkeypatch.setattr(runtime, "autocast_dtype", lambda: None)  # as in an evaluation
    with encoder.unpadded(layout_of(mask)):
        run(faster, paddle.ones([3, 9, 32]))
    assert not unpadded_kernel.calls


def test_reason_why_padding_is_computed_is_told(networks, kernel, monkeypatch):
    _, faster = networks
    monkeypatch.delattr(paddle.nn.functional.flash_attention, "flash_attn_unpadded")
    note = encoder.fuse_attention(faster, "bf16", may_unpad=True)
    assert note.startswith("padding is computed, too: ") and "no unpadded attention in bf16, width 8" in note
    assert encoder.fuse_attention(faster, "bf16") is None and encoder.fused_dtype(faster.encoder.layers[0])


def test_fused_attention_is_left_where_nothing_is_cast(networks, kernel, monkeypatch):
    _, faster = networks
    encoder.fuse_attention(faster, "bf16")
    monkeypatch.setattr(runtime, "autocast_dtype", lambda: None)  # as in an evaluation
    ids, mask = inputs()
    faster(ids, token_type_ids=ids * 0, attention_mask=mask)
    assert not kernel.calls


def test_reason_why_attention_is_not_fused_is_told(networks, gpu_branches, monkeypatch):
    _, faster = networks
    assert "takes bf16 or fp16" in encoder.fuse_attention(faster, "fp32")

    def absent(*tensors):
        raise RuntimeError("the kernel is not registered")

    monkeypatch.setattr(paddle.nn.functional, "scaled_dot_product_attention", absent)
    assert "has none in fp16, width 8, for this GPU" in encoder.fuse_attention(faster, "fp16")
    assert encoder.fused_dtype(faster.encoder.layers[0]) is None


def test_attention_is_not_fused_without_a_gpu():
    if paddle.device.get_device() != "cpu":
        pytest.skip("there is a GPU")
    layer = paddle.nn.TransformerEncoderLayer(16, 4, 16)
    speed_up(layer)
    assert encoder.fuse_attention(layer, "bf16") is None and encoder.fused_dtype(layer) is None


def test_layers_that_are_computed_again_have_the_same_gradients(networks, gpu_branches):
    for network in networks:
        speed_up(network)
        network.train()
    runtime.recompute(networks[1].encoder.layers)
    weights = paddle.to_tensor(np.random.default_rng(2).normal(size=(3, 9, 32)).astype("float32"))
    (_, expected), (_, gradients) = (run(network, weights) for network in networks)
    for name, gradient in expected.items():
        assert_close(gradients[name], gradient, atol=1e-5 * max(1, float(gradient.abs().max())))
