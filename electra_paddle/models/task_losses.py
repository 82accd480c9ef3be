"""Losses of the task heads, summed over the batch. Shapes: B batch, C classes; [...] any places of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import paddle
import paddle.nn.functional as F

if TYPE_CHECKING:
    from paddle import Tensor


def classification_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross entropy summed (not averaged) over the batch, as in the original, whose learning rates assume it.

    Args:
        logits: [..., C].
        labels: [...]; -1 where there is none, which counts nothing.
        weights: [...], how often each counts; once unless given.
    """
    losses = classification_losses(logits, labels)
    return (losses if weights is None else losses * weights).sum()


def classification_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of each place [...], 0 where there is no label; see `classification_loss`."""
    losses = F.cross_entropy(logits.astype("float32"), labels, reduction="none", ignore_index=-1)
    return losses.reshape(labels.shape)  # Paddle 2.6 keeps an axis of 1


def weighted_classification_loss(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor,
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
) -> Tensor:
    """`classification_loss` with what helps where classes are rare, labels wrong or most examples easy.

    Args:
        class_weights: [C], factor of the loss of each class.
        label_smoothing: share of the right label's weight that all classes get alike (Szegedy et al. 2016)
        focal_gamma: exponent of (1 - p), p the right label's probability, as a factor of the loss (Lin et al. 2017)
    """
    log_probs = F.log_softmax(logits.astype("float32"), axis=-1)  # [..., C]
    is_known = (labels >= 0).astype("float32")
    right = F.one_hot(labels.clip(min=0), logits.shape[-1])  # [..., C]
    log_right = (right * log_probs).sum(axis=-1)
    losses = -(1 - label_smoothing) * log_right - label_smoothing * log_probs.mean(axis=-1)
    if focal_gamma:
        losses = losses * (1 - log_right.exp()).clip(min=1e-12) ** focal_gamma
    if class_weights is not None:
        losses = losses * (right * paddle.to_tensor(class_weights, "float32")).sum(axis=-1)
    return (losses * is_known * weights).sum()


def multi_label_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Binary cross entropy summed over labels and batch: the negative log-likelihood of the rows' sets of labels.

    Args:
        logits: [B, C].
        labels: [B, C] float32, 1 where a row has the label, else 0; -1 in rows without labels, which count nothing.
        weights: [B], how often each row counts.
    """
    return (multi_label_losses(logits, labels) * weights).sum()


def multi_label_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy of each row [B], summed over labels; see `multi_label_loss`."""
    losses = F.binary_cross_entropy_with_logits(logits.astype("float32"), labels.clip(min=0), reduction="none")
    return (losses * (labels >= 0).astype("float32")).sum(axis=-1)


def regression_loss(predicted: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Squared error summed over the batch.

    Args:
        predicted: [B, 1].
        labels: [B] float32, NaN in rows without labels, which count nothing.
        weights: [B], how often each row counts.
    """
    return (regression_losses(predicted, labels) * weights).sum()


def regression_losses(predicted: Tensor, labels: Tensor) -> Tensor:
    """Squared error of each row [B], 0 without a label; see `regression_loss`."""
    is_known = paddle.logical_not(paddle.isnan(labels))
    right = paddle.where(is_known, labels, paddle.zeros_like(labels))
    errors = (predicted.squeeze(-1).astype("float32") - right) * is_known.astype("float32")
    return errors * errors


def softmax_divergence(first: Tensor, second: Tensor, is_known: Tensor, weights: Tensor) -> Tensor:
    """The symmetric Kullback-Leibler divergence (KL(p, q) + KL(q, p)) / 2 of two softmaxes, summed over the batch.

    Args:
        first, second: logits [..., C].
        is_known: [...] float32, 1 where there is a label; elsewhere nothing counts.
        weights: [...], how often each counts.
    """
    one, other = (F.log_softmax(logits.astype("float32"), axis=-1) for logits in (first, second))
    apart = ((one.exp() - other.exp()) * (one - other)).sum(axis=-1) / 2  # [...]
    return (apart * is_known * weights).sum()


def sigmoid_divergence(first: Tensor, second: Tensor, is_known: Tensor, weights: Tensor) -> Tensor:
    """`softmax_divergence` of decisions for themselves, summed over labels and batch.

    Args:
        first, second: logits [B, C].
        is_known: [B].
        weights: [B].
    """
    one, other = first.astype("float32"), second.astype("float32")
    apart = ((F.sigmoid(one) - F.sigmoid(other)) * (one - other)).sum(axis=-1) / 2  # [B]
    return (apart * is_known * weights).sum()
