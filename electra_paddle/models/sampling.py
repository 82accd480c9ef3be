"""Drawing the generator's tokens. Shapes: B batch, P masked positions, V vocabulary."""

import numpy as np
import paddle
import paddle.nn.functional as F


def sample_tokens(mlm_logits, labels, temperature=1.0, disallow_correct=False, uniforms=None):
    """Draw one token a slot from softmax(logits / temperature), by the Gumbel-max trick, without gradient.

    Args:
        mlm_logits: [B, P, V].
        labels: [B, P] the original tokens, which `disallow_correct` excludes.
        uniforms: [B, P, V] array of numbers in [0, 1), drawn here unless given.

    Returns:
        [B, P] int64.

    Source: `sample_from_softmax` of the original.
    """
    with paddle.no_grad():
        logits = mlm_logits.astype("float32") / temperature if temperature != 1 else mlm_logits.astype("float32")
        if disallow_correct:
            logits = logits - 1000.0 * F.one_hot(labels, logits.shape[-1])
        if paddle.device.get_device().startswith("cpu"):
            return paddle.to_tensor(gumbel_argmax_on_cpu(logits.numpy(), uniforms))
        uniforms = paddle.rand(logits.shape) if uniforms is None else paddle.to_tensor(uniforms)
        gumbel = -paddle.log(-paddle.log(uniforms + 1e-9) + 1e-9)  # [B, P, V]
        return paddle.argmax(logits + gumbel, axis=-1)


def gumbel_argmax_on_cpu(logits, uniforms=None, chunk=32):
    """The same in numpy, a few slots at a time so that they stay in the cache.

    Paddle's logarithm and random numbers on a CPU are slow enough to double the time of a small model's update.
    """
    flat = logits.reshape(-1, logits.shape[-1])  # [B * P, V]
    given = None if uniforms is None else np.asarray(uniforms, np.float32).reshape(flat.shape)
    rng = np.random.Generator(np.random.SFC64(int(paddle.randint(0, 2**31 - 1, [1]))))  # follows paddle.seed
    noise = np.empty((chunk, flat.shape[1]), np.float32)
    sampled = np.empty(len(flat), np.int64)
    for start in range(0, len(flat), chunk):
        rows = slice(start, start + chunk)
        part = noise[: len(flat[rows])]
        if given is None:
            rng.random(dtype=np.float32, out=part)
        else:
            part[:] = given[rows]
        for _ in range(2):
            part += np.float32(1e-9)
            np.log(part, out=part)
            np.negative(part, out=part)
        part += flat[rows]
        sampled[rows] = part.argmax(axis=-1)
    return sampled.reshape(logits.shape[:-1])


def corrupt(batch, sampled_ids):
    """Write the sampled tokens into the original sequence and mark what changed.

    A sampled token that equals the original one is not a replacement.

    Args:
        batch: a MaskedBatch.
        sampled_ids: [B, P].

    Returns:
        (input_ids, is_replaced), both [B, L].
    """
    originals = batch.input_ids  # [B, L]
    index = flat_index(batch.masked_positions, originals.shape[1])  # [B * P]
    flat = originals.reshape([-1])
    # An unused slot points at position 0 and writes back what stands there.
    updates = paddle.where(batch.masked_weights.reshape([-1]) > 0, sampled_ids.reshape([-1]), flat[index])
    corrupted = paddle.scatter(flat, index, updates).reshape(originals.shape)  # [B, L]
    return corrupted, (corrupted != originals).astype("float32")


def flat_index(positions, length):
    """Positions within rows [B, P] as positions within the flattened batch [B * P]."""
    rows = paddle.arange(positions.shape[0], dtype=positions.dtype).unsqueeze(1)  # [B, 1]
    return (rows * length + positions).reshape([-1])
