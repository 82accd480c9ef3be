"""Labels of texts and of pairs of texts that may have several, or none. Shapes: B batch, C labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import paddle.nn.functional as F

from electra_paddle.errors import ConfigError
from electra_paddle.hub.tasks.base import check_probability
from electra_paddle.hub.tasks.classification import Classification, by_label
from electra_paddle.models.heads import ElectraMultiLabelClassifier
from electra_paddle.models.probabilities import logit
from electra_paddle.models.task_losses import multi_label_losses

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.tasks.base import Example, Options
    from electra_paddle.text import Tokenizer

USUAL_THRESHOLD = 0.5  # where fine-tuning has chosen none


class MultiLabelClassification(Classification):
    """The labels whose probability reaches the caller's threshold, else that which fine-tuning has chosen."""

    trained_by: ClassVar[str | None] = "ElectraMultiLabelClassifier"
    takes = ("threshold",)

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> Layer:
        module.model = ElectraMultiLabelClassifier(config)
        return module.model.electra

    def check_options(self, options: Options) -> None:
        super().check_options(options)
        check_probability("threshold", options.threshold)

    def probabilities(self, logits: Tensor) -> Tensor:
        return F.sigmoid(logits)

    def answer(
        self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options
    ) -> tuple[list[Any], list[float]]:
        probabilities: list[float] = self.pool(values).tolist()
        thresholds = options.threshold, options.settings.get("threshold"), USUAL_THRESHOLD
        least = next(threshold for threshold in thresholds if threshold is not None)
        labels = module.label_map
        return [labels[number] for number, value in enumerate(probabilities) if value >= least], probabilities

    def pool(self, values: Sequence[Array]) -> Array:
        """Probabilities [C] of a text from those of its windows: the sigmoid of the mean of their logits."""
        if len(values) == 1:
            return values[0]
        return 1 / (1 + np.exp(-logit(np.asarray(values)).mean(axis=0)))

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> dict[str, Any]:
        labels, probabilities = answer
        given = sorted(probabilities, reverse=True)[: len(labels)]  # all that reach the threshold
        return {"labels": labels, "probabilities": [value for value in probabilities if value in given]}

    def as_dict(self, module: ElectraModule, texts: Sequence[str], answer: Any, options: Options) -> dict[str, Any]:
        """{"labels": those that are given, "probabilities": {label: probability} of all}."""
        labels, probabilities = answer
        return {"labels": labels, "probabilities": by_label(module, probabilities)}

    def supervise(
        self, metric: Any, logits: Tensor, probabilities: Tensor, labels: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """(loss, {metric: value}) of logits and probabilities [B, C], and labels [B, C], 1 where a row has them.

        The loss is the binary cross entropy, summed over the labels, its mean over the rows; the metric is the F1 of
        all labels of the batch together, at a threshold of 0.5.

        Raises:
            ConfigError: labels of another shape, such as the numbers of classes.
        """
        if list(labels.shape) != list(logits.shape):
            expected = f"{list(logits.shape)}: for each row a 1 or a 0 for each label"
            raise ConfigError("labels", f"the shape {list(labels.shape)}", expected)
        right = labels.astype("float32")
        given = (probabilities >= USUAL_THRESHOLD).astype("float32")
        found, total = float((given * right).sum()), float((given + right).sum())
        return multi_label_losses(logits, right).mean(), {"f1_score": 2 * found / total if total else 1.0}


class PairMultiLabelClassification(MultiLabelClassification):
    """Those of two texts in one sequence."""

    num_texts = (2,)
