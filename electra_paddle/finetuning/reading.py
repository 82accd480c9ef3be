"""A task's files to examples, and examples to batches."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from electra_paddle.batch import ClassificationBatch
from electra_paddle.errors import DataError

SPLIT_NAMES = {"train": ("train",), "dev": ("dev",), "test": ("test", "eval")}  # the original calls the third one eval


class ClassificationExample(NamedTuple):
    """Ids with special tokens, where the second segment begins (the length if there is none), and the class."""

    ids: list
    second: int
    label: int


def find_split(folder, split, suffix=".tsv"):
    """The file of a split, or None."""
    paths = [Path(folder) / f"{name}{suffix}" for name in SPLIT_NAMES[split]]
    return next((path for path in paths if path.is_file()), None)


def read_rows(path, description):
    """(text_a, text_b or None, class) of each line of a TSV file; quotes have no meaning there.

    Raises:
        DataError: names the file and line of what is wrong.
    """
    columns = description.columns
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(path, error.strerror.lower(), "a file of this task") from error
    except UnicodeDecodeError as error:
        raise DataError(path, f"invalid UTF-8 at byte {error.start}", "UTF-8 text") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if number == 1 and description.header or not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) <= max(columns.values()):
            raise DataError(f"{path}:{number}", f"{len(cells)} columns", f"{max(columns.values()) + 1}, tab-separated")
        label = description.label_id(cells[columns["label"]])
        if label is None:
            raise DataError(
                f"{path}:{number}", f"label {cells[columns['label']]!r}", f"{' or '.join(description.labels)}"
            )
        rows.append((cells[columns["text_a"]], cells[columns["text_b"]] if "text_b" in columns else None, label))
    if not rows:
        raise DataError(path, "no examples", "at least one line after the header")
    return rows


def encode_pair(tokenizer, text_a, text_b, max_seq_length):
    """[CLS] a [SEP] or [CLS] a [SEP] b [SEP], cut to the length.

    Of a pair the longer text loses tokens from its end, the second one where they are as long.

    Returns:
        (ids, position where the second segment begins).
    """
    vocabulary = tokenizer.vocabulary
    first, second = tokenizer.encode(text_a), tokenizer.encode(text_b) if text_b is not None else []
    if text_b is None:
        first = first[: max_seq_length - 2]
    while second and len(first) + len(second) > max_seq_length - 3:
        (first if len(first) > len(second) else second).pop()
    ids = [vocabulary.cls, *first[: max_seq_length - 2], vocabulary.sep]
    start = len(ids)
    return ids + ([*second, vocabulary.sep] if text_b is not None and start < max_seq_length else []), start


def read_examples(path, description, tokenizer, max_seq_length):
    """The ClassificationExamples of a file."""
    return [
        ClassificationExample(*encode_pair(tokenizer, text_a, text_b, max_seq_length), label)
        for text_a, text_b, label in read_rows(path, description)
    ]


def collate(examples):
    """A ClassificationBatch of numpy arrays, padded to the longest example."""
    shape = (len(examples), max(len(example.ids) for example in examples))
    input_ids, token_type_ids, attention_mask = (np.zeros(shape, np.int64) for _ in range(3))
    for row, (ids, second, _) in enumerate(examples):
        input_ids[row, : len(ids)] = ids
        token_type_ids[row, second : len(ids)] = 1
        attention_mask[row, : len(ids)] = 1
    return ClassificationBatch(input_ids, token_type_ids, attention_mask, np.array([e.label for e in examples]))


def training_batches(examples, batch_size, num_steps, seed):
    """Yield `num_steps` batches, the examples shuffled anew every epoch."""
    steps_per_epoch = -(-len(examples) // batch_size)
    for step in range(num_steps):
        epoch, place = divmod(step, steps_per_epoch)
        if place == 0:
            order = np.random.default_rng([seed, epoch]).permutation(len(examples))
        yield collate([examples[i] for i in order[place * batch_size : (place + 1) * batch_size]])
