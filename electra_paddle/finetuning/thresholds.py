"""The threshold from which on a probability counts as yes. Shapes: N decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from electra_paddle.arrays import Array

USUAL = 0.5
MOST = 50.0  # logits beyond are as good as certain


def best_cut(values: Array, gains: Array) -> float:
    """The threshold with the highest sum of the gains of all values above it; 0 if that is one of them.

    Between two neighbouring values any threshold decides alike: it is 0 if that lies there, else the middle. Of several
    with the same sum it is the one nearest to 0.

    Args:
        values: [N], logits for instance.
        gains: [N], what is gained or lost where a value is above the threshold.
    """
    if not len(values):
        return 0.0
    order = np.argsort(values, kind="stable")
    rising = values[order].clip(-MOST, MOST)  # [N]
    above = np.append(
        np.cumsum(gains[order][::-1])[::-1], 0.0
    )  # [N + 1] gained if the cut is before each, or behind all
    bounds = np.concatenate([[-MOST], rising, [MOST]])
    lower, upper = bounds[:-1], bounds[1:]  # of each cut
    is_cut = np.concatenate([[True], rising[1:] > rising[:-1], [True]])  # equal ones are decided alike
    is_best = is_cut & np.isclose(above, above[is_cut].max())
    lower, upper = lower[is_best], upper[is_best]
    thresholds = np.where((lower <= 0) & (upper > 0), 0.0, (lower + upper) / 2)
    return float(thresholds[np.argmin(np.abs(thresholds))])


def best_threshold(probabilities: Array, gold: Array) -> float:
    """The threshold with the highest F1 of all decisions together, as `probability >= threshold` decides.

    Any threshold between two neighbouring probabilities decides alike: it is 0.5 if that lies there, else the middle,
    so that rounding elsewhere changes no decision. Of several with the same F1 it is the one nearest to 0.5, and of two
    as near the higher one.

    Args:
        probabilities: of any shape.
        gold: of the same shape, True where yes is right; at least once.
    """
    order = np.argsort(-probabilities, axis=None, kind="stable")
    falling = probabilities.ravel()[order]  # [N]
    num_right = np.cumsum(gold.ravel()[order])  # [N] among the first
    f1 = 2 * num_right / (np.arange(1, len(falling) + 1) + num_right[-1])  # [N] if these are yes
    below = np.append(falling[1:], 0.0)  # [N] the next probability
    is_cut = np.append(falling[:-1] > falling[1:], True)  # equal ones are decided alike
    is_best = is_cut & (f1 == f1[is_cut].max())
    upper, lower = falling[is_best], below[is_best]
    thresholds = np.where((lower < USUAL) & (upper >= USUAL), USUAL, (lower + upper) / 2)
    return float(thresholds[np.argmin(np.abs(thresholds - USUAL))])  # the first of equals, the highest
