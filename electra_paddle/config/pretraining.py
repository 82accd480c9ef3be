"""Hyper-parameters of pre-training, under the names of the original's `configure_pretraining`."""

import dataclasses
from collections.abc import Collection, Iterable, Sized
from pathlib import Path
from typing import Any, ClassVar

from electra_paddle.config.entry import entry
from electra_paddle.config.geometry import Geometry, discriminator_geometry, generator_geometry
from electra_paddle.errors import ConfigError
from electra_paddle.schedules import SCHEDULES

PRECISIONS = ("fp32", "tf32", "bf16", "bf16_o2", "fp16")
INITIALIZATIONS = ("original", "informed")
MASK_SAMPLINGS = ("without_replacement", "reference")


@dataclasses.dataclass(frozen=True)
class PretrainingConfig:
    """One pre-training run. Paths left out follow from `data_dir` and `model_name`."""

    # What `debug` sets unless it is given too; the network's shape is debug's in any case, as in the original.
    DEBUG: ClassVar[dict[str, Any]] = {
        "train_batch_size": 8,
        "num_train_steps": 20,
        "eval_batch_size": 4,
        "num_eval_steps": 2,
    }
    DEBUG_SHAPE: ClassVar[dict[str, Any]] = {
        "num_hidden_layers": 3,
        "hidden_size": 144,
        "intermediate_size": 576,
        "num_attention_heads": 4,
    }
    # As in the original, which writes neither; and the record that a saved configuration carries.
    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = ("results_txt", "results_pkl", "history")

    # What a run may go on with other values of: where things lie, how often it reports, how the work is divided. The
    # shapes are compared by themselves, and so are the shards.
    MAY_CHANGE: ClassVar[frozenset[str]] = frozenset({
        "data_dir", "model_name", "debug", "pretrain_shards", "vocab_file", "model_dir", "vocab_size", "model_size",
        "model_hparam_overrides", "embedding_size", "generator_hidden_size", "generator_layers", "num_train_steps",
        "gradient_accumulation_steps", "precision", "deterministic", "recompute", "sharding_stage", "do_train",
        "do_eval", "eval_batch_size", "num_eval_steps", "cloze_file", "eval_steps", "save_checkpoints_steps",
        "keep_checkpoint_max", "log_steps", "samples_steps", "histogram_steps", "loggers", "callbacks",
        "allow_changes", "processes", "verify_shards",
    })  # fmt: skip

    data_dir: Path = entry(Path(), "folder of the vocabulary, the shards and the models", group="data")
    model_name: str = entry("electra", "name of the model; it is written to DATA_DIR/models/MODEL_NAME")
    debug: bool = entry(False, "a tiny network for 20 updates of 8 sequences; an earlier debug run's folder is emptied")
    pretrain_shards: Path = entry(None, "folder of the shards; default DATA_DIR/pretrain_shards")
    verify_shards: bool = entry(False, "compare all checksums before the first update, not beside the first ones")
    vocab_file: Path = entry(None, "vocabulary; default DATA_DIR/vocab.txt")
    model_dir: Path = entry(None, "where the model is written; default DATA_DIR/models/MODEL_NAME")
    vocab_size: int | None = entry(None, "number of entries of the vocabulary; default: as the file has")
    do_lower_case: bool | None = entry(None, "whether the text is lower-cased; default: as the shards say")
    max_seq_length: int = entry(128, "tokens of a sequence, at most those of the shards")
    model_size: str = entry("small", "small, base or large", group="model")
    model_hparam_overrides: dict[str, Any] = entry({}, "entries of the network's shape that differ from model_size's")
    embedding_size: int | None = entry(None, "width of the embeddings; default 128 for small, else hidden_size")
    generator_hidden_size: float = entry(0.25, "width of the generator as a fraction of the discriminator's")
    generator_layers: float = entry(1.0, "layers of the generator as a fraction of the discriminator's")
    untied_generator: bool = entry(True, "false: one encoder of full size serves as generator and discriminator")
    untied_generator_embeddings: bool = entry(False, "true: the generator has embeddings of its own, of its width")
    uniform_generator: bool = entry(False, "true: no generator; replacements are drawn uniformly from the vocabulary")
    initialization: str = entry(
        "original",
        "original: random weights; informed: heads that look at their neighbours and word vectors from the shards",
    )
    init_from: Path = entry(None, "begin with these weights: a run's or one network's folder, or a published name")
    init_step: int = entry(0, "updates that those weights have had: schedule and data go on from there; 0 begins anew")
    electra_objective: bool = entry(
        True, "false: a masked language model of full size and no discriminator", group="objective"
    )
    objective: str = entry(
        None, "electra, masked_language_model, or module:Class of your own; default: as electra_objective says"
    )
    mask_prob: float = entry(0.15, "share of the tokens that the generator has to fill")
    whole_word_mask: bool = entry(False, "mask all tokens of a word together; needs shards built with --word-starts")
    mask_sampling: str = entry("without_replacement", "without_replacement, or reference, which may repeat a position")
    gen_weight: float = entry(1.0, "weight of the masked language model's loss")
    disc_weight: float = entry(50.0, "weight of the replaced token detection's loss")
    temperature: float = entry(1.0, "divides the generator's logits before sampling")
    disallow_correct: bool = entry(False, "never sample the original token")
    num_train_steps: int = entry(1_000_000, "updates of the whole run", group="optimization")
    train_batch_size: int = entry(128, "sequences of an update, over all processes")
    learning_rate: float = entry(5e-4, "peak of the schedule before the linear decay is multiplied on")
    generator_learning_rate: float = entry(None, "peak for the generator and what it shares; default learning_rate")
    num_warmup_steps: int = entry(10_000, "updates over which the learning rate rises")
    lr_schedule: str = entry(
        "linear", "after the warm-up: linear (falling), constant, cosine, warmup_stable_decay, or module:function"
    )
    num_decay_steps: int = entry(
        0, "last updates of warmup_stable_decay, in which it falls to 0; `begin_decay` begins them before their time"
    )
    lr_decay_power: float = entry(1.0, "exponent of the decay; 1 is linear")
    weight_decay_rate: float = entry(0.01, "weight decay of everything but biases and layer norms")
    max_bad_steps: int = entry(10, "updates in a row whose loss may be infinite or NaN before the run stops")
    gradient_accumulation_steps: int = entry(
        1, "parts that each process cuts its share of a batch into", group="memory and speed"
    )
    precision: str = entry(
        "fp32",
        "of matrix products: fp32, bf16; on a GPU also tf32, fp16 (loss scaling), bf16_o2 (bf16 weights, fp32 masters)",
    )
    deterministic: bool = entry(
        False, "true: a GPU's results are the same each time, as a CPU's are, and a resumed run's too; slower"
    )
    recompute: bool = entry(False, "true: compute layers again in the backward pass rather than keep their values")
    sharding_stage: int = entry(0, "1: the processes share the optimizer's moments rather than keep all of them each")
    do_train: bool = entry(
        True, "train; false together with do_eval: only evaluate the newest checkpoint", group="evaluation"
    )
    do_eval: bool = entry(False, "evaluate only; training evaluates at intervals anyway")
    eval_fraction: float = entry(
        0.005, "share of the examples kept from training for evaluation, 128 to 12,800; 0: none"
    )
    eval_shards: Path = entry(None, "folder of shards to evaluate on instead; nothing is kept from training then")
    eval_batch_size: int = entry(128, "sequences that a process evaluates at once")
    num_eval_steps: int = entry(100, "batches of an evaluation, over all processes; fewer if there are fewer examples")
    cloze_file: Path = entry(None, "sentences with one [character] each for the generator to fill in at evaluations")
    eval_steps: int = entry(None, "updates between evaluations; default save_checkpoints_steps")
    save_checkpoints_steps: int = entry(1000, "updates between checkpoints", group="run")
    keep_checkpoint_max: int | None = entry(5, "checkpoints kept; 0 keeps all")
    log_steps: int = entry(50, "updates between two lines of metrics")
    samples_steps: int = entry(None, "updates between texts that show both networks' answers; default eval_steps")
    histogram_steps: int = entry(None, "updates between histograms and embeddings; default 10 x samples_steps")
    loggers: tuple[str, ...] = entry(
        ("progress", "jsonl", "visualdl"), "progress, jsonl, visualdl, tensorboard, wandb, swanlab, or module:Class"
    )
    callbacks: tuple[str, ...] = entry((), "callbacks of your own, as module:Class")
    allow_changes: bool = entry(False, "go on with settings that make another experiment; it is recorded")
    seed: int = entry(0, "fixes initialisation, order, masking, sampling and dropout")

    def __post_init__(self) -> None:
        set_default_paths(
            self,
            pretrain_shards=self.data_dir / "pretrain_shards",
            vocab_file=self.data_dir / "vocab.txt",
            model_dir=self.data_dir / "models" / self.model_name,
        )
        require_at_least(
            self, 1, "max_seq_length", "num_train_steps", "train_batch_size", "save_checkpoints_steps", "log_steps"
        )
        require_at_least(self, 1, "gradient_accumulation_steps")
        require_at_least(self, 0, "num_warmup_steps", "learning_rate", "weight_decay_rate", "max_bad_steps")
        set_default(self, "generator_learning_rate", self.learning_rate)
        require_at_least(self, 0, "generator_learning_rate", "num_decay_steps")
        require_one_of(self, "initialization", INITIALIZATIONS)
        SCHEDULES.check(self.lr_schedule)
        self.set_objective()
        self.check_schedule()
        require_one_of(self, "precision", PRECISIONS)
        require_one_of(self, "sharding_stage", (0, 1))
        require_one_of(self, "mask_sampling", MASK_SAMPLINGS)
        require_at_least(self, 1, "eval_batch_size", "num_eval_steps")
        set_default(self, "eval_steps", self.save_checkpoints_steps)
        set_default(self, "samples_steps", self.eval_steps)
        set_default(self, "histogram_steps", 10 * self.samples_steps)
        require_at_least(self, 1, "eval_steps", "samples_steps", "histogram_steps")
        self.check_evaluation()
        if not 0 < self.mask_prob < 1:
            raise ConfigError("mask_prob", self.mask_prob, "between 0 and 1")
        if self.whole_word_mask and self.mask_sampling == "reference":
            raise ConfigError(
                "mask_sampling",
                "reference together with whole_word_mask",
                "without_replacement",
                "the original masks single tokens; set whole_word_mask false to draw as it does",
            )
        if self.init_step and not (self.init_from and 0 < self.init_step < self.num_train_steps):
            raise ConfigError(
                "init_step", self.init_step, f"0, or less than num_train_steps {self.num_train_steps} and an init_from"
            )
        if self.init_from and self.initialization != "original":
            raise ConfigError(
                "initialization",
                f"{self.initialization} together with init_from {self.init_from}",
                "one of them",
                "init_from fills all weights: leave initialization out",
            )
        if self.uniform_generator and not self.electra_objective:
            raise ConfigError("uniform_generator", "true with electra_objective false", "at least one network to train")
        if self.temperature <= 0:
            raise ConfigError("temperature", self.temperature, "above 0")

    def set_objective(self) -> None:
        """`electra_objective` and `objective` say the same."""
        set_default(self, "objective", "electra" if self.electra_objective else "masked_language_model")
        if self.objective == "masked_language_model":
            object.__setattr__(self, "electra_objective", False)
        elif not self.electra_objective:
            raise ConfigError(
                "objective", f"{self.objective} with electra_objective false", "masked_language_model, or no objective"
            )

    def check_schedule(self) -> None:
        if (self.lr_schedule == "warmup_stable_decay") != (self.num_decay_steps > 0):
            raise ConfigError(
                "num_decay_steps",
                f"{self.num_decay_steps} with lr_schedule {self.lr_schedule}",
                "at least 1 with warmup_stable_decay, 0 with the others",
            )
        if self.num_warmup_steps + self.num_decay_steps > self.num_train_steps and self.num_decay_steps:
            raise ConfigError(
                "num_decay_steps",
                f"{self.num_decay_steps} after {self.num_warmup_steps} of warm-up",
                f"together at most num_train_steps {self.num_train_steps}",
            )
        if self.generator_learning_rate and not self.learning_rate:
            raise ConfigError("learning_rate", "0 with a generator_learning_rate", "above 0")
        if self.generator_learning_rate != self.learning_rate and not (
            self.electra_objective and self.untied_generator and not self.uniform_generator
        ):
            raise ConfigError(
                "generator_learning_rate",
                f"{self.generator_learning_rate} where there are no two networks of their own",
                f"learning_rate {self.learning_rate}, or none",
            )

    def check_evaluation(self) -> None:
        if self.do_train == self.do_eval:
            found = f"{str(self.do_eval).lower()} as do_train"
            raise ConfigError("do_eval", found, "one of them true", "training evaluates at intervals anyway")
        if not 0 <= self.eval_fraction < 1:
            raise ConfigError("eval_fraction", self.eval_fraction, "at least 0 and below 1")
        if self.do_eval and not (self.eval_fraction or self.eval_shards):
            raise ConfigError("eval_fraction", "0 with do_eval", "a share above 0, or eval_shards")

    @property
    def max_predictions_per_seq(self) -> int:
        """Slots for masked positions in a sequence; the original derives it so."""
        return max(1, int((self.mask_prob + 0.005) * self.max_seq_length))

    @property
    def eval_rows_at_once(self) -> int:
        """Sequences of an evaluation's batch that the networks are given at once: it may be larger than training's."""
        return max(1, 2048 // self.max_seq_length)

    @property
    def shared_prefix(self) -> str | None:
        """Beginning of the names of the parameters that both networks have in common; None if they share nothing."""
        if not self.untied_generator:
            return "electra."
        return None if self.untied_generator_embeddings else "electra.embeddings."

    def rate_factors(self, names: Iterable[str]) -> dict[str, float] | None:
        """Parameter name -> factor of the learning rate; None where all are 1."""
        factor = self.generator_learning_rate / self.learning_rate if self.learning_rate else 1.0
        if factor == 1:
            return None
        return {name: factor if name.startswith("generator.") else 1.0 for name in names}

    def geometries(self, vocab_size: int) -> tuple[Geometry | None, Geometry | None]:
        """The shapes of (generator, discriminator); None where there is no such network."""
        overrides = {**self.model_hparam_overrides, **(self.DEBUG_SHAPE if self.debug else {})}
        discriminator = discriminator_geometry(self.model_size, vocab_size, self.embedding_size, overrides)
        if self.uniform_generator:
            generator = None
        elif self.electra_objective and self.untied_generator:
            generator = generator_geometry(
                discriminator, self.generator_hidden_size, self.generator_layers, self.untied_generator_embeddings
            )
        else:
            generator = discriminator
        return generator, discriminator if self.electra_objective else None

    def check_vocabulary(self, vocabulary: Sized) -> None:
        """Refuse a `vocab_size` that is not the vocabulary's."""
        if self.vocab_size not in (None, len(vocabulary)):
            raise ConfigError("vocab_size", self.vocab_size, f"{len(vocabulary)}, the lines of {self.vocab_file}")

    def check_length(self, geometry: Geometry) -> None:
        """Refuse sequences beyond the position embeddings."""
        if self.max_seq_length > geometry.max_position_embeddings:
            raise ConfigError(
                "max_seq_length",
                self.max_seq_length,
                f"at most max_position_embeddings {geometry.max_position_embeddings}",
            )


def set_default_paths(config: Any, **paths: Path) -> None:
    """Fill the path entries of a frozen dataclass that were left out."""
    for name, path in paths.items():
        set_default(config, name, path)


def set_default(config: Any, name: str, value: Any) -> None:
    if getattr(config, name) is None:
        object.__setattr__(config, name, value)


def require_at_least(config: Any, least: float, *names: str) -> None:
    for name in names:
        if getattr(config, name) < least:
            raise ConfigError(name, getattr(config, name), f"at least {least}")


def require_one_of(config: Any, name: str, values: Collection[Any]) -> None:
    if getattr(config, name) not in values:
        raise ConfigError(name, repr(getattr(config, name)), " or ".join(map(str, values)))
