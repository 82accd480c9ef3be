"""Answers to questions that are passages of a text. Shapes: B windows of a batch, L sequence."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from electra_paddle.batch import ReadingBatch, ReadingOutput
from electra_paddle.errors import DataError
from electra_paddle.files import replace_text
from electra_paddle.finetuning.comprehension import chinese_metric
from electra_paddle.finetuning.comprehension.reference import ReferenceWriter, rejection
from electra_paddle.finetuning.comprehension.squad import Question, answer_span, read_questions
from electra_paddle.finetuning.comprehension.windows import labelled_windows
from electra_paddle.finetuning.kinds.base import TaskKind, share_cut
from electra_paddle.models import answers as decoding
from electra_paddle.text import pad
from electra_paddle.text.windows import Window, WindowSettings, overlapping

if TYPE_CHECKING:
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.finetuning.features import Features
    from electra_paddle.finetuning.prediction import Wanted
    from electra_paddle.finetuning.problems import Problems
    from electra_paddle.text import Tokenizer

REFERENCE_NO_ANSWER = "empty"  # what the original writes where no span is possible


class ReadingPrediction(NamedTuple):
    """The prediction for one question."""

    text: str
    answers: list[decoding.Answer]  # up to n_best_size, best first
    reachable: str  # what had been answered if the network had found just what is annotated
    no_answer: float = 0.0  # the smallest probability of a window that it has no answer


class ReadingComprehension(
    TaskKind[Question, Window, ReadingBatch, ReadingOutput, decoding.SpanScores, ReadingPrediction]
):
    """Start and end of the answer in windows of the text; exact match and F1 of CMRC 2018."""

    feature_class = Window
    metrics = ("average", "f1", "em")
    table_metrics = ("em", "f1")
    settings = ("max_seq_length", "max_query_length", "doc_stride", "compat")
    kept = (
        "joint_prediction",
        "answerable_classifier",
        "answerable_uses_start_logits",
        "beam_size",
        "n_best_size",
        "max_answer_length",
    )
    always_writes = True

    @property
    def is_reference(self) -> bool:
        """Whether answers are found and written as the original does."""
        return self.config.compat == "reference"

    @property
    def max_answer_length(self) -> int:
        return decoding.longest_answer(self.config.max_answer_length, self.config.compat)

    def read(self, path: Path, split: str, problems: Problems) -> list[Question]:
        questions = read_questions(path, problems, self.description.of_split(split))
        is_labelled = split in ("train", "dev") or self.is_labelled(questions)
        usable = [question for question in questions if self._is_usable(question, split, is_labelled, problems)]
        for question in usable if is_labelled else ():
            self._note_place(question, problems)
        return usable

    def _is_usable(self, question: Question, split: str, is_labelled: bool, problems: Problems) -> bool:
        """Whether a question serves a split; if not, the reason is noted.

        The same rules hold for all splits but two: what cannot be learned is left out of training data alone, as scores
        are those of all questions.
        """
        has_answer = any(answer.strip() for answer in question.answers)
        if split in ("train", "dev") and not has_answer:
            problems.add(question.where, "no answer", "at least one in training and dev data")
            return False
        if split == "train" and self.is_reference:
            if question.context.strip() and rejection(question) is None:
                return True
            problems.left_out["left out because the original rejects their answers"] += 1
            return False
        for name, text in (("context", question.context), ("question", question.text)):
            if text.strip():
                continue
            if split == "train":
                problems.add(question.where, f"an empty {name}", "text in training data")
                return False
            problems.left_out[f"kept although their {name} is empty"] += 1
            return True
        if is_labelled and not has_answer:
            problems.left_out["kept without an answer, for which the right one is none"] += 1
        elif is_labelled and not self.is_reference and answer_span(question) is None:
            problems.add(question.where, f"answer {question.answers[0]!r}", "an answer that stands in the text")
            return False
        return True

    def _note_place(self, question: Question, problems: Problems) -> None:
        """Count answers that do not stand where they are annotated, or are not annotated with a place."""
        span = answer_span(question)
        if span is None or self.is_reference:
            return
        if not question.has_places:
            problems.left_out["kept with the first place of their answer, as none is annotated"] += 1
        elif span[0] not in question.answer_starts:
            problems.left_out["kept with the nearest place of their answer, which is not where annotated"] += 1

    def is_labelled(self, examples: Sequence[Question]) -> bool:
        return any(question.answers for question in examples)

    def featurize(self, number: int, example: Question, tokenizer: Tokenizer) -> list[Window]:
        config = self.config
        lengths = (config.max_seq_length, config.max_query_length, config.doc_stride)
        return labelled_windows(number, example, tokenizer, WindowSettings(*lengths), self.is_reference)

    def note_on_cuts(self, examples: Sequence[Question], features: Features, tokenizer: Tokenizer) -> str:
        most = self.config.max_query_length
        long = [example for example in examples if len(example.text) > most]  # a token has one character at least
        cut = share_cut(sum(len(tokenizer.encode(each.text)) > most for each in long), examples, "questions")
        return cut and f"{cut} are longer than max_query_length {most} and lose their end"

    def build_network(self, electra_config: ElectraConfig) -> Layer:
        from electra_paddle.models.reading_comprehension import ElectraReader, ReadingSettings

        electra_config.reading = {name: getattr(self.config, name) for name in ReadingSettings._fields}
        return ElectraReader(electra_config)

    def collate(self, features: Sequence[Window], length: int | None = None) -> ReadingBatch:
        tokens = pad([(window.input_ids, window.second) for window in features], length)
        starts, ends = (np.array([getattr(window, name) for window in features], np.int64) for name in ("start", "end"))
        return ReadingBatch(*tokens, starts, ends, np.ones(len(features), np.float32))

    def forward(self, network: Layer, batch: ReadingBatch) -> ReadingOutput:
        import paddle

        from electra_paddle.models.reading_comprehension import reading_loss

        starts, ends = (positions.clip(min=0) for positions in (batch.start_positions, batch.end_positions))
        scores = network(batch.input_ids, batch.token_type_ids, batch.attention_mask, starts)
        is_impossible = paddle.zeros(starts.shape, "float32")  # in these tasks every question has an answer
        losses = reading_loss(scores, starts, ends, is_impossible, self.config.answerable_weight)  # [B]
        is_labelled = (batch.start_positions >= 0).astype("float32")
        return ReadingOutput((losses * is_labelled * batch.weights).sum(), scores)

    def answers(self, batch: ReadingBatch, output: ReadingOutput) -> list[decoding.SpanScores]:
        return decoding.likely_spans(output.scores, self.config.n_best_size)

    def predict(
        self,
        examples: Sequence[Question],
        features: Iterable[Window],
        answers: Iterable[decoding.SpanScores],
        tokenizer: Tokenizer,
    ) -> list[ReadingPrediction]:
        write = ReferenceWriter(tokenizer) if self.is_reference else decoding.original_text
        own: list[tuple[list[Window], list[decoding.SpanScores]]] = [([], []) for _ in examples]
        for window, spans in zip(features, answers, strict=True):
            own[window.example][0].append(window)
            own[window.example][1].append(spans)
        return [self._predict(example, *each, write) for example, each in zip(examples, own, strict=True)]

    def _predict(
        self,
        question: Question,
        windows: Sequence[Window],
        spans: Sequence[decoding.SpanScores],
        write: Callable[[str, Window, int, int], str],
    ) -> ReadingPrediction:
        none = REFERENCE_NO_ANSWER if self.is_reference else ""
        best, reachable = (
            decoding.best_answers(question.context, windows, each, self.max_answer_length, number, write)
            or [decoding.Answer(none, 0.0, 0.0)]
            for each, number in (
                (spans, self.config.n_best_size),
                ([decoding.annotated_spans(window) for window in windows], 1),
            )
        )
        no_answer = min((each.no_answer for each in spans), default=0.0)
        return ReadingPrediction(best[0].text, best, reachable[0].text, no_answer)

    def score(self, examples: Sequence[Question], predictions: Sequence[ReadingPrediction]) -> dict[str, float]:
        """Average, F1 and exact match; and which exact match `max_answer_length` and the windows let it reach."""
        pairs = list(zip(examples, predictions, strict=True))
        scores = chinese_metric.score(
            ((question.id, question.answers) for question in examples),
            {question.id: prediction.text for question, prediction in pairs},
        )
        reachable = sum(
            chinese_metric.exact_match(prediction.reachable, question.answers) for question, prediction in pairs
        )
        ceiling = 100 * reachable / len(examples)
        return {"average": scores.average, "f1": scores.f1, "em": scores.em, "em_ceiling": ceiling}

    def write_predictions(
        self,
        output_dir: Path,
        split: str,
        trial: int | str,
        examples: Sequence[Question],
        predictions: Sequence[ReadingPrediction],
    ) -> list[Path]:
        task = self.description.name
        folder = Path(output_dir) / "results" / f"{task}_qa"
        stems = [f"{task}_{split}"] + [f"{task}_{split}_{trial}"] * (self.config.num_models != 1)
        contents: dict[str, dict[str, Any]] = {
            "preds": {example.id: answer.text for example, answer in zip(examples, predictions, strict=True)}
        }
        if self.config.write_probabilities:
            contents["nbest"] = {
                example.id: decoding.n_best_entries(answer.answers)
                for example, answer in zip(examples, predictions, strict=True)
            }
        return [
            write_json(folder / f"{stem}_{what}.json", content) for stem in stems for what, content in contents.items()
        ]

    def gold(self, example: Question) -> Any:
        return list(example.answers) or None

    def group(self, example: Question) -> Hashable:
        return example.context

    def combine(self, batch: ReadingBatch, outputs: Sequence[ReadingOutput]) -> ReadingOutput:
        """The mean of the spans' probabilities; the loss is the mean of the readers'."""
        from electra_paddle.models.ensemble import mean_reading_scores

        loss = sum(output.loss for output in outputs) / len(outputs)
        return ReadingOutput(loss, mean_reading_scores([output.scores for output in outputs]))

    def example(self, number: int, given: Any) -> Question:
        """Make an example of a pair of context and question, or of an object with both."""
        where = f"texts[{number}]"
        parts = [given.get(name) for name in ("context", "question")] if isinstance(given, dict) else given
        is_pair = isinstance(parts, (tuple, list)) and len(parts) == 2
        if not is_pair or not all(isinstance(part, str) and part.strip() for part in parts):
            raise DataError(where, repr(given), '(context, question), or {"context": ..., "question": ...}')
        context, question = map(str, parts)
        return Question(str(number), where, question, context)

    def for_use(self) -> ReadingComprehension:
        """Windows that overlap whatever their length, and answers as they stand in the context."""
        config = self.config
        stride = overlapping(WindowSettings(config.max_seq_length, doc_stride=config.doc_stride)).doc_stride
        longest = self.max_answer_length
        used = dataclasses.replace(config, doc_stride=stride, max_answer_length=longest, compat="corrected")
        return ReadingComprehension(self.description, used)

    def note_on(self, example: Question) -> str:
        if not decoding.looks_swapped(example.context, example.text):
            return ""
        return f"{example.where}: a question longer than its context: the order is (context, question)"

    def texts(self, example: Question) -> tuple[str, ...]:
        return example.context, example.text

    @property
    def inputs(self) -> tuple[str, ...]:
        return ("context", "question")

    def output(self, example: Question, prediction: ReadingPrediction, wanted: Wanted) -> dict[str, Any]:
        told = self.plain(prediction)
        columns = {"answer": told["text"], "score": told["score"], "start": told["start"], "end": told["end"]}
        if wanted.top_k:
            columns["top_k"] = decoding.n_best_entries(prediction.answers)[: wanted.top_k]
        return columns

    def plain(self, prediction: ReadingPrediction, with_probabilities: bool = False) -> Any:
        """The answer, see `told_answer`, or with probabilities (answer, {each of the best: its probability})."""
        found = [answer for answer in prediction.answers if answer.end]
        told = decoding.told_answer(found, prediction.no_answer)
        if not with_probabilities:
            return told
        entries = decoding.n_best_entries(prediction.answers)
        return told, {entry["text"]: entry["probability"] for entry in entries}


def write_json(path: Path, content: Any) -> Path:
    """Write a JSON file as the original does, whole or not at all; returns its path."""
    replace_text(path, json.dumps(content, indent=4) + "\n")
    return path
