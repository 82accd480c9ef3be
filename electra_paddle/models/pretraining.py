"""ELECTRA's pre-training: a generator fills masked tokens, a discriminator finds the ones that were replaced.

Shapes: B batch, L sequence, P masked positions, V vocabulary, E embedding, Hg and H hidden of generator and
discriminator.
"""

import dataclasses

import paddle
from paddle import nn
from paddlenlp.transformers import ElectraConfig, ElectraDiscriminator, ElectraGenerator

from electra_paddle.batch import CorruptedBatch, PretrainingOutput
from electra_paddle.models.initialization import initialize
from electra_paddle.models.losses import masked_lm_loss, replaced_token_detection_loss
from electra_paddle.models.sampling import corrupt, flat_index, sample_tokens


class ElectraForJointPretraining(nn.Layer):
    """Two networks of two shapes that share one embedding block (word, position, type, layer norm).

    The encoders and heads are PaddleNLP's; what it computes at every position (vocabulary logits,
    sampling) is computed here at the masked positions only.

    Args:
        generator, discriminator: their Geometry.
        gen_weight, disc_weight, temperature, disallow_correct: as in PretrainingConfig.
        seed: fixes the initial weights.
    """

    def __init__(
        self,
        generator,
        discriminator,
        gen_weight=1.0,
        disc_weight=50.0,
        temperature=1.0,
        disallow_correct=False,
        seed=0,
    ):
        super().__init__()
        self.generator = ElectraGenerator(ElectraConfig(**dataclasses.asdict(generator)))
        self.discriminator = ElectraDiscriminator(ElectraConfig(**dataclasses.asdict(discriminator)))
        self.generator.electra.embeddings = self.discriminator.electra.embeddings
        self.gen_weight, self.disc_weight = gen_weight, disc_weight
        self.temperature, self.disallow_correct = temperature, disallow_correct
        initialize(self, seed, discriminator.initializer_range)

    def forward(self, batch, uniforms=None):
        """Both losses of a MaskedBatch.

        Args:
            uniforms: [B, P, V] numbers for the sampling, drawn unless given.

        Returns:
            PretrainingOutput.
        """
        mlm_logits = self.generate(batch)  # [B, P, V]
        mlm_loss = masked_lm_loss(mlm_logits, batch.masked_labels, batch.masked_weights, batch.mlm_normalizer)
        sampled_ids = sample_tokens(
            mlm_logits, batch.masked_labels, self.temperature, self.disallow_correct, uniforms
        )  # [B, P]
        corrupted = CorruptedBatch(*corrupt(batch, sampled_ids))
        rtd_logits = self.discriminate(corrupted, batch)  # [B, L]
        rtd_loss = replaced_token_detection_loss(
            rtd_logits, corrupted.is_replaced, batch.attention_mask, batch.rtd_normalizer
        )
        loss = self.gen_weight * mlm_loss + self.disc_weight * rtd_loss
        return PretrainingOutput(loss, mlm_loss, rtd_loss, mlm_logits, sampled_ids, corrupted, rtd_logits)

    def generate(self, batch):
        """Vocabulary logits at the masked positions, [B, P, V]."""
        hidden = self.generator.electra(
            batch.masked_input_ids, token_type_ids=batch.token_type_ids, attention_mask=batch.attention_mask
        )  # [B, L, Hg]
        index = flat_index(batch.masked_positions, hidden.shape[1])
        hidden = paddle.gather(hidden.reshape([-1, hidden.shape[2]]), index)  # [B * P, Hg]
        hidden = self.generator.generator_predictions(hidden)  # [B * P, E]
        word_embeddings = self.generator.electra.embeddings.word_embeddings.weight  # [V, E]
        logits = paddle.matmul(hidden, word_embeddings, transpose_y=True) + self.generator.generator_lm_head_bias
        return logits.reshape([*batch.masked_positions.shape, -1])

    def discriminate(self, corrupted, batch):
        """Logits of being replaced at every position, [B, L]."""
        hidden = self.discriminator.electra(
            corrupted.input_ids, token_type_ids=batch.token_type_ids, attention_mask=batch.attention_mask
        )  # [B, L, H]
        head = self.discriminator.discriminator_predictions  # called by part: its own forward squeezes a batch of one
        return head.dense_prediction(head.act(head.dense(hidden))).squeeze(-1)


def pretraining_metrics(batch, output):
    """Scalars of one batch: losses, and how often the two networks are right.

    `rtd_baseline` is the accuracy of a discriminator that always answers "original". Precision and recall
    are those of the answer "replaced".
    """
    with paddle.no_grad():
        slots = batch.masked_weights.sum() + 1e-6
        tokens = batch.attention_mask.astype("float32")
        is_replaced = output.corrupted.is_replaced
        predicted = (output.rtd_logits > 0).astype("float32") * tokens
        hits = (predicted * is_replaced).sum()
        wrong = (predicted - is_replaced).abs().sum()

        def share_right(ids):
            return ((ids == batch.masked_labels).astype("float32") * batch.masked_weights).sum() / slots

        return {
            "mlm_loss": output.mlm_loss,
            "rtd_loss": output.rtd_loss,
            "mlm_accuracy": share_right(paddle.argmax(output.mlm_logits, axis=-1)),
            "sampled_accuracy": share_right(output.sampled_ids),
            "rtd_accuracy": 1 - wrong / tokens.sum(),
            "rtd_baseline": 1 - is_replaced.sum() / tokens.sum(),
            "rtd_precision": hits / (predicted.sum() + 1e-6),
            "rtd_recall": hits / (is_replaced.sum() + 1e-6),
        }
