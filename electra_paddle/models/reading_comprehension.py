"""Spans of answers on the discriminator's encoder.

Shapes: B batch, L sequence, H hidden, D width inside the head, S starts and ends that the beam keeps.
Source: `get_prediction_module` of the original's question answering tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddlenlp.transformers import ElectraModel
from paddlenlp.transformers.electra.modeling import ElectraPretrainedModel

from electra_paddle.models.encoder import linear

if TYPE_CHECKING:
    from paddle import Tensor
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import ArrayOrTensor


INNER_SIZE = 512
FORBIDDEN = -1000.0  # is added to the logits of positions that no answer has


class ReadingSettings(NamedTuple):
    """Variants of the head, under the original's names."""

    joint_prediction: bool = True
    answerable_classifier: bool = True
    answerable_uses_start_logits: bool = True
    beam_size: int = 20
    yes_no_classifier: bool = False  # not of the original: questions may be answered with yes or no


def variant_of(names: Iterable[str]) -> dict[str, bool]:
    """The entries of ReadingSettings that the names of a head's parameters tell."""
    layers = {name.split(".")[1] for name in names if name.startswith("reading.")}
    return {
        "joint_prediction": "end_hidden" in layers,
        "answerable_classifier": "answerable" in layers,
        "answerable_uses_start_logits": "answerable_hidden" in layers or not {"answerable", "yes_no"} & layers,
        **({"yes_no_classifier": True} if "yes_no" in layers else {}),
    }


class ReadingScores(NamedTuple):
    """The output of the head; None for what its variant lacks, or what was not asked for."""

    start_logits: ArrayOrTensor  # [B, L]
    end_logits: ArrayOrTensor  # [B, L], with joint prediction those behind the given starts
    answerable_logit: ArrayOrTensor  # [B], above 0: this window has no answer
    beam: ArrayOrTensor  # Beam, with joint prediction while not training
    yes_no_logits: ArrayOrTensor = None  # [B, 3], of neither, of yes and of no


class Beam(NamedTuple):
    """The most probable starts, and the most probable ends of each, best first."""

    starts: ArrayOrTensor  # [B, S]
    start_log_probs: ArrayOrTensor  # [B, S]
    ends: ArrayOrTensor  # [B, S, S]
    end_log_probs: ArrayOrTensor  # [B, S, S]


def is_traced() -> bool:
    """Whether the network is being exported: B and L are not known then."""
    return not paddle.in_dynamic_mode()


class ReadingHead(nn.Layer):
    """Logits of an answer's start and end, of there being none, and of yes and no instead.

    With joint prediction the end depends on the start: on the given one in training, on the best ones otherwise.
    """

    def __init__(self, hidden_size: int, settings: ReadingSettings) -> None:
        super().__init__()
        self.settings = settings
        self.start = nn.Linear(hidden_size, 1)
        if settings.joint_prediction:
            self.end_hidden = nn.Linear(2 * hidden_size, INNER_SIZE)
        self.end = nn.Linear(INNER_SIZE if settings.joint_prediction else hidden_size, 1)
        inner_size = hidden_size
        if settings.answerable_uses_start_logits and (settings.answerable_classifier or settings.yes_no_classifier):
            inner_size = INNER_SIZE
            self.answerable_hidden = nn.Linear(2 * hidden_size, INNER_SIZE)
        if settings.answerable_classifier:
            self.answerable = nn.Linear(inner_size, 1)
        if settings.yes_no_classifier:
            self.yes_no = nn.Linear(inner_size, 3)

    def forward(
        self, hidden: Tensor, token_type_ids: Tensor, attention_mask: Tensor, start_positions: Tensor | None = None
    ) -> ReadingScores:
        """ReadingScores.

        Args:
            hidden: [B, L, H].
            start_positions: [B], the starts whose ends joint prediction scores.
        """
        allowed = (attention_mask * token_type_ids).astype("float32")  # [B, L], the second segment
        penalty = FORBIDDEN * (1.0 - allowed)
        penalty = paddle.concat([paddle.zeros_like(penalty[:, :1]), penalty[:, 1:]], axis=1)  # [CLS]: no answer
        start_logits = self._logits(self.start, hidden, penalty)  # [B, L]
        end_logits = beam = None
        if not self.settings.joint_prediction:
            end_logits = self._logits(self.end, hidden, penalty)
        else:
            behind = self._ends_behind(hidden, penalty)
            if start_positions is not None:
                end_logits = behind(start_positions)
            if not self.training:
                beam = self._search(start_logits, behind)
        answerable_logit, yes_no_logits = self._classified(hidden, start_logits)
        return ReadingScores(start_logits, end_logits, answerable_logit, beam, yes_no_logits)

    @staticmethod
    def _logits(layer: nn.Layer, hidden: Tensor, penalty: Tensor) -> Tensor:
        return layer(hidden).squeeze(-1).astype("float32") + penalty

    def _ends_behind(self, hidden: Tensor, penalty: Tensor) -> Callable[[Tensor], Tensor]:
        """A function from starts [B] to end logits [B, L]; what does not depend on the start is computed once."""
        size = hidden.shape[-1]
        of_start = self.end_hidden.weight[:size]  # [H, D]
        position = linear(hidden, self.end_hidden.weight[size:], self.end_hidden.bias)  # [B, L, D]
        num_rows, length = paddle.shape(hidden)[:2] if is_traced() else hidden.shape[:2]
        rows = paddle.arange(num_rows)

        def behind(starts: Tensor) -> Tensor:
            if is_traced():
                starts = paddle.minimum(starts, (length - 1).astype(starts.dtype))
            start = paddle.gather_nd(hidden, paddle.stack([rows, starts.astype(rows.dtype)], axis=-1))  # [B, H]
            inner = F.gelu(position + paddle.matmul(start, of_start).unsqueeze(1))  # [B, L, D]
            return self._logits(self.end, inner, penalty)

        return behind

    def _search(self, start_logits: Tensor, behind: Callable[[Tensor], Tensor]) -> Beam:
        size = self.settings.beam_size if is_traced() else min(self.settings.beam_size, start_logits.shape[1])

        def best(logits: Tensor) -> tuple[Tensor, Tensor]:
            """(log probabilities, places) [B, S]; a traced network does not know L, which may be less than S."""
            log_probs = F.log_softmax(logits)
            if is_traced():
                behind_the_last = paddle.full_like(log_probs[:, :1], 2 * FORBIDDEN).expand([-1, size])
                log_probs = paddle.concat([log_probs, behind_the_last], axis=1)
            return paddle.topk(log_probs, size)

        start_log_probs, starts = best(start_logits)
        found = [best(behind(starts[:, rank])) for rank in range(size)]
        end_log_probs, ends = (paddle.stack([pair[part] for pair in found], axis=1) for part in (0, 1))  # [B, S, S]
        return Beam(starts, start_log_probs, ends, end_log_probs)

    def _classified(self, hidden: Tensor, start_logits: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The logits [B] of there being no answer and [B, 3] of neither, yes and no; None for what the head lacks."""
        settings, inner = self.settings, hidden[:, 0]  # [B, H]
        if not (settings.answerable_classifier or settings.yes_no_classifier):
            return None, None
        if settings.answerable_uses_start_logits:
            probs = F.softmax(start_logits).astype(hidden.dtype)  # [B, L]
            expected_start = paddle.matmul(probs.unsqueeze(1), hidden).squeeze(1)  # [B, H]
            inner = F.gelu(self.answerable_hidden(paddle.concat([inner, expected_start], axis=-1)))  # [B, D]
        answerable = self.answerable(inner).squeeze(-1).astype("float32") if settings.answerable_classifier else None
        return answerable, self.yes_no(inner).astype("float32") if settings.yes_no_classifier else None


class ElectraReader(ElectraPretrainedModel):
    """The encoder with a ReadingHead.

    Args:
        config: an ElectraConfig; its `reading`, if there is any, holds the entries of ReadingSettings.
    """

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config)
        self.electra = ElectraModel(config)
        self.reading = ReadingHead(config.hidden_size, ReadingSettings(**getattr(config, "reading", {})))

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        start_positions: Tensor | None = None,
    ) -> ReadingScores:
        """ReadingScores of sequences [B, L]: a question and, as second segment, a text."""
        if token_type_ids is None:
            token_type_ids = paddle.zeros_like(input_ids)
        if attention_mask is None:
            attention_mask = (input_ids != self.electra.pad_token_id).astype("int64")
        hidden = self.electra(input_ids, token_type_ids=token_type_ids, attention_mask=attention_mask)  # [B, L, H]
        return self.reading(hidden, token_type_ids, attention_mask, start_positions)


def reading_loss(
    scores: ReadingScores,
    start_positions: Tensor,
    end_positions: Tensor,
    is_impossible: Tensor,
    answerable_weight: float,
    yes_no: Tensor | None = None,
) -> Tensor:
    """Loss of each row [B]: mean cross entropy of start and end, and that of the answer's type by its weight.

    Args:
        scores: ReadingScores with end logits.
        start_positions, end_positions: [B] int64.
        is_impossible: [B] float32.
        yes_no: [B] int64, 1 where yes is right, 2 where no is; for heads that classify it.
    """
    start_loss = F.cross_entropy(scores.start_logits, start_positions, reduction="none")
    end_loss = F.cross_entropy(scores.end_logits, end_positions, reduction="none")
    loss = (start_loss + end_loss).reshape([-1]) / 2  # [B]
    if scores.answerable_logit is not None:
        logits = scores.answerable_logit
        loss += answerable_weight * F.binary_cross_entropy_with_logits(logits, is_impossible, reduction="none")
    if scores.yes_no_logits is not None:
        assert yes_no is not None
        loss += answerable_weight * F.cross_entropy(scores.yes_no_logits, yes_no, reduction="none").reshape([-1])
    return loss
