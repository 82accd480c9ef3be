"""Turn scores of starts and ends into answers. Shapes: W windows of a question, S starts, E ends of each, L window.

Source: `write_predictions` of the original.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from electra_paddle.models.probabilities import logit, softmax

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.text.windows import Window


MAX_ANSWER_LENGTH = 200  # tokens; the answers of CMRC 2018's dev split have up to 100, those of its trial split more
YES, NO = "YES", "NO"  # as CJRC writes them
REFERENCE_MAX_ANSWER_LENGTH = 30  # 5 % of the first answers of CMRC 2018's dev split are longer


class SpanScores(NamedTuple):
    """The most probable starts of a window, and the most probable ends of each."""

    starts: Array  # [S] int, positions from [CLS]
    start_scores: Array  # [S] float
    ends: Array  # [S, E] int
    end_scores: Array  # [S, E] float
    no_answer: float = 0.0  # probability that the window has no answer; 0 where the head does not say it
    yes_no: tuple[float, float] = (0.0, 0.0)  # probabilities that the answer is yes, and no


class Answer(NamedTuple):
    """A text, the scores that its place got, and where in the context that is."""

    text: str
    start_score: float
    end_score: float
    start: int = 0  # character
    end: int = 0  # character after the last


def longest_answer(max_answer_length: int | None, compat: str | None) -> int:
    """Tokens that an answer may have: as many as are asked for, or the default of the way to find answers."""
    return max_answer_length or (REFERENCE_MAX_ANSWER_LENGTH if compat == "reference" else MAX_ANSWER_LENGTH)


def likely_spans(scores: Any, n_best_size: int) -> list[SpanScores]:
    """SpanScores of each window of a batch.

    Args:
        scores: models.reading.ReadingScores of tensors or arrays, with a beam or with end logits.
        n_best_size: starts, and ends, that are kept of logits; a beam is kept as it is.
    """
    if scores.beam is None:
        logits = zip(np.asarray(scores.start_logits), np.asarray(scores.end_logits), strict=True)
        return with_types([best_of_logits(*each, n_best_size) for each in logits], *type_probabilities(scores))
    beam = scores.beam
    columns = (beam.starts, beam.start_log_probs, beam.ends, beam.end_log_probs)
    return with_types(spans_of_beam(*map(np.asarray, columns)), *type_probabilities(scores))


def spans_of_outputs(outputs: Mapping[str, Array], n_best_size: int) -> list[SpanScores]:
    """SpanScores of each window of a batch from what an exported reader computes.

    Args:
        outputs: a beam's arrays or `start_logits` and `end_logits`, and as far as the head has them the probabilities
            `no_answer` [W] and `yes_no` [W, 3].
    """
    if "starts" in outputs:
        columns = [np.asarray(outputs[name]) for name in ("starts", "start_log_probs", "ends", "end_log_probs")]
        spans = spans_of_beam(*columns)
    else:
        logits = zip(outputs["start_logits"], outputs["end_logits"], strict=True)
        spans = [best_of_logits(*each, n_best_size) for each in logits]
    return with_types(spans, outputs.get("no_answer"), outputs.get("yes_no"))


def spans_of_beam(starts: Array, start_scores: Array, ends: Array, end_scores: Array) -> list[SpanScores]:
    rows = zip(starts.astype(np.int32), start_scores, ends.astype(np.int32), end_scores, strict=True)
    return [SpanScores(*row) for row in rows]


def type_probabilities(scores: Any) -> tuple[Array | None, Array | None]:
    """The probabilities [W] of there being no answer and [W, 3] of neither, yes and no; None for what a head lacks."""
    no_answer = yes_no = None
    if scores.answerable_logit is not None:
        no_answer = 1 / (1 + np.exp(-np.asarray(scores.answerable_logit, "float64")))
    if scores.yes_no_logits is not None:
        logits = np.asarray(scores.yes_no_logits, "float64")
        yes_no = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    return no_answer, yes_no


def with_types(spans: list[SpanScores], no_answer: Array | None, yes_no: Array | None) -> list[SpanScores]:
    """The SpanScores with what `type_probabilities` returns."""
    if no_answer is not None:
        spans = [span._replace(no_answer=float(value)) for span, value in zip(spans, no_answer, strict=True)]
    if yes_no is not None:
        pairs = [(float(yes), float(no)) for _, yes, no in yes_no]
        spans = [span._replace(yes_no=pair) for span, pair in zip(spans, pairs, strict=True)]
    return spans


def best_of_logits(start_logits: Array, end_logits: Array, n_best_size: int) -> SpanScores:
    """SpanScores of starts and ends [L] that were scored independently of each other."""
    starts, ends = (np.argsort(-logits, kind="stable")[:n_best_size] for logits in (start_logits, end_logits))
    return SpanScores(
        starts,
        start_logits[starts],
        np.tile(ends, (len(starts), 1)),
        np.tile(end_logits[ends], (len(starts), 1)),
    )


def place_of(window: Window, start: int, end: int) -> tuple[int, int]:
    """(first character, character after the last) of the tokens from `start` to `end`, positions in a window."""
    place = slice(start - window.second, end - window.second + 1)
    return int(min(window.char_starts[place])), int(max(window.char_ends[place]))


def original_text(context: str, window: Window, start: int, end: int) -> str:
    """The part of the text that the tokens from `start` to `end`, positions in a window, were made from."""
    return context[slice(*place_of(window, start, end))]


def best_answers(
    context: str,
    windows: Sequence[Window],
    scores: Sequence[SpanScores],
    max_answer_length: int,
    n_best_size: int = 1,
    write: Callable[[str, Window, int, int], str] = original_text,
) -> list[Answer]:
    """The Answers with the highest scores, best first, each text once; none if no span is possible.

    Args:
        windows: those of one question.
        scores: SpanScores of each.
        max_answer_length: tokens that an answer may have.
        n_best_size: number of answers that are wanted.
        write: function of context, window, first and last position that gives an answer's text.
    """
    answers: dict[str, Answer] = {}
    for window, start, end, start_score, end_score in possible_spans(windows, scores, max_answer_length):
        if len(answers) == n_best_size:
            break
        text = write(context, windows[window], start, end)
        if text not in answers:
            answers[text] = Answer(text, start_score, end_score, *place_of(windows[window], start, end))
    return list(answers.values())


def possible_spans(windows: Sequence[Window], scores: Sequence[SpanScores], max_answer_length: int) -> Iterator[Any]:
    """Yield (number of the window, first position, last position, score of the start, of the end), best first.

    Starts are those that the window owns, ends lie in the text, not before their start nor too far behind it.
    """
    columns = []
    for number, (window, span) in enumerate(zip(windows, scores, strict=True)):
        starts, start_scores = span.starts[:, None], span.start_scores[:, None]  # [S, 1]
        is_possible = (window.own_start <= starts) & (starts < window.own_stop)
        is_possible = is_possible & (starts <= span.ends) & (span.ends - starts < max_answer_length)
        is_possible &= span.ends < window.second + len(window.char_starts)  # [S, E]
        each = (np.full_like(span.ends, number), starts, span.ends, start_scores, span.end_scores)
        columns.append([np.broadcast_to(column, is_possible.shape)[is_possible] for column in each])
    numbers, starts, ends, start_scores, end_scores = (np.concatenate(column) for column in zip(*columns, strict=True))
    for place in np.argsort(-(start_scores + end_scores), kind="stable"):
        yield (
            int(numbers[place]),
            int(starts[place]),
            int(ends[place]),
            float(start_scores[place]),
            float(end_scores[place]),
        )


def n_best_entries(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """The answers as the original lists them, with probabilities among each other."""
    scores = np.array([answer.start_score + answer.end_score for answer in answers])
    return [
        {
            "text": answer.text,
            "probability": float(probability),
            "start_logit": answer.start_score,
            "end_logit": answer.end_score,
        }
        for answer, probability in zip(answers, softmax(scores), strict=True)
    ]


class TypeScores(NamedTuple):
    """How probable answers are for a question that are no passages of its text."""

    no_answer: float = 0.0  # the smallest probability of a window that it has none
    yes: float = 0.0  # the mean of its windows
    no: float = 0.0

    def decide(self, threshold: float | None = None) -> tuple[str, float] | None:
        """(YES, NO or "", its probability); None for a passage.

        Args:
            threshold: logit of `no_answer` from which on there is none; default: that of 0.5.
        """
        neither = 1 - self.yes - self.no
        if max(self.yes, self.no) > neither:
            return (YES, self.yes) if self.yes >= self.no else (NO, self.no)
        return ("", self.no_answer) if logit(self.no_answer) > (threshold or 0.0) else None


def types_of(spans: Sequence[SpanScores]) -> TypeScores:
    """The TypeScores of a question, from the SpanScores of all its windows."""
    if not spans:
        return TypeScores()
    yes, no = np.mean([span.yes_no for span in spans], axis=0)
    return TypeScores(min(span.no_answer for span in spans), float(yes), float(no))


def told_answer(answers: Sequence[Answer], types: TypeScores, threshold: float | None = None) -> dict[str, Any]:
    """The answer as users get it: {"text", "score", "start", "end"}, where context[start:end] is the text.

    Its score is its probability among the best ones, times that of there being one. YES and NO, and "" for none, stand
    at 0 to 0; their score is the probability of that.

    Args:
        answers: of `best_answers`.
        types: of the question.
        threshold: see `TypeScores.decide`.
    """
    text, score = types.decide(threshold) or (None, types.no_answer)
    if text is not None or not answers:
        return {"text": text or "", "score": score, "start": 0, "end": 0}
    best, probability = answers[0], n_best_entries(answers)[0]["probability"]
    return {"text": best.text, "score": (1 - types.no_answer) * probability, "start": best.start, "end": best.end}


def looks_swapped(context: str, question: str) -> bool:
    """Whether a context and a question were probably given in the other order."""
    return len(question) > max(64, 4 * len(context))


def annotated_spans(window: Window) -> SpanScores:
    """SpanScores as a network would give them that finds what is annotated and nothing else."""
    return SpanScores(np.array([window.start]), np.zeros(1), np.array([[window.end]]), np.zeros((1, 1)))
