"""Exact match and F1 of Chinese reading comprehension, as CMRC 2018 and DRCD are scored.

Source: the original's `cmrc2018_drcd_evaluate.py`. A Chinese character is a word; runs of other characters are split
as English. F1 counts the longest run of words that prediction and answer share.
"""

from difflib import SequenceMatcher
from typing import NamedTuple

from electra_paddle.finetuning.english_words import english_words

DROPPED = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
FIRST_IDEOGRAPH, LAST_IDEOGRAPH = "\u4e00", "\u9fa5"


class Scores(NamedTuple):
    """Sums over questions in percent of `total`, and the questions that have no prediction."""

    f1: float
    em: float
    total: int
    unanswered: list

    @property
    def average(self):
        return (self.em + self.f1) / 2


def lower(text):
    """Lower case a character at a time, which for İ and the final Σ is not what Python does to whole strings."""
    return "".join(char.lower()[0] for char in text)


def strip_punctuation(text):
    """What exact match compares."""
    return "".join(char for char in lower(text).strip() if char not in DROPPED)


def segment(text):
    """A text's words, what F1 compares; dropped punctuation does not end a run of other characters."""
    words, run = [], ""
    for char in strip_punctuation(text):
        if FIRST_IDEOGRAPH <= char <= LAST_IDEOGRAPH:
            words += [*english_words(run), char]
            run = ""
        else:
            run += char
    return words + english_words(run)


def exact_match(prediction, answers):
    """1 if the prediction equals any answer but for case and punctuation, else 0."""
    return int(any(strip_punctuation(prediction) == strip_punctuation(answer) for answer in answers))


def f1(prediction, answers):
    """Highest F1 of the prediction with any answer, 0 to 1; 0 if both are empty."""
    words = segment(prediction)
    return max((_f1_of_words(words, segment(answer)) for answer in answers), default=0.0)


def _f1_of_words(words, answer):
    matcher = SequenceMatcher(None, words, answer, autojunk=False)
    shared = matcher.find_longest_match(0, len(words), 0, len(answer)).size
    return 2 * shared / (len(words) + len(answer)) if shared else 0.0


def score(questions, predictions):
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
