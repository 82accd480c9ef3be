"""The threshold from which on a probability counts as yes. Shapes: N decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from electra_paddle.arrays import Array

USUAL = 0.5


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
