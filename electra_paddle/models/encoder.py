"""PaddleNLP's layers with a faster forward pass: same parameters under the same names, same arithmetic.

On a CPU in float32 a layer runs the functions of cpu_ops. Elsewhere it starts fewer kernels than Paddle's own: queries,
keys and values come from one product. On a GPU in half precision attention is Paddle's fused one where the build has
it.

Shapes: B batch, L sequence, N heads, D width of a head, H hidden.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddlenlp.transformers import ElectraModel

from electra_paddle import runtime
from electra_paddle.batch import Layout
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


def fuse_attention(network: nn.Layer, precision: str, may_unpad: bool = False) -> str | None:
    """Let a network's attention be Paddle's fused one, where device and precision have it.

    Args:
        may_unpad: whether its layers may leave padding out, where the build has a kernel for that and `unpadded` says
            where tokens are.

    Returns:
        None, or what is not used on this GPU, and why.
    """
    if runtime.is_cpu():
        return None
    layers = [layer for layer in network.sublayers(include_self=True) if isinstance(layer, EncoderLayer)]
    if runtime.DTYPES[precision] == "float32":
        return "attention is not fused: Paddle's fused one takes bf16 or fp16"
    dtype = runtime.DTYPES[precision]
    for width in sorted({layer.self_attn.head_dim for layer in layers}):
        probe = paddle.zeros([1, 8, 1, width], dtype)
        try:
            F.scaled_dot_product_attention(probe, probe, probe, paddle.zeros([1, 1, 8, 8], dtype))
        except RuntimeError:
            return f"attention is not fused: this build of Paddle has none in {precision}, width {width}, for this GPU"
    for layer in layers:
        layer.may_fuse = True
    if not may_unpad:
        return None
    for width in sorted({layer.self_attn.head_dim for layer in layers}):
        probe, starts = paddle.zeros([8, 1, width], dtype), paddle.to_tensor([0, 8], "int32")
        try:
            F.flash_attention.flash_attn_unpadded(probe, probe, probe, starts, starts, 8, 8, 1.0)
        except (AttributeError, RuntimeError):
            build = f"this build of Paddle has no unpadded attention in {precision}, width {width}, for this GPU"
            return f"padding is computed, too: {build}"
    for layer in layers:
        layer.may_unpad = True
    return None


@contextlib.contextmanager
def unpadded(layout: Layout | None) -> Iterator[None]:
    """Context in which networks whose attention was fused for that leave out the padding of a batch.

    Args:
        layout: of the batch, with tensors; None where it is not known.
    """
    _layouts.append(layout)
    try:
        yield
    finally:
        _layouts.pop()


_layouts: list[Layout | None] = []


def usable_layout(layer: nn.Layer, attention_mask: Tensor | None) -> Layout | None:
    """The layout of a batch with this mask, where a layer can do without its padding here and now."""
    layout = _layouts[-1] if _layouts else None
    if layout is None or attention_mask is None or tuple(attention_mask.shape) != layout.shape:
        return None
    return layout if getattr(layer, "may_unpad", False) and fused_dtype(layer) is not None else None


def encode(electra: ElectraModel, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Hidden states [B, L, H] of token ids [B, L] in the segments [B, L]; 0 at padding that was left out.

    Args:
        attention_mask: [B, L], 1 at tokens and 0 at padding, or what `added_to_scores` made of it; None where there is
            no padding.
    """
    positions = counting(input_ids.shape[1]).expand(input_ids.shape)
    hidden = electra.embeddings(input_ids, token_type_ids=token_type_ids, position_ids=positions)  # [B, L, E]
    if hasattr(electra, "embeddings_project"):
        hidden = electra.embeddings_project(hidden)
    mask, layers = attention_mask, list(electra.encoder.layers)
    layout = usable_layout(layers[0], attention_mask)
    if layout:
        hidden = paddle.gather(hidden.flatten(0, 1), layout.index)  # [T, H]
    elif mask is not None and mask.ndim == 2:
        mask = added_to_scores(layers[0], mask)
    if runs_on_cpu(hidden):
        for layer in layers:
            hidden = layer(hidden, mask)
        return hidden
    for layer, (weight, bias) in zip(layers, joint_projections(layers), strict=True):
        hidden = layer(hidden, layout or mask, weight=weight, bias=bias)
    if layout:
        nothing = paddle.zeros([math.prod(layout.shape), hidden.shape[1]], hidden.dtype)
        hidden = paddle.scatter(nothing, layout.index, hidden).reshape([*layout.shape, -1])
    return hidden


def joint_projections(layers: Sequence[nn.Layer]) -> list[tuple[Tensor, Tensor]]:
    """(weight [H, 3 H], bias [3 H]) of queries, keys and values of each layer; all made at once, in few launches.

    Queries are scaled where the fused attention does not do that.
    """
    attention = layers[0].self_attn
    projections = [each for layer in layers for each in projections_of(layer.self_attn)]
    shape = [len(layers), 3, attention.embed_dim, attention.embed_dim]
    weights = paddle.stack([each.weight for each in projections]).reshape(shape)  # [layers, 3, H, H]
    biases = paddle.stack([each.bias for each in projections]).reshape([*shape[:2], 1, -1])  # [layers, 3, 1, H]
    if fused_dtype(layers[0]) is None:
        scales = query_scales(attention.head_dim, weights.dtype)  # [3, 1, 1]
        weights, biases = weights * scales, biases * scales
    weights = weights.transpose([0, 2, 1, 3]).reshape([len(layers), attention.embed_dim, -1])
    return list(zip(weights.unbind(), biases.reshape([len(layers), -1]).unbind(), strict=True))


def query_scales(width: int, dtype: Any) -> Tensor:
    """[3, 1, 1]: by what queries, keys and values are multiplied in heads of a width; made once."""
    return _query_scales(width, dtype, paddle.device.get_device())


@functools.lru_cache(maxsize=64)
def _query_scales(width: int, dtype: Any, device: str) -> Tensor:
    return paddle.to_tensor([width**-0.5, 1.0, 1.0]).reshape([3, 1, 1]).astype(dtype)


def counting(length: int, step: int = 1, dtype: str = "int64") -> Tensor:
    """0, step, 2 * step ..., [length] on the current device; made once, as it takes several launches."""
    return _counting(length, step, dtype, paddle.device.get_device())


@functools.lru_cache(maxsize=64)
def _counting(length: int, step: int, dtype: Any, device: str) -> Tensor:
    return paddle.arange(0, length * step, step, dtype=dtype)


def projections_of(attention: nn.MultiHeadAttention) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    """Of queries, keys and values."""
    return attention.q_proj, attention.k_proj, attention.v_proj


def added_to_scores(layer: nn.Layer, attention_mask: Tensor) -> Tensor:
    """[B, L] -> [B, 1, 1, L], 0 at tokens and -1e9 at padding; [B, 1, L, L] as the fused attention wants it.

    Args:
        layer: one of those that take it.
    """
    mask = paddle.scale(attention_mask.unsqueeze([1, 2]).astype(paddle.get_default_dtype()), 1e9, bias=-1e9)
    dtype = fused_dtype(layer)
    if dtype is None:
        return mask
    batch, length = attention_mask.shape
    return mask.astype(dtype).expand([batch, 1, length, length])


def fused_dtype(layer: nn.Layer) -> Any:
    """The type in which a layer's attention is fused here and now, or None."""
    return runtime.autocast_dtype() if getattr(layer, "may_fuse", False) else None


class Network(ElectraModel):
    """The whole encoder, with a mask that is made once."""

    def forward(self, input_ids: Tensor | None = None, *others: Any, **named: Any) -> Any:
        """Hidden states [B, L, H]; see PaddleNLP's for the arguments."""
        wanted = {name for name, value in named.items() if value is not None and value is not False}
        if others or input_ids is None or wanted != {"token_type_ids", "attention_mask"}:
            return super().forward(input_ids, *others, **named)
        if not paddle.in_dynamic_mode() or named["attention_mask"].ndim != 2 or is_floating(named["attention_mask"]):
            return super().forward(input_ids, **named)
        return encode(self, input_ids, named["token_type_ids"], named["attention_mask"])


def is_floating(tensor: Tensor) -> bool:
    return bool(paddle.is_floating_point(tensor))


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


def self_attention(
    attention: nn.MultiHeadAttention, x: Tensor, mask: Tensor | Layout | None, weight: Tensor, bias: Tensor, dtype: Any
) -> Tensor:
    """Self-attention of x [B, L, H] up to the concatenated heads [B, L, H], one product for queries, keys and values.

    Args:
        mask: of `added_to_scores`; or None; or the Layout of which x are the tokens, [T, H].
        weight, bias: of `joint_projections`.
        dtype: in which the fused kernel is to run; None if it is not to.
    """
    rate = attention.dropout if attention.training else 0.0  # Paddle 2.6 does not look at `training` without a mask
    joint = paddle.matmul(x, weight)  # [B, L, 3 H]
    joint = joint + as_type(bias, joint.dtype)
    joint = joint.reshape([*x.shape[:-1], 3, attention.num_heads, attention.head_dim])  # [B, L, 3, N, D]
    if isinstance(mask, Layout):
        q, k, v = as_type(joint, dtype).unbind(1)  # [T, N, D] each
        extent = mask.starts, mask.starts, mask.longest, mask.longest, attention.head_dim**-0.5
        context, _ = F.flash_attention.flash_attn_unpadded(q, k, v, *extent, rate, training=attention.training)
    elif dtype is not None:
        # Under automatic casts Paddle 2.6 leaves float32 here and there, which the kernel does not take.
        q, k, v = as_type(joint, dtype).unbind(2)  # [B, L, N, D] each
        context = F.scaled_dot_product_attention(q, k, v, mask, rate, training=attention.training)
    else:
        q, k, v = joint.transpose([2, 0, 3, 1, 4]).unbind(0)  # [B, N, L, D] each, queries scaled
        scores = paddle.matmul(q, k, transpose_y=True)  # [B, N, L, L]
        probs = F.softmax(scores if mask is None else scores + mask)
        if rate:
            probs = F.dropout(probs, rate)
        context = paddle.matmul(probs, v).transpose([0, 2, 1, 3])  # [B, L, N, D]
    return context.reshape(x.shape)


def as_type(tensor: Tensor, dtype: Any) -> Tensor:
    """The tensor in a type, given as Paddle's or by name; itself where it has that."""
    wanted = getattr(paddle, dtype) if isinstance(dtype, str) else dtype
    return tensor if tensor.dtype == wanted else tensor.astype(dtype)


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
        self,
        src: Tensor,
        src_mask: Tensor | Layout | None = None,
        cache: Any = None,
        output_attentions: bool = False,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Any:
        """[B, L, H] -> [B, L, H].

        Args:
            src_mask: [B, 1, 1, L], float numbers that are added to the attention scores; or None. Where the fused
                attention is used, [B, 1, L, L] in its type; where padding is left out, its Layout, and `src` is [T, H].
            weight, bias: this layer's of `joint_projections`, where they are known.
        """
        is_plain = cache is None and not output_attentions and not self.normalize_before and not self.dropout.p
        if not is_plain or self.activation is not F.gelu or not paddle.in_dynamic_mode():
            return super().forward(src, src_mask, cache, output_attentions)  # type: ignore[call-overload]  # PaddleNLP adds the last
        if runs_on_cpu(src) and not isinstance(src_mask, Layout):
            return self._forward_on_cpu(src, src_mask)
        if weight is None or bias is None:
            ((weight, bias),) = joint_projections([self])
        context = self_attention(self.self_attn, src, src_mask, weight, bias, fused_dtype(self))
        hidden = self.self_attn.out_proj(context)
        hidden = self.norm1(src + self.dropout1(hidden))
        return self.norm2(hidden + self.dropout2(self.linear2(F.gelu(self.linear1(hidden)))))

    def _forward_on_cpu(self, src: Tensor, src_mask: Tensor | None) -> Tensor:
        attention, is_training = self.self_attn, self.training
        projections = projections_of(attention)
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


FASTER = {
    ElectraModel: Network,
    nn.TransformerEncoderLayer: EncoderLayer,
    nn.Linear: Linear,
    nn.LayerNorm: LayerNorm,
    nn.Dropout: Dropout,
}
