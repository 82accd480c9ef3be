"""The shape of one network, and the rules that derive the generator's from the discriminator's."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from electra_paddle.errors import ConfigError

SIZES = {  # model_size -> hidden_size, num_hidden_layers, embedding_size (None: hidden_size)
    "small": (256, 12, 128),
    "base": (768, 12, None),
    "large": (1024, 24, None),
}


@dataclasses.dataclass(frozen=True)
class Geometry:
    """The fields of PaddleNLP's ElectraConfig that shape a network; both write the same config.json."""

    vocab_size: int
    embedding_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    pad_token_id: int = 0

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ConfigError(
                "num_attention_heads",
                f"{self.num_attention_heads} heads for hidden_size {self.hidden_size}",
                "a divisor of hidden_size",
            )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int) and value < 1 and field.name != "pad_token_id":
                raise ConfigError(field.name, value, "at least 1")

    @property
    def num_embedding_parameters(self) -> int:
        """Parameters of the embedding block: three tables and a layer norm."""
        return (self.vocab_size + self.max_position_embeddings + self.type_vocab_size + 2) * self.embedding_size

    @property
    def num_encoder_parameters(self) -> int:
        """Parameters of all layers, and of the projection of the embeddings if there is one."""
        hidden, inner = self.hidden_size, self.intermediate_size
        projection = 0 if self.embedding_size == hidden else (self.embedding_size + 1) * hidden
        attention, feed_forward, norms = 4 * (hidden + 1) * hidden, 2 * hidden * inner + hidden + inner, 4 * hidden
        return projection + self.num_hidden_layers * (attention + feed_forward + norms)

    @property
    def num_body_parameters(self) -> int:
        """Parameters of the network without its head."""
        return self.num_embedding_parameters + self.num_encoder_parameters

    @property
    def num_mlm_head_parameters(self) -> int:
        """Parameters of the masked language model's head, without the word embeddings that it shares."""
        return (self.hidden_size + 3) * self.embedding_size + self.vocab_size

    @property
    def num_rtd_head_parameters(self) -> int:
        """Parameters of the replaced token detection head."""
        return (self.hidden_size + 1) * self.hidden_size + self.hidden_size + 1

    def encoder_flops(self, length: int) -> float:
        """Operations of the encoder's forward pass for one token: two for each weight, and attention to all tokens."""
        hidden = self.hidden_size
        projection = 0 if self.embedding_size == hidden else self.embedding_size * hidden
        weights = 4 * hidden * hidden + 2 * hidden * self.intermediate_size
        attention = 2 * length * hidden  # products of queries and keys, and of probabilities and values
        return 2 * (projection + self.num_hidden_layers * (weights + attention))

    @property
    def mlm_head_flops(self) -> float:
        """Operations of the head's forward pass for one masked position."""
        return 2 * self.embedding_size * (self.hidden_size + self.vocab_size)

    @property
    def rtd_head_flops(self) -> float:
        """Operations of the head's forward pass for one token."""
        return 2 * self.hidden_size * (self.hidden_size + 1)


def training_flops(generator: Geometry | None, discriminator: Geometry | None, length: int, num_slots: int) -> float:
    """Floating-point operations of an update for each token of a sequence, matrix products only.

    A backward pass takes twice the operations of the forward pass.

    Args:
        generator, discriminator: Geometries; None where there is no such network.
        num_slots: masked positions of a sequence.
    """
    flops = 0.0
    if generator:
        flops += generator.encoder_flops(length) + generator.mlm_head_flops * num_slots / length
    if discriminator:
        flops += discriminator.encoder_flops(length) + discriminator.rtd_head_flops
    return 3 * flops


# Of an original configuration file, what Paddle's encoder calls the same; the rest has no effect there either.
OVERRIDABLE = {field.name for field in dataclasses.fields(Geometry)} - {"vocab_size", "embedding_size"}


def discriminator_geometry(
    model_size: str, vocab_size: int, embedding_size: int | None = None, overrides: Mapping[str, Any] | None = None
) -> Geometry:
    """The discriminator's shape: a named size with overrides.

    Heads and intermediate size follow from the overridden hidden size unless they are overridden
    themselves. Source: `get_bert_config` and `training_utils` of the original.

    Raises:
        ConfigError: an unknown size or override.
    """
    if model_size not in SIZES:
        raise ConfigError("model_size", repr(model_size), " or ".join(SIZES))
    overrides = dict(overrides or {})
    embedding_size = overrides.pop("embedding_size", None) or embedding_size
    unknown = sorted(set(overrides) - OVERRIDABLE)
    if unknown:
        raise ConfigError(f"model_hparam_overrides.{unknown[0]}", "an unknown entry", ", ".join(sorted(OVERRIDABLE)))
    hidden_size, num_hidden_layers, default_embedding_size = SIZES[model_size]
    hidden_size = overrides.get("hidden_size", hidden_size)
    shape = {
        "vocab_size": vocab_size,
        "embedding_size": embedding_size or default_embedding_size or hidden_size,
        "hidden_size": hidden_size,
        "num_hidden_layers": num_hidden_layers,
        "num_attention_heads": max(1, hidden_size // 64),
        "intermediate_size": 4 * hidden_size,
    }
    return Geometry(**{**shape, **overrides})


def generator_geometry(
    discriminator: Geometry,
    generator_hidden_size: float = 0.25,
    generator_layers: float = 1.0,
    has_own_embeddings: bool = False,
) -> Geometry:
    """The generator's shape: the discriminator's with fractions of its width and depth.

    The embedding size is not scaled where the two networks share their embeddings; embeddings of its own are as wide
    as the generator. An overridden intermediate size of the discriminator does not reach it.
    Source: `get_generator_config` of the original; Python's rounding (to even) as there.
    """
    hidden_size = int(round(discriminator.hidden_size * generator_hidden_size))
    return dataclasses.replace(
        discriminator,
        hidden_size=hidden_size,
        embedding_size=hidden_size if has_own_embeddings else discriminator.embedding_size,
        num_hidden_layers=int(round(discriminator.num_hidden_layers * generator_layers)),
        num_attention_heads=max(1, hidden_size // 64),
        intermediate_size=4 * hidden_size,
    )
