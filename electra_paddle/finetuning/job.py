"""Prepare a fine-tuning run as far as possible without Paddle, so that bad input is reported at once."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from electra_paddle import runtime
from electra_paddle.config.geometry import SIZES, discriminator_geometry
from electra_paddle.conversion.published import pretrained_directory
from electra_paddle.errors import CheckpointError, ConfigError, DataError, some_of
from electra_paddle.finetuning.description import SPLITS, check_layout
from electra_paddle.finetuning.ensemble import check_combines
from electra_paddle.finetuning.experiment import check_experiment
from electra_paddle.finetuning.folds import assign_folds, note_rare
from electra_paddle.finetuning.formats import read_lines
from electra_paddle.finetuning.kinds.base import make_kind
from electra_paddle.finetuning.labels import counts_line, missing_labels
from electra_paddle.finetuning.problems import Problems
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.models.pretrained_directory import agreed_case
from electra_paddle.text import Tokenizer, Vocabulary

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.config import FinetuningConfig
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.kinds.base import AnyKind

NUM_DEBUG_EXAMPLES = 100
FEATURES = "finetuning_features"  # in the output's folder
OF_HEADS = ("hidden_classifier", "reading")  # entries of config.json that say which head weights were fine-tuned with
NO_DROPOUT = (
    "r_drop_alpha has no effect in a network without dropout, as both passes are equal; "
    """--model-hparam-overrides '{"hidden_dropout_prob": 0.1}' switches it on"""
)
DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob")


class Job(NamedTuple):
    """All trials of one task."""

    config: FinetuningConfig
    kind: AnyKind
    source: Path | None  # folder of the pre-trained model; None in a debug run
    network: dict[str, Any]  # entries of its config.json
    tokenizer: Tokenizer
    files: dict[str, Path]  # split -> path, of the splits that are used
    examples: dict[str, list[Any]]  # split -> examples of the kind's own class
    folds: Array | None = None  # of each training example, from 1; None without cross-validation
    features_dir: Path | None = None  # where features are kept; None: in the output's folder

    @property
    def name(self) -> str:
        return self.kind.description.name

    def result_path(self, split: str, number: int | str, what: str) -> Path:
        """A file of what one trial, one fold or all of them together said of a split."""
        return self.config.output_dir / "results" / f"{self.name}_{split}_{number}_{what}"

    def model_dir(self, trial: int | str) -> Path:
        """The folder to which the fine-tuned model of a trial or a fold is written."""
        return self.config.output_dir / "finetuning_models" / f"{self.name}_model_{trial}"


def find_source(config: FinetuningConfig) -> tuple[Path | None, dict[str, Any], Vocabulary]:
    """(folder of the pre-trained model or None, the entries of its config.json, its Vocabulary)."""
    if config.debug:
        paths = [folder / pretrained.VOCABULARY for folder in (config.init_checkpoint, config.data_dir)]
        vocabulary = Vocabulary.load(next((path for path in paths if path.is_file()), paths[-1]))
        overrides = {**config.model_hparam_overrides, **config.DEBUG_SHAPE}
        shape = discriminator_geometry(config.model_size or "small", len(vocabulary), config.embedding_size, overrides)
        return None, dataclasses.asdict(shape), vocabulary
    source = pretrained_directory(config.init_checkpoint)
    path = source / pretrained.VOCABULARY
    beside = config.data_dir / pretrained.VOCABULARY
    vocabulary = Vocabulary.load(beside if not path.is_file() and beside.is_file() else path)
    network = pretrained.read_config(source)
    check_shape(config, network, source / pretrained.CONFIG)
    dropout = {name: config.model_hparam_overrides[name] for name in DROPOUT if name in config.model_hparam_overrides}
    encoder = {name: value for name, value in network.items() if name not in OF_HEADS}
    if config.do_train and config.max_seq_length > encoder.get(pretrained.TRAINED_POSITIONS, config.max_seq_length):
        note_untrained(config, source, encoder.pop(pretrained.TRAINED_POSITIONS))
    return source, {**encoder, **dropout}, vocabulary


def note_untrained(config: FinetuningConfig, source: Path, num_trained: int) -> None:
    """Say that the network begins with positions that no pre-training has seen."""
    if runtime.is_main():
        found = (
            f"max_seq_length {config.max_seq_length}, and {source} was pre-trained with at most {num_trained} tokens"
        )
        print(f"NOTE: {found}: later positions begin untrained", file=sys.stderr)


def check_shape(config: FinetuningConfig, network: Mapping[str, Any], path: Path) -> None:
    """Refuse a configuration that says of the network's shape what its config.json does not."""
    said: dict[str, Any] = {}
    if config.model_size:
        said["hidden_size"], said["num_hidden_layers"], _ = SIZES[config.model_size]
    said |= {"embedding_size": config.embedding_size, "vocab_size": config.vocab_size}
    said |= {name: value for name, value in config.model_hparam_overrides.items() if name not in DROPOUT}
    for name, value in said.items():
        if value is not None and network.get(name, value) != value:
            advice = "leave out model_size and what shapes the network: the model's own shape is taken"
            raise ConfigError(name, value, f"{network[name]} as in {path}", advice)
    most = most_positions(network)
    if config.max_seq_length > most:
        raise ConfigError("max_seq_length", config.max_seq_length, f"at most {most}")


def most_positions(network: Mapping[str, Any]) -> int:
    """Tokens of the longest sequence that a network takes."""
    return int(network.get("max_position_embeddings", 512))


def prepare(config: FinetuningConfig, description: TaskDescription) -> Job:
    """The Job of a task.

    Raises:
        ElectraPaddleError: anything wrong with its files, its model or its configuration.
    """
    source, network, vocabulary = find_source(config)
    do_lower_case, strip_accents = pretrained.read_case(source) if source else (config.do_lower_case is not False, None)
    agreed_case(config.do_lower_case, do_lower_case, (source or config.data_dir) / pretrained.TOKENIZER)
    tokenizer = Tokenizer(vocabulary, do_lower_case, strip_accents)
    check_layout(description)
    if config.encoding:
        description = description.with_encoding(config.encoding)
    folder = description.folder_in(config.data_dir)
    files = find_files(config, description, folder)
    description = find_labels(config, description, folder)
    kind = make_kind(description, config)
    examples = {split: read_split(kind, path, split) for split, path in files.items()}
    if config.ensemble:
        check_combines(kind)
    folds = None
    if config.folds and config.do_train:
        folds = assign_folds(kind, examples["train"], config.folds, config.seed)
        if runtime.is_main():
            note_rare(kind, examples["train"], config.folds)
    job = Job(config, kind, source, network, tokenizer, files, examples, folds)
    if not config.do_train:
        for trial in range(1, config.num_models + 1):
            check_head(job, job.model_dir(trial))
    check_experiment(job)
    if runtime.is_main():
        note_missing(config, folder, files)
        if config.r_drop_alpha and not any(network.get(name, 0.1) for name in DROPOUT):
            print(f"NOTE: {NO_DROPOUT}", file=sys.stderr)
        say_labels(kind, examples)
    return job


def find_files(config: FinetuningConfig, description: TaskDescription, folder: Path) -> dict[str, Path]:
    """split -> path of the splits that are wanted and there."""
    wanted = {"train": config.do_train, "dev": config.do_eval, "test": config.do_test, "challenge": config.do_test}
    check_folder(description, folder)
    files = {}
    for split in SPLITS:
        path = description.find_file(folder, split) if wanted[split] else None
        if path:
            files[split] = path
        elif wanted[split] and split == "train":
            names = description.names(split)
            raise DataError(folder / names[0], "no such file", f"the training data of {description.name}")
    return files


def check_folder(description: TaskDescription, folder: Path) -> None:
    """Refuse a folder that is not there; it is mostly a wrong data_dir."""
    if not folder.is_dir():
        key = "`folder` in the task's description" if Path(description.folder or "").is_absolute() else "--data-dir"
        raise DataError(folder, "no such folder", f"the files of {description.name}", f"{key} leads there")


def note_missing(config: FinetuningConfig, folder: Path, files: Mapping[str, Path]) -> None:
    """Say which splits are skipped because there is no file."""
    for split, is_wanted in (("dev", config.do_eval), ("test", config.do_test)):
        if is_wanted and split not in files:
            print(f"{folder}: no {split} split, skipped")
    if config.do_train and config.eval_steps and "dev" not in files:
        print(f"{folder}: no dev split, so eval_steps {config.eval_steps} has no effect: the last weights are kept")


def say_labels(kind: AnyKind, examples: Mapping[str, Sequence[Any]]) -> None:
    """Say how many examples each split has and of which labels, and which labels cannot be learned."""
    if about := kind.about_labels():
        print(f"{kind.description.name} {about}")
    for split, rows in examples.items():
        counts = kind.count_labels(rows) if kind.is_labelled(rows) else {}
        print(f"{kind.description.name} {counts_line(split, counts, len(rows))}")
        missing = missing_labels(kind.description.classes, counts) if split == "train" and counts else []
        if missing:
            print(f"NOTE: {len(missing):,} labels have no training example: {some_of(missing)}", file=sys.stderr)


def find_labels(config: FinetuningConfig, description: TaskDescription, folder: Path) -> TaskDescription:
    """The description with its labels, which may stand in a file of theirs or only in the training data."""
    if description.labels is not None:
        return description
    problems = Problems(config.on_error)
    listed = folder / description.labels_file if description.labels_file else None
    training = description.find_file(folder, "train")
    if listed and listed.is_file():
        labels = tuple(line.strip() for _, line in read_lines(listed, problems, description.encoding))
    elif training:
        labels = make_kind(description, config).find_labels(training, problems)
    else:
        names = description.names("train")
        raise DataError(folder / names[0], "no such file", "training data, from which the labels are read")
    return description.with_labels(labels)


def read_split(kind: AnyKind, path: str | Path, split: str) -> list[Any]:
    """The examples of a file; what is skipped is listed."""
    problems = Problems(kind.config.on_error)
    examples = kind.read(Path(path), split, problems)
    if runtime.is_main():
        problems.report(path)
    if not examples:
        raise DataError(path, "no examples", "at least one")
    most = kind.config.max_train_examples if split == "train" else None
    return examples[: NUM_DEBUG_EXAMPLES if kind.config.debug else most]


def check_head(job: Job, folder: Path) -> None:
    """Refuse a fine-tuned model whose head has other labels."""
    labels = [str(label) for label in pretrained.read_config(folder).get("id2label", {}).values()]
    expected = list(job.kind.description.classes)
    if expected and labels != expected:
        raise CheckpointError(
            folder / pretrained.CONFIG,
            f"a head of {len(labels)} labels ({', '.join(labels[:8])})",
            f"{len(expected)} ({', '.join(expected[:8])})",
        )
