"""Windows of questions whose answers are annotated.

Source: `SquadExample` and `_example_to_feature` preparation of the original's question answering tasks.
"""

import numpy as np

from electra_paddle.finetuning.comprehension.reference import reference_token_span
from electra_paddle.finetuning.comprehension.squad import answer_span
from electra_paddle.text.windows import windows


def labelled_windows(number, question, tokenizer, settings, is_reference=False):
    """The Windows of a question, labelled if it has answers.

    Args:
        number: of the question.
        question: a squad.Question.
        settings: WindowSettings.
        is_reference: label as the original does.
    """
    encoded = tokenizer.encode_lines(question.context)
    answer = answer_tokens(question, encoded, tokenizer, is_reference) if question.answers else None
    return windows(number, tokenizer.encode(question.text), encoded, tokenizer.vocabulary, settings, answer)


def answer_tokens(question, encoded, tokenizer, is_reference):
    """Numbers of the first and last token of the answer; (1, 0) where there is none."""
    if is_reference:
        return reference_token_span(question, encoded, tokenizer)
    span = answer_span(question)
    if span is None:
        return 1, 0
    first = int(np.searchsorted(encoded.ends, span[0], "right"))
    last = int(np.searchsorted(encoded.starts, span[1], "left")) - 1
    return (first, last) if first <= last else (1, 0)
