"""What a network answers to all features of a split, in one process or several."""

from typing import Any, NamedTuple

from electra_paddle import runtime
from electra_paddle.finetuning.batches import EvaluationBatches
from electra_paddle.training.evaluation import answer


class Evaluation(NamedTuple):
    """Of one split."""

    predictions: Any  # list, one for each example
    scores: dict  # {metric: value}, {} without labels


def evaluate(model, kind, examples, features, batch_size, by_length=True, length=None):
    """The Evaluation of a TaskModel; every process gets all of it, and the same for any number of processes.

    Every batch belongs to one process as a whole, and sums are made in the order of the batches.
    """
    batches = EvaluationBatches(features, kind, batch_size, by_length, length)
    measured = {}
    for number in range(runtime.rank(), len(batches), runtime.num_processes()):
        batch, output = answer(model, batches[number])
        measured[number] = (kind.answers(batch, output), float(output.loss))
    measured = {number: result for part in runtime.gather(measured) for number, result in part.items()}
    answers, loss = [None] * len(features), 0.0
    for number in range(len(batches)):
        batch_answers, batch_loss = measured[number]
        rows = batches.order[number * batch_size : (number + 1) * batch_size]
        for row, row_answer in zip(rows, batch_answers, strict=True):
            answers[row] = row_answer
        loss += batch_loss
    predictions = kind.predict(examples, features, answers)
    if not kind.is_labelled(examples):
        return Evaluation(predictions, {})
    return Evaluation(predictions, {**kind.score(examples, predictions), "loss": loss / len(examples)})
