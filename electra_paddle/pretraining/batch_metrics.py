"""Metrics of one training batch, as scalar tensors: losses, and how often both networks are right."""

from __future__ import annotations

import paddle

from electra_paddle.batch import MaskedBatch, PretrainingOutput
from electra_paddle.models.encoder import as_type, counting


def pretraining_metrics(batch: MaskedBatch, output: PretrainingOutput) -> dict[str, paddle.Tensor]:
    """Scalars of one batch: losses, and how often the two networks are right.

    `rtd_baseline` is the accuracy of a discriminator that always answers "original". Precision and recall
    are those of the answer "replaced".
    """
    with paddle.no_grad():
        answers = paddle.stack([paddle.argmax(output.mlm_logits, axis=-1), output.sampled_ids])  # [2, B, P]
        right = (answers == batch.masked_labels).astype("float32") * batch.masked_weights  # [2, B, P]
        shares = right.sum(axis=[1, 2]) / (batch.masked_weights.sum() + 1e-6)  # [2]
        tokens = batch.attention_mask.astype("float32")  # [B, L]
        metrics = {
            "loss": output.loss.detach(),
            "mlm_loss": output.mlm_loss.detach(),
            **dict(zip(("mlm_accuracy", "sampled_accuracy"), shares.unbind(), strict=True)),
        }
        if output.rtd_loss is None:
            return metrics | {"tokens_per_sequence": tokens.sum() / len(tokens)}
        return metrics | detection_metrics(output, tokens)


def detection_metrics(output: PretrainingOutput, tokens: paddle.Tensor) -> dict[str, paddle.Tensor]:
    """The discriminator's scalars, and the number of tokens in a sequence.

    Args:
        tokens: [B, L] float32, 1 at tokens and 0 at padding.
    """
    assert output.corrupted is not None  # where there is a loss of the discriminator
    is_replaced = output.corrupted.is_replaced  # [B, L]
    judged = (output.rtd_logits > 0).astype("float32") * tokens  # [B, L]
    sums = paddle.stack([tokens, is_replaced, judged, judged * is_replaced]).sum(axis=[1, 2])
    num_tokens, num_replaced, num_judged, hits = sums.unbind()
    return {
        "rtd_loss": output.rtd_loss.detach(),
        "rtd_accuracy": 1 - (num_judged + num_replaced - 2 * hits) / num_tokens,
        "rtd_baseline": 1 - num_replaced / num_tokens,
        "rtd_precision": hits / (num_judged + 1e-6),
        "rtd_recall": hits / (num_replaced + 1e-6),
        "rtd_auc": area_under_roc(output.rtd_logits, is_replaced, tokens),
        "tokens_per_sequence": num_tokens / len(tokens),
    }


def area_under_roc(logits: paddle.Tensor, is_replaced: paddle.Tensor, tokens: paddle.Tensor) -> paddle.Tensor:
    """The share of pairs of a replaced and an original token in which the replaced one has the higher logit; padding
    left out.

    Args:
        logits, is_replaced, tokens: [B, L]; the last is 1 at tokens and 0 at padding.

    Source: the rank sum of Mann and Whitney; equal logits count in the order in which they are sorted.
    """
    # Below all logits where there is padding, which so comes first.
    keys = (as_type(logits, "float32") + paddle.scale(tokens, 1e30, bias=-1e30)).flatten()  # [B * L]
    ascending = paddle.gather(is_replaced.flatten(), paddle.argsort(keys)).astype("float64")
    places = counting(len(keys), dtype="float64")  # [B * L] behind how many others each stands
    replaced, count = ascending.sum(), tokens.sum().astype("float64")
    original = count - replaced
    # Pairs of a replaced token and anything before it, without those with padding or another replaced token.
    num_right = (ascending * places).sum() - replaced * (len(keys) - count) - replaced * (replaced - 1) / 2
    return num_right / (replaced * original).clip(1)
