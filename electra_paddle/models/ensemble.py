"""What several networks say together. Shapes: B batch, L sequence, C classes, S starts and ends of a beam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import paddle
import paddle.nn.functional as F

from electra_paddle.models.reading_comprehension import Beam, ReadingScores

if TYPE_CHECKING:
    from paddle import Tensor

    from electra_paddle.arrays import Array


def mean_of_softmax(logits: Sequence[Tensor]) -> Tensor:
    """Logits [..., C] whose softmax is the mean of the softmax of several."""
    log_probs = paddle.stack([F.log_softmax(each.astype("float32"), axis=-1) for each in logits])  # [K, ..., C]
    return paddle.logsumexp(log_probs, axis=0) - float(np.log(len(logits)))


def mean_of_sigmoid(logits: Sequence[Tensor]) -> Tensor:
    """Logits [...] whose sigmoid is the mean of the sigmoid of several."""
    stacked = paddle.stack([each.astype("float32") for each in logits])  # [K, ...]
    yes, no = (paddle.logsumexp(F.log_sigmoid(signed), axis=0) for signed in (stacked, -stacked))
    return yes - no


def mean_reading_scores(scores: Sequence[ReadingScores]) -> ReadingScores:
    """The ReadingScores of several readers for the same windows.

    With joint prediction a span's probability in its window, that of its start times that of its end, is the mean over
    the readers; 0 of one whose beam lacks it. Without, the logits of starts and of ends are averaged.
    """
    first = scores[0]
    answerable = yes_no = None
    if first.answerable_logit is not None:
        answerable = mean_of_sigmoid([each.answerable_logit for each in scores])  # [B]
    if first.yes_no_logits is not None:
        yes_no = mean_of_softmax([each.yes_no_logits for each in scores])  # [B, 3]
    if first.beam is None:
        starts, ends = (sum(each[part] for each in scores) / len(scores) for part in (0, 1))  # [B, L]
        return ReadingScores(starts, ends, answerable, None, yes_no)
    rows = zip(*(zip(*map(np.asarray, each.beam), strict=True) for each in scores), strict=True)
    beams = [mean_beam([Beam(*beam) for beam in row]) for row in rows]
    beam = Beam(*(np.stack(part) for part in zip(*beams, strict=True)))
    return ReadingScores(None, None, answerable, beam, yes_no)


def mean_beam(beams: Sequence[Beam]) -> Beam:
    """The most probable spans of one window, as many as one beam has: starts [S * S] with one end each, best first.

    Places that are left over hold the span of [CLS], which no answer has, with probability 0.
    """
    size = beams[0].ends.size
    pairs = [(np.repeat(beam.starts, beam.ends.shape[1]), beam.ends.ravel()) for beam in beams]
    spans = np.concatenate(pairs, axis=1)  # [2, S * S of each]
    log_probs = np.concatenate([(beam.start_log_probs[:, None] + beam.end_log_probs).ravel() for beam in beams])
    found, places = np.unique(spans, axis=1, return_inverse=True)  # [2, N]
    sums = np.bincount(places.ravel(), np.exp(log_probs.astype(np.float64)))  # [N]
    best = np.argsort(-sums, kind="stable")[:size]
    starts, ends = np.zeros((2, size), np.int64)
    starts[: len(best)], ends[: len(best)] = found[:, best]
    means: Array = np.full(size, -np.inf)
    with np.errstate(divide="ignore"):
        means[: len(best)] = np.log(sums[best] / len(beams))
    return Beam(starts, means, ends[:, None], np.zeros((size, 1)))
