"""The parts of a transformer layer with gradients written by hand, for float32 on a CPU.

Paddle's matrix products are as fast as the processor; on a CPU its gradients of bias and layer norm, its dropout and
its sums over two shapes are not, and together took longer than the products. Here numpy does them, in the memory of
Paddle's tensors. The arithmetic is that of Paddle's own layers.

Shapes: B batch, L sequence, N heads, D width of a head, H = N * D hidden, I intermediate, R rows (B * L).
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import paddle
from paddle.autograd import PyLayer

if TYPE_CHECKING:
    from paddle import Tensor

    from electra_paddle.arrays import Array


LEVELS = 1 << 16  # of the random numbers that dropout compares with: its rate is rounded to 1 / 65536
ROWS_AT_A_TIME = 512  # of a feed-forward network without gradients: 2 MB between its products at I = 1024


class Keeper:
    """Decides what a dropout keeps. The numbers follow paddle.seed; at rate 0 nothing is drawn.

    Args:
        rate: the share of numbers to set to 0.
    """

    def __init__(self, rate: float) -> None:
        self._threshold = round(rate * LEVELS)
        self.scale = np.float32(LEVELS / (LEVELS - self._threshold))  # of what is kept
        if self._threshold:
            self._bits = np.random.SFC64(int(paddle.randint(0, 2**31 - 1, [1])))

    def draw(self, shape: Sequence[int]) -> Array | None:
        """A bool array, or None where everything is kept."""
        if not self._threshold:
            return None
        size = int(np.prod(shape))
        numbers = self._bits.random_raw((size + 3) // 4).view(np.uint16)[:size]
        return (numbers >= self._threshold).reshape(shape)

    def apply(self, array: Array, kept: Array | None) -> None:
        """Dropout in place, forward and backward alike."""
        if kept is not None:
            array *= kept
            array *= self.scale


class LinearFunction(PyLayer):
    """x [R, K], weight [K, M] or, transposed, [M, K], bias [M] -> [R, M]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, transposed: bool) -> Tensor:
        ctx.transposed, ctx.wanted = transposed, wanted(x, weight, bias)
        ctx.save_for_backward(x, weight)
        y = paddle.matmul(x, weight, transpose_y=transposed)
        values(y)[...] += values(bias)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]  # Paddle's stub takes any number of gradients
        x, weight = ctx.saved_tensor()
        one, other = (grad, x) if ctx.transposed else (x, grad)
        grad_x = paddle.matmul(grad, weight, transpose_y=not ctx.transposed)
        return only(ctx.wanted, grad_x, paddle.matmul(one, other, transpose_x=True), sum_of_rows(grad))


class AttentionFunction(PyLayer):
    """Self-attention of x [B, L, H] up to the concatenated heads [B, L, H], one product for queries, keys and values.

    Args:
        mask: array [B, 1, 1, L] (or of a shape that broadcasts likewise), added to the scores; or None.
        num_heads, rate: N, and the dropout of the probabilities.
        then the weight and the bias of queries, of keys and of values.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        mask: Tensor | None,
        num_heads: int,
        rate: float,
        q_weight: Tensor,
        q_bias: Tensor,
        k_weight: Tensor,
        k_bias: Tensor,
        v_weight: Tensor,
        v_bias: Tensor,
    ) -> Tensor:
        batch, length, hidden = x.shape
        ctx.wanted = wanted(x, q_weight, q_bias, k_weight, k_bias, v_weight, v_bias)
        shape = ctx.shape = (batch, length, num_heads, hidden // num_heads)
        ctx.keeper = Keeper(rate)
        weight = paddle.concat([q_weight, k_weight, v_weight], axis=1)  # [H, 3 H]
        joint = paddle.matmul(x.reshape([-1, hidden]), weight)  # [R, 3 H]
        values(joint)[...] += np.concatenate([values(q_bias), values(k_bias), values(v_bias)])
        q, k, v = heads = [paddle.empty([shape[i] for i in (0, 2, 1, 3)]) for _ in range(3)]  # [B, N, L, D] each
        for number, head in enumerate(heads):
            values(head)[...] = values(joint).reshape(batch, length, 3, *shape[2:])[:, :, number].transpose(0, 2, 1, 3)
        values(q)[...] *= np.float32(shape[3] ** -0.5)
        probs = paddle.matmul(q, k, transpose_y=True)  # [B, N, L, L] scores
        if mask is not None:
            values(probs)[...] += mask
        probs = paddle.nn.functional.softmax(probs)
        ctx.kept = ctx.keeper.draw(probs.shape)
        ctx.save_for_backward(x, q_weight, k_weight, v_weight, q, k, v, probs)
        return merge_heads(paddle.matmul(dropped(ctx, probs), v))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]  # Paddle's stub takes any number of gradients
        x, *weights, q, k, v, probs = ctx.saved_tensor()
        batch, length, num_heads, width = ctx.shape
        grad_heads = paddle.empty(q.shape)  # [B, N, L, D]
        values(grad_heads)[...] = values(grad).reshape(ctx.shape).transpose(0, 2, 1, 3)
        joint = paddle.empty([batch * length, 3 * num_heads * width])  # [R, 3 H] gradient of q, k, v side by side
        parts = values(joint).reshape(batch, length, 3, num_heads, width).transpose(2, 0, 3, 1, 4)  # [3, B, N, L, D]
        parts[2] = values(paddle.matmul(dropped(ctx, probs), grad_heads, transpose_x=True))
        scores = paddle.matmul(grad_heads, v, transpose_y=True)  # [B, N, L, L]
        change, p = values(scores), values(probs)
        ctx.keeper.apply(change, ctx.kept)
        change -= np.einsum("bnij,bnij->bni", change, p)[..., None]  # the softmax's gradient
        change *= p
        np.multiply(values(paddle.matmul(scores, k)), np.float32(width**-0.5), out=parts[0])
        parts[1] = values(paddle.matmul(scores, q, transpose_x=True))  # q is scaled already
        x = x.reshape([-1, x.shape[2]])
        grad_x = paddle.matmul(joint, paddle.concat(weights, axis=1), transpose_y=True).reshape([batch, length, -1])
        weights = paddle.split(paddle.matmul(x, joint, transpose_x=True), 3, axis=1)
        biases = paddle.split(sum_of_rows(joint), 3)
        return only(ctx.wanted, grad_x, *(each for pair in zip(weights, biases, strict=True) for each in pair))


class FeedForwardFunction(PyLayer):
    """x [R, H] -> [R, H] through I, with the exact GELU. Its values are computed again rather than kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> Tensor:
        ctx.wanted = wanted(x, weight1, bias1, weight2, bias2)
        inner = paddle.matmul(x, weight1)  # [R, I]
        values(inner)[...] += values(bias1)
        ctx.save_for_backward(x, weight1, weight2, inner)
        y = paddle.matmul(paddle.nn.functional.gelu(inner), weight2)  # [R, H]
        values(y)[...] += values(bias2)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]  # Paddle's stub takes any number of gradients
        x, weight1, weight2, inner = ctx.saved_tensor()
        z = values(inner)
        cumulated = paddle.erf(inner * 0.5**0.5)  # [R, I] of the normal distribution, once halved
        share = values(cumulated)
        share += np.float32(1)
        share *= np.float32(0.5)
        active = paddle.multiply(inner, cumulated)  # [R, I]
        grad_weight2 = paddle.matmul(active, grad, transpose_x=True)
        grad_inner = paddle.matmul(grad, weight2, transpose_y=True)  # [R, I]
        slope = values(active)  # its memory serves again: z * density(z) + share
        np.multiply(z, z, out=slope)
        slope *= np.float32(-0.5)
        np.exp(slope, out=slope)
        slope *= z
        slope *= np.float32((2 * np.pi) ** -0.5)
        slope += share
        values(grad_inner)[...] *= slope
        return only(
            ctx.wanted,
            paddle.matmul(grad_inner, weight1, transpose_y=True),
            paddle.matmul(x, grad_inner, transpose_x=True),
            sum_of_rows(grad_inner),
            grad_weight2,
            sum_of_rows(grad),
        )


def feed_forward(x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> Tensor:
    """Compute FeedForwardFunction for some rows at a time, so that intermediate values stay in the cache."""
    parts = []
    for start in range(0, x.shape[0], ROWS_AT_A_TIME):
        inner = paddle.matmul(x[start : start + ROWS_AT_A_TIME], weight1)  # [rows, I]
        values(inner)[...] += values(bias1)
        parts.append(paddle.matmul(paddle.nn.functional.gelu(inner), weight2))  # [rows, H]
    y = paddle.concat(parts)  # [R, H]
    values(y)[...] += values(bias2)
    return y


class NormFunction(PyLayer):
    """Layer norm of dropout(x) + residual, all [R, H]; residual may be None."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor, epsilon: float, rate: float
    ) -> Tensor:
        ctx.keeper = Keeper(rate)
        ctx.kept = ctx.keeper.draw(x.shape)
        ctx.has_residual = residual is not None
        ctx.wanted = wanted(*(tensor for tensor in (x, residual, weight, bias) if tensor is not None))
        normal = x.clone()
        z = values(normal)
        ctx.keeper.apply(z, ctx.kept)
        if residual is not None:
            z += values(residual)
        z -= z.mean(-1, keepdims=True)
        ctx.scale = 1 / np.sqrt(np.einsum("ij,ij->i", z, z)[:, None] / np.float32(z.shape[1]) + np.float32(epsilon))
        z *= ctx.scale
        ctx.save_for_backward(normal, weight)
        y = paddle.empty(x.shape)
        np.multiply(z, values(weight), out=values(y))
        values(y)[...] += values(bias)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]  # Paddle's stub takes any number of gradients
        normal, weight = ctx.saved_tensor()
        grad_weight, grad_bias = sum_of_rows(paddle.multiply(grad, normal)), sum_of_rows(grad)
        grad_x = paddle.empty(grad.shape)
        g, z, width = values(grad_x), values(normal), np.float32(normal.shape[1])
        np.multiply(values(grad), values(weight), out=g)
        inward = np.einsum("ij,ij->i", g, z)[:, None] / width
        g -= g.mean(-1, keepdims=True)
        g -= z * inward
        g *= ctx.scale
        if not ctx.has_residual:
            ctx.keeper.apply(g, ctx.kept)
            return only(ctx.wanted, grad_x, grad_weight, grad_bias)
        grad_residual = grad_x.clone()
        ctx.keeper.apply(g, ctx.kept)
        return only(ctx.wanted, grad_x, grad_residual, grad_weight, grad_bias)


class DropoutFunction(PyLayer):
    """Dropout of an array of any shape."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        ctx.keeper = Keeper(rate)
        ctx.kept = ctx.keeper.draw(x.shape)
        y = x.clone()
        ctx.keeper.apply(values(y), ctx.kept)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]  # Paddle's stub takes any number of gradients
        grad = grad.clone()
        ctx.keeper.apply(values(grad), ctx.kept)
        return grad


class Wanted(NamedTuple):
    """For what a backward pass may be asked, in the order of a function's tensors."""

    gradients: list[bool]
    are_parameters: list[bool]


_passes_by_parameters = [False]


@contextlib.contextmanager
def passing_by_parameters() -> Iterator[None]:
    """Context for `paddle.grad` of activations: parameters get no gradients, as Paddle then insists."""
    _passes_by_parameters.append(True)
    try:
        yield
    finally:
        _passes_by_parameters.pop()


def wanted(*tensors: Tensor) -> Wanted:
    """The tensors for which a gradient is wanted."""
    return Wanted([not tensor.stop_gradient for tensor in tensors], [tensor.is_leaf for tensor in tensors])


def only(wanted: Wanted, *gradients: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients with None where none is asked for, which Paddle insists on."""
    passes = _passes_by_parameters[-1]
    return tuple(
        gradient if is_wanted and not (passes and is_parameter) else None
        for gradient, is_wanted, is_parameter in zip(gradients, *wanted, strict=True)
    )


def dropped(ctx: Any, probs: Any) -> Any:
    """The probabilities after dropout."""
    if ctx.kept is None:
        return probs
    result = paddle.empty(probs.shape)
    np.multiply(values(probs), ctx.kept, out=values(result))
    values(result)[...] *= ctx.keeper.scale
    return result


def merge_heads(heads: Tensor) -> Tensor:
    """[B, N, L, D] -> [B, L, H]."""
    batch, num_heads, length, width = heads.shape
    merged = paddle.empty([batch, length, num_heads * width])
    values(merged).reshape(batch, length, num_heads, width)[...] = values(heads).transpose(0, 2, 1, 3)
    return merged


def sum_of_rows(rows: Tensor) -> Tensor:
    """[R, M] -> [M], as a matrix product: Paddle's own sum takes ten times as long and more."""
    return paddle.matmul(paddle.ones([1, rows.shape[0]]), rows).reshape([-1])


def values(tensor: Tensor) -> Array:
    """The memory of a float32 tensor as an array, which keeps the tensor alive."""
    assert tensor.dtype == paddle.float32 and tensor.is_contiguous()
    size = int(np.prod(tensor.shape))
    memory: Any = (ctypes.c_float * size).from_address(tensor.data_ptr())
    memory.owner = tensor
    return np.frombuffer(memory, np.float32).reshape(tensor.shape)
