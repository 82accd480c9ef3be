"""The training loss of kinds with one class for each text or token. Shapes: B batch, C classes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.description import one_of

if TYPE_CHECKING:
    from paddle import Tensor

    from electra_paddle.batch import ClassificationBatch, ClassificationOutput
    from electra_paddle.config import FinetuningConfig
    from electra_paddle.finetuning.description import TaskDescription


class OneClass:
    """Mixed into a TaskKind whose logits [..., C] and labels [...] say one class at each place.

    Attributes:
        class_weights: [C], factors of the classes' losses in training; None where all are 1.
    """

    training_options: ClassVar[tuple[str, ...]] = ("class_weights", "label_smoothing", "focal_gamma", "r_drop_alpha")
    class_weights: list[float] | None = None

    description: TaskDescription
    config: FinetuningConfig

    def for_training(self: Any, examples: Sequence[Any]) -> Any:
        kind = copy.copy(self)
        kind.class_weights = class_weights(self.config.class_weights, self.description, self.count_labels(examples))
        return kind

    def training_loss(self, logits: Tensor, batch: ClassificationBatch) -> Tensor:
        """The weighted sum over the batch's places, with what the configuration says of it."""
        from electra_paddle.models.task_losses import classification_loss, weighted_classification_loss

        config, weights = self.config, place_weights(batch)
        if self.class_weights is None and not config.label_smoothing and not config.focal_gamma:
            return classification_loss(logits, batch.labels, weights)
        return weighted_classification_loss(
            logits, batch.labels, weights, self.class_weights, config.label_smoothing, config.focal_gamma
        )

    def divergence(
        self, batch: ClassificationBatch, first: ClassificationOutput, second: ClassificationOutput
    ) -> Tensor:
        from electra_paddle.models.task_losses import softmax_divergence

        is_known = (batch.labels >= 0).astype("float32")
        return softmax_divergence(first.logits, second.logits, is_known, place_weights(batch))


def place_weights(batch: ClassificationBatch) -> Tensor:
    """How often each place counts, [B] or [B, 1], as labels [B] or [B, L] have it."""
    return batch.weights if batch.labels.ndim == 1 else batch.weights.unsqueeze(-1)


def class_weights(wanted: Any, description: TaskDescription, counts: dict[str, int]) -> list[float] | None:
    """Factors [C] of the classes' losses.

    `balanced`: N / (C * n) for a class with n of N labels, so that all classes weigh the same and their mean over the
    labels is 1. A class that a mapping does not name has 1.

    Raises:
        ConfigError: a label that is none, or `balanced` where a class has no example.
    """
    labels = description.classes
    if wanted is None:
        return None
    if wanted == "balanced":
        if missing := [label for label in labels if not counts[label]]:
            raise ConfigError("class_weights", f"balanced, with no example of {missing[0]!r}", "one of each class")
        return [sum(counts.values()) / (len(labels) * counts[label]) for label in labels]
    for label in wanted:
        if description.label_id(label) is None:
            raise ConfigError("class_weights", f"label {label!r}", one_of(labels))
    factors = {description.label_id(label): factor for label, factor in wanted.items()}
    return [float(factors.get(number, 1.0)) for number in range(len(labels))]
