"""The right one of several choices. Shapes: B questions of a batch, C choices, L sequence."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from electra_paddle.batch import ChoiceBatch, ClassificationOutput, TokenBatch
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.files import replace_text
from electra_paddle.finetuning.analysis import Verdict
from electra_paddle.finetuning.formats import Row, read_rows
from electra_paddle.finetuning.kinds.base import TaskKind, share_cut
from electra_paddle.models.probabilities import softmax
from electra_paddle.text import pad
from electra_paddle.text.choices import encode_choices, split_choices

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.config import FinetuningConfig
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.features import Features
    from electra_paddle.finetuning.prediction import Wanted
    from electra_paddle.finetuning.problems import Problems
    from electra_paddle.text import Tokenizer

LETTERS = "ABCDEFGHIJ"
ABSENT = -1e4  # logit of the places of choices that a question does not have
NO_TOKENS = ([0], 1)  # a sequence in their place


class ChoiceExample(NamedTuple):
    """A text, perhaps a question about it, and choices, of which one is right."""

    id: str
    where: str  # file and line
    text_a: str
    text_b: str | None
    choices: tuple[str, ...]
    label: int  # number of the right one from 0; -1 where the file does not say it


class ChoiceFeature(NamedTuple):
    """The sequences of a question's choices, end to end."""

    example: int  # its number
    input_ids: list[int] | Array
    lengths: list[int] | Array  # [C] tokens of each choice's sequence
    seconds: list[int] | Array  # [C] where the second segment begins in it
    label: int


class ChoicePrediction(NamedTuple):
    """The most probable choice, and the probabilities of all."""

    choice: int
    probabilities: Array  # [C] float64
    choices: tuple[str, ...]


class MultipleChoice(
    TaskKind[ChoiceExample, ChoiceFeature, ChoiceBatch, ClassificationOutput, "Array", ChoicePrediction]
):
    """A score for each choice by a dense layer on [CLS]; cross entropy over the choices of a question."""

    feature_class = ChoiceFeature
    wanted = ("with_probabilities", "top_k")
    metrics = ("accuracy",)
    training_options = ("r_drop_alpha",)

    def __init__(self, description: TaskDescription, config: FinetuningConfig) -> None:
        super().__init__(description, config)
        if config.long_texts == "windows":
            raise ConfigError("long_texts", "windows for multiple choice", "cut", "windows are of one text")

    def read(self, path: Path, split: str, problems: Problems) -> list[ChoiceExample]:
        layout = self.description.of_split(split)
        rows = [
            (row, choices)
            for row in read_rows(path, layout, split in ("train", "dev"), problems)
            if (choices := self._choices_of(row, problems))
        ]
        labels = [row.cells["label"].strip() for row, _ in rows if "label" in row.cells]
        base = number_base(labels, max((len(choices) for _, choices in rows), default=0), path)
        if base == 1:
            problems.note(f"{path}: right answers are numbers from 1 on")
        examples: list[ChoiceExample] = []
        seen: dict[str, str] = {}  # id -> where
        for row, choices in rows:
            label, name = -1, row.cells.get("id", str(len(examples)))
            if "label" in row.cells:
                found = number_of(row.cells["label"].strip(), choices, base)
                if found is None:
                    expected = "the text, the letter or the number of one of its choices"
                    problems.add(row.where, f"right answer {row.cells['label']!r}", expected)
                    continue
                label = found
            if name in seen:
                problems.add(row.where, f"id {name!r}, as in {seen[name]}", "each id once")
                continue
            seen[name] = row.where
            texts = row.cells["text_a"], row.cells.get("text_b")
            examples.append(ChoiceExample(name, row.where, *texts, choices, label))
        return examples

    def _choices_of(self, row: Row, problems: Problems) -> tuple[str, ...]:
        """A row's choices; () for a bad one."""
        if "choices" in row.cells:
            choices = split_choices(row.cells["choices"])
        else:
            names = sorted((name for name in row.cells if name.startswith("choice_")), key=lambda name: int(name[7:]))
            choices = tuple(row.cells[name].strip() for name in names)
            while choices and not choices[-1]:  # fewer than other rows have
                choices = choices[:-1]
        if len(choices) < 2 or not all(choice.strip() for choice in choices):
            problems.add(row.where, f"choices {', '.join(map(repr, choices))}", "two at least, none of them empty")
            return ()
        if not row.cells["text_a"].strip():
            problems.add(row.where, "an empty text", "text in text_a")
            return ()
        return choices

    def is_labelled(self, examples: Sequence[ChoiceExample]) -> bool:
        return examples[0].label >= 0

    def featurize(self, number: int, example: ChoiceExample, tokenizer: Tokenizer) -> list[ChoiceFeature]:
        rows = self._encode(example, tokenizer, self.config.max_seq_length)
        ids, lengths = [token for row, _ in rows for token in row], [len(row) for row, _ in rows]
        return [ChoiceFeature(number, ids, lengths, [second for _, second in rows], example.label)]

    @staticmethod
    def _encode(example: ChoiceExample, tokenizer: Tokenizer, length: int = 1 << 30) -> list[tuple[list[int], int]]:
        return encode_choices(tokenizer, example.text_a, example.text_b, example.choices, length)

    def note_on_cuts(self, examples: Sequence[ChoiceExample], features: Features, tokenizer: Tokenizer) -> str:
        most = self.config.max_seq_length
        longest = np.maximum.reduceat(features.columns["lengths"], features.columns["lengths.bounds"][:-1])  # [N]
        full = [examples[number] for number in features.columns["example"][longest == most]]
        count = sum(max(len(ids) for ids, _ in self._encode(each, tokenizer)) > most for each in full)
        cut = share_cut(count, examples, "questions")
        return cut and f"{cut} are longer than max_seq_length {most} with a choice, and lose the end of their text"

    def build_network(self, electra_config: ElectraConfig) -> Layer:
        from electra_paddle.models.heads import ElectraChoiceScorer

        return ElectraChoiceScorer(electra_config)

    def collate(self, features: Sequence[ChoiceFeature], length: int | None = None) -> ChoiceBatch:
        most = max(len(feature.lengths) for feature in features)
        rows: list[tuple[Any, int]] = []
        is_choice = np.zeros((len(features), most), np.float32)  # [B, C]
        for marks, feature in zip(is_choice, features, strict=True):
            parts = np.split(np.asarray(feature.input_ids), np.cumsum(feature.lengths)[:-1])
            marks[: len(parts)] = 1
            rows += [*zip(parts, feature.seconds, strict=True), *[NO_TOKENS] * (most - len(parts))]
        tokens = TokenBatch(*(array.reshape(len(features), most, -1) for array in pad(rows, length)))  # [B, C, L]
        labels = np.array([feature.label for feature in features], np.int64)
        return ChoiceBatch(*tokens, is_choice, labels, np.ones(len(features), np.float32))

    def forward(self, network: Layer, batch: ChoiceBatch) -> ClassificationOutput:
        num_rows, num_choices, _ = batch.input_ids.shape
        tokens = (array.flatten(0, 1) for array in batch[:3])  # [B * C, L]
        scores = network(*tokens).reshape([num_rows, num_choices]).astype("float32")
        return self._output(scores * batch.is_choice + ABSENT * (1 - batch.is_choice), batch)

    def _output(self, logits: Tensor, batch: ChoiceBatch) -> ClassificationOutput:
        from electra_paddle.models.task_losses import classification_loss

        return ClassificationOutput(classification_loss(logits, batch.labels, batch.weights), logits)

    def row_losses(self, batch: ChoiceBatch, output: ClassificationOutput) -> Tensor:
        from electra_paddle.models.task_losses import classification_losses

        return classification_losses(output.logits, batch.labels)

    def divergence(self, batch: ChoiceBatch, first: ClassificationOutput, second: ClassificationOutput) -> Tensor:
        from electra_paddle.models.task_losses import softmax_divergence

        is_known = (batch.labels >= 0).astype("float32")
        return softmax_divergence(first.logits, second.logits, is_known, batch.weights)

    def combine(self, batch: ChoiceBatch, outputs: Sequence[ClassificationOutput]) -> ClassificationOutput:
        from electra_paddle.models.ensemble import mean_of_softmax

        return self._output(mean_of_softmax([output.logits for output in outputs]), batch)

    def answers(self, batch: ChoiceBatch, output: ClassificationOutput) -> list[Array]:
        return own_places(output.logits.astype("float64").numpy(), batch)

    def tokens_of(self, batch: ChoiceBatch) -> TokenBatch:
        return TokenBatch(*(array.reshape(-1, array.shape[-1]) for array in batch[:3]))

    def exported_answers(self, batch: ChoiceBatch, outputs: Mapping[str, Array]) -> list[Array]:
        return own_places(outputs["scores"].astype(np.float64).reshape(np.shape(batch.is_choice)), batch)

    def predict(
        self,
        examples: Sequence[ChoiceExample],
        features: Iterable[ChoiceFeature],
        answers: Iterable[Array],
        tokenizer: Tokenizer,
    ) -> list[ChoicePrediction]:
        return [
            ChoicePrediction(int(np.argmax(logits)), softmax(logits), example.choices)
            for example, logits in zip(examples, answers, strict=True)
        ]

    def score(self, examples: Sequence[ChoiceExample], predictions: Sequence[ChoicePrediction]) -> dict[str, float]:
        right = sum(example.label == row.choice for example, row in zip(examples, predictions, strict=True))
        return {"accuracy": 100 * right / len(examples)}

    def write_predictions(
        self,
        output_dir: Path,
        split: str,
        trial: int | str,
        examples: Sequence[ChoiceExample],
        predictions: Sequence[ChoicePrediction],
    ) -> list[Path]:
        more = ["probabilities"] if self.config.write_probabilities else []
        rows = [["id", "label", *more]]
        for example, row in zip(examples, predictions, strict=True):
            numbers = [" ".join(f"{number:.6f}" for number in row.probabilities)] if more else []
            rows.append([example.id, str(row.choice), *numbers])
        path = output_dir / "test_predictions" / f"{self.description.name}_{split}_{trial}_predictions.tsv"
        replace_text(path, "".join("\t".join(row) + "\n" for row in rows))
        return [path]

    def texts(self, example: ChoiceExample) -> tuple[str, ...]:
        texts = (example.text_a,) if example.text_b is None else (example.text_a, example.text_b)
        return (*texts, " | ".join(example.choices))

    @property
    def inputs(self) -> tuple[str, ...]:
        return ("text_a", "text_b", "choices") if "text_b" in self.description.columns else ("text_a", "choices")

    def example(self, number: int, given: Any) -> ChoiceExample:
        """Make an example of (text, choices) or (text, question, choices), or of an object with `inputs`."""
        where, names = f"texts[{number}]", self.inputs
        parts = [given.get(name) for name in names] if isinstance(given, dict) else given
        if isinstance(parts, tuple | list) and len(parts) == len(names):
            *texts, choices = parts
            choices = split_choices(choices) if isinstance(choices, str) else choices
            is_list = isinstance(choices, tuple | list) and len(choices) > 1
            if is_list and all(isinstance(text, str) and text.strip() for text in (*texts, *choices)):
                text_b = texts[1] if len(texts) == 2 else None
                return ChoiceExample(str(number), where, texts[0], text_b, tuple(choices), -1)
        raise DataError(where, repr(given), f"({', '.join(names)}), choices a list of two at least or a text with |")

    def output(self, example: ChoiceExample, prediction: ChoicePrediction, wanted: Wanted) -> dict[str, Any]:
        probabilities = prediction.probabilities.tolist()
        columns = {"choice": prediction.choices[prediction.choice], "score": probabilities[prediction.choice]}
        if wanted.top_k:
            best = np.argsort(-prediction.probabilities, kind="stable")[: wanted.top_k]
            columns["top_k"] = [{"choice": prediction.choices[each], "score": probabilities[each]} for each in best]
        if wanted.with_probabilities:
            columns["probabilities"] = probabilities
        return columns

    def plain(self, prediction: ChoicePrediction, with_probabilities: bool = False) -> Any:
        """The choice's text, or with probabilities (text, {choice: probability})."""
        text = prediction.choices[prediction.choice]
        if not with_probabilities:
            return text
        return text, dict(zip(prediction.choices, prediction.probabilities.tolist(), strict=True))

    def gold(self, example: ChoiceExample) -> Any:
        return example.choices[example.label] if example.label >= 0 else None

    def group(self, example: ChoiceExample) -> Hashable:
        return example.text_a  # questions about one text tell each other's answers

    def verdict(self, example: ChoiceExample, prediction: ChoicePrediction) -> Verdict:
        confidence = float(prediction.probabilities[prediction.choice])
        is_right = prediction.choice == example.label
        groups = [(f"{len(example.choices)} choices", is_right)]
        return Verdict(is_right, confidence, groups, decisions=[(confidence, is_right)])


def own_places(scores: Array, batch: ChoiceBatch) -> list[Array]:
    """The scores [C] of each question's own choices, of [B, C]."""
    counts = np.asarray(batch.is_choice).sum(axis=1).astype(int)
    return [row[:count] for row, count in zip(scores, counts, strict=True)]


def number_of(label: str, choices: Sequence[str], base: int) -> int | None:
    """The number from 0 of the choice that a label means by its text, its letter or its number; None for none."""
    stripped = [choice.strip() for choice in choices]
    if label in stripped:
        return stripped.index(label)
    number = LETTERS.find(label.upper()) if len(label) == 1 else -1
    if number < 0 and re.fullmatch(r"\d+", label):
        number = int(label) - base
    return number if 0 <= number < len(choices) else None


def number_base(labels: Sequence[str], most: int, path: Path) -> int:
    """Whether the numbers among labels count from 0 or from 1: by the highest one and the presence of 0.

    Raises:
        DataError: they have both 0 and the number of choices.
    """
    numbers = {int(label) for label in labels if re.fullmatch(r"\d+", label)}
    if 0 in numbers and most in numbers:
        raise DataError(path, f"right answers 0 and {most} among {most} choices", "numbers from 0 on, or from 1 on")
    return 1 if most in numbers else 0
