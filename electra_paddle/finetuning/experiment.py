"""Which experiment the results of a task in a folder are of: a second one is refused there, not mixed with them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle import __version__
from electra_paddle.config import FinetuningConfig, save_config
from electra_paddle.config.changes import changes_between, default_settings, plain_settings
from electra_paddle.errors import CheckpointError, ConfigError
from electra_paddle.files import sha256
from electra_paddle.finetuning.description import SPLITS, TaskDescription
from electra_paddle.finetuning.features import fingerprint
from electra_paddle.finetuning.kinds.base import read_task
from electra_paddle.models.pretrained_directory import VOCABULARY, WEIGHTS
from electra_paddle.parsing import parse_json

if TYPE_CHECKING:
    from electra_paddle.finetuning.job import Job

# Entries that change where or when, but not what: a run may go on with others.
NOT_OF_IDENTITY = {
    "data_dir", "model_name", "task_names", "init_checkpoint", "output_dir", "do_train", "do_eval", "do_test",
    "num_trials", "keep_all_models", "log_examples", "write_test_outputs", "n_writes_test", "write_probabilities",
    "use_tfrecords_if_existing", "num_processes", "save_checkpoints_steps", "log_steps", "seed", "predict_batch_size",
    "eval_batch_size", "recommended", "loggers", "callbacks", "begin_anew", "ensemble",
}  # fmt: skip
# Entries of later versions, with the values that earlier ones had.
ADDED: dict[str, Any] = {
    "lr_schedule": "linear", "folds": 0, "encoding": None, "threshold": None, "class_weights": None,
    "label_smoothing": 0.0, "focal_gamma": 0.0, "fgm_epsilon": 0.0, "r_drop_alpha": 0.0, "ema_decay": 0.0,
    "long_texts": "cut", "qa_na_threshold": None, "max_train_examples": None,
}  # fmt: skip
RESOLVED = {"do_lower_case"}  # entries that a model decides where they say nothing
RECORD = "experiment"  # in the saved configuration: what decides beside its entries


def identity_of(job: Job, seed: int, splits: Collection[str]) -> str:
    """A hash of everything that decides about a trial, as far as it uses some splits."""
    config = {**dataclasses.asdict(job.config), "do_lower_case": job.tokenizer.do_lower_case}
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


def deciding_splits(job: Job) -> list[str]:
    """The splits that decide about a model: its weights, and what its kind chooses on dev."""
    return ["train", "dev"] if job.config.eval_steps or job.kind.open_choices else ["train"]


def record_path(job: Job) -> Path:
    """The configuration of a task's runs, as it is saved."""
    return job.config.output_dir / f"finetuning_config_{job.name}.json"


def settings_of(job: Job) -> dict[str, Any]:
    """The entries of a job's configuration that decide about its trials."""
    entries = plain_settings(job.config)
    return {name: entries[name] for name in entries if name == "seed" or name not in NOT_OF_IDENTITY | RESOLVED}


def record_of(job: Job) -> dict[str, Any]:
    """What decides beside the configuration's entries and files."""
    version = {"version": __version__} if job.config.do_train else {}  # any evaluates what another one has trained
    return {
        **version,
        "do_lower_case": job.tokenizer.do_lower_case,
        "strip_accents": job.tokenizer.strip_accents,
        **{f"task.{name}": value for name, value in plain_settings(job.kind.description).items()},
        **{f"network.{name}": value for name, value in job.network.items()},
    }


def digests_of(job: Job) -> dict[str, str | None]:
    """SHA-256 of the files that decide; None for one that is not there."""
    splits = deciding_splits(job) if job.config.do_train else ()
    return {
        **{split: sha256(job.files[split]) if split in job.files else None for split in splits},
        f"{VOCABULARY} of init_checkpoint": job.tokenizer.vocabulary.sha256,
        f"{WEIGHTS} of init_checkpoint": sha256(job.source / WEIGHTS) if job.source else None,
    }


def changes_since(job: Job, saved: Mapping[str, Any]) -> list[str]:
    """What differs between the experiment of a saved configuration and the job's, in words."""
    before = {**default_settings(FinetuningConfig), **saved} if saved else {}
    changes = changes_between(before, settings_of(job))
    names: dict[str, str] = {split: path.name for split, path in job.files.items()}
    changed_files = []
    if record := saved.get(RECORD):
        known = {f"task.{name}": value for name, value in default_settings(TaskDescription).items()}
        changes += changes_between({**known, **record}, record_of(job))
        changed_files = changes_between(record.get("files") or {}, digests_of(job))
    return [*map(str, changes), *(f"{names.get(change.name, change.name)} has changed" for change in changed_files)]


def another_experiment(job: Job) -> str:
    """How the results in a job's place differ from what it makes; "" where they do not, or where there are none."""
    if not any(is_result(path) for path in paths_of(job)):
        return ""
    saved = read_record(job)
    difference = ", ".join(changes_since(job, saved))
    if difference or RECORD in saved or not job.config.do_train:
        return difference
    foreign = [path.name for path in paths_of(job) if is_foreign_model(job, path)]  # of a version that kept no record
    return f"{foreign[0]} was made with other settings or files" if foreign else ""


def check_experiment(job: Job) -> None:
    """Refuse a job in whose place there are results of another experiment; those of a debug run give way.

    Raises:
        ConfigError: names the difference.
    """
    difference = another_experiment(job)
    if not difference or job.config.begin_anew or (read_record(job).get("debug") and job.config.do_train):
        return
    advice = "choose another --output-dir; --begin-anew true removes what there is of this task"
    if not job.config.do_train:
        advice = f"--hparams {record_path(job)} gives the settings that its models were trained with"
    found = f"results of {job.name} from another experiment ({difference})"
    raise ConfigError(job.config.output_dir, found, "the same experiment", advice)


def begin_experiment(job: Job) -> None:
    """Keep a record of what a job's trials are made with; what is there of another experiment is removed, if it may.

    Raises:
        ConfigError: it may not.
    """
    check_experiment(job)
    if not job.config.do_train:
        return
    if difference := another_experiment(job):
        print(f"{job.config.output_dir}: results of {job.name} from an earlier experiment are removed ({difference})")
        for path in paths_of(job):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    save_config(job.config, record_path(job), **{RECORD: {**record_of(job), "files": digests_of(job)}})


def read_record(job: Job) -> dict[str, Any]:
    """The saved configuration of the runs in a job's place; {} where there is none."""
    try:
        saved = parse_json(record_path(job).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_whole = isinstance(saved, dict) and isinstance(saved.get(RECORD, {}), dict)
    return saved if is_whole else {}


def paths_of(job: Job) -> Iterator[Path]:
    """Everything that runs of a task have written in a job's place, but for the record and features."""
    names = [name for split in SPLITS for name in (split, *job.kind.description.names(split))]
    stem = f"{re.escape(job.name)}_({'|'.join(sorted({re.escape(Path(name).stem) for name in names}))})"
    written = {
        "finetuning_models": rf"{re.escape(job.name)}_model_(\d+|ensemble)",
        "finetuning_checkpoints": rf"{re.escape(job.name)}_\d+_[0-9a-f]{{8}}",
        "finetuning_logs": rf"{re.escape(job.name)}_\d+",
        "test_predictions": rf"{stem}_(\d+|ensemble)_predictions\..*",
        "results": rf"{stem}_(\d+|ensemble)[_.].*|{re.escape(job.name)}_((results|report|out_of_fold)[._].*|qa)",
    }
    for folder, pattern in written.items():
        for path in sorted((job.config.output_dir / folder).glob("*")):
            if re.fullmatch(pattern, path.name):
                yield path


def is_result(path: Path) -> bool:
    """Whether a run could go on from a path, or shows it: models, checkpoints, scores."""
    is_empty = path.is_dir() and not any(path.iterdir())
    return path.parent.name in ("finetuning_models", "finetuning_checkpoints", "results") and not is_empty


def is_foreign_model(job: Job, path: Path) -> bool:
    """Whether a path is a trial's model that this job would not have made."""
    number = path.name.rpartition("_")[2]
    if path.parent.name != "finetuning_models" or not number.isdecimal():
        return False
    seed = job.config.seed + int(number) - 1
    try:
        return read_task(path).get("identity") != identity_of(job, seed, deciding_splits(job))
    except CheckpointError:
        return False  # not whole
