"""Classes of texts and of pairs of texts. Shapes: B batch, L sequence, C classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from electra_paddle.batch import ClassificationBatch, ClassificationOutput
from electra_paddle.errors import DataError
from electra_paddle.files import replace_text
from electra_paddle.finetuning.description import TaskDescription, one_of
from electra_paddle.finetuning.formats import Row, read_rows
from electra_paddle.finetuning.kinds.base import TaskKind
from electra_paddle.finetuning.labels import labels_of
from electra_paddle.text import encode_pair, pad

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.finetuning.problems import Problems
    from electra_paddle.text import Tokenizer


class ClassificationExample(NamedTuple):
    """One text or pair with its class."""

    id: str
    where: str  # file and line
    text_a: str
    text_b: str | None
    label: int  # id of the class; -1 where the file has no labels


class ClassificationFeature(NamedTuple):
    """One sequence with special tokens."""

    example: int  # its number
    input_ids: list[int] | Array  # [L]
    second: int  # where the second segment begins; the length if there is none
    label: int


class ClassificationPrediction(NamedTuple):
    """The most probable class, and all probabilities."""

    label: int
    probabilities: Array  # [C] float64


class Classification(
    TaskKind[
        ClassificationExample,
        ClassificationFeature,
        ClassificationBatch,
        ClassificationOutput,
        "Array",  # logits [C]
        ClassificationPrediction,
    ]
):
    """A dense layer on [CLS]; cross entropy."""

    feature_class = ClassificationFeature
    metrics = ("accuracy",)

    def find_labels(self, path: Path, problems: Problems) -> tuple[str, ...]:
        layout = self.description.of_split("train")
        rows = read_rows(path, layout, True, problems)
        return labels_of(((row.where, row.cells["label"]) for row in rows), layout, path)

    def read(self, path: Path, split: str, problems: Problems) -> list[ClassificationExample]:
        needs_label = split in ("train", "dev")
        layout = self.description.of_split(split)
        examples: list[ClassificationExample] = []
        seen: dict[str, str] = {}  # id -> where
        for row in read_rows(path, layout, needs_label, problems):
            if layout.language and row.cells.get("language", layout.language) != layout.language:
                problems.left_out[f"in other languages than {layout.language!r} left out"] += 1
                continue
            example = self._example(row, layout, problems, len(examples))
            if example and example.id in seen:
                problems.add(row.where, f"id {example.id!r}, as in {seen[example.id]}", "each id once")
            elif example:
                seen[example.id] = row.where
                examples.append(example)
        return examples

    def _example(
        self, row: Row, layout: TaskDescription, problems: Problems, number: int
    ) -> ClassificationExample | None:
        """The example of a Row; None for a bad one."""
        text_a, text_b = row.cells["text_a"], row.cells.get("text_b")
        if not text_a.strip() or (text_b is not None and not text_b.strip()):
            problems.add(row.where, "an empty text", "text in every column of texts")
            return None
        label = layout.label_id(row.cells["label"]) if "label" in row.cells else -1
        if label is None:
            problems.add(row.where, f"label {row.cells['label']!r}", one_of(layout.classes))
            return None
        return ClassificationExample(row.cells.get("id", str(number)), row.where, text_a, text_b, label)

    def is_labelled(self, examples: Sequence[ClassificationExample]) -> bool:
        return examples[0].label >= 0

    def count_labels(self, examples: Sequence[ClassificationExample]) -> dict[str, int]:
        counts = Counter(example.label for example in examples)
        return {label: counts[number] for number, label in enumerate(self.description.classes)}

    def featurize(
        self, number: int, example: ClassificationExample, tokenizer: Tokenizer
    ) -> list[ClassificationFeature]:
        ids, second = encode_pair(tokenizer, example.text_a, example.text_b, self.config.max_seq_length)
        return [ClassificationFeature(number, ids, second, example.label)]

    def build_network(self, electra_config: ElectraConfig) -> Layer:
        from electra_paddle.models.heads import ElectraClassifier

        return ElectraClassifier(electra_config)

    def collate(self, features: Sequence[ClassificationFeature], length: int | None = None) -> ClassificationBatch:
        tokens = pad([(feature.input_ids, feature.second) for feature in features], length)
        labels = np.array([feature.label for feature in features], np.int64)
        return ClassificationBatch(*tokens, labels, np.ones(len(features), np.float32))

    def forward(self, network: Layer, batch: ClassificationBatch) -> ClassificationOutput:
        from electra_paddle.models.heads import classification_loss

        logits = network(batch.input_ids, batch.token_type_ids, batch.attention_mask)  # [B, C]
        return ClassificationOutput(classification_loss(logits, batch.labels, batch.weights), logits)

    def training_metrics(self, batch: ClassificationBatch, output: ClassificationOutput) -> dict[str, Tensor]:
        import paddle

        with paddle.no_grad():
            right = (paddle.argmax(output.logits, axis=-1) == batch.labels).astype("float32")  # [B]
            accuracy = (right * batch.weights).sum() / batch.weights.sum().clip(min=1.0)
        return {**super().training_metrics(batch, output), "accuracy": accuracy}

    def answers(self, batch: ClassificationBatch, output: ClassificationOutput) -> list[Array]:
        return list(output.logits.astype("float64").numpy())

    def predict(
        self,
        examples: Sequence[ClassificationExample],
        features: Iterable[ClassificationFeature],
        answers: Iterable[Array],
        tokenizer: Tokenizer,
    ) -> list[ClassificationPrediction]:
        return [ClassificationPrediction(int(np.argmax(logits)), softmax(logits)) for logits in answers]

    def score(
        self, examples: Sequence[ClassificationExample], predictions: Sequence[ClassificationPrediction]
    ) -> dict[str, float]:
        right = sum(
            example.label == prediction.label for example, prediction in zip(examples, predictions, strict=True)
        )
        return {"accuracy": 100 * right / len(examples)}

    def write_predictions(
        self,
        output_dir: Path,
        split: str,
        trial: int | str,
        examples: Sequence[ClassificationExample],
        predictions: Sequence[ClassificationPrediction],
    ) -> list[Path]:
        labels = self.description.classes
        names = ["id", "label", *(f"probability_{label}" for label in labels if self.config.write_probabilities)]
        lines = ["\t".join(names)]
        for example, prediction in zip(examples, predictions, strict=True):
            cells = [example.id, labels[prediction.label]]
            if self.config.write_probabilities:
                cells += [f"{probability:.6f}" for probability in prediction.probabilities]
            lines.append("\t".join(cells))
        path = output_dir / "test_predictions" / f"{self.description.name}_{split}_{trial}_predictions.tsv"
        replace_text(path, "\n".join(lines) + "\n")
        return [path]

    def gold(self, example: ClassificationExample) -> Any:
        return self.description.classes[example.label] if example.label >= 0 else None

    def stratum(self, example: ClassificationExample) -> Hashable:
        return example.label

    def combine(self, batch: ClassificationBatch, outputs: Sequence[ClassificationOutput]) -> ClassificationOutput:
        from electra_paddle.models.ensemble import mean_of_softmax
        from electra_paddle.models.heads import classification_loss

        logits = mean_of_softmax([output.logits for output in outputs])  # [B, C]
        return ClassificationOutput(classification_loss(logits, batch.labels, batch.weights), logits)

    def write_report(
        self, stem: Path, examples: Sequence[ClassificationExample], predictions: Sequence[ClassificationPrediction]
    ) -> list[Path]:
        """Precision and recall of each class, and a picture of which was taken for which."""
        from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

        from electra_paddle.finetuning.pictures import confusion_figure, save_figure

        labels = self.description.classes
        answers = [example.label for example in examples], [prediction.label for prediction in predictions]
        numbers = list(range(len(labels)))
        columns = precision_recall_fscore_support(*answers, labels=numbers, zero_division=0)
        rows = [
            f"{label}\t{100 * precision:.2f}\t{100 * recall:.2f}\t{100 * f1:.2f}\t{count}"
            for label, precision, recall, f1, count in zip(labels, *columns, strict=True)
        ]
        paths = [Path(f"{stem}_classes.tsv"), Path(f"{stem}_confusion.png")]
        replace_text(paths[0], "\n".join(["label\tprecision\trecall\tf1\texamples", *rows]) + "\n")
        matrix = confusion_matrix(*answers, labels=numbers)  # [C, C]
        save_figure(confusion_figure(matrix, labels), paths[1])
        return paths

    def example(self, number: int, given: Any) -> ClassificationExample:
        """Make an example of a text, or of a pair of texts."""
        texts = tuple(given) if isinstance(given, (list, tuple)) else (given,)
        num_texts = 2 if "text_b" in self.description.columns else 1
        if len(texts) != num_texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise DataError(f"texts[{number}]", repr(given), "a text" if num_texts == 1 else "a pair of texts")
        return ClassificationExample(
            str(number), f"texts[{number}]", texts[0], texts[1] if num_texts == 2 else None, -1
        )

    def plain(self, prediction: ClassificationPrediction, with_probabilities: bool = False) -> Any:
        """The label, or with probabilities (label, {label: probability})."""
        label = self.description.classes[prediction.label]
        if not with_probabilities:
            return label
        return label, dict(zip(self.description.classes, prediction.probabilities.tolist(), strict=True))


def softmax(logits: Array) -> Array:
    """Probabilities of logits [C]."""
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()
