"""Classes of texts and of pairs of texts. Shapes: B batch, L sequence, C classes."""

from typing import Any, NamedTuple

import numpy as np

from electra_paddle.batch import ClassificationBatch, ClassificationOutput
from electra_paddle.errors import DataError
from electra_paddle.files import replace_text
from electra_paddle.finetuning.description import one_of
from electra_paddle.finetuning.formats import read_rows
from electra_paddle.finetuning.kinds.base import TaskKind
from electra_paddle.text import encode_pair, pad


class ClassificationExample(NamedTuple):
    """One text or pair with its class."""

    id: str
    where: str  # file and line
    text_a: str
    text_b: Any  # text, or None
    label: int  # id of the class; -1 where the file has no labels


class ClassificationFeature(NamedTuple):
    """One sequence with special tokens."""

    example: int  # its number
    input_ids: Any  # [L]
    second: int  # where the second segment begins; the length if there is none
    label: int


class ClassificationPrediction(NamedTuple):
    """The most probable class, and all probabilities."""

    label: int
    probabilities: Any  # [C] float64


class Classification(TaskKind):
    """A dense layer on [CLS]; cross entropy."""

    Feature = ClassificationFeature
    metrics = ("accuracy",)

    def find_labels(self, path, problems):
        layout = self.description.of_split("train")
        found = {row.cells["label"] for row in read_rows(path, layout, True, problems)}
        return tuple(sorted({layout.aliases.get(label, label) for label in found}))

    def read(self, path, split, problems):
        needs_label = split in ("train", "dev")
        layout = self.description.of_split(split)
        examples, seen = [], {}
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

    def _example(self, row, layout, problems, number):
        """The example of a Row; None for a bad one."""
        texts = [row.cells.get(name) for name in ("text_a", "text_b")]
        if any(text is not None and not text.strip() for text in texts):
            problems.add(row.where, "an empty text", "text in every column of texts")
            return None
        label = -1
        if "label" in row.cells:
            label = layout.label_id(row.cells["label"])
            if label is None:
                problems.add(row.where, f"label {row.cells['label']!r}", one_of(layout.labels))
                return None
        return ClassificationExample(row.cells.get("id", str(number)), row.where, *texts, label)

    def is_labelled(self, examples):
        return examples[0].label >= 0

    def featurize(self, number, example, tokenizer):
        ids, second = encode_pair(tokenizer, example.text_a, example.text_b, self.config.max_seq_length)
        return [ClassificationFeature(number, ids, second, example.label)]

    def build_network(self, electra_config):
        from electra_paddle.models.heads import ElectraClassifier

        return ElectraClassifier(electra_config)

    def collate(self, features, length=None):
        tokens = pad([(feature.input_ids, feature.second) for feature in features], length)
        labels = np.array([feature.label for feature in features], np.int64)
        return ClassificationBatch(*tokens, labels, np.ones(len(features), np.float32))

    def forward(self, network, batch):
        from electra_paddle.models.heads import classification_loss

        logits = network(batch.input_ids, batch.token_type_ids, batch.attention_mask)  # [B, C]
        return ClassificationOutput(classification_loss(logits, batch.labels, batch.weights), logits)

    def training_metrics(self, batch, output):
        import paddle

        with paddle.no_grad():
            right = (paddle.argmax(output.logits, axis=-1) == batch.labels).astype("float32")  # [B]
            accuracy = (right * batch.weights).sum() / batch.weights.sum().clip(min=1.0)
        return {**super().training_metrics(batch, output), "accuracy": accuracy}

    def answers(self, batch, output):
        return list(output.logits.astype("float64").numpy())

    def predict(self, examples, features, answers):
        return [ClassificationPrediction(int(np.argmax(logits)), softmax(logits)) for logits in answers]

    def score(self, examples, predictions):
        right = sum(
            example.label == prediction.label for example, prediction in zip(examples, predictions, strict=True)
        )
        return {"accuracy": 100 * right / len(examples)}

    def write_predictions(self, output_dir, split, trial, examples, predictions):
        labels = self.description.labels
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

    def write_report(self, stem, examples, predictions):
        """Precision and recall of each class, and a picture of which was taken for which."""
        from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

        from electra_paddle.finetuning.pictures import confusion_figure, save_figure

        labels = self.description.labels
        answers = [example.label for example in examples], [prediction.label for prediction in predictions]
        numbers = list(range(len(labels)))
        columns = precision_recall_fscore_support(*answers, labels=numbers, zero_division=0)
        rows = [
            f"{label}\t{100 * precision:.2f}\t{100 * recall:.2f}\t{100 * f1:.2f}\t{count}"
            for label, precision, recall, f1, count in zip(labels, *columns, strict=True)
        ]
        paths = [f"{stem}_classes.tsv", f"{stem}_confusion.png"]
        replace_text(paths[0], "\n".join(["label\tprecision\trecall\tf1\texamples", *rows]) + "\n")
        matrix = confusion_matrix(*answers, labels=numbers)  # [C, C]
        save_figure(confusion_figure(matrix, labels), paths[1])
        return paths

    def example(self, number, given):
        """Of a text, or of a pair of texts."""
        texts = tuple(given) if isinstance(given, (list, tuple)) else (given,)
        num_texts = 2 if "text_b" in self.description.columns else 1
        if len(texts) != num_texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise DataError(f"texts[{number}]", repr(given), "a text" if num_texts == 1 else "a pair of texts")
        return ClassificationExample(str(number), f"texts[{number}]", *(*texts, None)[:2], -1)

    def plain(self, prediction, with_probabilities=False):
        """The label, or with probabilities (label, {label: probability})."""
        label = self.description.labels[prediction.label]
        if not with_probabilities:
            return label
        return label, dict(zip(self.description.labels, prediction.probabilities.tolist(), strict=True))


def softmax(logits):
    """Probabilities of logits [C]."""
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()
