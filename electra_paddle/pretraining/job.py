"""Prepare a pre-training run as far as possible without Paddle, so that bad input is reported at once."""

import dataclasses
import shutil
from pathlib import Path
from typing import NamedTuple

from electra_paddle import runtime
from electra_paddle.batch import ProcessShare
from electra_paddle.config import PretrainingConfig
from electra_paddle.config.geometry import Geometry
from electra_paddle.config.recipes import find_recipe
from electra_paddle.conversion.published import pretrained_directories
from electra_paddle.data.cloze import Cloze, read_cloze
from electra_paddle.data.evaluation import EvaluationBatches, hold_out
from electra_paddle.data.loader import PretrainingBatches
from electra_paddle.data.masking import MaskingSettings
from electra_paddle.data.shards import MANIFEST, Shards
from electra_paddle.errors import CheckpointError, ConfigError, DataError
from electra_paddle.models.informed import num_frequencies
from electra_paddle.models.pretrained_directory import TOKENIZER, agreed_case, read_case, read_json
from electra_paddle.models.warm_start import find_networks
from electra_paddle.pretraining.history import History, continue_history
from electra_paddle.pretraining.objectives import OBJECTIVES, Objective
from electra_paddle.text import Vocabulary
from electra_paddle.training.checkpoint import Checkpoint, Checkpoints
from electra_paddle.training.loggers import LOGGERS

SETTINGS = "pretraining_config.json"  # in the run's folder


class Job(NamedTuple):
    """One pre-training run."""

    config: PretrainingConfig
    vocabulary: Vocabulary
    objective: Objective
    generator: Geometry | None
    discriminator: Geometry | None
    batches: PretrainingBatches
    eval_batches: EvaluationBatches | None
    checkpoints: Checkpoints
    checkpoint: Checkpoint | None  # the one to go on from
    cloze: Cloze | None
    first_weights: dict[str, Path]  # what `find_networks` found in init_from, to fill the networks from; {} for none
    history: History
    do_lower_case: bool  # as the text of the shards was
    strip_accents: bool

    @property
    def shard_folders(self) -> list[Path]:
        """Folders of the shards that are read."""
        return [self.config.pretrain_shards, *([self.config.eval_shards] if self.config.eval_shards else [])]

    @property
    def start(self) -> int:
        """Updates done before."""
        return self.checkpoint.step if self.checkpoint else self.config.init_step


def prepare(config: PretrainingConfig) -> Job:
    """Gather what a run needs.

    Raises:
        ElectraPaddleError: vocabulary, shards, networks, checkpoints or first weights that do not fit.
    """
    for name in config.loggers:
        LOGGERS.check(name)
    vocabulary = Vocabulary.load(config.vocab_file)
    config.check_vocabulary(vocabulary)
    objective = OBJECTIVES.load(config.objective)(config)
    generator, discriminator = objective.shapes(len(vocabulary))
    for shape in filter(None, (generator, discriminator)):
        config.check_length(shape)
    batches, eval_batches = open_shards(config, vocabulary)
    manifest = batches.shards.manifest
    do_lower_case = agreed_case(config.do_lower_case, manifest["do_lower_case"], config.pretrain_shards / MANIFEST)
    shapes = {"generator": generator, "discriminator": discriminator}
    identity = {name: dataclasses.asdict(shape) if shape else None for name, shape in shapes.items()}
    checkpoints = Checkpoints(
        config.model_dir / "checkpoints", {**identity, "vocab_sha256": vocabulary.sha256}, config.keep_checkpoint_max
    )
    checkpoint = checkpoints.latest()
    if config.do_eval:
        check_evaluation(config, eval_batches, checkpoint)
    first_weights: dict[str, Path] = {}
    if config.init_from and not checkpoint:
        first_weights = find_networks(pretrained_directories(config.init_from), vocabulary, shapes)
        for folder in first_weights.values():
            agreed_case(do_lower_case, read_case(folder)[0], folder / TOKENIZER)
    history = continue_history(config, do_lower_case, checkpoint)
    if config.initialization == "informed":
        num_frequencies((generator, discriminator))
    cloze = None
    if config.cloze_file:
        cloze = read_cloze(find_recipe(config.cloze_file), vocabulary, do_lower_case)
    return Job(
        config,
        vocabulary,
        objective,
        generator,
        discriminator,
        batches,
        eval_batches,
        checkpoints,
        checkpoint,
        cloze,
        first_weights,
        history,
        do_lower_case,
        manifest["strip_accents"],
    )


def open_shards(
    config: PretrainingConfig, vocabulary: Vocabulary
) -> tuple[PretrainingBatches, EvaluationBatches | None]:
    """The batches of this process, for training and for evaluation."""
    shards = Shards(config.pretrain_shards, vocabulary)
    training, held_out = hold_out(shards, 0 if config.eval_shards else config.eval_fraction)
    if config.eval_shards:
        held_out = Shards(config.eval_shards, vocabulary)
    masking = MaskingSettings(**{name: getattr(config, name) for name in MaskingSettings._fields})
    share = ProcessShare(runtime.rank(), runtime.num_processes(), config.gradient_accumulation_steps)
    batches = PretrainingBatches(training, vocabulary, config.train_batch_size, masking, config.seed, share)
    if held_out is None:
        return batches, None
    return batches, EvaluationBatches(held_out, vocabulary, config.eval_batch_size, config.num_eval_steps, masking)


def check_evaluation(
    config: PretrainingConfig, eval_batches: EvaluationBatches | None, checkpoint: Checkpoint | None
) -> None:
    """Refuse an evaluation of nothing, or on nothing."""
    if not checkpoint and not config.init_from:
        raise CheckpointError(
            config.model_dir / "checkpoints", "no checkpoint", "one to evaluate", "train first, or give init_from"
        )
    if eval_batches is None:
        raise DataError(config.pretrain_shards, "fewer than 10 examples", "enough for evaluation", "give eval_shards")


def clear_debug_run(folder: Path) -> None:
    """Empty the folder of an earlier debug run, as the original does; every process may, as none has begun to write.

    Raises:
        ConfigError: the folder holds something else.
    """
    if not folder.exists():
        return
    path = folder / SETTINGS
    if not path.exists() or not read_json(path).get("debug"):
        raise ConfigError(
            "model_dir", f"{folder}, which no debug run made", "a new folder", "choose another model_name"
        )
    shutil.rmtree(folder, ignore_errors=True)
