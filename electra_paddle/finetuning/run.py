"""All trials of a task: features, training, evaluation, predictions, results."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle import runtime
from electra_paddle.config import FinetuningConfig
from electra_paddle.config.loading import build_config
from electra_paddle.errors import CheckpointError, ConfigError
from electra_paddle.finetuning.analysis import record_of, write_analysis, write_records
from electra_paddle.finetuning.description import TaskDescription, load_description
from electra_paddle.finetuning.ensemble import ENSEMBLE, write_ensemble
from electra_paddle.finetuning.experiment import begin_experiment, deciding_splits, identity_of
from electra_paddle.finetuning.features import Features, load_features
from electra_paddle.finetuning.folds import HELD_OUT, evaluate_out_of_fold, fold_of, write_out_of_fold
from electra_paddle.finetuning.job import FEATURES, Job, prepare
from electra_paddle.finetuning.kinds.base import read_task
from electra_paddle.finetuning.page import write_page
from electra_paddle.finetuning.recommendation import say, with_recommended
from electra_paddle.finetuning.report import Results
from electra_paddle.locks import only_writer
from electra_paddle.training.callbacks import Callback

if TYPE_CHECKING:
    from electra_paddle.finetuning.evaluation import Evaluation


def finetune(
    task: str | Path | TaskDescription,
    config: FinetuningConfig | None = None,
    *,
    callbacks: Sequence[Callback] = (),
    **settings: Any,
) -> Results:
    """Fine-tune a pre-trained model on a task in one trial or several; a run that was interrupted goes on.

    Args:
        task: a task's name, a file that describes one, or a description; its files lie in
            `DATA_DIR/finetuning_data/NAME`.
        config: all settings, none of which is replaced by a recommended one; or
        settings: those that differ from what is recommended for the task and the size of the model, or from the
            defaults, under the names of FinetuningConfig's fields.
        callbacks: called at the events of each trial's training, after its own.

    Returns:
        Scores of each trial and split, maximum and mean, and the folders of the fine-tuned models.

    Raises:
        ElectraPaddleError: something does not fit; nothing is overwritten.
        Interrupted: by SIGTERM or Ctrl-C; a checkpoint is written.

    Examples:
        >>> results = finetune("chnsenticorp", data_dir="runs", init_checkpoint="chinese-electra-small", num_trials=3)
        >>> print(results.summary["test"]["mean"])
        >>> from_finetuned(results.models[0]).predict(["位置很好，服务也不错。"])
    """
    if "task_names" in settings:
        raise ConfigError("task_names", repr(settings["task_names"]), "the task as the first argument")
    description = task if isinstance(task, TaskDescription) else load_description(str(task))
    if config:
        whole, note = build_config(FinetuningConfig, config, settings), ""
    else:
        whole, note = with_recommended(
            description, lambda values: build_config(FinetuningConfig, None, {**values, **settings})
        )
    job = prepare(whole, description)
    say(note)
    runtime.start(whole.deterministic)
    with runtime.last_to_fail():
        return run_task(job, callbacks)


def run_task(job: Job, callbacks: Sequence[Callback] = ()) -> Results:
    """Run all trials of a job.

    Raises:
        ConfigError: another process fine-tunes on this task in this folder.
    """
    lock = only_writer(job.config.output_dir / f"finetuning {job.name}", runtime.job_name())
    with lock if runtime.is_main() else contextlib.nullcontext():
        return run_trials(job, callbacks)


def run_trials(job: Job, callbacks: Sequence[Callback]) -> Results:
    """The trials one after the other."""
    from electra_paddle.finetuning.model import build_model

    build_model(job, job.config.seed, is_told=False)  # weights that do not fit are refused before anything is written
    if runtime.is_main():
        begin_experiment(job)
    features = make_features(job)
    if job.config.log_examples and runtime.is_main():
        show_examples(job, features)
    config, results = job.config, Results(job)
    if results.changed_files and runtime.is_main():
        print(f"{job.name}: {', '.join(results.changed_files)} changed since the last run: all scores are taken anew")
    for number in itertools.count(1) if config.num_models < 0 else range(1, config.num_models + 1):
        seed = config.seed + number - 1
        identity = identity_of(job, seed, job.files)
        scores = results.earlier(number, identity) if config.do_train else None
        if scores is None:
            part = fold_of(job, features, number) if job.folds is not None else (job, features)
            scores = run_trial(*part, number, seed, identity_of(job, seed, deciding_splits(job)), callbacks)
        elif runtime.is_main():
            print(f"{job.name}, {config.unit} {number}: finished before with the same settings, its scores are taken")
        results.add(seed, identity, scores)
        if runtime.is_main():
            results.write()
            if number > 1 and config.do_train and not config.keep_all_models:
                shutil.rmtree(job.model_dir(number - 1), ignore_errors=True)
    combine_models(job, features, results)
    if runtime.is_main():
        results.write()
        if results.summary:
            results.show()
        else:
            print(f"{job.name}: nothing was measured, as there is no dev or test split with labels")
        print(f"{write_page(job, results)} written")
    return results


def combine_models(job: Job, features: Mapping[str, Features], results: Results) -> None:
    """What all trials or folds say together: of the training data out of fold, of other splits as an ensemble."""
    makers = {"out of fold": run_out_of_fold} if job.folds is not None else {}
    if job.config.ensemble:
        makers["ensemble"] = run_ensemble
    for name, make in makers.items():
        scores = results.earlier_combined(name) if job.config.do_train else None
        results.add_combined(name, make(job, features) if scores is None else scores)


def run_out_of_fold(job: Job, features: Mapping[str, Features]) -> dict[str, dict[str, float]]:
    """Predict each training example by the model that was not trained on it, write it down and score it."""
    evaluation = evaluate_out_of_fold(job, features)
    if runtime.is_main():
        print(f"{write_out_of_fold(job, evaluation.predictions)} written")
    return {HELD_OUT: evaluation.scores}


def run_ensemble(job: Job, features: Mapping[str, Features]) -> dict[str, dict[str, float]]:
    """Let all models predict the other splits together, and write the directory that stands for them."""
    from electra_paddle.finetuning.evaluation import evaluate_split
    from electra_paddle.finetuning.model import load_finetuned

    folders = [job.model_dir(number) for number in range(1, job.config.num_models + 1)]
    model, scores = load_finetuned(job.kind, folders), {}
    for split in (split for split in job.examples if split != "train"):
        evaluation = evaluate_split(model, job, features, split)
        if evaluation.scores:
            scores[split] = evaluation.scores
        if runtime.is_main():
            write_split(job._replace(kind=model.kind), ENSEMBLE, split, evaluation)
    if runtime.is_main():
        write_ensemble(job.model_dir(ENSEMBLE), folders)
    return scores


def make_features(job: Job) -> dict[str, Features]:
    """split -> Features; the main process makes those that are not on disk."""
    folder = job.features_dir or job.config.output_dir / FEATURES
    if runtime.is_main():
        for split, path in job.files.items():
            use_existing, examples = job.config.use_tfrecords_if_existing, job.examples[split]
            made = load_features(folder, job.kind, path, split, examples, job.tokenizer, use_existing)
            if note := job.kind.note_on_cuts(examples, made, job.tokenizer):
                print(f"NOTE: {job.name} {split}: {note}", file=sys.stderr)
    runtime.barrier()
    return {
        split: load_features(folder, job.kind, path, split, job.examples[split], job.tokenizer)
        for split, path in job.files.items()
    }


def is_trained(job: Job, number: int, identity: str) -> bool:
    """Whether the folder of a trial holds the model of this identity."""
    try:
        return read_task(job.model_dir(number)).get("identity") == identity
    except CheckpointError:
        return False


def run_trial(
    job: Job, features: Mapping[str, Features], number: int, seed: int, identity: str, callbacks: Sequence[Callback]
) -> dict[str, dict[str, float]]:
    """Train, save, evaluate and predict: split -> {metric: value}."""
    from electra_paddle.finetuning.trial import Trial

    trial = Trial(job, features, number, seed, identity, callbacks)
    if not job.config.do_train or is_trained(job, number, identity):
        trial.load()
    else:
        trial.train()
    scores = {}
    for split in (split for split in job.examples if split != "train"):
        evaluation = trial.evaluate(split)
        if evaluation.scores:
            scores[split] = evaluation.scores
        if runtime.is_main():
            write_split(job._replace(kind=trial.model.kind), number, split, evaluation)
    return scores


def write_split(job: Job, number: int | str, split: str, evaluation: Evaluation) -> None:
    """Print the scores of a split, and write predictions and tables.

    Args:
        number: of the trial or fold, or ENSEMBLE.
    """
    config, kind, examples = job.config, job.kind, job.examples[split]
    if evaluation.scores:
        figures = " - ".join(f"{key}: {value:.2f}" for key, value in evaluation.scores.items())
        print(f"{job.name} {split}{' by the ensemble' * (number == ENSEMBLE)}: {figures}")
    if split == HELD_OUT or (isinstance(number, int) and number > config.n_writes_test):
        return
    if evaluation.scores:
        path = job.result_path(split, number, "predictions.jsonl")
        pairs = zip(examples, evaluation.predictions, strict=True)
        write_records(path, (record_of(kind, *pair) for pair in pairs))
        stem = path.with_name(path.name.removesuffix("_predictions.jsonl"))
        kind.write_report(stem, examples, evaluation.predictions)
        write_analysis(stem, kind, examples, evaluation.predictions)
    if config.write_test_outputs or kind.always_writes or not evaluation.scores or number == ENSEMBLE:
        name = job.files[split].stem
        for path in kind.write_predictions(config.output_dir, name, number, examples, evaluation.predictions):
            print(f"{path} written")


def show_examples(job: Job, features: Mapping[str, Features], count: int = 3) -> None:
    """Print the first examples as the network sees them."""
    tokens = job.tokenizer.vocabulary.tokens
    for split, rows in features.items():
        for row, _ in zip(rows, range(count), strict=False):
            example = job.examples[split][row.example]
            print(f"{example.where}: {' '.join(tokens[token] for token in row.input_ids)}")
