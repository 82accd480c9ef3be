"""Hyper-parameters of pre-training, under the names of the original's `configure_pretraining`."""

import dataclasses
from pathlib import Path

from electra_paddle.config.entry import entry
from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class PretrainingConfig:
    """One pre-training run. Paths left out follow from `data_dir` and `model_name`."""

    data_dir: Path = entry(Path(), "folder of the vocabulary, the shards and the models")
    model_name: str = entry("electra", "name of the model; it is written to DATA_DIR/models/MODEL_NAME")
    # data
    pretrain_shards: Path = entry(None, "folder of the shards; default DATA_DIR/pretrain_shards")
    vocab_file: Path = entry(None, "vocabulary; default DATA_DIR/vocab.txt")
    model_dir: Path = entry(None, "where the model is written; default DATA_DIR/models/MODEL_NAME")
    vocab_size: int | None = entry(None, "number of entries of the vocabulary; default: as the file has")
    do_lower_case: bool = entry(True, "whether the vocabulary is lower-cased")
    max_seq_length: int = entry(128, "tokens of a sequence, at most those of the shards")
    # model
    model_size: str = entry("small", "small, base or large")
    model_hparam_overrides: dict = entry({}, "entries of the network's shape that differ from model_size's")
    embedding_size: int | None = entry(None, "width of the embeddings; default 128 for small, else hidden_size")
    generator_hidden_size: float = entry(0.25, "width of the generator as a fraction of the discriminator's")
    generator_layers: float = entry(1.0, "layers of the generator as a fraction of the discriminator's")
    # objective
    mask_prob: float = entry(0.15, "share of the tokens that the generator has to fill")
    gen_weight: float = entry(1.0, "weight of the masked language model's loss")
    disc_weight: float = entry(50.0, "weight of the replaced token detection's loss")
    temperature: float = entry(1.0, "divides the generator's logits before sampling")
    disallow_correct: bool = entry(False, "never sample the original token")
    # optimization
    num_train_steps: int = entry(1_000_000, "updates of the whole run")
    train_batch_size: int = entry(128, "sequences of an update, over all processes")
    learning_rate: float = entry(5e-4, "peak of the schedule before the linear decay is multiplied on")
    num_warmup_steps: int = entry(10_000, "updates over which the learning rate rises")
    lr_decay_power: float = entry(1.0, "exponent of the decay; 1 is linear")
    weight_decay_rate: float = entry(0.01, "weight decay of everything but biases and layer norms")
    # run
    save_checkpoints_steps: int = entry(1000, "updates between checkpoints")
    keep_checkpoint_max: int | None = entry(5, "checkpoints kept; 0 keeps all")
    log_steps: int = entry(50, "updates between two lines of metrics")
    seed: int = entry(0, "fixes initialisation, order, masking, sampling and dropout")

    def __post_init__(self):
        set_default_paths(
            self,
            pretrain_shards=self.data_dir / "pretrain_shards",
            vocab_file=self.data_dir / "vocab.txt",
            model_dir=self.data_dir / "models" / self.model_name,
        )
        require_at_least(
            self, 1, "max_seq_length", "num_train_steps", "train_batch_size", "save_checkpoints_steps", "log_steps"
        )
        require_at_least(self, 0, "num_warmup_steps", "learning_rate", "weight_decay_rate")
        if not 0 < self.mask_prob < 1:
            raise ConfigError("mask_prob", self.mask_prob, "between 0 and 1")
        if self.temperature <= 0:
            raise ConfigError("temperature", self.temperature, "above 0")

    @property
    def max_predictions_per_seq(self):
        """Slots for masked positions in a sequence; the original derives it so."""
        return max(1, int((self.mask_prob + 0.005) * self.max_seq_length))

    def geometries(self, vocab_size):
        """The shapes of (generator, discriminator)."""
        discriminator = discriminator_geometry(
            self.model_size, vocab_size, self.embedding_size, self.model_hparam_overrides
        )
        return generator_geometry(discriminator, self.generator_hidden_size, self.generator_layers), discriminator

    def check_vocabulary(self, vocabulary):
        """Refuse a `vocab_size` that is not the vocabulary's."""
        if self.vocab_size not in (None, len(vocabulary)):
            raise ConfigError("vocab_size", self.vocab_size, f"{len(vocabulary)}, the lines of {self.vocab_file}")

    def check_length(self, geometry):
        """Refuse sequences beyond the position embeddings."""
        if self.max_seq_length > geometry.max_position_embeddings:
            raise ConfigError(
                "max_seq_length",
                self.max_seq_length,
                f"at most max_position_embeddings {geometry.max_position_embeddings}",
            )


def set_default_paths(config, **paths):
    """Fill the path entries of a frozen dataclass that were left out."""
    for name, path in paths.items():
        if getattr(config, name) is None:
            object.__setattr__(config, name, path)


def require_at_least(config, least, *names):
    for name in names:
        if getattr(config, name) < least:
            raise ConfigError(name, getattr(config, name), f"at least {least}")
