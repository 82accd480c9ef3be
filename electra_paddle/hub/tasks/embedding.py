"""Hidden states of texts, and how similar two texts are. Shapes: B batch, L sequence, H hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from paddlenlp.transformers import ElectraModel

from electra_paddle.errors import ConfigError
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


VECTORS = ("cls", "mean")  # poolings that make a vector of a text


class Embedding(Task):
    """Hidden states; `pooling` makes a vector of those of a text: the first, or the mean with those of [CLS] and [SEP].

    The module's forward pass gives all of them [B, L, H] and those of [CLS] [B, H].
    """

    num_texts: ClassVar[tuple[int, ...]] = (1, 2)
    takes: ClassVar[tuple[str, ...]] = ("pooling",)

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> Layer:
        module.model = ElectraModel(config)
        return module.model

    def check_options(self, options: Options) -> None:
        super().check_options(options)
        if options.pooling not in (None, "none", *VECTORS):
            raise ConfigError("pooling", repr(options.pooling), "'cls', 'mean' or 'none'")

    def forward(
        self, module: ElectraModule, *batches: TokenBatch, position_ids: Positions = (None, None)
    ) -> tuple[Tensor, Tensor]:
        hidden = encode(module.model, batches[0], position_ids[0])  # [B, L, H]
        return hidden, hidden[:, 0]

    def compute(self, module: ElectraModule, *batches: TokenBatch) -> tuple[Tensor, ...]:
        return (encode(module.model, batches[0]),)  # [B, L, H]

    def output_names(self, module: ElectraModule) -> list[str]:
        return ["hidden"]

    def num_values(self, module: ElectraModule, example: Example, options: Options) -> int:
        num_vectors = 1 if options.pooling in VECTORS else super().num_values(module, example, options)
        return num_vectors * int(module.config.hidden_size)

    def keep(self, module: ElectraModule, options: Options, arrays: Sequence[Array], *batches: TokenBatch) -> list[Any]:
        """Keep the states of a row's tokens [L, H], or with pooling a vector [H] of its own memory."""
        hidden, mask = arrays[0], batches[0].attention_mask  # [B, L, H], [B, L]
        if options.pooling == "cls":
            return [row[0].copy() for row in hidden]
        lengths = mask.sum(axis=1).tolist()
        states = [row[:length] for row, length in zip(hidden, lengths, strict=True)]
        return [row.mean(axis=0) for row in states] if options.pooling == "mean" else states

    def answer(self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options) -> Any:
        """With pooling a numpy array [H], else lists: the state [H] of [CLS] and those of all tokens [L, H]."""
        if options.pooling in VECTORS:
            return values[0]
        return [values[0][0].tolist(), values[0].tolist()]

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> Any:
        return answer.tolist() if isinstance(answer, np.ndarray) else answer[0]

    def as_dict(self, module: ElectraModule, texts: Sequence[str], answer: Any, options: Options) -> dict[str, Any]:
        """{"embedding": [H]}, and without pooling "token_embeddings": [L, H], padding removed; lists."""
        if isinstance(answer, np.ndarray):
            return {"embedding": answer.tolist()}
        return {"embedding": answer[0], "token_embeddings": answer[1]}


class Similarity(Embedding):
    """Cosine of the mean states of two texts, each encoded for itself; from -1 to 1."""

    num_texts = (2,)
    takes = ()

    def encode(self, tokenizer: Tokenizer, texts: Sequence[str], options: Options) -> Example:
        return Example([(encode_pair(tokenizer, text, None, options.max_seq_len),) for text in texts])

    def compute(self, module: ElectraModule, *batches: TokenBatch) -> tuple[Tensor, ...]:
        return (mean_states(module.model, batches[0]),)  # [B, H]

    def output_names(self, module: ElectraModule) -> list[str]:
        return ["mean"]

    def keep(self, module: ElectraModule, options: Options, arrays: Sequence[Array], *batches: TokenBatch) -> list[Any]:
        return list(arrays[0])

    def num_values(self, module: ElectraModule, example: Example, options: Options) -> int:
        return 1

    def answer(self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options) -> float:
        first, second = (vector.astype("float64") for vector in values)
        cosine = first @ second / max(np.linalg.norm(first) * np.linalg.norm(second), 1e-12)
        return float(np.clip(cosine, -1, 1))  # rounding may carry it past 1

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> Any:
        return {"similarity": answer}

    def as_dict(self, module: ElectraModule, texts: Sequence[str], answer: Any, options: Options) -> dict[str, Any]:
        return {"similarity": answer}
