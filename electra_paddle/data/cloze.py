"""Sentences with one character in brackets, `今天天[气]很好。`, which a generator is asked for at every evaluation."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from electra_paddle.arrays import Array
from electra_paddle.errors import DataError
from electra_paddle.text import Tokenizer, Vocabulary


class Cloze(NamedTuple):
    """Masked sentences as numpy arrays. Shapes: N sentences, L tokens."""

    masked_input_ids: Array  # [N, L] int64
    token_type_ids: Array  # [N, L] int64
    attention_mask: Array  # [N, L] int64
    masked_positions: Array  # [N, 1] int64
    answers: Array  # [N, 1] int64


def read_cloze(path: str | Path, vocabulary: Vocabulary, do_lower_case: bool = True) -> Cloze:
    """The sentences of a file, one a line.

    Raises:
        DataError: no such file, no sentence, or a line without exactly one answer that is one token.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, f"no readable file ({error})", "a sentence with one [answer] a line") from error
    encode = Tokenizer(vocabulary, do_lower_case).encode
    rows, positions, answers = [], [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        parts = re.split(r"\[([^\[\]]*)\]", line)
        answer = list(encode(parts[1])) if len(parts) == 3 else []
        if len(answer) != 1 or answer[0] == vocabulary.unk:
            raise DataError(f"{path}:{number}", repr(line), "one [answer] in brackets that is one token of vocab_file")
        before, after = (list(encode(text)) for text in (parts[0], parts[2]))
        rows.append([vocabulary.cls, *before, vocabulary.mask, *after, vocabulary.sep])
        positions.append(len(before) + 1)
        answers.append(answer[0])
    if not rows:
        raise DataError(path, "no sentence", "a sentence with one [answer] a line")
    lengths = np.array([len(row) for row in rows])
    input_ids = np.full((len(rows), lengths.max()), vocabulary.pad, np.int64)
    for row, ids in enumerate(rows):
        input_ids[row, : len(ids)] = ids
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    return Cloze(input_ids, np.zeros_like(input_ids), mask, column_of(positions), column_of(answers))


def column_of(numbers: Sequence[int]) -> Array:
    """[N, 1] int64."""
    return np.array(numbers, np.int64)[:, None]
