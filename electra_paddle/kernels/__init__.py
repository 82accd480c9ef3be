"""Kernels for arrays in a CPU's memory: oneDNN's where Paddle's wheel brings it, else made of Paddle's and numpy's."""

from __future__ import annotations

import functools
from typing import Any, Protocol

from electra_paddle.arrays import Array


class Kernels(Protocol):
    """What a set of kernels computes. Results are written into `out`.

    Arrays are float32 of any strides, for `matmul` and the others also bfloat16 (as uint16) where `takes_bf16`.
    """

    takes_bf16: bool

    def matmul(
        self,
        a: Array,
        b: Array,
        out: Array,
        bias: Array | None = None,
        scale: float = 1.0,
        added: Array | None = None,
    ) -> None:
        """a [..., M, K] times b [..., K, N], times `scale`.

        Args:
            bias: [N], float32, added to every row (before the scale).
            added: [..., M or 1, N or 1], float32, added to the scaled product.
        """

    def gelu(self, x: Array, out: Array) -> None:
        """The exact GELU, x times the normal distribution's share below x."""

    def gelu_backward(self, x: Array, gradient: Array, out: Array) -> None:
        """The gradient at x, where `gradient` is that at gelu(x)."""

    def softmax(self, x: Array, out: Array) -> None:
        """Of the last dimension."""

    def softmax_backward(self, y: Array, gradient: Array, out: Array) -> None:
        """The gradient at x, where y is softmax(x) and `gradient` that at y."""

    def layer_norm(self, x: Array, weight: Array, bias: Array, epsilon: float, out: Array) -> Any:
        """Of rows x [R, H]; returns what `layer_norm_backward` wants to know of them."""

    def layer_norm_backward(
        self, x: Array, gradient: Array, weight: Array, epsilon: float, moments: Any, out: Array
    ) -> tuple[Array, Array]:
        """The gradient at x; returns those of weight and bias, [H] each."""

    def convert(self, x: Array, out: Array) -> None:
        """Copy x, of any strides, into `out`, rounding to its type."""


@functools.cache
def kernels() -> Kernels:
    """The fastest ones here."""
    from electra_paddle.kernels import onednn

    found = onednn.load()
    if found is not None:
        return found
    from electra_paddle.kernels.plain import Plain

    return Plain()
