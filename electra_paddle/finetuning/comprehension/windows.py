"""Windows of questions whose answers are annotated.

Source: `SquadExample` and `_example_to_feature` preparation of the original's question answering tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from electra_paddle.finetuning.comprehension.reference import reference_token_span
from electra_paddle.finetuning.comprehension.squad import answer_span
from electra_paddle.text.windows import ANSWER_TYPES, windows

if TYPE_CHECKING:
    from electra_paddle.finetuning.comprehension.squad import Question
    from electra_paddle.text import Tokenizer
    from electra_paddle.text.tokenizer import Encoded
    from electra_paddle.text.windows import Window, WindowSettings


def labelled_windows(
    number: int, question: Question, tokenizer: Tokenizer, settings: WindowSettings, is_reference: bool = False
) -> list[Window]:
    """The Windows of a question, labelled if it has answers.

    Args:
        number: of the question.
        question: a squad.Question.
        settings: WindowSettings.
        is_reference: label as the original does.
    """
    encoded = tokenizer.encode_lines(question.context)
    is_labelled = question.answers or question.answer_type
    answer = answer_tokens(question, encoded, tokenizer, is_reference) if is_labelled else None
    rows = windows(number, tokenizer.encode(question.text), encoded, tokenizer.vocabulary, settings, answer)
    number_of_type = ANSWER_TYPES.index(question.answer_type or "span")
    return [row._replace(answer_type=number_of_type) for row in rows]


def answer_tokens(question: Question, encoded: Encoded, tokenizer: Tokenizer, is_reference: bool) -> tuple[int, int]:
    """Numbers of the first and last token of the answer; (1, 0) where there is none."""
    if is_reference:
        return reference_token_span(question, encoded, tokenizer)
    span = answer_span(question)
    if span is None:
        return 1, 0
    first = int(np.searchsorted(encoded.ends, span[0], "right"))
    last = int(np.searchsorted(encoded.starts, span[1], "left")) - 1
    return (first, last) if first <= last else (1, 0)
