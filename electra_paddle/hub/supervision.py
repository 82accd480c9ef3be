"""Batches with labels: what `hub.Trainer` trains and evaluates with.

Shapes: B batch, L sequence, C classes.
"""

import numpy as np
import paddle
import paddle.nn.functional as F
from paddlenlp.metrics import ChunkEvaluator

from electra_paddle.errors import ConfigError
from electra_paddle.hub.tasks import TextMatching
from electra_paddle.hub.token_tasks import TokenClassification

IGNORED_LABEL = -100  # of padding, in PaddleHub's data sets


def make_metric(head, label_map, suffix):
    """The metric of a task with labels.

    Args:
        suffix: whether the labels of tokens end (and not begin) with B, I, E or S.
    """
    if isinstance(head, TokenClassification):
        return ChunkEvaluator([str(label) for label in label_map.values()], suffix=suffix)
    return paddle.metric.Accuracy()


def evaluate(module, logits, labels):
    """(probabilities, mean loss, {metric: value}) of logits [B, C] or [B, L, C]; the metric runs until it is reset."""
    probabilities = F.softmax(logits, axis=-1)
    if isinstance(module.head, TokenClassification):
        loss = F.cross_entropy(logits, labels, ignore_index=IGNORED_LABEL, reduction="sum")
        num_labels = (labels != IGNORED_LABEL).sum().clip(min=1)  # Paddle's own mean counts the ignored ones too
        return (
            probabilities,
            loss / num_labels.astype(loss.dtype),
            {"f1_score": chunk_f1(module.metric, probabilities, labels)},
        )
    labels = labels.reshape([-1])
    module.metric.update(module.metric.compute(probabilities, labels.unsqueeze(-1)))
    return probabilities, F.cross_entropy(logits, labels), {"acc": module.metric.accumulate()}


def chunk_f1(metric, probabilities, labels):
    """F1 of the entities in [B, L, C]; what has no label counts nothing."""
    predicted, labels = probabilities.argmax(-1).numpy(), labels.numpy()  # [B, L]
    has_label = labels != IGNORED_LABEL
    lengths = has_label.sum(axis=1)
    packed = np.zeros((2, *labels.shape), labels.dtype)  # those with a label, without gaps
    for row, length in enumerate(lengths):
        packed[:, row, :length] = predicted[row][has_label[row]], labels[row][has_label[row]]
    counts = metric.compute(lengths, *map(paddle.to_tensor, packed))
    metric.update(*(count.numpy() for count in counts))
    return float(metric.accumulate()[2])


def arguments_of(head, batch):
    """A batch of PaddleHub's data sets as arguments of the module's forward pass.

    Raises:
        ConfigError: the task has no labels, or the batch another number of arrays.
    """
    if not head.has_classes:
        raise ConfigError("task", type(head).__name__, "a task with labels to train for, such as 'seq-cls'")
    names = ("input_ids", "token_type_ids", "labels")
    if isinstance(head, TextMatching):
        names = ("query_input_ids", "query_token_type_ids", "title_input_ids", "title_token_type_ids", "labels")
    elif isinstance(head, TokenClassification):
        names = ("input_ids", "token_type_ids", "seq_lengths", "labels")
    if len(batch) != len(names):
        raise ConfigError("data set", f"{len(batch)} arrays in an example", f"{len(names)}: {', '.join(names)}")
    return dict(zip(names, batch, strict=True))
