"""Numbers for texts and pairs of texts, such as their similarity. Shapes: B batch, N examples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.analysis import Verdict
from electra_paddle.finetuning.formats import Row
from electra_paddle.finetuning.kinds.texts import TextExample, TextKind
from electra_paddle.finetuning.metrics import number_scores

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.batch import ClassificationBatch, ClassificationOutput
    from electra_paddle.config import FinetuningConfig
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.prediction import Wanted
    from electra_paddle.finetuning.problems import Problems

LARGE = 10.0  # numbers beyond it are far from the 0 that a new head says, and take long to learn


class Regression(TextKind[float]):
    """A dense layer on [CLS] with one output; squared error. An example's label is its number, None without one."""

    metrics = ("pearson", "spearman", "mse")
    lower_is_better = ("mse",)

    def __init__(self, description: TaskDescription, config: FinetuningConfig) -> None:
        super().__init__(description, config)
        if description.classes:
            raise ConfigError(
                "labels", one_line(description.classes), "none, as the labels of a regression are numbers"
            )

    def read(self, path: Path, split: str, problems: Problems) -> list[TextExample]:
        examples = super().read(path, split, problems)
        largest = max((abs(example.label) for example in examples if example.label is not None), default=0.0)
        if split == "train" and largest > LARGE:
            problems.note(
                f"{path}: labels up to {largest:g}; numbers from 0 to 5, or to 1, are learnt in fewer updates"
            )
        return examples

    def label_of(self, row: Row, layout: TaskDescription, problems: Problems) -> float | None:
        try:
            label = float(row.cells["label"])
        except ValueError:
            label = math.nan
        if math.isfinite(label):
            return label
        problems.add(row.where, f"label {row.cells['label']!r}", "a number")
        return None

    def target(self, label: float | None) -> float:
        return math.nan if label is None else label

    def targets(self, labels: Sequence[float]) -> Array:
        return np.array(labels, np.float32)  # [B]

    def build_network(self, electra_config: ElectraConfig) -> Layer:
        from electra_paddle.models.heads import ElectraRegressor

        return ElectraRegressor(electra_config)

    def loss(self, logits: Tensor, batch: ClassificationBatch) -> Tensor:
        from electra_paddle.models.task_losses import regression_loss

        return regression_loss(logits, batch.labels, batch.weights)

    def row_losses(self, batch: ClassificationBatch, output: ClassificationOutput) -> Tensor:
        from electra_paddle.models.task_losses import regression_losses

        return regression_losses(output.logits, batch.labels)

    def mean(self, logits: Sequence[Tensor]) -> Tensor:
        return sum(logits[1:], logits[0]) / len(logits)  # [B, 1]

    def exported_answers(self, batch: ClassificationBatch, outputs: Mapping[str, Array]) -> list[Array]:
        return list(outputs["scores"].astype(np.float64))

    def prediction(self, logits: Array) -> float:
        return float(logits[0])

    def score(self, examples: Sequence[TextExample], predictions: Sequence[float]) -> dict[str, float]:
        return number_scores([example.label for example in examples], predictions)

    def cells(self, prediction: float) -> dict[str, str]:
        return {"score": f"{prediction:.6g}"}

    def gold(self, example: TextExample) -> Any:
        return example.label

    def verdict(self, example: TextExample, prediction: float) -> Verdict:
        return Verdict(None, abs(prediction - example.label))

    def write_report(self, stem: Path, examples: Sequence[TextExample], predictions: Sequence[float]) -> list[Path]:
        """A picture of the predicted numbers over the right ones."""
        from electra_paddle.finetuning.pictures import numbers_figure, save_figure

        path = Path(f"{stem}_numbers.png")
        save_figure(numbers_figure([example.label for example in examples], predictions), path)
        return [path]

    def output(self, example: TextExample, prediction: float, wanted: Wanted) -> dict[str, Any]:
        return {"score": prediction}

    def plain(self, prediction: float, with_probabilities: bool = False) -> Any:
        """The number; there are no probabilities."""
        return prediction


def one_line(labels: Sequence[str]) -> str:
    return f"{len(labels)} labels, {labels[0]!r} the first"
