"""The two objectives. Shapes: B batch, L sequence, P masked positions, V vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import paddle.nn.functional as F

from electra_paddle.models.encoder import as_type

if TYPE_CHECKING:
    from paddle import Tensor


def masked_lm_loss(mlm_logits: Tensor, labels: Tensor, weights: Tensor, normalizer: Tensor) -> Tensor:
    """Cross entropy at the slots with weight 1, summed and divided by `normalizer` (scalar)."""
    per_slot = F.cross_entropy(as_type(mlm_logits, "float32"), labels, reduction="none")  # [B, P]
    return (per_slot * weights).sum() / (normalizer + 1e-6)


def replaced_token_detection_loss(
    rtd_logits: Tensor, is_replaced: Tensor, attention_mask: Tensor, normalizer: Tensor
) -> Tensor:
    """Sigmoid cross entropy at every token, [CLS] and [SEP] included, summed and divided by `normalizer`."""
    per_token = F.binary_cross_entropy_with_logits(
        as_type(rtd_logits, "float32"), is_replaced, reduction="none"
    )  # [B, L]
    return (per_token * attention_mask.astype("float32")).sum() / (normalizer + 1e-6)
