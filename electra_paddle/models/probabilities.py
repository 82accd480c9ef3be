"""Probabilities and logits in numpy. Shapes: C classes; [...] any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from electra_paddle.arrays import Array

TINY = 1e-30  # in place of probabilities of 0


def softmax(logits: Array) -> Array:
    """Probabilities of logits [C]."""
    exponentials: Array = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def log_of(probabilities: Any) -> Any:
    """Logarithms of probabilities [...], finite ones of 0 too: logits whose softmax they are."""
    return np.log(np.maximum(probabilities, TINY))


def logit(probabilities: Any) -> Any:
    """The numbers [...] whose sigmoid is a probability, finite ones of 0 and 1 too."""
    return log_of(probabilities) - log_of(1 - probabilities)
