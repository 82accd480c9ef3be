"""The kernels for a CPU's memory, both sets, beside the same arithmetic in float64."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import bf16
from scipy.special import erf

from electra_paddle.kernels import onednn
from electra_paddle.kernels.plain import Plain

KERNELS = {"onednn": onednn.load(), "plain": Plain()}
rng = np.random.default_rng(0)


@pytest.fixture(params=sorted(KERNELS))
def kernels(request):
    if KERNELS[request.param] is None:
        pytest.skip("this Paddle brings no oneDNN")
    return KERNELS[request.param]


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def test_paddle_on_this_system_brings_onednn():
    import platform

    if platform.system() == "Linux" and platform.machine() == "x86_64":
        assert KERNELS["onednn"] is not None


def test_matmul_adds_bias_scales_and_adds_a_mask(kernels):
    a, b, bias, added = normal(2, 3, 5, 4), normal(2, 3, 4, 6), normal(6), normal(2, 1, 1, 6)
    out = np.empty((2, 3, 5, 6), np.float32)
    kernels.matmul(a, b, out, bias=bias, scale=0.5, added=added)
    expected = (a.astype(float) @ b + bias) * 0.5 + added
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_matmul_takes_and_fills_views_of_any_strides(kernels):
    joint, out = normal(2, 5, 3, 4, 8), np.zeros((2, 5, 2, 4, 5), np.float32)
    queries, keys = joint[:, :, 0].transpose(0, 2, 1, 3), joint[:, :, 1].transpose(0, 2, 3, 1)
    kernels.matmul(queries, keys, out[:, :, 1].transpose(0, 2, 1, 3))
    expected = np.einsum("bind,bjnd->binj", joint[:, :, 0].astype(float), joint[:, :, 1])
    np.testing.assert_allclose(out[:, :, 1], expected, atol=1e-5)
    assert not out[:, :, 0].any()


@pytest.mark.parametrize("shape", [(1, 4, 6), (5, 1, 6), (5, 4, 1), (1, 4, 1), (1, 1, 6), (5, 1, 1), (1, 1, 1)])
def test_matmul_of_single_rows_and_columns_turned_or_not(kernels, shape):
    rows, inner, columns = shape
    a, b, out = normal(rows, inner), normal(inner, columns), np.empty((rows, columns), np.float32)
    for one in (a, np.ascontiguousarray(a.T).T):
        for other in (b, np.ascontiguousarray(b.T).T):
            kernels.matmul(one, other, out)
            np.testing.assert_allclose(out, a.astype(float) @ b, atol=1e-5)


def test_gelu_and_its_gradient(kernels):
    x, gradient = normal(7, 33) * 3, normal(7, 33)
    share = 0.5 * (1 + erf(x.astype(float) / 2**0.5))
    out = np.empty_like(x)
    kernels.gelu(x, out)
    np.testing.assert_allclose(out, x * share, atol=3e-6)
    kernels.gelu_backward(x, gradient, out)
    density = np.exp(-(x.astype(float) ** 2) / 2) / (2 * np.pi) ** 0.5
    np.testing.assert_allclose(out, gradient * (share + x * density), atol=3e-6)


def test_softmax_and_its_gradient_also_where_almost_all_is_masked(kernels):
    x, gradient = normal(2, 3, 4, 9), normal(2, 3, 4, 9)
    x[..., 1:] += np.float32(-1e9)
    x[1] += np.float32(1e9)
    out = np.empty_like(x)
    kernels.softmax(x, out)
    powers = np.exp(x.astype(float) - x.max(-1, keepdims=True))
    y = powers / powers.sum(-1, keepdims=True)
    np.testing.assert_allclose(out, y, atol=1e-6)
    kernels.softmax_backward(y.astype(np.float32), gradient, out)
    np.testing.assert_allclose(out, y * (gradient - (gradient * y).sum(-1, keepdims=True)), atol=1e-6)


def test_layer_norm_and_its_gradients(kernels):
    x, gradient, weight, bias = normal(6, 40) + 3, normal(6, 40), normal(40), normal(40)
    out = np.empty_like(x)
    moments = kernels.layer_norm(x, weight, bias, 1e-12, out)
    wide = x.astype(float)
    deviation = wide.std(-1, keepdims=True)
    z = (wide - wide.mean(-1, keepdims=True)) / deviation
    np.testing.assert_allclose(out, z * weight + bias, atol=2e-5)
    weight_gradient, bias_gradient = kernels.layer_norm_backward(x, gradient, weight, 1e-12, moments, out)
    np.testing.assert_allclose(weight_gradient, (gradient * z).sum(0), atol=2e-5)
    np.testing.assert_allclose(bias_gradient, gradient.sum(0), atol=2e-5)
    inner = gradient * weight
    expected = (inner - inner.mean(-1, keepdims=True) - z * (inner * z).mean(-1, keepdims=True)) / deviation
    np.testing.assert_allclose(out, expected, atol=2e-5)


def test_results_may_take_the_place_of_what_they_come_from(kernels):
    x, gradient = normal(5, 16), normal(5, 16)
    expected, out = np.empty_like(x), gradient.copy()
    kernels.gelu_backward(x, gradient, expected)
    kernels.gelu_backward(x, out, out)
    np.testing.assert_array_equal(out, expected)
    kernels.softmax(x, expected)
    out = x.copy()
    kernels.softmax(out, out)
    np.testing.assert_array_equal(out, expected)
    y, out = expected.copy(), gradient.copy()
    kernels.softmax_backward(y, gradient, expected)
    kernels.softmax_backward(y, out, out)
    np.testing.assert_array_equal(out, expected)


def test_nothing_to_compute_is_no_error(kernels):
    kernels.matmul(normal(0, 3), normal(3, 4), np.empty((0, 4), np.float32))
    kernels.gelu(normal(0, 3), np.empty((0, 3), np.float32))


def test_a_failure_of_onednn_is_an_error_of_python():
    kernels = KERNELS["onednn"] or pytest.skip("this Paddle brings no oneDNN")
    with pytest.raises(RuntimeError, match="matmul_primitive_desc_create ended with status"):
        kernels.matmul(normal(2, 3), normal(4, 5), np.empty((2, 5), np.float32))


def test_bfloat16_factors_are_multiplied_as_they_are_and_summed_in_float32():
    from electra_paddle import runtime

    kernels = KERNELS["onednn"] or pytest.skip("this Paddle brings no oneDNN")
    if "avx512_bf16" not in runtime.cpu_description():
        pytest.skip("this processor has no products in bfloat16")
    (a, a_bits), (b, b_bits) = bf16(normal(9, 64)), bf16(normal(64, 7))
    rounded = np.empty((9, 64), np.uint16)
    kernels.convert(a, rounded)
    np.testing.assert_array_equal(rounded, a_bits)
    out = np.empty((9, 7), np.float32)
    kernels.matmul(a_bits, b_bits, out)
    np.testing.assert_allclose(out, a.astype(float) @ b, atol=1e-5)
    rounded = np.empty((9, 7), np.uint16)
    kernels.matmul(a_bits, b_bits, rounded)
    np.testing.assert_array_equal(rounded, bf16(out)[1])


def test_number_of_threads_follows_paddles():
    code = (
        "import os, paddle, numpy as np; from electra_paddle.kernels import kernels\n"
        "def num_tasks():\n"
        "    a = np.ones((512, 512), np.float32); kernels().matmul(a, a, np.empty_like(a))\n"
        "    return len(os.listdir('/proc/self/task'))\n"
        "one = num_tasks(); paddle.base.core.set_num_threads(3); print(num_tasks() - one)"
    )
    if KERNELS["onednn"] is None:
        pytest.skip("this Paddle brings no oneDNN")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert int(result.stdout) >= 2, result.stderr


def test_threads_compute_at_the_same_time(kernels):
    factors = [normal(64, 64) for _ in range(4)]
    wrong = []

    def work(a):
        out = np.empty((64, 64), np.float32)
        for _ in range(50):
            kernels.matmul(a, a, out)
            if np.abs(out - a.astype(float) @ a).max() > 1e-4:
                wrong.append(a)

    threads = [threading.Thread(target=work, args=(a,)) for a in factors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
