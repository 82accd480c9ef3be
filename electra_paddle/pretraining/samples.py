"""Show what the two networks answered, as text. Shapes: B batch, L sequence, P masked positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import paddle.nn.functional as F

from electra_paddle.models.sampling import corrupt

if TYPE_CHECKING:
    from electra_paddle.batch import MaskedBatch, PretrainingOutput
    from electra_paddle.text import Vocabulary


def describe_samples(batch: MaskedBatch, output: PretrainingOutput, vocabulary: Vocabulary) -> list[dict[str, str]]:
    """Texts for each row of a MaskedBatch: name -> its original, masked, generated and judged tokens.

    In brackets stand the generator's answers (a wrong one with the original token) and the tokens that the
    discriminator takes for replaced, with the probability that it gives them.
    """
    original, masked = batch.input_ids.numpy(), batch.masked_input_ids.numpy()  # [B, L] as what follows
    generated = corrupt(batch, output.sampled_ids)[0].numpy()
    probabilities = None if output.rtd_logits is None else F.sigmoid(output.rtd_logits.astype("float32")).numpy()
    chosen = [set(row[used]) for row, used in zip(batch.masked_positions.numpy(), used_slots(batch), strict=True)]
    texts = []
    for row, length in enumerate(batch.attention_mask.numpy().sum(axis=1)):
        before, hidden, after = (
            [vocabulary.tokens[i] for i in ids[row, :length]] for ids in (original, masked, generated)
        )
        lines = {"original": before, "masked": hidden, "generated": mark_answers(before, after, chosen[row])}
        if probabilities is not None:
            lines |= mark_suspects(before, after, probabilities[row])
        texts.append({name: " ".join(tokens) for name, tokens in lines.items()})
    return texts


def used_slots(batch: MaskedBatch) -> Any:
    return batch.masked_weights.numpy() > 0  # [B, P]


def mark_answers(before: Any, after: Any, chosen: Any) -> Any:
    """The generated tokens, in brackets where the generator was asked."""
    answers = {place: after[place] for place in chosen}
    wrong = {place: f"{token} for {before[place]}" for place, token in answers.items() if token != before[place]}
    return mark(after, answers | wrong)


def mark_suspects(before: Any, after: Any, probabilities: Any) -> Any:
    """Two lines: the tokens, in brackets where taken for replaced, and how many of them are."""
    suspects = {
        place: f"{token} {probabilities[place]:.2f}" for place, token in enumerate(after) if probabilities[place] > 0.5
    }
    replaced = {place for place, token in enumerate(after) if token != before[place]}
    found = len(replaced & suspects.keys())
    verdict = f"{found} of {len(replaced)} replaced tokens found, {len(suspects) - found} false alarms"
    return {"judged": mark(after, suspects), "result": [verdict]}


def mark(tokens: Any, texts: Any) -> Any:
    """Tokens, at some places a text in brackets instead."""
    return [f"【{texts[place]}】" if place in texts else token for place, token in enumerate(tokens)]
