"""Cross-validation: each part of the training data is predicted by a model that was trained on the others."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_paddle.errors import ConfigError, some_of
from electra_paddle.finetuning.analysis import record_of, write_analysis, write_records

if TYPE_CHECKING:
    from pathlib import Path

    from electra_paddle.arrays import Array
    from electra_paddle.finetuning.evaluation import Evaluation
    from electra_paddle.finetuning.features import Features
    from electra_paddle.finetuning.job import Job
    from electra_paddle.finetuning.kinds.base import AnyKind

OUT_OF_FOLD = "out_of_fold"  # in the names of files on all training examples
HELD_OUT = "held_out"  # the split on which a fold's model was not trained


def assign_folds(kind: AnyKind, examples: Sequence[Any], num_folds: int, seed: int) -> Array:
    """The fold of each example [N], from 1: strata spread evenly, groups whole, all else by chance.

    Raises:
        ConfigError: there are too few examples or groups, or too few of every stratum.
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    strata, groups = ([of(example) for example in examples] for of in (kind.stratum, kind.group))
    splitter, keys = KFold(num_folds, shuffle=True, random_state=seed), list(range(len(examples)))
    if groups[0] is not None:
        splitter, keys = GroupKFold(num_folds), numbered(groups)
        check_folds(num_folds, len(set(keys)), "the number of texts")
    elif strata[0] is not None:
        splitter, keys = StratifiedKFold(num_folds, shuffle=True, random_state=seed), numbered(strata)
        check_folds(num_folds, max(Counter(keys).values()), "the examples of the most frequent label")
    else:
        check_folds(num_folds, len(examples), "the number of examples")
    folds = np.zeros(len(examples), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of rare strata, of which `note_rare` tells
        for number, (_, held_out) in enumerate(splitter.split(keys, keys, keys), 1):
            folds[held_out] = number
    return folds


def numbered(keys: Sequence[Hashable]) -> list[int]:
    """The same keys as numbers, from 0 in the order in which they come first."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def check_folds(num_folds: int, most: int, what: str) -> None:
    if num_folds > most:
        raise ConfigError("folds", num_folds, f"at most {most}, {what}")


def note_rare(kind: AnyKind, examples: Sequence[Any], num_folds: int) -> None:
    """Say which labels are too rare to be in every fold."""
    counts = Counter(kind.gold(example) for example in examples if kind.stratum(example) is not None)
    rare = [f"{label} ({count})" for label, count in counts.items() if count < num_folds]
    if rare:
        print(f"{kind.description.name}: labels with fewer examples than folds, not in each: {some_of(rare)}")


def fold_of(job: Job, features: Mapping[str, Features], number: int) -> tuple[Job, dict[str, Features]]:
    """(Job, features) of a fold: one part of the training data is held out, and a split of its own."""
    assert job.folds is not None
    parts = {split: np.flatnonzero((job.folds == number) == (split == HELD_OUT)) for split in ("train", HELD_OUT)}
    examples = {split: [job.examples["train"][row] for row in rows] for split, rows in parts.items()}
    rows_of = {split: features["train"].of_examples(rows) for split, rows in parts.items()}
    return job._replace(examples={**job.examples, **examples}), {**features, **rows_of}


def evaluate_out_of_fold(job: Job, features: Mapping[str, Features]) -> Evaluation:
    """The Evaluation of all training examples, each by the model that was not trained on it."""
    from electra_paddle.finetuning.evaluation import Evaluation, evaluate_split
    from electra_paddle.finetuning.model import load_finetuned

    assert job.folds is not None
    predictions: list[Any] = [None] * len(job.folds)
    for number in range(1, job.config.folds + 1):
        model = load_finetuned(job.kind, [job.model_dir(number)])
        evaluation = evaluate_split(model, *fold_of(job, features, number), HELD_OUT)
        for place, prediction in zip(np.flatnonzero(job.folds == number), evaluation.predictions, strict=True):
            predictions[place] = prediction
    return Evaluation(predictions, job.kind.score(job.examples["train"], predictions))


def write_out_of_fold(job: Job, predictions: Sequence[Any]) -> Path:
    """Write `results/TASK_out_of_fold.jsonl`, one object for each training example in the file's order; analyse it."""
    assert job.folds is not None
    path = job.config.output_dir / "results" / f"{job.name}_{OUT_OF_FOLD}.jsonl"
    rows = [
        {
            **record_of(job.kind, example, prediction),
            "fold": int(fold),
            "probabilities": probabilities_of(job.kind, prediction),
        }
        for example, fold, prediction in zip(job.examples["train"], job.folds, predictions, strict=True)
    ]
    write_analysis(path.with_suffix(""), job.kind, job.examples["train"], predictions)
    return write_records(path, rows)


def probabilities_of(kind: AnyKind, prediction: Any) -> Any:
    """Those of all labels or of the best answers, or a list of those of the predicted tags; None of kinds without."""
    given = kind.plain(prediction, with_probabilities=True)
    if isinstance(given, list):
        return [probability for _, probability in given]
    return given[1] if isinstance(given, tuple) else None
