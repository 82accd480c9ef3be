"""Correcting characters: the discriminator says which look wrong, the generator which stand there better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_paddle.hub.tasks.base import check_probability
from electra_paddle.hub.tasks.candidates import find_candidates, generator_of
from electra_paddle.hub.tasks.pretraining import ReplacedTokenDetection, by_token

if TYPE_CHECKING:
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.batch import TokenBatch
    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.tasks.base import Example, Options
    from electra_paddle.text import Tokenizer

MIN_SCORE = 0.5  # more probable than all other tokens together


class TextCorrection(ReplacedTokenDetection):
    """Chinese characters that are replaced by more probable ones, see `answer`.

    The discriminator's probability that a character is not what once stood there reaches `threshold`; the generator,
    which sees [MASK] in its place, finds another character the most probable, with a probability of `min_score` at
    least, see `find_candidates`. Only Chinese characters are suspected and suggested; what is not in the vocabulary
    stays.

    Engines compute the discriminator, the generator is always computed by the module's own layers.
    """

    takes = ("threshold", "min_score")

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> Layer:
        generator_of(module)
        return super().build(module, config, parameter_names)

    def check_options(self, options: Options) -> None:
        super().check_options(options)
        check_probability("min_score", options.min_score)

    def keep(self, module: ElectraModule, options: Options, arrays: Sequence[Array], *batches: TokenBatch) -> list[Any]:
        """Keep the corrections of each row: place -> (id of the better token, score)."""
        (batch,), min_score = batches, MIN_SCORE if options.min_score is None else options.min_score
        return [
            {
                place: best
                for place, (best,) in candidates.items()
                if best[0] != batch.input_ids[row, place] and best[1] >= min_score
            }
            for row, candidates in enumerate(find_candidates(module, options, arrays[0], batch, count=1))
        ]

    def answer(self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options) -> Any:
        """{"text", "corrected", "edits": [{"start", "original", "suggestion", "score"}]}.

        `text[start]` is the original and `corrected[start]` the suggestion; the score is the generator's probability.
        """
        better, places, text = by_token(example.notes, values), example.notes.places, example.notes.text
        corrected, edits = list(text), []
        for position in np.flatnonzero(np.isin(places, list(better))).tolist():
            token, score = better[int(places[position])]
            suggestion = corrected[position] = module.text_tokenizer.vocabulary.tokens[token]
            edit = {"start": position, "original": text[position], "suggestion": suggestion, "score": score}
            edits.append(edit)
        return {"text": text, "corrected": "".join(corrected), "edits": edits}

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> Any:
        return answer

    def as_dict(self, module: ElectraModule, texts: Sequence[str], answer: Any, options: Options) -> dict[str, Any]:
        corrections: dict[str, Any] = answer
        return corrections
