"""ELECTRA's pre-training: a generator fills masked tokens, a discriminator finds the ones that were replaced.

Shapes: B batch, L sequence, P masked positions, V vocabulary, E embedding, Hg and H hidden of generator and
discriminator.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import paddle
from paddle import nn
from paddlenlp.transformers import ElectraConfig, ElectraDiscriminator, ElectraGenerator

from electra_paddle.batch import CorruptedBatch, PretrainingOutput
from electra_paddle.errors import ConfigError
from electra_paddle.models.encoder import added_to_scores, encode, speed_up
from electra_paddle.models.heads import replaced_logits, vocabulary_logits
from electra_paddle.models.initialization import initialize
from electra_paddle.models.losses import masked_lm_loss, replaced_token_detection_loss
from electra_paddle.models.sampling import corrupt, flat_index, sample_by_gumbel, sample_tokens

if TYPE_CHECKING:
    from paddle import Tensor

    from electra_paddle.batch import MaskedBatch
    from electra_paddle.config import PretrainingConfig
    from electra_paddle.config.geometry import Geometry


class JointSettings(NamedTuple):
    """Settings that join the two networks and weigh their losses, with the original's names and defaults.

    `untied_generator: false` makes both networks one encoder with two heads; `untied_generator_embeddings: true` gives
    the generator an embedding block of its own.
    """

    gen_weight: float = 1.0
    disc_weight: float = 50.0
    temperature: float = 1.0
    disallow_correct: bool = False
    untied_generator: bool = True
    untied_generator_embeddings: bool = False

    @classmethod
    def of(cls, config: PretrainingConfig) -> JointSettings:
        """The settings of a run's configuration."""
        return cls(**{name: getattr(config, name) for name in cls._fields})


DEFAULTS = JointSettings()


class ElectraForJointPretraining(nn.Layer):
    """Two networks of two shapes that share one embedding block (word, position, type, layer norm).

    The encoders and heads are PaddleNLP's; what it computes at every position (vocabulary logits,
    sampling) is computed here at the masked positions only.

    Args:
        generator: its Geometry; None draws replacements uniformly from the vocabulary.
        discriminator: its Geometry; None trains a masked language model alone.
        settings: how they are joined, and the weights of their losses.
        seed: fixes the initial weights; None where others will be filled in anyway.
    """

    def __init__(
        self,
        generator: Geometry | None,
        discriminator: Geometry | None,
        settings: JointSettings = DEFAULTS,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        shape = discriminator or generator
        if shape is None:
            raise ConfigError("objective", "neither generator nor discriminator", "at least one network")
        self.generator: nn.Layer | None = None
        self.discriminator: nn.Layer | None = None
        if generator:
            self.generator = ElectraGenerator(ElectraConfig(**dataclasses.asdict(generator)))
        if discriminator:
            self.discriminator = ElectraDiscriminator(ElectraConfig(**dataclasses.asdict(discriminator)))
        if self.generator is not None and self.discriminator is not None:
            if not settings.untied_generator:
                self.generator.electra = self.discriminator.electra
            elif not settings.untied_generator_embeddings:
                self.generator.electra.embeddings = self.discriminator.electra.embeddings
        self.vocab_size, self.settings = shape.vocab_size, settings
        if seed is not None:
            initialize(self, seed, shape.initializer_range)
        speed_up(self)

    def forward(self, batch: MaskedBatch, gumbel_uniforms: Tensor | None = None) -> PretrainingOutput:
        """Both losses of a MaskedBatch.

        Args:
            gumbel_uniforms: [B, P, V] numbers with which to sample as the original does, instead of the batch's.

        Returns:
            PretrainingOutput; without a discriminator what belongs to it is None.
        """
        index = flat_index(batch.masked_positions, batch.input_ids.shape[1])  # [B * P]
        mask = mask_of(batch)
        if mask is not None:
            mask = added_to_scores(self.encoder_layers()[0], mask)  # once for both networks
        mlm_logits = self.generate(batch, index, mask)  # [B, P, V]
        mlm_loss = masked_lm_loss(mlm_logits, batch.masked_labels, batch.masked_weights, batch.mlm_normalizer)
        settings = self.settings
        loss = mlm_loss if settings.gen_weight == 1 else settings.gen_weight * mlm_loss
        sample, uniforms = sample_tokens, batch.sampling_uniforms
        if gumbel_uniforms is not None:
            sample, uniforms = sample_by_gumbel, gumbel_uniforms
        sampled_ids = sample(
            mlm_logits, batch.masked_labels, uniforms, settings.temperature, settings.disallow_correct
        )  # [B, P]
        if self.discriminator is None:
            return PretrainingOutput(loss, mlm_loss, None, mlm_logits, sampled_ids)
        corrupted = CorruptedBatch(*corrupt(batch, sampled_ids, index))
        rtd_logits, rtd_states = self.discriminate(corrupted, batch, mask)  # [B, L], [B, L, H]
        rtd_loss = replaced_token_detection_loss(
            rtd_logits, corrupted.is_replaced, batch.attention_mask, batch.rtd_normalizer
        )
        loss = loss + settings.disc_weight * rtd_loss
        return PretrainingOutput(loss, mlm_loss, rtd_loss, mlm_logits, sampled_ids, corrupted, rtd_logits, rtd_states)

    def encoder_layers(self) -> list[nn.Layer]:
        """The transformer layers of both networks; shared ones once."""
        networks = [network for network in (self.generator, self.discriminator) if network is not None]
        return list({id(layer): layer for net in networks for layer in net.electra.encoder.layers}.values())

    def generate(self, batch: Any, index: Tensor | None = None, mask: Tensor | None = None) -> paddle.Tensor:
        """Vocabulary logits at the masked positions, [B, P, V]; all alike where there is no generator.

        Args:
            index: the `flat_index` of the positions, where it is known.
            mask: what `added_to_scores` made of the batch's, where it is known.
        """
        if self.generator is None:
            return paddle.zeros([*batch.masked_positions.shape, self.vocab_size])
        mask = mask_of(batch) if mask is None else mask
        hidden = encode(self.generator.electra, batch.masked_input_ids, batch.token_type_ids, mask)  # [B, L, Hg]
        if index is None:
            index = flat_index(batch.masked_positions, hidden.shape[1])
        hidden = paddle.gather(hidden.reshape([-1, hidden.shape[2]]), index)  # [B * P, Hg]
        logits = vocabulary_logits(self.generator, hidden)  # [B * P, V]
        return logits.reshape([*batch.masked_positions.shape, -1])

    def discriminate(
        self, corrupted: CorruptedBatch, batch: MaskedBatch, mask: Tensor | None = None
    ) -> tuple[paddle.Tensor, paddle.Tensor]:
        """Logits of being replaced at every position, [B, L], and the last layer's states, [B, L, H].

        Args:
            mask: what `added_to_scores` made of the batch's, where it is known.
        """
        assert self.discriminator is not None  # the caller asks only where there is one
        mask = mask_of(batch) if mask is None else mask
        hidden = encode(self.discriminator.electra, corrupted.input_ids, batch.token_type_ids, mask)  # [B, L, H]
        return replaced_logits(self.discriminator, hidden), hidden


def mask_of(batch: Any) -> Tensor | None:
    """The attention mask [B, L]; None where it is known that there is no padding."""
    return None if getattr(batch, "is_full", False) else batch.attention_mask
