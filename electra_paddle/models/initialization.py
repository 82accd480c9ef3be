"""Initial weights: the original's distributions, the same numbers on every process and Paddle version."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from paddle.nn import Layer

    from electra_paddle.arrays import Array


GLOROT = (  # layers the original creates without an initializer
    "embeddings_project",
    "dense_prediction",
    "classifier",
    "start",
    "end_hidden",
    "end",
    "answerable_hidden",
    "answerable",
    "yes_no",
)


def initialize(model: Layer, seed: int, std: float = 0.02) -> None:
    """Fill every parameter: truncated normal, Glorot uniform for projections and last layers, biases 0, norms 1.

    Each parameter's numbers depend on the seed and its own name. A parameter that two networks share
    is filled once. Source: `create_initializer` of the original; TensorFlow's default for `layers.dense`.
    """
    for name, parameter in model.named_parameters():
        parameter.set_value(initial_value(name, parameter.shape, seed, std))


def initial_value(name: str, shape: Sequence[int], seed: int, std: float) -> Array:
    """A float32 array for one parameter."""
    owner, kind = name.split(".")[-2:] if "." in name else ("", name)
    if "norm" in owner:
        return np.full(shape, 1.0 if kind == "weight" else 0.0, dtype="float32")
    if kind.endswith("bias"):
        return np.zeros(shape, dtype="float32")
    if owner in GLOROT:
        return glorot_uniform(name, shape, seed)
    return truncated_normal(generator_of(name, seed), shape, std)


def head_value(name: str, shape: Sequence[int], seed: int) -> Array:
    """A float32 array for a parameter of a fine-tuning head: Glorot uniform for weights, 0 for biases."""
    return glorot_uniform(name, shape, seed) if len(shape) == 2 else np.zeros(shape, dtype="float32")


def glorot_uniform(name: str, shape: Sequence[int], seed: int) -> Array:
    limit = np.sqrt(6.0 / (shape[0] + shape[1]))
    return generator_of(name, seed).uniform(-limit, limit, shape).astype("float32")


def generator_of(name: str, seed: int) -> np.random.Generator:
    """The random numbers of one parameter."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def truncated_normal(rng: np.random.Generator, shape: Sequence[int], std: float) -> Array:
    """Normal numbers, drawn again where they lie beyond two standard deviations."""
    values = rng.standard_normal(shape)
    while (beyond := np.abs(values) > 2).any():
        values[beyond] = rng.standard_normal(int(beyond.sum()))
    return (values * std).astype("float32")


def num_parameters(model: Layer) -> int:
    """Trainable numbers; shared ones count once."""
    return int(sum(np.prod(parameter.shape) for parameter in model.parameters()))
