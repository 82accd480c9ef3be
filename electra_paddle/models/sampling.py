"""Drawing the generator's tokens. Shapes: B batch, P masked positions, V vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import paddle
import paddle.nn.functional as F

from electra_paddle import runtime
from electra_paddle.arrays import Array

if TYPE_CHECKING:
    from paddle import Tensor

    from electra_paddle.batch import MaskedBatch


def sample_tokens(
    mlm_logits: Tensor, labels: Tensor, uniforms: Tensor, temperature: float = 1.0, disallow_correct: bool = False
) -> Tensor:
    """Draw one token a slot from softmax(logits / temperature), without gradient.

    The distribution function is inverted: one random number a slot, where the original's Gumbel-max trick takes V.
    Given the number the token is fixed, so that it does not matter on which process a row is.

    Args:
        mlm_logits: [B, P, V].
        labels: [B, P] the original tokens, which `disallow_correct` excludes.
        uniforms: [B, P] numbers in [0, 1).

    Returns:
        [B, P] int64.
    """
    with paddle.no_grad():
        logits = sampling_logits(mlm_logits, labels, temperature, disallow_correct)
        if runtime.is_cpu():
            return paddle.to_tensor(invert_on_cpu(logits.numpy(), uniforms.numpy()))
        cumulative = paddle.cumsum(F.softmax(logits, axis=-1), axis=-1)  # [B, P, V]
        below = cumulative <= uniforms.unsqueeze(-1) * cumulative[:, :, -1:]  # [B, P, V]
        return below.astype("int64").sum(axis=-1).clip(max=logits.shape[-1] - 1)


def sample_by_gumbel(
    mlm_logits: Tensor, labels: Tensor, uniforms: Tensor, temperature: float = 1.0, disallow_correct: bool = False
) -> Tensor:
    """The same distribution by the original's arithmetic, for comparison with its numbers.

    Args:
        uniforms: [B, P, V] numbers in [0, 1).

    Source: `sample_from_softmax` of the original.
    """
    with paddle.no_grad():
        gumbel = -paddle.log(-paddle.log(uniforms + 1e-9) + 1e-9)  # [B, P, V]
        return paddle.argmax(sampling_logits(mlm_logits, labels, temperature, disallow_correct) + gumbel, axis=-1)


def sampling_logits(mlm_logits: Tensor, labels: Tensor, temperature: float, disallow_correct: bool) -> Tensor:
    """Logits of the distribution to draw from, float32 [B, P, V]."""
    logits = mlm_logits.astype("float32")
    if temperature != 1:
        logits = logits / temperature
    return logits - 1000.0 * F.one_hot(labels, logits.shape[-1]) if disallow_correct else logits


def invert_on_cpu(logits: Array, uniforms: Array, chunk: int = 32, width: int = 128) -> Array:
    """`sample_tokens` in numpy, [B, P]; a few slots at a time, so that they stay in the cache.

    The probabilities are added up in blocks of `width` tokens, and one by one only in the block that is hit.
    Paddle's running sum on a CPU would take ten times as long.
    """
    flat, thresholds = logits.reshape(-1, logits.shape[-1]), uniforms.reshape(-1)  # [B * P, V], [B * P]
    sampled = np.empty(len(flat), np.int64)
    room = np.empty((chunk, flat.shape[1]), np.float32)
    first_tokens = np.arange(0, flat.shape[1], width)
    for start in range(0, len(flat), chunk):
        rows = flat[start : start + chunk]
        weights = np.subtract(rows, rows.max(axis=1, keepdims=True), out=room[: len(rows)])
        np.exp(weights, out=weights)
        blocks = np.cumsum(np.add.reduceat(weights, first_tokens, axis=1), axis=1, dtype=np.float64)
        for row, (row_blocks, row_weights) in enumerate(zip(blocks, weights, strict=True)):
            threshold = thresholds[start + row] * row_blocks[-1]
            block = min(np.searchsorted(row_blocks, threshold, side="right"), len(row_blocks) - 1)  # for NaN
            below = row_blocks[block - 1] if block else 0.0
            inside = below + np.cumsum(row_weights[block * width : (block + 1) * width], dtype=np.float64)
            # Block sums are float32: rounding may leave the threshold a little above the end of its block.
            token = min(np.searchsorted(inside, threshold, side="right"), len(inside) - 1)
            sampled[start + row] = block * width + token
    return sampled.reshape(logits.shape[:-1])


def corrupt(batch: MaskedBatch, sampled_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Write the sampled tokens into the original sequence and mark what changed.

    A sampled token that equals the original one is not a replacement. Where several slots have one position
    (`mask_sampling` "reference"), their ids are added and divided by their number, rounded down: as meaningless as
    it is in the original. Position 0, which is [CLS] and the target of unused slots, never changes.

    Args:
        batch: a MaskedBatch.
        sampled_ids: [B, P].

    Returns:
        (input_ids, is_replaced), both [B, L].

    Source: `scatter_update` in `pretrain_helpers.py` of the original.
    """
    originals = batch.input_ids  # [B, L]
    flat = originals.reshape([-1])  # [B * L]
    index = flat_index(batch.masked_positions, originals.shape[1]).unsqueeze(1)  # [B * P, 1]
    used = (batch.masked_positions > 0).astype(flat.dtype).reshape([-1])  # [B * P]
    counts = paddle.scatter_nd_add(paddle.zeros_like(flat), index, used)  # [B * L]
    sums = paddle.scatter_nd_add(paddle.zeros_like(flat), index, sampled_ids.reshape([-1]))  # [B * L]
    corrupted = paddle.where(counts > 0, sums // counts.clip(1), flat).reshape(originals.shape)  # [B, L]
    return corrupted, (corrupted != originals).astype("float32")


def flat_index(positions: Tensor, length: int) -> Tensor:
    """Positions within rows [B, P] as positions within the flattened batch [B * P]."""
    rows = paddle.arange(positions.shape[0], dtype=positions.dtype).unsqueeze(1)  # [B, 1]
    return (rows * length + positions).reshape([-1])
