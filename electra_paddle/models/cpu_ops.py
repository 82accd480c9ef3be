"""The parts of a transformer layer with gradients written by hand, for float32 on a CPU.

Paddle's own kernels for CPUs take longer for what lies between the matrix products than for these. Here `kernels`
computes in the memory of Paddle's tensors. The arithmetic is that of Paddle's own layers; where
`runtime.autocast_dtype` says bfloat16, the factors of matrix products are rounded to it, and so is what lies between
the two products of a feed-forward network.

Shapes: B batch, L sequence, N heads, D width of a head, H = N * D hidden, I intermediate, R rows (B * L).
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import paddle
from paddle.autograd import PyLayer

from electra_paddle import runtime
from electra_paddle.kernels import kernels
from electra_paddle.kernels.memory import DTYPES, values

if TYPE_CHECKING:
    from paddle import Tensor

    from electra_paddle.arrays import Array


LEVELS = 1 << 16  # of the random numbers that dropout compares with: its rate is rounded to 1 / 65536
ONE = {np.dtype(np.float32): 1.0, np.dtype(np.uint16): 0x3F80}  # as bfloat16
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
        x, weight = factor(x), factor(weight)
        ctx.save_for_backward(x, weight)
        return product(values(x), turned(weight, transposed), bias=values(bias))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]  # Paddle's stub takes any number of gradients
        x, weight = ctx.saved_tensor()
        g = rounded(grad, x)
        one, other = (g, values(x)) if ctx.transposed else (values(x), g)
        grad_x = product(g, turned(weight, not ctx.transposed))
        return only(ctx.wanted, grad_x, product(one.T, other), sum_of_rows(g))


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
        mask: Array | None,
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
        ctx.shape = (batch, length, num_heads, hidden // num_heads)
        ctx.keeper = Keeper(rate)
        weight = factor(paddle.concat([q_weight, k_weight, v_weight], axis=1))  # [H, 3 H]
        x = factor(x).reshape([-1, hidden])
        bias = np.concatenate([values(q_bias), values(k_bias), values(v_bias)])
        joint = product(values(x), values(weight), bias=bias, dtype=x.dtype)  # [R, 3 H]
        q, k, v = heads(values(joint), ctx.shape)
        probs = empty([batch, num_heads, length, length])
        kernels().matmul(q, turned(k), values(probs), scale=ctx.shape[3] ** -0.5, added=mask)
        kernels().softmax(values(probs), values(probs))
        ctx.kept = ctx.keeper.draw(probs.shape)
        ctx.save_for_backward(x, weight, joint, probs)
        context = empty([batch, length, hidden])
        kernels().matmul(dropped(ctx, probs, x), v, by_head(values(context), ctx.shape))
        return context

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]  # Paddle's stub takes any number of gradients
        x, weight, joint, probs = ctx.saved_tensor()
        matmul, scale = kernels().matmul, ctx.shape[3] ** -0.5
        q, k, v = heads(values(joint), ctx.shape)
        grad_context = by_head(rounded(grad, x), ctx.shape)
        g = scratch("joint", joint.shape, q.dtype)  # [R, 3 H] gradient of q, k, v side by side
        grad_q, grad_k, grad_v = heads(g, ctx.shape)
        matmul(turned(dropped(ctx, probs, x)), grad_context, grad_v)
        scores = scratch("scores", probs.shape, np.float32)  # [B, N, L, L]
        matmul(grad_context, turned(v), scores)
        ctx.keeper.apply(scores, ctx.kept)
        kernels().softmax_backward(values(probs), scores, scores)
        change = converted("change", scores, q.dtype)
        matmul(change, k, grad_q, scale=scale)
        matmul(turned(change), q, grad_k, scale=scale)
        grad_x = product(g, values(weight).T).reshape([*ctx.shape[:2], -1])
        weights = paddle.split(product(values(x).T, g), 3, axis=1)
        biases = paddle.split(sum_of_rows(g), 3)
        return only(ctx.wanted, grad_x, *(each for pair in zip(weights, biases, strict=True) for each in pair))


class FeedForwardFunction(PyLayer):
    """x [R, H] -> [R, H] through I, with the exact GELU. Its values are computed again rather than kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> Tensor:
        ctx.wanted = wanted(x, weight1, bias1, weight2, bias2)
        x, weight1, weight2 = factor(x), factor(weight1), factor(weight2)
        inner = product(values(x), values(weight1), bias=values(bias1), dtype=x.dtype)  # [R, I]
        ctx.save_for_backward(x, weight1, weight2, inner)
        return product(gelu(values(inner)), values(weight2), bias=values(bias2))  # [R, H]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]  # Paddle's stub takes any number of gradients
        x, weight1, weight2, inner = ctx.saved_tensor()
        g, z = rounded(grad, x), values(inner)
        grad_weight2 = product(gelu(z).T, g)
        change = scratch("inner", z.shape, z.dtype)  # [R, I]
        kernels().matmul(g, values(weight2).T, change)
        kernels().gelu_backward(z, change, change)
        return only(
            ctx.wanted,
            product(change, values(weight1).T),
            product(values(x).T, change),
            sum_of_rows(change),
            grad_weight2,
            sum_of_rows(g),
        )


def feed_forward(x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> Tensor:
    """Compute FeedForwardFunction for some rows at a time, so that intermediate values stay in the cache."""
    rows, y = values(x), empty(x.shape)
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        part = slice(start, start + ROWS_AT_A_TIME)
        inner = scratch("inner", (len(rows[part]), weight1.shape[1]), np.float32)
        kernels().matmul(rows[part], values(weight1), inner, bias=values(bias1))
        kernels().gelu(inner, inner)
        kernels().matmul(inner, values(weight2), values(y)[part], bias=values(bias2))
    return y


class NormFunction(PyLayer):
    """Layer norm of dropout(x) + residual, all [R, H]; residual may be None."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor, epsilon: float, rate: float
    ) -> Tensor:
        ctx.keeper, ctx.epsilon = Keeper(rate), epsilon
        ctx.kept = ctx.keeper.draw(x.shape)
        ctx.has_residual = residual is not None
        ctx.wanted = wanted(*(tensor for tensor in (x, residual, weight, bias) if tensor is not None))
        if ctx.kept is not None:
            x = x.clone()
            ctx.keeper.apply(values(x), ctx.kept)
        if residual is not None:
            x = paddle.add(x, residual)
        y = empty(x.shape)
        ctx.moments = kernels().layer_norm(values(x), values(weight), values(bias), epsilon, values(y))
        ctx.save_for_backward(x, weight)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]  # Paddle's stub takes any number of gradients
        x, weight = ctx.saved_tensor()
        grad_x = empty(grad.shape)
        parameters = kernels().layer_norm_backward(
            values(x), values(grad), values(weight), ctx.epsilon, ctx.moments, values(grad_x)
        )
        grads = [paddle.to_tensor(each) for each in parameters]
        if ctx.has_residual:
            grads.insert(0, grad_x.clone())
        ctx.keeper.apply(values(grad_x), ctx.kept)
        return only(ctx.wanted, grad_x, *grads)


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


def empty(shape: Sequence[int], dtype: Any = None) -> Tensor:
    """A tensor that is to be filled, float32 if nothing else is said."""
    return paddle.empty(shape, dtype or paddle.float32)


def factor(x: Tensor) -> Tensor:
    """A tensor in the type of the factors of products here and now."""
    dtype = getattr(paddle, runtime.autocast_dtype() or "float32")
    x = x if x.is_contiguous() else x.contiguous()
    if x.dtype == dtype:
        return x
    result = empty(x.shape, dtype)
    kernels().convert(values(x), values(result))
    return result


def rounded(gradient: Tensor, like: Tensor) -> Array:
    """The memory of a gradient in the type of a factor; until the next call."""
    gradient = gradient if gradient.is_contiguous() else gradient.contiguous()
    return converted("gradient", values(gradient), DTYPES[like.dtype][1])


def converted(name: str, array: Array, dtype: Any) -> Array:
    """An array in another type, as `scratch` of a name; itself where it has that."""
    if array.dtype == dtype:
        return array
    result = scratch(name, array.shape, dtype)
    kernels().convert(array, result)
    return result


def scratch(name: str, shape: Sequence[int], dtype: Any) -> Array:
    """An array for intermediate values, in memory that serves again at the next call with this name.

    Without it each layer would ask the system for fresh pages, which takes as long as a pass over them.
    """
    buffers = vars(_own)
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if name not in buffers or buffers[name].nbytes < size:
        buffers[name] = np.empty(size, np.uint8)
    return buffers[name][:size].view(dtype).reshape(shape)


_own = threading.local()


def product(a: Array, b: Array, bias: Array | None = None, dtype: Any = None) -> Tensor:
    """a [M, K] times b [K, N], with bias [N]: [M, N]."""
    result = empty([len(a), b.shape[1]], dtype)
    kernels().matmul(a, b, values(result), bias=bias)
    return result


def gelu(x: Array) -> Array:
    """Of an array; until the next call."""
    result = scratch("gelu", x.shape, x.dtype)
    kernels().gelu(x, result)
    return result


def turned(x: Tensor | Array, is_turned: bool = True) -> Array:
    """An array or the memory of a tensor [..., M, N] as [..., N, M], without a copy."""
    array = x if isinstance(x, np.ndarray) else values(x)
    return array.swapaxes(-1, -2) if is_turned else array


def by_head(states: Array, shape: Sequence[int]) -> Array:
    """[B, L, H] as [B, N, L, D], without a copy; `shape` is (B, L, N, D)."""
    return states.reshape(shape).transpose(0, 2, 1, 3)


def heads(joint: Array, shape: Sequence[int]) -> Array:
    """Queries, keys and values [R, 3 H] as [3, B, N, L, D], without a copy."""
    batch, length, num_heads, width = shape
    return joint.reshape(batch, length, 3, num_heads, width).transpose(2, 0, 3, 1, 4)


def dropped(ctx: Any, probs: Tensor, like: Tensor) -> Array:
    """The probabilities after dropout, in the type of a factor; until the next call."""
    array = values(probs)
    if ctx.kept is not None:
        array = np.multiply(array, ctx.kept, out=scratch("probs", array.shape, array.dtype))
        array *= ctx.keeper.scale
    return converted("dropped", array, DTYPES[like.dtype][1])


def sum_of_rows(rows: Array) -> Tensor:
    """[R, M] -> [M], as a matrix product: Paddle's own sum takes ten times as long and more."""
    ones = np.full((1, len(rows)), ONE[rows.dtype], rows.dtype)
    return product(ones, rows).reshape([-1])
