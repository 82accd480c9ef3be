"""The order of the examples: a permutation that is computed place by place, since a corpus may have 400 million."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from electra_paddle.arrays import Array


ROUNDS = 12  # with 8, orders of fewer than ten examples were measurably uneven


def shuffled(positions: Array, length: int, key: Sequence[int]) -> Array:
    """Elements of a pseudo-random permutation of range(length), without memory for the others.

    A Feistel network permutes the numbers below the next power of two; a number that lands at or above `length`
    goes through again until it lands below ("cycle walking"), which keeps the whole a permutation.

    Args:
        positions: array [N] of places in the permutation, 0 to length - 1.
        length: at least 1.
        key: sequence of non-negative whole numbers; another one of the same length gives another permutation.

    Returns:
        [N] int64.

    Source: Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002.
    """
    num_bits = (length - 1).bit_length()
    keys = np.random.SeedSequence(key).generate_state(ROUNDS, np.uint64)
    values = permute(np.asarray(positions).astype(np.uint64), num_bits, keys)  # [N]
    while (outside := values >= length).any():
        values[outside] = permute(values[outside], num_bits, keys)
    return values.astype(np.int64)


def permute(values: Array, num_bits: int, keys: Array) -> Array:
    """A Feistel network over range(2 ** num_bits), values [N] uint64: the halves change each other in turn."""
    low_bits, high_bits = num_bits // 2, num_bits - num_bits // 2
    low_mask, high_mask = np.uint64((1 << low_bits) - 1), np.uint64((1 << high_bits) - 1)
    low, high = values & low_mask, values >> np.uint64(low_bits)  # [N], [N]
    for for_low, for_high in keys.reshape(-1, 2):
        low = low ^ (mix(high ^ for_low) & low_mask)
        high = high ^ (mix(low ^ for_high) & high_mask)
    return high << np.uint64(low_bits) | low


def mix(values: Array) -> Array:
    """Scatter the bits of uint64 numbers. Source: the output function of splitmix64."""
    values = (values ^ values >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ values >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return values ^ values >> np.uint64(31)
