"""Objectives of pre-training: networks, losses, and what is measured of them.

An objective of your own is a subclass of `Objective`, registered (`OBJECTIVES.register("name", "module:Class")`) or
named as `objective: module:Class`. It may build any Layer with `generator` and `discriminator` (None where there is
none) whose output has the fields of a PretrainingOutput.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from electra_paddle.batch import MaskedBatch, PretrainingOutput
from electra_paddle.config import PretrainingConfig
from electra_paddle.config.geometry import Geometry
from electra_paddle.registry import Registry

if TYPE_CHECKING:
    from paddle.nn import Layer

    from electra_paddle.models.pretraining import ElectraForJointPretraining
    from electra_paddle.training.loop import Metrics


class Objective:
    """ELECTRA's, and those that the original has beside it: uniform replacements, one encoder for both networks.

    Args:
        config: of the run.
    """

    def __init__(self, config: PretrainingConfig) -> None:
        self.config = config

    def shapes(self, vocab_size: int) -> tuple[Geometry | None, Geometry | None]:
        """The shapes of (generator, discriminator); None where there is no such network."""
        return self.config.geometries(vocab_size)

    def build(self, generator: Geometry | None, discriminator: Geometry | None) -> ElectraForJointPretraining:
        """The networks with their initial weights, and their losses as one Layer: MaskedBatch -> PretrainingOutput."""
        from electra_paddle.models.pretraining import ElectraForJointPretraining, JointSettings

        config = self.config
        return ElectraForJointPretraining(generator, discriminator, JointSettings.of(config), config.seed)

    def training_metrics(self, batch: MaskedBatch, output: PretrainingOutput) -> Metrics:
        """Scalar tensors about a training batch."""
        from electra_paddle.pretraining.batch_metrics import pretraining_metrics

        return pretraining_metrics(batch, output)

    def evaluation_sums(
        self, model: ElectraForJointPretraining, batch: MaskedBatch, output: PretrainingOutput, num_rows: int
    ) -> dict[str, Any]:
        """Numbers and arrays that are added over the pieces of an evaluation.

        Args:
            num_rows: rows of the whole batch, of which `batch` is a piece.
        """
        from electra_paddle.pretraining.metrics import evaluation_sums, planted_sums

        sums = evaluation_sums(batch, output, num_rows)
        return sums | planted_sums(model, batch) if model.discriminator else sums

    def scores(self, sums: Mapping[str, Any]) -> dict[str, float]:
        """The scores of an evaluation from its sums."""
        from electra_paddle.pretraining.metrics import scores

        return scores(sums)

    def networks(self, model: ElectraForJointPretraining) -> list[tuple[str, Layer]]:
        """(name, network) of those that are written at the end."""
        pairs = [("generator", model.generator), ("discriminator", model.discriminator)]
        return [(name, network) for name, network in pairs if network is not None]


class MaskedLanguageModel(Objective):
    """A masked language model of full size, without a discriminator."""


OBJECTIVES: Registry[type[Objective]] = Registry(
    "objective", {"electra": Objective, "masked_language_model": MaskedLanguageModel}
)
