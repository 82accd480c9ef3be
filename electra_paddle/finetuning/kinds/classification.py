"""Classes of texts and of pairs of texts. Shapes: B batch, L sequence, C classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from electra_paddle.batch import ClassificationBatch, ClassificationOutput
from electra_paddle.errors import ConfigError
from electra_paddle.files import replace_text
from electra_paddle.finetuning.analysis import Verdict
from electra_paddle.finetuning.description import TaskDescription, one_of
from electra_paddle.finetuning.formats import Row, read_rows
from electra_paddle.finetuning.kinds.objective import OneClass
from electra_paddle.finetuning.kinds.texts import TextExample, TextKind, further_columns, probability_cells
from electra_paddle.finetuning.labels import labels_of
from electra_paddle.finetuning.metrics import METRICS, check_positive, class_scores, label_table
from electra_paddle.models.probabilities import log_of, softmax

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.config import FinetuningConfig
    from electra_paddle.finetuning.prediction import Wanted
    from electra_paddle.finetuning.problems import Problems


class ClassificationPrediction(NamedTuple):
    """The most probable class, and all probabilities."""

    label: int
    probabilities: Array  # [C] float64


class Classification(OneClass, TextKind[ClassificationPrediction]):
    """A dense layer on [CLS]; cross entropy. An example's label is the id of its class, -1 where there is none."""

    no_label = -1
    wanted = ("with_probabilities", "top_k")
    metrics = ("accuracy",)
    further_metrics = METRICS

    def __init__(self, description: TaskDescription, config: FinetuningConfig) -> None:
        super().__init__(description, config)
        if len(description.classes) == 1:
            raise ConfigError("labels", f"{description.classes[0]!r} alone", "two labels at least")
        check_positive(description, self.reported)

    def find_labels(self, path: Path, problems: Problems) -> tuple[str, ...]:
        layout = self.description.of_split("train")
        rows = read_rows(path, layout, True, problems)
        return labels_of(((row.where, row.cells["label"]) for row in rows), layout, path)

    def label_of(self, row: Row, layout: TaskDescription, problems: Problems) -> int | None:
        label = layout.label_id(row.cells["label"])
        if label is None:
            problems.add(row.where, f"label {row.cells['label']!r}", one_of(layout.classes))
        return label

    def count_labels(self, examples: Sequence[TextExample]) -> dict[str, int]:
        counts = Counter(example.label for example in examples)
        return {label: counts[number] for number, label in enumerate(self.description.classes)}

    def build_network(self, electra_config: ElectraConfig) -> Layer:
        from electra_paddle.models.heads import ElectraClassifier

        return ElectraClassifier(electra_config)

    def targets(self, labels: Sequence[int]) -> Array:
        return np.array(labels, np.int64)  # [B]

    def loss(self, logits: Tensor, batch: ClassificationBatch) -> Tensor:
        from electra_paddle.models.task_losses import classification_loss

        return classification_loss(logits, batch.labels, batch.weights)

    def row_losses(self, batch: ClassificationBatch, output: ClassificationOutput) -> Tensor:
        from electra_paddle.models.task_losses import classification_losses

        return classification_losses(output.logits, batch.labels)

    def mean(self, logits: Sequence[Tensor]) -> Tensor:
        from electra_paddle.models.ensemble import mean_of_softmax

        return mean_of_softmax(logits)  # [B, C]

    def training_metrics(self, batch: ClassificationBatch, output: ClassificationOutput) -> dict[str, Tensor]:
        import paddle

        with paddle.no_grad():
            right = (paddle.argmax(output.logits, axis=-1) == batch.labels).astype("float32")  # [B]
            accuracy = (right * batch.weights).sum() / batch.weights.sum().clip(min=1.0)
        return {**super().training_metrics(batch, output), "accuracy": accuracy}

    def exported_answers(self, batch: ClassificationBatch, outputs: Mapping[str, Array]) -> list[Array]:
        return list(log_of(outputs["probabilities"].astype(np.float64)))

    def prediction(self, logits: Array) -> ClassificationPrediction:
        return ClassificationPrediction(int(np.argmax(logits)), softmax(logits))

    def score(
        self, examples: Sequence[TextExample], predictions: Sequence[ClassificationPrediction]
    ) -> dict[str, float]:
        gold, predicted = ([row.label for row in rows] for rows in (examples, predictions))
        right = sum(label == answer for label, answer in zip(gold, predicted, strict=True))
        positive = self.description.positive_label
        number = None if positive is None else self.description.label_id(positive)
        further = [name for name in self.reported if name not in self.metrics]
        return {"accuracy": 100 * right / len(examples), **class_scores(further, gold, predicted, number)}

    def cells(self, prediction: ClassificationPrediction) -> dict[str, str]:
        labels = self.description.classes
        cells = {"label": labels[prediction.label]}
        if self.config.write_probabilities:
            cells |= probability_cells(labels, prediction.probabilities)
        return cells

    def gold(self, example: TextExample) -> Any:
        return self.description.classes[example.label] if example.label >= 0 else None

    def verdict(self, example: TextExample, prediction: ClassificationPrediction) -> Verdict:
        right, said = (self.description.classes[number] for number in (example.label, prediction.label))
        confidence, is_right = float(prediction.probabilities[prediction.label]), right == said
        confusions = [] if is_right else [(right, said)]
        return Verdict(is_right, confidence, [(right, is_right)], confusions, [(confidence, is_right)])

    def stratum(self, example: TextExample) -> Hashable:
        return example.label

    def write_report(
        self, stem: Path, examples: Sequence[TextExample], predictions: Sequence[ClassificationPrediction]
    ) -> list[Path]:
        """Precision and recall of each class, and a picture of which was taken for which."""
        from sklearn.metrics import confusion_matrix

        from electra_paddle.finetuning.pictures import confusion_figure, save_figure

        labels = self.description.classes
        answers = [example.label for example in examples], [prediction.label for prediction in predictions]
        paths = [Path(f"{stem}_classes.tsv"), Path(f"{stem}_confusion.png")]
        replace_text(paths[0], label_table(labels, *answers))
        matrix = confusion_matrix(*answers, labels=range(len(labels)))  # [C, C]
        save_figure(confusion_figure(matrix, labels), paths[1])
        return paths

    def output(self, example: TextExample, prediction: ClassificationPrediction, wanted: Wanted) -> dict[str, Any]:
        labels, probabilities = self.description.classes, prediction.probabilities.tolist()
        columns = {"label": labels[prediction.label], "score": probabilities[prediction.label]}
        return columns | further_columns(labels, probabilities, wanted)

    def plain(self, prediction: ClassificationPrediction, with_probabilities: bool = False) -> Any:
        """The label, or with probabilities (label, {label: probability})."""
        label = self.description.classes[prediction.label]
        if not with_probabilities:
            return label
        return label, dict(zip(self.description.classes, prediction.probabilities.tolist(), strict=True))
