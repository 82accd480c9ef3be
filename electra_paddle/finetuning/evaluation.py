"""Evaluate a network on all features of a split, in one process or several."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from electra_paddle import runtime
from electra_paddle.finetuning.batches import EvaluationBatches
from electra_paddle.training.evaluation import answer

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.batch import TokenBatch
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


class Exported(NamedTuple):
    """A network that `export-inference` wrote, in place of Paddle's layers."""

    compute: Callable[[TokenBatch], Mapping[str, Array]]  # name of an output -> array
    num_workers: int  # batches that it computes at a time at most


def predict_exported(
    network: Exported, kind: AnyKind, tokenizer: Tokenizer, examples: Sequence[Any], features: Features, batch_size: int
) -> list[Any]:
    """The kind's predictions for examples, by an exported network."""
    size = min(batch_size, max(1, -(-len(features) // network.num_workers)))
    batches = EvaluationBatches(features, kind, size)

    def answers(number: int) -> list[Any]:
        batch = batches[number]
        return kind.exported_answers(batch, network.compute(kind.tokens_of(batch)))

    with runtime.shared_cores(network.num_workers), ThreadPoolExecutor(network.num_workers) as pool:
        found = list(pool.map(answers, range(len(batches))))
    return kind.predict(examples, features, in_order(batches, found), tokenizer)


def in_order(batches: EvaluationBatches, answers: Sequence[Sequence[Any]]) -> list[Any]:
    """The answers to all features in their order, from those to each batch."""
    found: list[Any] = [None] * len(batches.order)
    for row, own in zip(batches.order, itertools.chain.from_iterable(answers), strict=True):
        found[row] = own
    return found


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
    answers = in_order(batches, [measured[number][0] for number in range(len(batches))])
    loss = sum(measured[number][1] for number in range(len(batches)))
    predictions = kind.predict(examples, features, answers, tokenizer)
    if not kind.is_labelled(examples):
        return Evaluation(predictions, {})
    return Evaluation(predictions, {**kind.score(examples, predictions), "loss": loss / len(examples)})
