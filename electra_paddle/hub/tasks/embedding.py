"""Hidden states of texts, and how similar two texts are. Shapes: B batch, L sequence, H hidden."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from paddlenlp.transformers import ElectraModel

from electra_paddle.hub.tasks.base import Example, Positions, Task, encode, mean_states
from electra_paddle.text import encode_pair

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.arrays import Array
    from electra_paddle.batch import TokenBatch
    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.tasks.base import Options
    from electra_paddle.text import Tokenizer


class Embedding(Task):
    """Hidden states. The module's forward pass gives all of them [B, L, H] and those of [CLS] [B, H]."""

    num_texts: ClassVar[tuple[int, ...]] = (1, 2)
    components = [("Textbox", {"label": "embedding of [CLS]", "lines": 8, "show_copy_button": True})]

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> Layer:
        module.model = ElectraModel(config)
        return module.model

    def forward(
        self, module: ElectraModule, *batches: TokenBatch, position_ids: Positions = (None, None)
    ) -> tuple[Tensor, Tensor]:
        hidden = encode(module.model, batches[0], position_ids[0])  # [B, L, H]
        return hidden, hidden[:, 0]

    def compute(self, module: ElectraModule, *batches: TokenBatch) -> tuple[Tensor, ...]:
        return (encode(module.model, batches[0]),)  # [B, L, H]

    def output_names(self, module: ElectraModule) -> list[str]:
        return ["hidden"]

    def keep(self, module: ElectraModule, options: Options, arrays: Sequence[Array], *batches: TokenBatch) -> list[Any]:
        lengths = batches[0].attention_mask.sum(axis=1).tolist()
        return [row[:length] for row, length in zip(arrays[0], lengths, strict=True)]

    def answer(self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options) -> Any:
        return [values[0][0].tolist(), values[0].tolist()]

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> Any:
        return answer[0]

    def view(self, module: ElectraModule, texts: Sequence[str], answer: Any) -> list[Any]:
        return [json.dumps(answer[0])]


class Similarity(Embedding):
    """Cosine of the mean states of two texts, each encoded for itself; from -1 to 1."""

    num_texts = (2,)
    components = [("Number", {"label": "cosine, from -1 to 1"})]

    def encode(self, tokenizer: Tokenizer, texts: Sequence[str], options: Options) -> Example:
        return Example([(encode_pair(tokenizer, text, None, options.max_seq_len),) for text in texts])

    def compute(self, module: ElectraModule, *batches: TokenBatch) -> tuple[Tensor, ...]:
        return (mean_states(module.model, batches[0]),)  # [B, H]

    def output_names(self, module: ElectraModule) -> list[str]:
        return ["mean"]

    def keep(self, module: ElectraModule, options: Options, arrays: Sequence[Array], *batches: TokenBatch) -> list[Any]:
        return list(arrays[0])

    def answer(self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options) -> float:
        first, second = (vector.astype("float64") for vector in values)
        cosine = first @ second / max(np.linalg.norm(first) * np.linalg.norm(second), 1e-12)
        return float(np.clip(cosine, -1, 1))  # rounding may carry it past 1

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> Any:
        return {"similarity": answer}

    def view(self, module: ElectraModule, texts: Sequence[str], answer: Any) -> list[Any]:
        return [round(answer, 4)]
