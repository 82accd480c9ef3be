"""Exact match and F1 of Chinese reading comprehension, as CMRC 2018 and DRCD are scored.

Source: the original's `cmrc2018_drcd_evaluate.py`. A Chinese character is a word; runs of other characters are split
as English. F1 counts the longest run of words that prediction and answer share.
"""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from electra_paddle.finetuning.comprehension.english_words import english_words

DROPPED = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
LOWER = str.maketrans("İΣ", "iσ")  # which the original's Python lower-cases in another way than today's
IDEOGRAPH = re.compile("[\u4e00-\u9fa5]")
IDEOGRAPH_OR_RUN = re.compile("[\u4e00-\u9fa5]|[^\u4e00-\u9fa5]+")


class Scores(NamedTuple):
    """Sums over questions in percent of `total`, and the questions that have no prediction."""

    f1: float
    em: float
    total: int
    unanswered: list[str]

    @property
    def average(self) -> float:
        return (self.em + self.f1) / 2


def strip_punctuation(text: str) -> str:
    """A text in lower case without most punctuation, what exact match compares."""
    return text.translate(LOWER).lower().strip().translate(DROPPED)


def segment(text: str) -> list[str]:
    """A text's words, what F1 compares; dropped punctuation does not end a run of other characters."""
    parts = IDEOGRAPH_OR_RUN.findall(strip_punctuation(text))
    return [word for part in parts for word in _words_of_part(part)]


@functools.lru_cache(1 << 16)
def _words_of_part(part: str) -> Sequence[str]:
    return (part,) if IDEOGRAPH.match(part) else english_words(part)


def exact_match(prediction: str, answers: Sequence[str]) -> int:
    """1 if the prediction equals any answer but for case and punctuation, else 0; of no answers, none is right."""
    if not answers:
        return int(not prediction.strip())
    return int(strip_punctuation(prediction) in map(strip_punctuation, answers))


def f1(prediction: str, answers: Sequence[str]) -> float:
    """Highest F1 of the prediction with any answer, 0 to 1; 0 if both are empty."""
    if not answers:
        return float(not prediction.strip())
    words, best = segment(prediction), 0.0
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(words)
    for right in map(segment, {*answers}):
        matcher.set_seq1(right)
        shared = matcher.find_longest_match(0, len(right), 0, len(words)).size
        best = max(best, 2 * shared / (len(words) + len(right)) if shared else 0.0)
    return best


def score(questions: Iterable[tuple[str, Sequence[str]]], predictions: Mapping[str, str]) -> Scores:
    """Scores of predictions.

    Args:
        questions: (id, answers) pairs; a question without a prediction counts as wrong.
        predictions: id -> text; those of other questions are left out.
    """
    questions = list(questions)
    answered = [(predictions[name], answers) for name, answers in questions if name in predictions]
    percent = 100.0 / max(len(questions), 1)
    return Scores(
        percent * sum(f1(*pair) for pair in answered),
        percent * sum(exact_match(*pair) for pair in answered),
        len(questions),
        [name for name, _ in questions if name not in predictions],
    )
