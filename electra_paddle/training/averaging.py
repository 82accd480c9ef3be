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
    from electra_paddle.training.optimizer import AdamWithoutBiasCorrection


class WeightAverage:
    """decay * average + (1 - decay) * weight after each update, from the weights before the first one on.

    The averages are laid out as the optimizer's weights are: where these are a few long tensors, so are the averages.

    Args:
        model: a Layer; all of its parameters are averaged.
        optimizer: of these parameters.
        decay: below 1; about the last 1 / (1 - decay) updates count.
    """

    def __init__(self, model: Layer, optimizer: AdamWithoutBiasCorrection, decay: float) -> None:
        self.optimizer, self.decay = optimizer, decay
        self._names = {name: parameter.name for name, parameter in model.named_parameters()}
        self._averages = self._copies()

    @property
    def tensors(self) -> dict[str, Tensor]:
        """A parameter's name in the model -> its average."""
        averages = self.optimizer.by_parameter(self._averages)
        return {name: averages[own] for name, own in self._names.items()}

    def update(self) -> None:
        """Take in the weights after an update."""
        with paddle.no_grad():
            for average, weight in zip(self._averages, self.optimizer.weights(), strict=True):
                average.scale_(self.decay)
                average.add_(weight * (1 - self.decay))

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Go on from averages that a checkpoint kept."""
        self._averages = self.optimizer.joined({own: arrays[name] for name, own in self._names.items()})

    def apply(self) -> None:
        """Put the average into the model."""
        self.optimizer.set_weights(self._averages)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Context in which the model has the average, and its own weights again afterwards."""
        own = self._copies()
        self.apply()
        try:
            yield
        finally:
            self.optimizer.set_weights(own)

    def _copies(self) -> list[Tensor]:
        with paddle.no_grad():
            return [weight.clone() for weight in self.optimizer.weights()]
