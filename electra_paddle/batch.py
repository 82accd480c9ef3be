"""Types of the batches that travel between the folders of the package.

Shapes: B batch, L sequence, P masked positions (`max_predictions_per_seq`), V vocabulary, C classes.
"""

from typing import Any, NamedTuple

import numpy as np

from electra_paddle.arrays import Array, ArrayOrTensor


class ProcessShare(NamedTuple):
    """One process of a job, and the parts into which it cuts its rows of a batch."""

    rank: int = 0
    num_processes: int = 1
    num_accumulated: int = 1


ALONE = ProcessShare()


class TokenBatch(NamedTuple):
    """Padded sequences, as the encoder takes them."""

    input_ids: ArrayOrTensor  # [B, L] int64
    token_type_ids: ArrayOrTensor  # [B, L] int64, 1 in the second segment
    attention_mask: ArrayOrTensor  # [B, L] int64, 1 at tokens, 0 at padding


class Layout(NamedTuple):
    """Where the tokens of padded sequences are, so that networks can leave the padding out. T tokens in all."""

    index: ArrayOrTensor  # [T] int64, places of the tokens within the flattened batch
    starts: ArrayOrTensor  # [B + 1] int32, the first token of each sequence among them, and T
    longest: int  # tokens of the longest sequence
    shape: tuple[int, ...]  # (B, L)

    @classmethod
    def of(cls, attention_mask: Array) -> "Layout":
        """The Layout of a mask [..., L], whose further axes all count for B."""
        mask = attention_mask.reshape(-1, attention_mask.shape[-1])
        lengths = mask.sum(axis=1)
        return cls(
            np.flatnonzero(mask), np.append(0, np.cumsum(lengths)).astype(np.int32), int(lengths.max()), mask.shape
        )


class MaskedBatch(NamedTuple):
    """A TokenBatch with the generator's questions. Unused slots have position 0 and weight 0."""

    input_ids: ArrayOrTensor  # [B, L] the original tokens
    token_type_ids: ArrayOrTensor  # [B, L]
    attention_mask: ArrayOrTensor  # [B, L]
    masked_input_ids: ArrayOrTensor  # [B, L] what the generator sees
    masked_positions: ArrayOrTensor  # [B, P], distinct within a row but for `mask_sampling` "reference"
    masked_labels: ArrayOrTensor  # [B, P] the original tokens there
    masked_weights: ArrayOrTensor  # [B, P] float32, 1 or 0
    sampling_uniforms: ArrayOrTensor  # [B, P] float32 in [0, 1), which decide the generator's answers
    mlm_normalizer: ArrayOrTensor  # scalar: slots with weight 1 in the global batch, divided by the number of its parts
    rtd_normalizer: ArrayOrTensor  # scalar: tokens in the global batch, divided by the number of its parts
    is_full: Any = np.False_  # whether it is known that there is no padding; it stays in main memory


class CorruptedBatch(NamedTuple):
    """The discriminator's input and its labels."""

    input_ids: ArrayOrTensor  # [B, L]
    is_replaced: ArrayOrTensor  # [B, L] float32, 1 where the token differs from the original


class PretrainingOutput(NamedTuple):
    """One forward pass of the two networks. Everything but `loss` is for metrics and tests.

    Without a discriminator what belongs to it is None.
    """

    loss: ArrayOrTensor  # scalar
    mlm_loss: ArrayOrTensor  # scalar
    rtd_loss: ArrayOrTensor  # scalar
    mlm_logits: ArrayOrTensor  # [B, P, V]
    sampled_ids: ArrayOrTensor  # [B, P]
    corrupted: CorruptedBatch | None = None
    rtd_logits: ArrayOrTensor = None  # [B, L]
    rtd_states: ArrayOrTensor = None  # [B, L, H] of the discriminator's last layer


class ClassificationBatch(NamedTuple):
    """Padded sequences with their classes, one each or, for tagging, one for each token."""

    input_ids: ArrayOrTensor  # [B, L] int64
    token_type_ids: ArrayOrTensor  # [B, L] int64
    attention_mask: ArrayOrTensor  # [B, L] int64
    labels: ArrayOrTensor  # [B] or [B, L] int64, -1 where there is none
    weights: ArrayOrTensor  # [B] float32: how often a row's loss counts
    layout: Layout | None = None  # where networks may leave the padding out


class ClassificationOutput(NamedTuple):
    """One forward pass of a classifier or a tagger."""

    loss: ArrayOrTensor  # scalar, the weighted sum over the batch
    logits: ArrayOrTensor  # [B, C] or [B, L, C]


class ChoiceBatch(NamedTuple):
    """Questions, each with a sequence for each of its choices; C of the one that has most."""

    input_ids: ArrayOrTensor  # [B, C, L] int64
    token_type_ids: ArrayOrTensor  # [B, C, L] int64
    attention_mask: ArrayOrTensor  # [B, C, L] int64
    is_choice: ArrayOrTensor  # [B, C] float32, 0 at places of choices that a question does not have
    labels: ArrayOrTensor  # [B] int64, the right choice, -1 where there is none
    weights: ArrayOrTensor  # [B] float32: how often a row's loss counts
    layout: Layout | None = None  # of [B * C, L], where networks may leave the padding out


class ReadingBatch(NamedTuple):
    """Questions with parts of their texts, and where the answers stand."""

    input_ids: ArrayOrTensor  # [B, L] int64
    token_type_ids: ArrayOrTensor  # [B, L] int64
    attention_mask: ArrayOrTensor  # [B, L] int64
    start_positions: ArrayOrTensor  # [B] int64, 0 where the answer is elsewhere, -1 where there is no label
    end_positions: ArrayOrTensor  # [B] int64, the answer's last token
    answer_types: ArrayOrTensor  # [B] int64, places in text.windows.ANSWER_TYPES
    weights: ArrayOrTensor  # [B] float32: how often a row's loss counts
    layout: Layout | None = None  # where networks may leave the padding out


class ReadingOutput(NamedTuple):
    """One forward pass of a reader."""

    loss: ArrayOrTensor  # scalar, the weighted sum over the batch
    scores: ArrayOrTensor  # models.reading_comprehension.ReadingScores
