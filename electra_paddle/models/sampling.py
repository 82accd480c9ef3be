"""Drawing the generator's tokens. Shapes: B batch, P masked positions, V vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import paddle
import paddle.nn.functional as F

from electra_paddle import runtime
from electra_paddle.arrays import Array
from electra_paddle.models.encoder import as_type, counting

if TYPE_CHECKING:
    from paddle import Tensor

    from electra_paddle.batch import MaskedBatch

MAX_WIDTH = 256  # tokens of a block whose probabilities are added up first


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
        return invert(logits, uniforms)


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
    logits = as_type(mlm_logits, "float32")
    if temperature != 1:
        logits = logits / temperature
    return logits - 1000.0 * F.one_hot(labels, logits.shape[-1]) if disallow_correct else logits


def invert(logits: Tensor, uniforms: Tensor) -> Tensor:
    """`sample_tokens` on the device, [B, P]; the one tensor of the size of the logits is that of the probabilities.

    They are added up in blocks of tokens, and one by one only in the block that is hit; sums of sums are float64.
    """
    num_tokens, num_rows = logits.shape[-1], uniforms.size
    width = max(each for each in range(1, MAX_WIDTH + 1) if num_tokens % each == 0)
    probs = F.softmax(logits)  # [B, P, V]
    if width < MAX_WIDTH // 8:  # the vocabulary cannot be divided well
        width = MAX_WIDTH
        probs = F.pad(probs.reshape([num_rows, -1]), [0, 0, 0, -num_tokens % width])
    blocks = probs.reshape([-1, width])  # [N * K, W] with N = B * P
    sums = blocks.sum(axis=1).reshape([num_rows, -1]).astype("float64")  # [N, K]
    ends = paddle.cumsum(sums, axis=1)  # [N, K]
    thresholds = uniforms.reshape([-1, 1]).astype("float64") * ends[:, -1:]  # [N, 1]
    # For NaN, and where the threshold is the sum itself.
    block = paddle.searchsorted(ends, thresholds, right=True).clip(max=sums.shape[1] - 1).flatten()  # [N]
    place = counting(num_rows, sums.shape[1]) + block  # [N] among all blocks
    thresholds -= paddle.gather((ends - sums).reshape([-1, 1]), place)  # [N, 1] what lies before the block
    inside = paddle.cumsum(paddle.gather(blocks, place).astype("float64"), axis=1)  # [N, W]
    # Block sums are float32: rounding may leave the threshold a little above the end of its block.
    token = paddle.searchsorted(inside, thresholds, right=True).clip(max=width - 1).flatten()  # [N]
    return (block * width + token).clip(max=num_tokens - 1).reshape(uniforms.shape)


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


def corrupt(batch: MaskedBatch, sampled_ids: Tensor, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Write the sampled tokens into the original sequence and mark what changed.

    A sampled token that equals the original one is not a replacement. Where several slots have one position
    (`mask_sampling` "reference"), their ids are added and divided by their number, rounded down: as meaningless as
    it is in the original. Position 0, which is [CLS] and the target of unused slots, never changes.

    Args:
        batch: a MaskedBatch.
        sampled_ids: [B, P].
        index: the `flat_index` of the masked positions, where it is known.

    Returns:
        (input_ids, is_replaced), both [B, L].

    Source: `scatter_update` in `pretrain_helpers.py` of the original.
    """
    originals, positions = batch.input_ids, batch.masked_positions  # [B, L], [B, P]
    if index is None:
        index = flat_index(positions, originals.shape[1])
    flat = originals.flatten()  # [B * L]
    updates = paddle.stack([positions.astype("bool").astype(flat.dtype), sampled_ids], axis=2)  # [B, P, 2]
    nothing = paddle.zeros([len(flat), 2], flat.dtype)
    counts, sums = paddle.scatter_nd_add(nothing, index.unsqueeze(1), updates.flatten(0, 1)).unbind(1)  # [B * L]
    corrupted = paddle.where(counts.astype("bool"), sums // counts.clip(1), flat).reshape(originals.shape)  # [B, L]
    return corrupted, (corrupted != originals).astype("float32")


def flat_index(positions: Tensor, length: int) -> Tensor:
    """Positions within rows [B, P] as positions within the flattened batch [B * P]."""
    starts = counting(positions.shape[0], length).unsqueeze(1)  # [B, 1]
    return (positions + starts).flatten()
