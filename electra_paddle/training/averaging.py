"""The exponential moving average of a model's weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import paddle

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer

    from electra_paddle.arrays import Array


class WeightAverage:
    """decay * average + (1 - decay) * weight after each update, from the weights before the first one on.

    Args:
        model: a Layer; all of its parameters are averaged.
        decay: below 1; about the last 1 / (1 - decay) updates count.
    """

    def __init__(self, model: Layer, decay: float) -> None:
        self.model, self.decay = model, decay
        with paddle.no_grad():
            self.tensors: dict[str, Tensor] = {
                name: parameter.astype("float32").clone() for name, parameter in model.named_parameters()
            }

    def update(self) -> None:
        """Take in the weights after an update."""
        with paddle.no_grad():
            for name, parameter in self.model.named_parameters():
                average = self.tensors[name]
                average.scale_(self.decay)
                average.add_(parameter.astype("float32") * (1 - self.decay))

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Go on from averages that a checkpoint kept."""
        self.tensors = {name: paddle.to_tensor(arrays[name]) for name in self.tensors}

    def apply(self) -> None:
        """Put the average into the model."""
        with paddle.no_grad():
            for name, parameter in self.model.named_parameters():
                paddle.assign(self.tensors[name].astype(parameter.dtype), output=parameter)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Context in which the model has the average, and its own weights again afterwards."""
        with paddle.no_grad():
            own = {name: parameter.clone() for name, parameter in self.model.named_parameters()}
        self.apply()
        try:
            yield
        finally:
            with paddle.no_grad():
                for name, parameter in self.model.named_parameters():
                    paddle.assign(own[name], output=parameter)
