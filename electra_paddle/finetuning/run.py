"""All trials of a task: features, training, evaluation, predictions, results."""

import dataclasses
import hashlib
import itertools
import json
import shutil

from electra_paddle import __version__, runtime
from electra_paddle.config import save_config
from electra_paddle.errors import CheckpointError
from electra_paddle.files import sha256
from electra_paddle.finetuning import report
from electra_paddle.finetuning.features import fingerprint, load_features
from electra_paddle.finetuning.model import build_model, read_task
from electra_paddle.finetuning.trial import Trial
from electra_paddle.models.pretrained_directory import WEIGHTS

# Entries that change where or when, but not what: a run may go on with others.
NOT_OF_IDENTITY = {
    "data_dir", "model_name", "task_names", "init_checkpoint", "output_dir", "do_train", "do_eval", "do_test",
    "num_trials", "keep_all_models", "log_examples", "write_test_outputs", "n_writes_test", "write_probabilities",
    "use_tfrecords_if_existing", "num_processes", "save_checkpoints_steps", "log_steps", "seed", "predict_batch_size",
    "eval_batch_size", "recommended", "loggers", "callbacks",
}  # fmt: skip
ADDED = {"lr_schedule": "linear"}  # entries of later versions, with the values that earlier ones had


def run_task(job):
    """Run all trials of a Job; returns the Results."""
    build_model(job, job.config.seed)  # weights that do not fit are refused before anything is written
    features = make_features(job)
    if job.config.log_examples and runtime.is_main():
        show_examples(job, features)
    config, results = job.config, report.Results(job)
    for number in itertools.count(1) if config.num_trials < 0 else range(1, config.num_trials + 1):
        seed = config.seed + number - 1
        deciding = ["train", "dev"] if config.eval_steps else ["train"]  # for the weights
        identity = identity_of(job, seed, job.files)
        scores = results.earlier(number, identity) if config.do_train else None
        if scores is None:
            scores = run_trial(job, features, number, seed, identity_of(job, seed, deciding))
        elif runtime.is_main():
            print(f"{job.name}, trial {number}: finished before with the same settings, its scores are taken")
        results.add(seed, identity, scores)
        if runtime.is_main():
            results.write()
            if number > 1 and config.do_train and not config.keep_all_models:
                shutil.rmtree(job.model_dir(number - 1), ignore_errors=True)
    return results


def make_features(job):
    """split -> Features; the main process makes those that are not on disk."""
    folder = job.config.output_dir / "finetuning_features"
    if runtime.is_main():
        for split, path in job.files.items():
            load_features(folder, job.kind, path, split, job.examples[split], job.tokenizer)
    runtime.barrier()
    config = dataclasses.replace(job.config, use_tfrecords_if_existing=True)  # made just now
    kind = type(job.kind)(job.kind.description, config)
    return {
        split: load_features(folder, kind, path, split, job.examples[split], job.tokenizer)
        for split, path in job.files.items()
    }


def identity_of(job, seed, splits):
    """A hash of everything that decides about a trial, as far as it uses some splits."""
    config = dataclasses.asdict(job.config)
    deciding = {
        "version": __version__,
        "seed": seed,
        "config": {
            name: value
            for name, value in config.items()
            if name not in NOT_OF_IDENTITY and ADDED.get(name, ...) != value
        },
        "network": job.network,
        "weights": sha256(job.source / WEIGHTS) if job.source else None,
        "files": {
            split: fingerprint(job.kind, path, split, job.tokenizer)
            for split, path in job.files.items()
            if split in splits
        },
    }
    return hashlib.sha256(json.dumps(deciding, sort_keys=True, default=str).encode()).hexdigest()


def is_trained(job, number, identity):
    """Whether the folder of a trial holds the model of this identity."""
    try:
        return read_task(job.model_dir(number)).get("identity") == identity
    except CheckpointError:
        return False


def run_trial(job, features, number, seed, identity):
    """Train, save, evaluate and predict: split -> {metric: value}."""
    trial = Trial(job, features, number, seed, identity)
    if not job.config.do_train or is_trained(job, number, identity):
        trial.load()
    else:
        if runtime.is_main():
            save_config(job.config, make_parent(job.config.output_dir / f"finetuning_config_{job.name}.json"))
        trial.train()
    scores = {}
    for split in (split for split in job.examples if split != "train"):
        evaluation = trial.evaluate(split)
        if evaluation.scores:
            scores[split] = evaluation.scores
        if runtime.is_main():
            write_split(job, number, split, evaluation)
    return scores


def write_split(job, number, split, evaluation):
    """Print the scores of a split, and write predictions and tables."""
    config, kind, examples = job.config, job.kind, job.examples[split]
    if evaluation.scores:
        figures = " - ".join(f"{key}: {value:.2f}" for key, value in evaluation.scores.items())
        print(f"{job.name} {split}: {figures}")
    if number > config.n_writes_test:
        return
    if evaluation.scores:
        stem = config.output_dir / "results" / f"{job.name}_{split}_{number}"
        kind.write_report(stem, examples, evaluation.predictions)
    if config.write_test_outputs or kind.always_writes or not evaluation.scores:
        stem = job.files[split].stem
        for path in kind.write_predictions(config.output_dir, stem, number, examples, evaluation.predictions):
            print(f"{path} written")


def show_examples(job, features, count=3):
    """Print the first examples as the network sees them."""
    tokens = job.tokenizer.vocabulary.tokens
    for split, rows in features.items():
        for row, _ in zip(rows, range(count), strict=False):
            example = job.examples[split][row.example]
            print(f"{example.where}: {' '.join(tokens[token] for token in row.input_ids)}")


def make_parent(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
