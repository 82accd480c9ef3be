"""Answers to questions that are passages of a text. Shapes: B windows of a batch, L sequence."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from electra_paddle.batch import ReadingBatch, ReadingOutput
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.files import replace_text
from electra_paddle.finetuning.analysis import Verdict
from electra_paddle.finetuning.comprehension import chinese_metric
from electra_paddle.finetuning.comprehension.question_types import question_type
from electra_paddle.finetuning.comprehension.reference import ReferenceWriter, rejection
from electra_paddle.finetuning.comprehension.squad import Question, answer_span, read_questions
from electra_paddle.finetuning.comprehension.windows import labelled_windows
from electra_paddle.finetuning.kinds.base import TaskKind, share_cut
from electra_paddle.finetuning.thresholds import best_cut
from electra_paddle.models import answers as decoding
from electra_paddle.models.probabilities import logit
from electra_paddle.text import pad
from electra_paddle.text.windows import ANSWER_TYPES, DESCRIBED_TYPES, Window, WindowSettings, overlapping

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

REFERENCE_NO_ANSWER = "empty"  # what the original writes where no span is possible


class ReadingPrediction(NamedTuple):
    """The prediction for one question."""

    text: str
    answers: list[decoding.Answer]  # up to n_best_size, best first
    reachable: str  # what had been answered if the network had found just what is annotated
    types: decoding.TypeScores = decoding.TypeScores()


class ReadingComprehension(
    TaskKind[Question, Window, ReadingBatch, ReadingOutput, decoding.SpanScores, ReadingPrediction]
):
    """Start and end of the answer in windows of the text; exact match and F1 of CMRC 2018.

    Where `answer_types` says so, there may be none, or it may be yes or no.
    """

    feature_class = Window
    reads_in_parts = True
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
    wanted = ("top_k",)

    def __init__(self, description: TaskDescription, config: FinetuningConfig) -> None:
        super().__init__(description, config)
        self.has_none, self.has_yes_no = ("none" in self.types), ("yes" in self.types)
        if self.has_none:
            self.chosen = ("qa_na_threshold",)
            if not config.answerable_classifier:
                raise ConfigError("answerable_classifier", "false with answer_types none", "true", "it learns them")
        if self.types != ("span",) and self.is_reference:
            found = f"reference with answer_types {', '.join(description.answer_types or ())}"
            raise ConfigError("compat", found, "corrected", "the original reads questions that have a passage")

    @property
    def types(self) -> tuple[str, ...]:
        """What the task's answers may be, of ANSWER_TYPES."""
        described = self.description.answer_types or ("span",)
        return tuple(name for name in ANSWER_TYPES if DESCRIBED_TYPES[name] in described)

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
        if is_labelled and self.types != ("span",):
            usable = [question._replace(answer_type=question.own_type) for question in usable]
        for question in usable if is_labelled else ():
            self._note_place(question, problems)
        return usable

    def _is_usable(self, question: Question, split: str, is_labelled: bool, problems: Problems) -> bool:
        """Whether a question serves a split; if not, the reason is noted.

        The same rules hold for all splits but two: what cannot be learned is left out of training data alone, as scores
        are those of all questions.
        """
        own_type = question.own_type
        is_known = own_type in self.types
        if split in ("train", "dev") and own_type == "none" and not is_known:
            expected = "at least one in training and dev data, or answer_types with none in the task's description"
            problems.add(question.where, "no answer", expected)
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
        if not is_labelled or (is_known and own_type != "span"):
            return True
        if own_type == "none":
            problems.left_out["kept without an answer, for which the right one is none"] += 1
        elif not self.is_reference and answer_span(question) is None:
            expected = "an answer that stands in the text"
            if own_type != "span":
                expected += f", or answer_types with {DESCRIBED_TYPES[own_type]} in the task's description"
            problems.add(question.where, f"answer {question.answers[0]!r}", expected)
            return False
        return True

    def _note_place(self, question: Question, problems: Problems) -> None:
        """Count answers that do not stand where they are annotated, or are not annotated with a place."""
        span = answer_span(question)
        if span is None or self.is_reference or not question.is_span:
            return
        if not question.has_places:
            problems.left_out["kept with the first place of their answer, as none is annotated"] += 1
        elif span[0] not in question.answer_starts:
            problems.left_out["kept with the nearest place of their answer, which is not where annotated"] += 1

    def is_labelled(self, examples: Sequence[Question]) -> bool:
        return any(question.answers for question in examples)

    def count_labels(self, examples: Sequence[Question]) -> dict[str, int]:
        counts = Counter(question.answer_type for question in examples)
        return {} if self.types == ("span",) else {name: counts[name] for name in self.types}

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

        names = [name for name in ReadingSettings._fields if name != "yes_no_classifier"]
        electra_config.reading = {name: getattr(self.config, name) for name in names}
        if self.has_yes_no:
            electra_config.reading["yes_no_classifier"] = True
        return ElectraReader(electra_config)

    def collate(self, features: Sequence[Window], length: int | None = None) -> ReadingBatch:
        tokens = pad([(window.input_ids, window.second) for window in features], length)
        starts, ends = (np.array([getattr(window, name) for window in features], np.int64) for name in ("start", "end"))
        types = np.array([window.answer_type for window in features], np.int64)
        return ReadingBatch(*tokens, starts, ends, types, np.ones(len(features), np.float32))

    def forward(self, network: Layer, batch: ReadingBatch) -> ReadingOutput:
        starts = batch.start_positions.clip(min=0)
        scores = network(batch.input_ids, batch.token_type_ids, batch.attention_mask, starts)
        output = ReadingOutput(None, scores)
        return output._replace(loss=(self.row_losses(batch, output) * batch.weights).sum())

    def row_losses(self, batch: ReadingBatch, output: ReadingOutput) -> Tensor:
        from electra_paddle.models.reading_comprehension import reading_loss

        starts, ends = (positions.clip(min=0) for positions in (batch.start_positions, batch.end_positions))
        is_impossible = (batch.answer_types == ANSWER_TYPES.index("none")).astype("float32")
        yes_no = (batch.answer_types - (ANSWER_TYPES.index("yes") - 1)).clip(min=0)  # 1 and 2 of yes and no
        weight = self.config.answerable_weight
        losses = reading_loss(output.scores, starts, ends, is_impossible, weight, yes_no)  # [B]
        return losses * (batch.start_positions >= 0).astype("float32")

    def answers(self, batch: ReadingBatch, output: ReadingOutput) -> list[decoding.SpanScores]:
        return decoding.likely_spans(output.scores, self.config.n_best_size)

    def exported_answers(self, batch: ReadingBatch, outputs: Mapping[str, Array]) -> list[decoding.SpanScores]:
        return decoding.spans_of_outputs(outputs, self.config.n_best_size)

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
        right = reachable[0].text
        if not question.is_span:
            right = question.answers[0] if question.answer_type != "none" else ""
        return self.decide(ReadingPrediction(best[0].text, best, right, decoding.types_of(spans)))

    def decide(self, prediction: ReadingPrediction) -> ReadingPrediction:
        if self.types == ("span",):
            return prediction
        decided = prediction.types.decide(self.config.qa_na_threshold)
        return prediction._replace(text=prediction.answers[0].text if decided is None else decided[0])

    def choose(self, examples: Sequence[Question], predictions: Sequence[ReadingPrediction]) -> dict[str, Any]:
        """The logit above which a question has no answer, with the highest average of F1 and exact match."""
        logits, gains = [], []
        for question, prediction in zip(examples, predictions, strict=True):
            decided = prediction.types.decide(math.inf)
            if decided is None:  # neither yes nor no, whatever the threshold
                passage = prediction.answers[0].text
                gains.append(reward("", question.answers) - reward(passage, question.answers))
                logits.append(logit(prediction.types.no_answer))
        return {"qa_na_threshold": best_cut(np.array(logits), np.array(gains))}

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
        of_types = {} if self.types == ("span",) else type_scores(pairs)
        return {"average": scores.average, "f1": scores.f1, "em": scores.em, "em_ceiling": ceiling, **of_types}

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
        if self.has_none:
            logits = [float(logit(answer.types.no_answer)) for answer in predictions]
            contents["null_odds"] = {example.id: odds for example, odds in zip(examples, logits, strict=True)}
        return [
            write_json(folder / f"{stem}_{what}.json", content) for stem in stems for what, content in contents.items()
        ]

    def gold(self, example: Question) -> Any:
        return list(example.answers) or ([""] if example.answer_type == "none" else None)

    def verdict(self, example: Question, prediction: ReadingPrediction) -> Verdict:
        is_right = bool(chinese_metric.exact_match(prediction.text, example.answers))
        confidence = float(self.plain(prediction)["score"])
        groups = [(question_type(example.text), is_right)]
        if not example.is_span:
            groups = [(f"answer: {example.answer_type}", is_right)]
        return Verdict(is_right, confidence, groups, decisions=[(confidence, is_right)])

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
        names = ("context", "question")
        parts = [given[name] for name in names] if isinstance(given, dict) and {*given} == {*names} else given
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
        told = decoding.told_answer(found, prediction.types, self.config.qa_na_threshold)
        if not with_probabilities:
            return told
        entries = decoding.n_best_entries(prediction.answers)
        return told, {entry["text"]: entry["probability"] for entry in entries}


def reward(text: str, answers: Sequence[str]) -> float:
    """The mean of exact match and F1 of an answer, 0 to 1."""
    return (chinese_metric.exact_match(text, answers) + chinese_metric.f1(text, answers)) / 2


def type_scores(pairs: Sequence[tuple[Question, ReadingPrediction]]) -> dict[str, float]:
    """F1 and exact match of questions with a passage, and the share of the others that are answered rightly."""
    scores = {}
    if spans := [(prediction.text, question.answers) for question, prediction in pairs if question.is_span]:
        scores["span_f1"] = 100 * float(np.mean([chinese_metric.f1(*pair) for pair in spans]))
        scores["span_em"] = 100 * float(np.mean([chinese_metric.exact_match(*pair) for pair in spans]))
    for name, types in (("none_accuracy", ("none",)), ("yes_no_accuracy", ("yes", "no"))):
        own = [(prediction.text, question.answers) for question, prediction in pairs if question.answer_type in types]
        if own:
            scores[name] = 100 * float(np.mean([chinese_metric.exact_match(*pair) for pair in own]))
    return scores


def write_json(path: Path, content: Any) -> Path:
    """Write a JSON file as the original does, whole or not at all; returns its path."""
    replace_text(path, json.dumps(content, indent=4) + "\n")
    return path
