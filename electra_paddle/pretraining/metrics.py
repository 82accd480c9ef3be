"""Metrics of pre-training that add up over batches, under the original's names.

Shapes: B batch, L sequence, P masked positions, T thresholds, H hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import paddle
import paddle.nn.functional as F

from electra_paddle.batch import CorruptedBatch
from electra_paddle.models.sampling import corrupt
from electra_paddle.training.transfer import to_tensors

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.batch import MaskedBatch, PretrainingOutput
    from electra_paddle.data.cloze import Cloze
    from electra_paddle.models.pretraining import ElectraForJointPretraining


NUM_THRESHOLDS = 200


class Answers(NamedTuple):
    """The two networks' outputs and the right answers, as numpy arrays. Without a discriminator its fields are None."""

    labels: Array  # [B, P]
    weights: Array  # [B, P] 1 at used slots, 0 at others
    mlm_losses: Array  # [B, P]
    mlm_ids: Array  # [B, P] the generator's most probable tokens
    sampled_ids: Array  # [B, P]
    attention_mask: Array  # [B, L]
    is_replaced: Array | None = None  # [B, L]
    probabilities: Array | None = None  # [B, L] of being replaced
    rtd_losses: Array | None = None  # [B] mean over the tokens of each row


def answers_of(batch: MaskedBatch, output: PretrainingOutput) -> Answers:
    """The Answers of a MaskedBatch's PretrainingOutput."""
    mlm_logits = output.mlm_logits.astype("float32")
    mlm_losses = F.cross_entropy(mlm_logits, batch.masked_labels, reduction="none").reshape(batch.masked_labels.shape)
    said = [mlm_losses, paddle.argmax(mlm_logits, axis=-1), output.sampled_ids, batch.attention_mask]
    if output.rtd_logits is not None and output.corrupted is not None:
        is_replaced, logits = output.corrupted.is_replaced, output.rtd_logits.astype("float32")
        mask = batch.attention_mask.astype("float32")
        losses = F.binary_cross_entropy_with_logits(logits, is_replaced, reduction="none") * mask
        said += [is_replaced, F.sigmoid(logits), losses.sum(axis=1) / (mask.sum(axis=1) + 1e-6)]
    return Answers(batch.masked_labels.numpy(), batch.masked_weights.numpy(), *(tensor.numpy() for tensor in said))


def evaluation_sums(batch: MaskedBatch, output: PretrainingOutput, num_rows: int) -> dict[str, Any]:
    """Sums over the pieces of an evaluation's batches; see `scores`.

    Args:
        num_rows: of the whole batch, by whose slots and tokens the piece's losses are divided.
    """
    sums = count(answers_of(batch, output)) | {"loss": num_rows * float(output.loss)}
    if output.rtd_states is None:
        return sums
    return sums | count_states(output.rtd_states.numpy(), batch.attention_mask.numpy())


def cloze_scores(model: ElectraForJointPretraining, cloze: Cloze) -> dict[str, float]:
    """The shares of gaps in which the generator's first answer, and one of its first five, is right.

    Args:
        model: ElectraForJointPretraining with a generator.
    """
    was_training = model.training
    model.eval()
    with paddle.no_grad():
        logits = model.generate(to_tensors(cloze))[:, 0]  # [N, V]
    if was_training:
        model.train()
    best = paddle.topk(logits.astype("float32"), 5)[1].numpy()  # [N, 5]
    is_right = best == cloze.answers
    return {"cloze_accuracy": float(is_right[:, 0].mean()), "cloze_top5": float(is_right.any(axis=1).mean())}


def planted_sums(model: ElectraForJointPretraining, batch: MaskedBatch) -> dict[str, Any]:
    """Sums over an evaluation for `disc_planted_auc`: on replacements that no generator has made.

    In every masked slot stands the token of another slot, half of them all further on, so that replacements are as
    frequent as tokens are and the same for every network.

    Args:
        model: ElectraForJointPretraining with a discriminator.
        batch: MaskedBatch.
    """
    planted = planted_ids(batch.masked_labels.numpy(), batch.masked_weights.numpy() > 0)  # [B, P]
    with paddle.no_grad():
        corrupted = CorruptedBatch(*corrupt(batch, paddle.to_tensor(planted)))
        logits, _ = model.discriminate(corrupted, batch)  # [B, L]
    tokens, replaced = batch.attention_mask.numpy() > 0, corrupted.is_replaced.numpy() > 0  # [B, L]
    probabilities = F.sigmoid(logits.astype("float32")).numpy()
    return {
        "above_planted": num_above(probabilities[tokens & replaced]),
        "above_untouched": num_above(probabilities[tokens & ~replaced]),
    }


def planted_ids(labels: Array, used: Array) -> Array:
    """The tokens of all used slots [B, P], each half of them further on."""
    planted = labels.copy()
    planted[used] = np.roll(labels[used], used.sum() // 2)
    return planted


def count_states(states: Array, attention_mask: Array) -> dict[str, Any]:
    """Sums of the states [B, L, H] of tokens, and of their products."""
    states = states[attention_mask > 0].astype(np.float64)  # [N, H]
    return {"states": states.sum(axis=0), "products": states.T @ states}


def count(answers: Answers, with_padding: bool = False) -> dict[str, Any]:
    """Sums of one batch; those of several batches are added. See `scores`.

    Args:
        with_padding: let padding into the ROC curve as original tokens of probability 0, as the original does.
    """
    used = answers.weights > 0  # [B, P]
    sums = {
        "rows": len(answers.labels),
        "slots": used.sum(),
        "masked_lm_loss": answers.mlm_losses[used].sum(dtype=np.float64),
        "masked_lm_right": (answers.mlm_ids == answers.labels)[used].sum(),
        "sampled_masked_lm_right": (answers.sampled_ids == answers.labels)[used].sum(),
    }
    if answers.is_replaced is None or answers.probabilities is None or answers.rtd_losses is None:
        return sums
    tokens = answers.attention_mask > 0  # [B, L]
    replaced, judged = (answers.is_replaced > 0) & tokens, (answers.probabilities > 0.5) & tokens  # [B, L]
    counted = np.ones_like(tokens) if with_padding else tokens
    probabilities = np.where(tokens, answers.probabilities, 0)
    return sums | {
        "disc_loss": answers.rtd_losses.sum(dtype=np.float64),
        "tokens": tokens.sum(),
        "disc_right": (replaced == judged)[tokens].sum(),
        "judged": judged.sum(),
        "replaced": replaced.sum(),
        "hits": (replaced & judged).sum(),
        "above_replaced": num_above(probabilities[counted & replaced]),
        "above_original": num_above(probabilities[counted & ~replaced]),
    }


def num_above(probabilities: Array) -> Array:
    """The numbers of probabilities above each threshold, [T]; above the first all of them, above the last none."""
    inner = np.arange(1, NUM_THRESHOLDS - 1) / (NUM_THRESHOLDS - 1)
    thresholds = np.concatenate([[-1e-7], inner, [1 + 1e-7]]).astype(np.float32)
    places = np.searchsorted(thresholds, probabilities.astype(np.float32), side="left")  # thresholds below each
    return len(probabilities) - np.bincount(places, minlength=NUM_THRESHOLDS + 1).cumsum()[:NUM_THRESHOLDS]


def scores(sums: Mapping[str, Any]) -> dict[str, float]:
    """Metrics of the added sums. A metric of nothing is 0.

    `loss` is the mean over rows of their batches' losses, `disc_loss` the mean over rows of their means, `disc_auc`
    the area under the ROC curve by trapezoids over 200 thresholds. Precision and recall are those of "replaced".
    Two are not in the original. `disc_planted_auc` is the area for replacements that do not come from the generator,
    see `planted_sums`, by which networks beside different generators compare. `disc_effective_rank` says in how many
    of its directions the discriminator's last layer tells tokens apart: 1 where it has collapsed, the hidden size
    where all are used alike.
    Source: `metric_fn` of the original, where padding raises the area.
    """
    result = {"loss": ratio(sums["loss"], sums["rows"])} if "loss" in sums else {}
    result |= {
        "masked_lm_loss": ratio(sums["masked_lm_loss"], sums["slots"]),
        "masked_lm_accuracy": ratio(sums["masked_lm_right"], sums["slots"]),
        "sampled_masked_lm_accuracy": ratio(sums["sampled_masked_lm_right"], sums["slots"]),
    }
    if "tokens" not in sums:
        return result
    result |= {
        "disc_loss": ratio(sums["disc_loss"], sums["rows"]),
        "disc_accuracy": ratio(sums["disc_right"], sums["tokens"]),
        "disc_precision": ratio(sums["hits"], sums["judged"]),
        "disc_recall": ratio(sums["hits"], sums["replaced"]),
        "disc_auc": area_under_roc(sums["above_replaced"], sums["above_original"]),
    }
    if "above_planted" in sums:
        result["disc_planted_auc"] = area_under_roc(sums["above_planted"], sums["above_untouched"])
    if "states" in sums:
        result["disc_effective_rank"] = effective_rank(sums["states"], sums["products"], sums["tokens"])
    return result


def ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def effective_rank(states: Array, products: Array, count: float) -> float:
    """The exponential of the entropy of the variances along the principal axes; 1 where nothing varies, NaN of NaN.

    Args:
        states, products: sums over vectors of themselves [H], and of their products [H, H].
        count: of the vectors.

    Source: Roy and Vetterli 2007, with squared singular values.
    """
    if not np.isfinite(products).all():
        return float("nan")
    mean = states / count  # [H]
    variances = np.linalg.eigvalsh(products / count - np.outer(mean, mean))
    variances = variances[variances > 1e-12 * max(variances.max(), 1e-30)]
    shares = variances / variances.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def area_under_roc(above_replaced: Array, above_original: Array) -> float:
    """The area, of counts above falling thresholds [T]; the small constant is the original's."""
    recall = (above_replaced + 1e-6) / (above_replaced[0] + 1e-6)  # [T]
    false_alarms = above_original / (above_original[0] + 1e-6)  # [T]
    widths, heights = false_alarms[:-1] - false_alarms[1:], (recall[:-1] + recall[1:]) / 2
    return float((widths * heights).sum())


def precision_and_recall(sums: Mapping[str, Any]) -> tuple[Array, Array]:
    """(precision, recall) of the answer "replaced" at every threshold at which anything is judged replaced."""
    hits, judged = sums["above_replaced"], sums["above_replaced"] + sums["above_original"]
    some = judged > 0
    return hits[some] / judged[some], hits[some] / max(hits[0], 1)
