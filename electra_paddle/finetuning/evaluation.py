"""Evaluate a network on all features of a split, in one process or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from electra_paddle import runtime
from electra_paddle.finetuning.batches import EvaluationBatches
from electra_paddle.training.evaluation import answer

if TYPE_CHECKING:
    from electra_paddle.finetuning.features import Features
    from electra_paddle.finetuning.job import Job
    from electra_paddle.finetuning.kinds.base import AnyKind
    from electra_paddle.finetuning.model import AnyModel
    from electra_paddle.text import Tokenizer


class Evaluation(NamedTuple):
    """Predictions and scores of one split, or of one file."""

    predictions: list[Any]  # one for each example, of the kind's own class
    scores: dict[str, float]  # metric -> value in percent, and loss; {} without labels


def evaluate_split(model: AnyModel, job: Job, features: Mapping[str, Features], split: str) -> Evaluation:
    """The Evaluation of a split of a job."""
    config, examples = job.config, job.examples[split]
    size = config.eval_batch_size if job.kind.is_labelled(examples) else config.predict_batch_size
    length = config.max_seq_length if config.pad_to_max_length else None
    return evaluate_features(model, job.tokenizer, examples, features[split], size, config.length_batching, length)


def choose_on_dev(model: AnyModel, job: Job, features: Mapping[str, Features]) -> Evaluation:
    """The Evaluation of dev by a model whose kind has chosen by it what the job's configuration leaves open."""
    model.kind, examples = job.kind, job.examples["dev"]
    evaluation = evaluate_split(model, job, features, "dev")
    if job.kind.open_choices and evaluation.scores:
        model.kind = job.kind.with_settings(job.kind.choose(examples, evaluation.predictions))
        predictions = [model.kind.decide(prediction) for prediction in evaluation.predictions]
        evaluation = Evaluation(predictions, {**evaluation.scores, **model.kind.score(examples, predictions)})
    return evaluation


def evaluate_features(
    model: AnyModel,
    tokenizer: Tokenizer,
    examples: Sequence[Any],
    features: Features,
    batch_size: int,
    by_length: bool = True,
    length: int | None = None,
    kind: AnyKind | None = None,
) -> Evaluation:
    """The Evaluation of examples; every process gets all of it, and the same for any number of processes.

    Every batch belongs to one process as a whole, and sums are made in the order of the batches.

    Args:
        tokenizer: the one that made the features.
        by_length: whether rows of similar length come together.
        length: tokens that rows are padded to; None: the longest of the batch.
        kind: the one that made the features [the model's].
    """
    kind = kind or model.kind
    batches = EvaluationBatches(features, kind, batch_size, by_length, length)
    measured = {}
    for number in range(runtime.rank(), len(batches), runtime.num_processes()):
        batch, output = answer(model, batches[number])
        measured[number] = (kind.answers(batch, output), float(output.loss))
    measured = {number: result for part in runtime.gather(measured) for number, result in part.items()}
    answers: list[Any] = [None] * len(features)
    loss = 0.0
    for number in range(len(batches)):
        batch_answers, batch_loss = measured[number]
        rows = batches.order[number * batch_size : (number + 1) * batch_size]
        for row, row_answer in zip(rows, batch_answers, strict=True):
            answers[row] = row_answer
        loss += batch_loss
    predictions = kind.predict(examples, features, answers, tokenizer)
    if not kind.is_labelled(examples):
        return Evaluation(predictions, {})
    return Evaluation(predictions, {**kind.score(examples, predictions), "loss": loss / len(examples)})
