"""The right one of several choices. Shapes: B batch, a row for each choice; L sequence, H hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from electra_paddle.errors import DataError
from electra_paddle.hub.tasks.base import Example
from electra_paddle.hub.tasks.regression import Regression
from electra_paddle.models.heads import ElectraChoiceScorer
from electra_paddle.models.probabilities import softmax
from electra_paddle.text.choices import encode_choices, split_choices

if TYPE_CHECKING:
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.tasks.base import Options
    from electra_paddle.text import Tokenizer


class MultipleChoice(Regression):
    """The choice that fits a text best: {"choice", "number", "probabilities"}; choices stand between | in one text."""

    num_texts: ClassVar[tuple[int, ...]] = (2,)
    text_names: ClassVar[tuple[str, ...]] = ("text", "choices")
    trained_by = "ElectraChoiceScorer"

    @property
    def is_taught(self) -> bool:
        return False

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> Layer:
        module.model = ElectraChoiceScorer(config)
        return module.model.electra

    def encode(self, tokenizer: Tokenizer, texts: Sequence[str], options: Options) -> Example:
        choices = split_choices(texts[-1])
        if len(choices) < 2 or not all(choices):
            raise DataError("data", f"choices {texts[-1]!r}", "two at least, with | between them, none of them empty")
        text_b = texts[1] if len(texts) == 3 else None
        rows = encode_choices(tokenizer, texts[0], text_b, choices, options.max_seq_len)
        return Example([(row,) for row in rows], choices)

    def answer(
        self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options
    ) -> dict[str, Any]:
        scores = np.concatenate(values).astype(np.float64)  # [C]
        number = int(np.argmax(scores))
        return {"choice": example.notes[number], "number": number, "probabilities": softmax(scores).tolist()}

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> Any:
        return answer


class PairMultipleChoice(MultipleChoice):
    """The choice that answers a question about a text."""

    num_texts = (3,)
    text_names = ("text", "question", "choices")
