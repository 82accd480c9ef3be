"""Metrics of labels beyond accuracy, and of numbers, by scikit-learn and SciPy. Shapes: N examples, C classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_paddle.errors import ConfigError
from electra_paddle.finetuning.description import one_of

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.finetuning.description import TaskDescription

# name -> scikit-learn's function, and its arguments
AVERAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "macro_f1": ("f1_score", {"average": "macro"}),
    "weighted_f1": ("f1_score", {"average": "weighted"}),
    "macro_precision": ("precision_score", {"average": "macro"}),
    "macro_recall": ("recall_score", {"average": "macro"}),
}
OF_LABEL_SETS: dict[str, tuple[str, dict[str, Any]]] = {
    "micro_f1": ("f1_score", {"average": "micro"}),
    "micro_precision": ("precision_score", {"average": "micro"}),
    "micro_recall": ("recall_score", {"average": "micro"}),
    **AVERAGES,
}
OF_ONE_CLASS = {"f1": "f1_score", "precision": "precision_score", "recall": "recall_score"}
METRICS = (*AVERAGES, "mcc", *OF_ONE_CLASS)


def check_positive(description: TaskDescription, names: Iterable[str]) -> None:
    """Refuse metrics of one class where the description does not say of which, or says one that there is not.

    Args:
        names: of the metrics that are wanted.
    """
    positive, classes = description.positive_label, description.classes
    for name in names:
        if name in OF_ONE_CLASS and positive is None:
            advice = f"{name} is that of one class; macro_{name} is the mean over all"
            raise ConfigError("metric", repr(name), "a positive_label beside it", advice)
    if positive is not None and classes and description.label_id(positive) is None:
        raise ConfigError("positive_label", repr(positive), one_of(classes))


def class_scores(
    names: Iterable[str], gold: Sequence[int], predicted: Sequence[int], positive: int | None = None
) -> dict[str, float]:
    """{metric: value in percent} of classes [N].

    Means are over the classes that are right or predicted somewhere, as scikit-learn's own; what has a denominator of
    0 is 0.

    Args:
        names: some of METRICS.
        positive: the class of OF_ONE_CLASS.
    """
    from sklearn import metrics

    scores = {}
    for name in names:
        if name == "mcc":
            value = metrics.matthews_corrcoef(gold, predicted)
        elif name in OF_ONE_CLASS:
            function = getattr(metrics, OF_ONE_CLASS[name])
            value = function(gold, predicted, labels=[positive], average="macro", zero_division=0)
        else:
            function, arguments = AVERAGES[name]
            value = getattr(metrics, function)(gold, predicted, zero_division=0, **arguments)
        scores[name] = 100 * float(value)
    return scores


def label_set_scores(names: Iterable[str], gold: Array, predicted: Array) -> dict[str, float]:
    """{metric: value in percent} of sets of labels [N, C], True where a text has a label.

    Means are over the labels that are right or predicted somewhere; what has a denominator of 0 is 0. `subset_accuracy`
    is the share of texts with exactly the right labels, `hamming_loss` that of wrong ones among all N * C decisions.

    Args:
        names: of OF_LABEL_SETS, or these two.
    """
    from sklearn import metrics

    used = (gold | predicted).any(axis=0).nonzero()[0]
    scores = {}
    for name in names:
        if name == "subset_accuracy":
            value = metrics.accuracy_score(gold, predicted)
        elif name == "hamming_loss":
            value = metrics.hamming_loss(gold, predicted)
        else:
            function, arguments = OF_LABEL_SETS[name]
            value = getattr(metrics, function)(gold, predicted, labels=used, zero_division=0, **arguments)
        scores[name] = 100 * float(value)
    return scores


def number_scores(gold: Sequence[float], predicted: Sequence[float]) -> dict[str, float]:
    """Correlations in percent, and the mean squared error in squared units of the numbers [N].

    A correlation with numbers that are all the same is 0.
    """
    from scipy import stats

    right, found = np.asarray(gold, np.float64), np.asarray(predicted, np.float64)
    is_defined = len(right) > 1 and np.ptp(right) > 0 and np.ptp(found) > 0
    pearson, spearman = (
        function(right, found)[0] if is_defined else 0.0 for function in (stats.pearsonr, stats.spearmanr)
    )
    return {
        "pearson": 100 * float(pearson),
        "spearman": 100 * float(spearman),
        "mse": float(((right - found) ** 2).mean()),
    }


def label_table(labels: Sequence[str], gold: Any, predicted: Any) -> str:
    """Precision, recall and F1 of each label in percent, and how many examples have it, as a TSV.

    Args:
        gold, predicted: classes [N], or sets of labels [N, C].
    """
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(gold, predicted, labels=range(len(labels)), zero_division=0)
    rows = [
        f"{label}\t{100 * precision:.2f}\t{100 * recall:.2f}\t{100 * f1:.2f}\t{count}"
        for label, precision, recall, f1, count in zip(labels, *columns, strict=True)
    ]
    return "\n".join(["label\tprecision\trecall\tf1\texamples", *rows]) + "\n"
