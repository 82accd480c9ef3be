"""A task's files to examples, and examples to batches."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from electra_paddle.batch import ClassificationBatch
from electra_paddle.errors import DataError
from electra_paddle.text import encode_pair, pad

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
        if (number == 1 and description.header) or not line.strip():
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


def read_examples(path, description, tokenizer, max_seq_length):
    """The ClassificationExamples of a file."""
    return [
        ClassificationExample(*encode_pair(tokenizer, text_a, text_b, max_seq_length), label)
        for text_a, text_b, label in read_rows(path, description)
    ]


def collate(examples):
    """A ClassificationBatch of numpy arrays, padded to the longest example."""
    tokens = pad([(example.ids, example.second) for example in examples])
    return ClassificationBatch(*tokens, np.array([example.label for example in examples]))


def training_batches(examples, batch_size, num_steps, seed):
    """Yield `num_steps` batches, the examples shuffled anew every epoch."""
    steps_per_epoch = -(-len(examples) // batch_size)
    for step in range(num_steps):
        epoch, place = divmod(step, steps_per_epoch)
        if place == 0:
            order = np.random.default_rng([seed, epoch]).permutation(len(examples))
        yield collate([examples[i] for i in order[place * batch_size : (place + 1) * batch_size]])
