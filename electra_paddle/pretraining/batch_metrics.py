"""Metrics of one training batch, as scalar tensors: losses, and how often both networks are right."""

from __future__ import annotations

import paddle

from electra_paddle.batch import MaskedBatch, PretrainingOutput


def pretraining_metrics(batch: MaskedBatch, output: PretrainingOutput) -> dict[str, paddle.Tensor]:
    """Scalars of one batch: losses, and how often the two networks are right.

    `rtd_baseline` is the accuracy of a discriminator that always answers "original". Precision and recall
    are those of the answer "replaced".
    """
    with paddle.no_grad():
        slots = batch.masked_weights.sum() + 1e-6

        def share_right(ids: paddle.Tensor) -> paddle.Tensor:
            return ((ids == batch.masked_labels).astype("float32") * batch.masked_weights).sum() / slots

        metrics = {
            "loss": output.loss.detach(),
            "mlm_loss": output.mlm_loss.detach(),
            "mlm_accuracy": share_right(paddle.argmax(output.mlm_logits, axis=-1)),
            "sampled_accuracy": share_right(output.sampled_ids),
        }
        if output.rtd_loss is not None:
            metrics |= detection_metrics(batch, output)
        return metrics | {"tokens_per_sequence": batch.attention_mask.astype("float32").sum(axis=1).mean()}


def detection_metrics(batch: MaskedBatch, output: PretrainingOutput) -> dict[str, paddle.Tensor]:
    """The discriminator's scalars."""
    tokens = batch.attention_mask.astype("float32")
    assert output.corrupted is not None  # where there is a loss of the discriminator
    is_replaced = output.corrupted.is_replaced
    predicted = (output.rtd_logits > 0).astype("float32") * tokens
    hits = (predicted * is_replaced).sum()
    wrong = (predicted - is_replaced).abs().sum()
    return {
        "rtd_loss": output.rtd_loss.detach(),
        "rtd_accuracy": 1 - wrong / tokens.sum(),
        "rtd_baseline": 1 - is_replaced.sum() / tokens.sum(),
        "rtd_precision": hits / (predicted.sum() + 1e-6),
        "rtd_recall": hits / (is_replaced.sum() + 1e-6),
        "rtd_auc": area_under_roc(output.rtd_logits, is_replaced, tokens),
    }


def area_under_roc(logits: paddle.Tensor, is_replaced: paddle.Tensor, tokens: paddle.Tensor) -> paddle.Tensor:
    """The share of pairs of a replaced and an original token in which the replaced one has the higher logit; padding
    left out.

    Args:
        logits, is_replaced, tokens: [B, L]; the last is 1 at tokens and 0 at padding.

    Source: the rank sum of Mann and Whitney; equal logits count in the order in which they are sorted.
    """
    keys = paddle.where(tokens > 0, logits.astype("float32"), paddle.full_like(tokens, -1e30)).flatten()  # [B * L]
    ascending = paddle.gather(is_replaced.flatten(), paddle.argsort(keys)).astype("float64")  # padding comes first
    ranks = paddle.arange(1, len(keys) + 1, dtype="float64") - (len(keys) - tokens.sum().astype("float64"))
    num_replaced = ascending.sum()
    num_pairs = num_replaced * (tokens.sum().astype("float64") - num_replaced)
    return ((ascending * ranks).sum() - num_replaced * (num_replaced + 1) / 2) / num_pairs.clip(1)
