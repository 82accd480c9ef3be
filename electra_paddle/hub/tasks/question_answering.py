"""Questions whose answers are passages of a text; long texts go through the network in windows.

Shapes: B windows of a batch, L sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import paddle.nn.functional as F

from electra_paddle.hub.tasks.base import Example, Positions, Task, encode, mask_of
from electra_paddle.models.answers import (
    best_answers,
    longest_answer,
    looks_swapped,
    spans_of_outputs,
    told_answer,
    types_of,
)
from electra_paddle.models.reading_comprehension import Beam, ElectraReader, ReadingScores, variant_of
from electra_paddle.text.windows import WindowSettings, overlapping, windows

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.batch import TokenBatch
    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.tasks.base import Options
    from electra_paddle.text import Tokenizer

N_BEST_SIZE = 20  # answers that are looked at, where fine-tuning did not say how many


class QuestionAnswering(Task):
    """The passage of a context that answers a question: {"text", "score", "start", "end"}, see `told_answer`.

    `answer` is the text once more, as it was called in earlier versions.
    """

    num_texts = (2,)
    text_names = ("context", "question")
    shortest = 32  # with fewer tokens than the beam is wide its last places are left to chance
    is_learned = True
    trained_by = "ElectraReader"

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> Layer:
        if parameter_names:
            config.reading = {**getattr(config, "reading", {}), **variant_of(parameter_names)}
        module.model = ElectraReader(config)
        return module.model.electra

    def note_on(self, texts: Sequence[str]) -> str:
        return "a question longer than its context: the order is [context, question]" if looks_swapped(*texts) else ""

    def encode(self, tokenizer: Tokenizer, texts: Sequence[str], options: Options) -> Example:
        context, question = texts
        settings = window_settings(options)
        encoded = tokenizer.encode_lines(context)
        parts = windows(0, tokenizer.encode(question), encoded, tokenizer.vocabulary, settings)
        return Example([((part.input_ids, part.second),) for part in parts], (context, parts))

    def forward(
        self, module: ElectraModule, *batches: TokenBatch, position_ids: Positions = (None, None)
    ) -> ReadingScores:
        """ReadingScores."""
        hidden = encode(module.model.electra, batches[0], position_ids[0])  # [B, L, H]
        return module.model.reading(hidden, batches[0].token_type_ids, mask_of(module.model.electra, batches[0]))

    def compute(self, module: ElectraModule, *batches: TokenBatch) -> tuple[Tensor, ...]:
        """The beam, or logits [B, L] of starts and ends; and the probabilities of what is said instead of a passage.

        These are [B] that a window has no answer, and [B, 3] of neither, yes and no, as far as the head has them.
        """
        scores = self.forward(module, *batches)
        outputs = [*(scores.beam or (scores.start_logits, scores.end_logits))]
        if scores.answerable_logit is not None:
            outputs.append(F.sigmoid(scores.answerable_logit))
        if scores.yes_no_logits is not None:
            outputs.append(F.softmax(scores.yes_no_logits))
        return tuple(outputs)

    def output_names(self, module: ElectraModule) -> list[str]:
        settings = module.model.reading.settings
        spans = Beam._fields if settings.joint_prediction else ("start_logits", "end_logits")
        types = {"no_answer": settings.answerable_classifier, "yes_no": settings.yes_no_classifier}
        return [*spans, *(name for name, is_there in types.items() if is_there)]

    def keep(self, module: ElectraModule, options: Options, arrays: Sequence[Array], *batches: TokenBatch) -> list[Any]:
        """Keep the SpanScores of each window."""
        named = dict(zip(self.output_names(module), arrays, strict=True))
        return list(spans_of_outputs(named, options.settings.get("n_best_size", N_BEST_SIZE)))

    def answer(
        self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options
    ) -> dict[str, Any]:
        context, parts = example.notes
        longest = longest_answer(*(options.settings.get(name) for name in ("max_answer_length", "compat")))
        answers = best_answers(context, parts, values, longest, options.settings.get("n_best_size", N_BEST_SIZE))
        told = told_answer(answers, types_of(values), options.settings.get("qa_na_threshold"))
        return {**told, "answer": told["text"]}


def window_settings(options: Options) -> WindowSettings:
    """WindowSettings as in fine-tuning, but for sequences of the wanted length, and with windows that overlap.

    At 512 tokens, the length for CMRC 2018 and DRCD, they are those of fine-tuning; at 128 the stride of 128 would let
    answers fall between two windows.
    """
    trained = {name: options.settings[name] for name in ("max_query_length", "doc_stride") if name in options.settings}
    return overlapping(WindowSettings(options.max_seq_len, **trained))
