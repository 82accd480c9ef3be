"""Which tokens the generator has to fill. Shapes: B batch, L sequence, P slots for masked positions."""

import numpy as np

from electra_paddle.batch import MaskedBatch

MASK_TOKEN_PROB = 0.85  # a chosen position shows [MASK], otherwise its own token; there are no random tokens


def mask_batch(batch, vocabulary, mask_prob, max_predictions_per_seq, rng):
    """Choose positions uniformly without replacement and hide most of them behind [MASK].

    Each row gets round(mask_prob * tokens) positions, [CLS] and [SEP] counted but never chosen.
    Source: `mask` in `pretrain_helpers.py` of the original, which draws WITH replacement and so masks
    fewer distinct positions than it counts.

    Args:
        batch: TokenBatch of numpy arrays [B, L].
        rng: numpy Generator.

    Returns:
        MaskedBatch of numpy arrays, its normalizers those of a single process.
    """
    input_ids, attention_mask = batch.input_ids, batch.attention_mask
    specials = [vocabulary.cls, vocabulary.sep, vocabulary.mask]
    candidates = (attention_mask == 1) & ~np.isin(input_ids, specials)  # [B, L]
    scores = np.where(candidates, rng.random(input_ids.shape, dtype=np.float32), 2.0)
    order = np.argsort(scores, axis=1)[:, :max_predictions_per_seq]  # [B, P] random candidates first
    num_tokens = attention_mask.sum(axis=1)  # [B]
    num_masked = np.rint(num_tokens.astype(np.float32) * np.float32(mask_prob))  # to even, in float32, as the original
    num_masked = np.clip(num_masked, 1, np.minimum(max_predictions_per_seq, candidates.sum(axis=1)))  # [B]
    used = np.arange(order.shape[1]) < num_masked[:, None]  # [B, P]
    positions = np.where(used, order, 0)
    labels = np.where(used, np.take_along_axis(input_ids, positions, axis=1), 0)
    shows_mask = used & (rng.random(used.shape, dtype=np.float32) < MASK_TOKEN_PROB)
    masked_input_ids = input_ids.copy()
    rows = np.broadcast_to(np.arange(len(input_ids))[:, None], used.shape)
    masked_input_ids[rows[shows_mask], positions[shows_mask]] = vocabulary.mask
    return MaskedBatch(
        input_ids,
        batch.token_type_ids,
        attention_mask,
        masked_input_ids,
        positions,
        labels,
        used.astype(np.float32),
        np.float32(used.sum()),
        np.float32(num_tokens.sum()),
    )
