"""Texts and pairs of texts that may have several labels, or none. Shapes: B batch, N examples, C labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from electra_paddle.errors import ConfigError, DataError
from electra_paddle.files import replace_text
from electra_paddle.finetuning.analysis import NOTHING, Verdict
from electra_paddle.finetuning.description import one_of
from electra_paddle.finetuning.formats import Row, read_rows
from electra_paddle.finetuning.kinds.texts import TextExample, TextKind, further_columns, probability_cells
from electra_paddle.finetuning.labels import labels_of
from electra_paddle.finetuning.metrics import AVERAGES, label_set_scores, label_table
from electra_paddle.finetuning.thresholds import USUAL, best_threshold
from electra_paddle.models.probabilities import logit

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.batch import ClassificationBatch, ClassificationOutput
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.prediction import Wanted
    from electra_paddle.finetuning.problems import Problems


class MultiLabelPrediction(NamedTuple):
    """The labels whose probability reaches the threshold, and all probabilities."""

    labels: tuple[int, ...]  # rising
    probabilities: Array  # [C] float64


class MultiLabel(TextKind[MultiLabelPrediction]):
    """A dense layer on [CLS]; binary cross entropy of each label, summed.

    An example's label is the tuple of its labels' ids, rising, () where it has none; None where its file says nothing.
    """

    metrics = ("micro_f1", "macro_f1", "subset_accuracy")
    further_metrics = ("micro_precision", "micro_recall", *AVERAGES, "hamming_loss")
    lower_is_better = ("hamming_loss",)
    chosen = ("threshold",)
    wanted = ("with_probabilities", "top_k")
    training_options = ("r_drop_alpha",)

    @property
    def threshold(self) -> float:
        """The least probability of a label that is given."""
        return USUAL if self.config.threshold is None else self.config.threshold

    def find_labels(self, path: Path, problems: Problems) -> tuple[str, ...]:
        layout = self.description.of_split("train")
        rows = read_rows(path, layout, True, problems)
        found = labels_of(((row.where, label) for row in rows for label in row.labels or ()), layout, path)
        if not found:
            raise DataError(path, "no label in any row", f"labels, with {layout.label_separator!r} between them")
        return found

    def read(self, path: Path, split: str, problems: Problems) -> list[TextExample]:
        separator = str(self.description.label_separator)
        for label in self.description.classes:
            if separator in label:
                advice = "give another label_separator, which the files of predictions have too"
                raise ConfigError("label_separator", f"{separator!r}, which stands in {label!r}", "none", advice)
        examples = super().read(path, split, problems)
        if without := sum(example.label == () for example in examples):
            problems.note(f"{path}: {without:,} of {len(examples):,} examples have no label, which is an answer too")
        return examples

    def label_of(self, row: Row, layout: TaskDescription, problems: Problems) -> tuple[int, ...] | None:
        ids = [(label, layout.label_id(label)) for label in row.labels or ()]
        for label, number in ids:
            if number is None:
                problems.add(row.where, f"label {label!r}", one_of(layout.classes))
                return None
        return tuple(sorted({number for _, number in ids if number is not None}))

    def is_labelled(self, examples: Sequence[TextExample]) -> bool:
        return any(example.label for example in examples)  # where nowhere is one, nobody has looked for them

    def count_labels(self, examples: Sequence[TextExample]) -> dict[str, int]:
        counts = Counter(number for example in examples for number in example.label)
        return {label: counts[number] for number, label in enumerate(self.description.classes)}

    def target(self, label: tuple[int, ...] | None) -> Sequence[int]:
        return (-1,) if label is None else label

    def targets(self, labels: Sequence[Any]) -> Array:
        targets = np.zeros((len(labels), len(self.description.classes)), np.float32)  # [B, C]
        for row, ids in zip(targets, labels, strict=True):
            row[np.asarray(ids, np.int64)] = 1
            if -1 in ids:
                row[:] = -1
        return targets

    def build_network(self, electra_config: ElectraConfig) -> Layer:
        from electra_paddle.models.heads import ElectraMultiLabelClassifier

        return ElectraMultiLabelClassifier(electra_config)

    def loss(self, logits: Tensor, batch: ClassificationBatch) -> Tensor:
        from electra_paddle.models.task_losses import multi_label_loss

        return multi_label_loss(logits, batch.labels, batch.weights)

    def row_losses(self, batch: ClassificationBatch, output: ClassificationOutput) -> Tensor:
        from electra_paddle.models.task_losses import multi_label_losses

        return multi_label_losses(output.logits, batch.labels)

    def divergence(
        self, batch: ClassificationBatch, first: ClassificationOutput, second: ClassificationOutput
    ) -> Tensor:
        from electra_paddle.models.task_losses import sigmoid_divergence

        is_known = (batch.labels[:, 0] >= 0).astype("float32")  # [B]
        return sigmoid_divergence(first.logits, second.logits, is_known, batch.weights)

    def mean(self, logits: Sequence[Tensor]) -> Tensor:
        from electra_paddle.models.ensemble import mean_of_sigmoid

        return mean_of_sigmoid(logits)  # [B, C]

    def exported_answers(self, batch: ClassificationBatch, outputs: Mapping[str, Array]) -> list[Array]:
        return list(logit(outputs["probabilities"].astype(np.float64)))

    def prediction(self, logits: Array) -> MultiLabelPrediction:
        return self.decide(MultiLabelPrediction((), sigmoid(logits)))

    def decide(self, prediction: MultiLabelPrediction) -> MultiLabelPrediction:
        (ids,) = np.nonzero(prediction.probabilities >= self.threshold)
        return prediction._replace(labels=tuple(ids.tolist()))

    def choose(self, examples: Sequence[TextExample], predictions: Sequence[MultiLabelPrediction]) -> dict[str, Any]:
        probabilities = np.stack([prediction.probabilities for prediction in predictions])  # [N, C]
        return {"threshold": best_threshold(probabilities, self._sets(examples, predictions)[0])}

    def score(self, examples: Sequence[TextExample], predictions: Sequence[MultiLabelPrediction]) -> dict[str, float]:
        return label_set_scores(self.reported, *self._sets(examples, predictions))

    def cells(self, prediction: MultiLabelPrediction) -> dict[str, str]:
        cells = {"label": str(self.description.label_separator).join(self._names(prediction.labels))}
        if self.config.write_probabilities:
            cells |= probability_cells(self.description.classes, prediction.probabilities)
        return cells

    def gold(self, example: TextExample) -> Any:
        return None if example.label is None else self._names(example.label)

    def verdict(self, example: TextExample, prediction: MultiLabelPrediction) -> Verdict:
        names, right, given = self.description.classes, {*example.label}, {*prediction.labels}
        certainties = np.maximum(prediction.probabilities, 1 - prediction.probabilities).tolist()
        missed, wrong = sorted(right - given), sorted(given - right)
        confusions = [(names[each], NOTHING) for each in missed] + [(NOTHING, names[each]) for each in wrong]
        if len(missed) == len(wrong) == 1:
            confusions = [(names[missed[0]], names[wrong[0]])]
        decisions = [(certainty, number not in right ^ given) for number, certainty in enumerate(certainties)]
        severity = max((certainties[number] for number in right ^ given), default=0.0)
        groups = [(names[number], number in given) for number in sorted(right)]
        return Verdict(right == given, severity, groups, confusions, decisions)

    def write_report(
        self, stem: Path, examples: Sequence[TextExample], predictions: Sequence[MultiLabelPrediction]
    ) -> list[Path]:
        """Precision and recall of each label, and a picture of what other thresholds would give."""
        from electra_paddle.finetuning.pictures import save_figure, threshold_figure

        gold, predicted = self._sets(examples, predictions)
        paths = [Path(f"{stem}_labels.tsv"), Path(f"{stem}_thresholds.png")]
        replace_text(paths[0], label_table(self.description.classes, gold, predicted))
        probabilities = np.stack([prediction.probabilities for prediction in predictions])  # [N, C]
        save_figure(threshold_figure(probabilities, gold, self.threshold), paths[1])
        return paths

    def output(self, example: TextExample, prediction: MultiLabelPrediction, wanted: Wanted) -> dict[str, Any]:
        probabilities = prediction.probabilities.tolist()
        columns = {
            "labels": self._names(prediction.labels),
            "scores": [probabilities[number] for number in prediction.labels],
        }
        return columns | further_columns(self.description.classes, probabilities, wanted)

    def plain(self, prediction: MultiLabelPrediction, with_probabilities: bool = False) -> Any:
        """The list of labels, or with probabilities (list of labels, {label: probability})."""
        labels = self._names(prediction.labels)
        if not with_probabilities:
            return labels
        return labels, dict(zip(self.description.classes, prediction.probabilities.tolist(), strict=True))

    def _names(self, ids: Iterable[int]) -> list[str]:
        return [self.description.classes[number] for number in ids]

    def _sets(
        self, examples: Sequence[TextExample], predictions: Sequence[MultiLabelPrediction]
    ) -> tuple[Array, Array]:
        """(right labels, predicted labels), each [N, C], True where a text has a label."""
        size = len(self.description.classes)
        return (
            as_sets([example.label for example in examples], size),
            as_sets([prediction.labels for prediction in predictions], size),
        )


def as_sets(rows: Sequence[Sequence[int]], size: int) -> Array:
    """Booleans [N, C] of N rows of ids."""
    sets = np.zeros((len(rows), size), bool)
    for marks, ids in zip(sets, rows, strict=True):
        marks[list(ids)] = True
    return sets


def sigmoid(logits: Array) -> Array:
    """Probabilities of logits [C], float64, one by one."""
    return np.exp(-np.logaddexp(0, -logits))
