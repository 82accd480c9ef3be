"""PaddleNLP's layers with a faster forward pass: same parameters under the same names, same arithmetic.

On a CPU in float32 a layer runs the functions of cpu_ops. On a GPU in half precision attention is Paddle's fused one
where the build has it. Everywhere else a layer does what Paddle's own does.

Shapes: B batch, L sequence, N heads, D width of a head, H hidden.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import paddle
import paddle.nn.functional as F
from paddle import nn

from electra_paddle import runtime
from electra_paddle.models import cpu_ops

if TYPE_CHECKING:
    from paddle import Tensor


def speed_up(network: nn.Layer) -> None:
    """Give a network's layers the faster forward pass; parameters and state dict stay as they are."""
    for layer in network.sublayers(include_self=True):
        layer.__class__ = FASTER.get(type(layer), type(layer))


@contextlib.contextmanager
def traceable(network: nn.Layer) -> Iterator[None]:
    """Context in which a network's layers are Paddle's own again: those can be traced for an export."""
    own = {faster: layer for layer, faster in FASTER.items()}
    layers = [(layer, type(layer)) for layer in network.sublayers(include_self=True)]
    for layer, kind in layers:
        layer.__class__ = own.get(kind, kind)
    try:
        yield
    finally:
        for layer, kind in layers:
            layer.__class__ = kind
            vars(layer).pop("forward", None)  # Paddle 2.6 leaves what it traced


def linear(x: Tensor, weight: Tensor, bias: Tensor, transposed: bool = False) -> Tensor:
    """x [..., K] times weight [K, M] or, transposed, [M, K], and bias [M] added: [..., M]."""
    if runs_on_cpu(x):
        y = cpu_ops.LinearFunction.apply(x.reshape([-1, x.shape[-1]]), weight, bias, transposed)
        return y.reshape([*x.shape[:-1], -1])
    return paddle.matmul(x, weight, transpose_y=transposed) + bias


def runs_on_cpu(x: Tensor) -> bool:
    """Whether the functions of cpu_ops take this tensor."""
    return paddle.in_dynamic_mode() and x.place.is_cpu_place() and x.dtype == paddle.float32


def fuse_attention(network: nn.Layer, precision: str) -> str | None:
    """Let a network's attention be Paddle's fused one, where device and precision have it.

    Returns:
        None, or why it stays as it is on this GPU.
    """
    if runtime.is_cpu():
        return None
    if precision == "fp32":
        return "Paddle's fused attention takes bf16 or fp16"
    probe = paddle.zeros([1, 8, 1, 64], "bfloat16" if precision == "bf16" else "float16")
    try:
        F.scaled_dot_product_attention(probe, probe, probe, paddle.zeros([1, 1, 8, 8], probe.dtype))
    except RuntimeError:
        return f"this build of Paddle has no fused attention in {precision} for this GPU"
    for layer in network.sublayers(include_self=True):
        if type(layer) is nn.MultiHeadAttention:
            layer.__class__ = FusedAttention
    return None


class Linear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        if self.bias is None or not runs_on_cpu(x):
            return super().forward(x)
        return linear(x, self.weight, self.bias)


class LayerNorm(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return add_norm(self, x) if runs_on_cpu(x) else super().forward(x)


class Dropout(nn.Dropout):
    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p or self.mode != "upscale_in_train" or not runs_on_cpu(x):
            return super().forward(x)
        return cpu_ops.DropoutFunction.apply(x, self.p)


class FusedAttention(nn.MultiHeadAttention):
    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        attn_mask: Tensor | None = None,
        cache: Any = None,
    ) -> Any:
        q, k, v = (
            project(query).reshape([0, 0, self.num_heads, self.head_dim])
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )  # [B, L, N, D]
        if q.dtype == paddle.float32 or cache is not None or self.need_weights:
            return super().forward(query, key, value, attn_mask, cache)
        return self.out_proj(self.attend(q, k, v, attn_mask))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Queries, keys and values [B, L, N, D] -> [B, L, H]."""
        if mask is not None:  # [B, 1, 1, L]; the kernel wants a row for each query
            mask = mask.astype(q.dtype).expand([q.shape[0], 1, q.shape[1], k.shape[1]])
        context = F.scaled_dot_product_attention(q, k, v, mask, self.dropout, training=self.training)  # [B, L, N, D]
        return context.reshape([0, 0, self.embed_dim])


def add_norm(norm: nn.LayerNorm, x: Tensor, residual: Tensor | None = None, rate: float = 0.0) -> Tensor:
    """Layer norm of dropout(x) + residual, both [..., H], on a CPU."""
    if not (rate or paddle.is_grad_enabled()):  # Paddle's own is the faster one where no gradient is asked for
        whole = x if residual is None else x + residual.reshape(x.shape)
        return F.layer_norm(whole, x.shape[-1:], norm.weight, norm.bias, norm._epsilon)
    rows = [-1, x.shape[-1]]
    added = None if residual is None else residual.reshape(rows)
    y = cpu_ops.NormFunction.apply(x.reshape(rows), added, norm.weight, norm.bias, norm._epsilon, rate)
    return y.reshape(x.shape)


class EncoderLayer(nn.TransformerEncoderLayer):
    """Attention and feed-forward network, each followed by dropout, the residual and a layer norm."""

    def forward(
        self, src: Tensor, src_mask: Tensor | None = None, cache: Any = None, output_attentions: bool = False
    ) -> Any:
        """[B, L, H] -> [B, L, H].

        Args:
            src_mask: [B, 1, 1, L], float numbers that are added to the attention scores; or None.
        """
        is_plain = cache is None and not output_attentions and not self.normalize_before and not self.dropout.p
        if not is_plain or self.activation is not F.gelu:
            return super().forward(src, src_mask, cache, output_attentions)  # type: ignore[call-overload]  # PaddleNLP adds the last
        if runs_on_cpu(src):
            return self._forward_on_cpu(src, src_mask)
        return super().forward(src, src_mask, cache, output_attentions)  # type: ignore[call-overload]  # as above

    def _forward_on_cpu(self, src: Tensor, src_mask: Tensor | None) -> Tensor:
        attention, is_training = self.self_attn, self.training
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        context = cpu_ops.AttentionFunction.apply(
            src,
            None if src_mask is None else src_mask.numpy(),
            attention.num_heads,
            attention.dropout if is_training else 0.0,
            *(parameter for each in projections for parameter in (each.weight, each.bias)),
        )  # [B, L, H]
        hidden = attention.out_proj(context)
        hidden = add_norm(self.norm1, hidden, src, self.dropout1.p if is_training else 0.0)
        first, second = self.linear1, self.linear2
        rows = hidden.reshape([-1, hidden.shape[-1]])  # [B * L, H]
        feed_forward = cpu_ops.FeedForwardFunction.apply if paddle.is_grad_enabled() else cpu_ops.feed_forward
        inner = feed_forward(rows, first.weight, first.bias, second.weight, second.bias)
        return add_norm(self.norm2, inner.reshape(hidden.shape), hidden, self.dropout2.p if is_training else 0.0)


FASTER = {nn.TransformerEncoderLayer: EncoderLayer, nn.Linear: Linear, nn.LayerNorm: LayerNorm, nn.Dropout: Dropout}
