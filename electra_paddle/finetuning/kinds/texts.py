"""What kinds have in common that answer for a text or a pair of texts as a whole. Shapes: B batch, L sequence."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple

import numpy as np

from electra_paddle.batch import ClassificationBatch, ClassificationOutput
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.files import replace_text
from electra_paddle.finetuning.formats import Row, read_rows
from electra_paddle.finetuning.kinds.base import Prediction, TaskKind, share_cut
from electra_paddle.text import encode_pair, encode_windows, pad

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer

    from electra_paddle.arrays import Array
    from electra_paddle.config import FinetuningConfig
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.features import Features
    from electra_paddle.finetuning.prediction import Wanted
    from electra_paddle.finetuning.problems import Problems
    from electra_paddle.text import Tokenizer


class TextExample(NamedTuple):
    """One text or pair with what is right for it."""

    id: str
    where: str  # file and line
    text_a: str
    text_b: str | None
    label: Any  # of the kind's own type; its `no_label` where the file has none


class TextFeature(NamedTuple):
    """One sequence with special tokens."""

    example: int  # its number
    input_ids: list[int] | Array  # [L]
    second: int  # where the second segment begins; the length if there is none
    label: Any  # the example's, see `target`


class TextKind(
    TaskKind[TextExample, TextFeature, ClassificationBatch, ClassificationOutput, "Array", Prediction],
    Generic[Prediction],
):
    """A head on [CLS] whose output is one row for each text or pair.

    Attributes:
        no_label: what an example has instead of a label where its file has none.
    """

    feature_class = TextFeature
    no_label: ClassVar[Any] = None

    def __init__(self, description: TaskDescription, config: FinetuningConfig) -> None:
        super().__init__(description, config)
        if config.long_texts == "windows":
            if "text_b" in description.columns:
                raise ConfigError("long_texts", "windows for pairs of texts", "cut", "windows are of one text")
            self.settings = (*self.settings, "long_texts", "doc_stride")
            self.reads_in_parts = True

    @abc.abstractmethod
    def label_of(self, row: Row, layout: TaskDescription, problems: Problems) -> Any:
        """The label that a row's cell says; None for one that this kind does not take, which goes to `problems`."""

    def target(self, label: Any) -> Any:
        """A label as features hold it: a number, or any number of ids."""
        return label

    @abc.abstractmethod
    def targets(self, labels: Sequence[Any]) -> Array:
        """The features' labels of a batch as one array."""

    @abc.abstractmethod
    def loss(self, logits: Tensor, batch: ClassificationBatch) -> Tensor:
        """The weighted sum over the batch's rows."""

    def training_loss(self, logits: Tensor, batch: ClassificationBatch) -> Tensor:
        """`loss` as it is trained with, where that differs."""
        return self.loss(logits, batch)

    @abc.abstractmethod
    def mean(self, logits: Sequence[Tensor]) -> Tensor:
        """Logits that say what several networks say together."""

    @abc.abstractmethod
    def prediction(self, logits: Array) -> Prediction:
        """The prediction for one example."""

    @abc.abstractmethod
    def cells(self, prediction: Prediction) -> dict[str, str]:
        """Name -> cell of each column that a file of predictions has beside the id."""

    def read(self, path: Path, split: str, problems: Problems) -> list[TextExample]:
        needs_label = split in ("train", "dev")
        layout = self.description.of_split(split)
        examples: list[TextExample] = []
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

    def _example(self, row: Row, layout: TaskDescription, problems: Problems, number: int) -> TextExample | None:
        """The example of a Row; None for a bad one."""
        text_a, text_b = row.cells["text_a"], row.cells.get("text_b")
        if not text_a.strip() or (text_b is not None and not text_b.strip()):
            problems.add(row.where, "an empty text", "text in every column of texts")
            return None
        label = self.no_label
        if "label" in row.cells or row.labels is not None:
            label = self.label_of(row, layout, problems)
            if label is None:
                return None
        return TextExample(row.cells.get("id", str(number)), row.where, text_a, text_b, label)

    def is_labelled(self, examples: Sequence[TextExample]) -> bool:
        return bool(examples[0].label != self.no_label)

    def featurize(self, number: int, example: TextExample, tokenizer: Tokenizer) -> list[TextFeature]:
        if self.config.long_texts == "windows":
            parts = encode_windows(tokenizer, example.text_a, self.config.max_seq_length, self.config.doc_stride)
            return [TextFeature(number, ids, second, self.target(example.label)) for ids, second in parts]
        ids, second = encode_pair(tokenizer, example.text_a, example.text_b, self.config.max_seq_length)
        return [TextFeature(number, ids, second, self.target(example.label))]

    def note_on_cuts(self, examples: Sequence[TextExample], features: Features, tokenizer: Tokenizer) -> str:
        most = self.config.max_seq_length
        if self.config.long_texts == "windows":
            return ""
        full = [examples[number] for number in features.columns["example"][features.lengths == most]]
        lengths = [sum(len(tokenizer.encode(text)) for text in self.texts(example) if text) for example in full]
        room = most - (3 if "text_b" in self.description.columns else 2)
        cut = share_cut(sum(length > room for length in lengths), examples, "texts")
        advice = "a longer max_seq_length" + ("" if "text_b" in self.description.columns else " or long_texts windows")
        return cut and f"{cut} are longer than max_seq_length {most} and lose their end; {advice} reads more"

    def collate(self, features: Sequence[TextFeature], length: int | None = None) -> ClassificationBatch:
        tokens = pad([(feature.input_ids, feature.second) for feature in features], length)
        labels = self.targets([feature.label for feature in features])
        return ClassificationBatch(*tokens, labels, np.ones(len(features), np.float32))

    def forward(self, network: Layer, batch: ClassificationBatch) -> ClassificationOutput:
        logits = network(batch.input_ids, batch.token_type_ids, batch.attention_mask)  # [B, ...]
        return ClassificationOutput((self.training_loss if network.training else self.loss)(logits, batch), logits)

    def combine(self, batch: ClassificationBatch, outputs: Sequence[ClassificationOutput]) -> ClassificationOutput:
        logits = self.mean([output.logits for output in outputs])  # [B, ...]
        return ClassificationOutput(self.loss(logits, batch), logits)

    def answers(self, batch: ClassificationBatch, output: ClassificationOutput) -> list[Array]:
        return list(output.logits.astype("float64").numpy())

    def predict(
        self,
        examples: Sequence[TextExample],
        features: Iterable[TextFeature],
        answers: Iterable[Array],
        tokenizer: Tokenizer,
    ) -> list[Prediction]:
        if self.config.long_texts == "cut":
            return [self.prediction(logits) for logits in answers]
        of_windows: list[list[Array]] = [[] for _ in examples]
        for feature, logits in zip(features, answers, strict=True):
            of_windows[feature.example].append(logits)
        return [self.prediction(np.mean(logits, axis=0)) for logits in of_windows]

    def write_predictions(
        self,
        output_dir: Path,
        split: str,
        trial: int | str,
        examples: Sequence[TextExample],
        predictions: Sequence[Prediction],
    ) -> list[Path]:
        rows = [
            {"id": example.id, **self.cells(prediction)}
            for example, prediction in zip(examples, predictions, strict=True)
        ]
        lines = ["\t".join(cells) for cells in (rows[0], *(row.values() for row in rows))]
        path = output_dir / "test_predictions" / f"{self.description.name}_{split}_{trial}_predictions.tsv"
        replace_text(path, "\n".join(lines) + "\n")
        return [path]

    def texts(self, example: TextExample) -> tuple[str, ...]:
        return example.text_a, example.text_b or ""

    @property
    def inputs(self) -> tuple[str, ...]:
        return ("text_a", "text_b") if "text_b" in self.description.columns else ("text_a",)

    def example(self, number: int, given: Any) -> TextExample:
        """Make an example of a text, or of a pair of texts."""
        texts = tuple(given) if isinstance(given, (list, tuple)) else (given,)
        num_texts = 2 if "text_b" in self.description.columns else 1
        if len(texts) != num_texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise DataError(f"texts[{number}]", repr(given), "a text" if num_texts == 1 else "a pair of texts")
        text_b = texts[1] if num_texts == 2 else None
        return TextExample(str(number), f"texts[{number}]", texts[0], text_b, self.no_label)


def probability_cells(labels: Sequence[str], probabilities: Iterable[float]) -> dict[str, str]:
    """Name -> cell of a column for each label."""
    pairs = zip(labels, probabilities, strict=True)
    return {f"probability_{label}": f"{probability:.6f}" for label, probability in pairs}


def further_columns(labels: Sequence[str], probabilities: Sequence[float], wanted: Wanted) -> dict[str, Any]:
    """What a predicted row gets beside its answer: the most probable labels, and the probabilities of all."""
    columns: dict[str, Any] = {}
    if wanted.top_k:
        best = sorted(zip(labels, probabilities, strict=True), key=lambda pair: -pair[1])[: wanted.top_k]
        columns["top_k"] = [{"label": label, "score": score} for label, score in best]
    if wanted.with_probabilities:
        columns |= {f"probability_{label}": score for label, score in zip(labels, probabilities, strict=True)}
    return columns
