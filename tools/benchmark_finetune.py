"""`python tools/benchmark.py finetune`: batches by length beside batches padded to max_seq_length, and beside peers.

An epoch is too long for a benchmark; batches evenly spread over the lengths of one stand for it.
"""

import statistics
import time

import numpy as np
from benchmark_pretrain import has_gpu
from benchmark_trainers import trainers

NUM_STRATA = 8  # batches of an epoch that stand for all of it
NUM_EVALUATED = 256  # examples


def finetune(arguments):
    """Training, evaluation and prediction with ELECTRA-small's shape and random weights."""
    from electra_paddle import runtime

    runtime.start()
    arguments.processes = arguments.processes or (1 if has_gpu() else runtime.num_cores())
    from electra_paddle.config import FinetuningConfig
    from electra_paddle.finetuning.description import load_description
    from electra_paddle.finetuning.features import make_features
    from electra_paddle.finetuning.job import read_split
    from electra_paddle.finetuning.kinds.base import make_kind
    from electra_paddle.text import Tokenizer, Vocabulary, build_vocabulary

    length, batch_size = arguments.max_seq_length, arguments.batch_size
    kind = make_kind(load_description(arguments.task), FinetuningConfig(max_seq_length=length))
    paths = {split: kind.description.find_file(arguments.task_dir, split) for split in ("train", "dev")}
    examples = {split: read_split(kind, path, split) for split, path in paths.items()}
    if arguments.vocab_file:
        vocabulary = Vocabulary.load(arguments.vocab_file)
    else:
        vocabulary = build_vocabulary([example.text_a for example in examples["train"]], arguments.vocab_size)
    tokenizer = Tokenizer(vocabulary)
    rows = make_features(kind, examples["train"], tokenizer, 1)
    some = examples["dev"][:: max(1, len(examples["dev"]) // NUM_EVALUATED)]
    update, model = build(kind, len(vocabulary), arguments.size)
    sides = {"ours": (True, None), "fixed": (False, length)}
    seconds = {name: {side: [] for side in sides} for name in ("train", "eval", "predict")}
    batches = {side: strata(kind, rows, batch_size, *options) for side, options in sides.items()}
    for round_number in range(arguments.rounds + 1):
        for side, options in sides.items():
            times = measure(kind, model, update, batches[side], some, tokenizer, batch_size, options)
            for name, value in times.items():
                if round_number:  # once before, so that memory is there
                    seconds[name][side].append(value)
    figures = {"max_seq_length": length, "mean_tokens": float(rows.lengths.mean())}
    for name, prefix in (("train", ""), ("eval", "eval_"), ("predict", "predict_")):
        medians = {side: statistics.median(seconds[name][side]) for side in sides}
        figures[f"{prefix}examples_per_s"] = 1 / medians["ours"]
        figures[f"{prefix}examples_per_s_fixed_padding"] = 1 / medians["fixed"]
        figures[f"{prefix}ratio_to_fixed_padding"] = medians["fixed"] / medians["ours"]
    return figures | trainers(arguments, kind, tokenizer, examples["train"])


def strata(kind, rows, batch_size, by_length, length):
    """Batches of an epoch at evenly spaced places of their order by length."""
    from electra_paddle.finetuning.batches import TrainingBatches

    stop = -(-len(rows) // batch_size)
    batches = list(TrainingBatches(rows, kind, batch_size, 0, by_length=by_length, length=length).iterate(0, stop))
    batches.sort(key=lambda batch: batch.input_ids.shape[1])
    places = (np.arange(NUM_STRATA) + 0.5) / NUM_STRATA * len(batches)
    return [batches[int(place)] for place in places]


def build(kind, vocab_size, size):
    """(a function that runs one update, the TaskModel)."""
    import dataclasses

    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.config.geometry import discriminator_geometry
    from electra_paddle.finetuning.model import TaskModel
    from electra_paddle.models.initialization import initialize
    from electra_paddle.training.optimizer import build_optimizer
    from electra_paddle.training.transfer import to_tensors

    shape = dataclasses.asdict(discriminator_geometry(size, vocab_size, None, {}))
    network = kind.build_network(ElectraConfig(**shape, num_labels=len(kind.description.labels)))
    initialize(network, 0)
    model = TaskModel(kind, network)
    optimizer = build_optimizer(model, 1e-4)

    def update(batch):
        model.train()
        model(to_tensors(batch)).loss.backward()
        optimizer.step()
        optimizer.clear_grad(set_to_zero=False)

    return update, model


def measure(kind, model, update, batches, examples, tokenizer, batch_size, options):
    """Seconds for each example in training, evaluation (features at hand) and prediction (from texts)."""
    from electra_paddle.finetuning.evaluation import evaluate_features
    from electra_paddle.finetuning.features import make_features

    begin = time.perf_counter()
    for batch in batches:
        update(batch)
    train = (time.perf_counter() - begin) / sum(len(batch.labels) for batch in batches)
    begin = time.perf_counter()
    features = make_features(kind, examples, tokenizer, 1)
    encoded = time.perf_counter()
    evaluate_features(model, tokenizer, examples, features, batch_size, *options)
    end = time.perf_counter()
    return {"train": train, "eval": (end - encoded) / len(examples), "predict": (end - begin) / len(examples)}
