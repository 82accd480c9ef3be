"""Turn scores of starts and ends into answers. Shapes: W windows of a question, S starts, E ends of each, L window.

Source: `write_predictions` of the original.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.text.windows import Window


MAX_ANSWER_LENGTH = 200  # tokens; the answers of CMRC 2018's dev split have up to 100, those of its trial split more
REFERENCE_MAX_ANSWER_LENGTH = 30  # 5 % of the first answers of CMRC 2018's dev split are longer


class SpanScores(NamedTuple):
    """The most probable starts of a window, and the most probable ends of each."""

    starts: Array  # [S] int, positions from [CLS]
    start_scores: Array  # [S] float
    ends: Array  # [S, E] int
    end_scores: Array  # [S, E] float
    no_answer: float = 0.0  # probability that the window has no answer; 0 where the head does not say it


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
        return with_no_answer([best_of_logits(*each, n_best_size) for each in logits], scores.answerable_logit)
    beam = scores.beam
    columns = (beam.starts, beam.start_log_probs, beam.ends, beam.end_log_probs)
    starts, start_scores, ends, end_scores = map(np.asarray, columns)
    rows = zip(starts.astype(np.int32), start_scores, ends.astype(np.int32), end_scores, strict=True)
    return with_no_answer([SpanScores(*row) for row in rows], scores.answerable_logit)


def with_no_answer(spans: list[SpanScores], logits: Any) -> list[SpanScores]:
    """The SpanScores with the probabilities of logits [W] that there is no answer, if the head has them."""
    if logits is None:
        return spans
    probabilities = 1 / (1 + np.exp(-np.asarray(logits, "float64")))
    return [span._replace(no_answer=float(value)) for span, value in zip(spans, probabilities, strict=True)]


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
    exponentials = np.exp(scores - scores.max())
    return [
        {
            "text": answer.text,
            "probability": float(probability),
            "start_logit": answer.start_score,
            "end_logit": answer.end_score,
        }
        for answer, probability in zip(answers, exponentials / exponentials.sum(), strict=True)
    ]


def told_answer(answers: Sequence[Answer], no_answer: float) -> dict[str, Any]:
    """The answer as users get it: {"text", "score", "start", "end"}, where context[start:end] is the text.

    Its score is its probability among the best ones, times that of there being one. "" at 0 to 0 where every window
    more probably has none than one; its score is then the probability of that.

    Args:
        answers: of `best_answers`.
        no_answer: the smallest probability of a window that it has none.
    """
    if no_answer > 0.5 or not answers:
        return {"text": "", "score": no_answer, "start": 0, "end": 0}
    best, probability = answers[0], n_best_entries(answers)[0]["probability"]
    return {"text": best.text, "score": (1 - no_answer) * probability, "start": best.start, "end": best.end}


def looks_swapped(context: str, question: str) -> bool:
    """Whether a context and a question were probably given in the other order."""
    return len(question) > max(64, 4 * len(context))


def annotated_spans(window: Window) -> SpanScores:
    """SpanScores as a network would give them that finds what is annotated and nothing else."""
    return SpanScores(np.array([window.start]), np.zeros(1), np.array([[window.end]]), np.zeros((1, 1)))
