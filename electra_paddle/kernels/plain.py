"""The same kernels of Paddle's and numpy's parts, for systems whose Paddle has no oneDNN."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle

from electra_paddle.arrays import Array


class Plain:
    """Implements `Kernels`."""

    takes_bf16 = False

    def matmul(
        self,
        a: Array,
        b: Array,
        out: Array,
        bias: Array | None = None,
        scale: float = 1.0,
        added: Array | None = None,
    ) -> None:
        np.matmul(a, b, out=out)
        if bias is not None:
            out += bias
        if scale != 1:
            out *= np.float32(scale)
        if added is not None:
            out += added

    def gelu(self, x: Array, out: Array) -> None:
        np.multiply(x, share_below(x), out=out)

    def gelu_backward(self, x: Array, gradient: Array, out: Array) -> None:
        density = np.exp(np.float32(-0.5) * x * x) * np.float32((2 * np.pi) ** -0.5)
        np.multiply(gradient, share_below(x) + x * density, out=out)

    def softmax(self, x: Array, out: Array) -> None:
        np.exp(x - x.max(-1, keepdims=True), out=out)
        out /= out.sum(-1, keepdims=True)

    def softmax_backward(self, y: Array, gradient: Array, out: Array) -> None:
        inward = np.einsum("...j,...j->...", gradient, y)[..., None]
        np.multiply(gradient - inward, y, out=out)

    def layer_norm(self, x: Array, weight: Array, bias: Array, epsilon: float, out: Array) -> tuple[Array, Array]:
        mean = x.mean(-1, keepdims=True)
        centred = x - mean
        scale = 1 / np.sqrt(np.square(centred).mean(-1, keepdims=True) + np.float32(epsilon))
        np.multiply(centred, scale, out=out)
        out *= weight
        out += bias
        return mean, scale

    def layer_norm_backward(
        self, x: Array, gradient: Array, weight: Array, epsilon: float, moments: Any, out: Array
    ) -> tuple[Array, Array]:
        mean, scale = moments
        normal = (x - mean) * scale
        weight_gradient, bias_gradient = np.einsum("ij,ij->j", gradient, normal), gradient.sum(0)
        g = gradient * weight
        inward = np.einsum("ij,ij->i", g, normal)[:, None] / np.float32(x.shape[1])
        np.multiply(g - g.mean(-1, keepdims=True) - normal * inward, scale, out=out)
        return weight_gradient, bias_gradient

    def convert(self, x: Array, out: Array) -> None:
        np.copyto(out, x)


def share_below(x: Array) -> Array:
    """The share of the normal distribution below each number."""
    scaled = paddle.to_tensor(x * np.float32(0.5**0.5))
    return np.float32(0.5) * (np.float32(1) + paddle.erf(scaled).numpy())
