"""Numbers for texts and pairs of texts. Shapes: B batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from electra_paddle.batch import TokenBatch
from electra_paddle.errors import ConfigError
from electra_paddle.hub.tasks.base import Example, Positions, Task, encode
from electra_paddle.models.heads import ElectraRegressor
from electra_paddle.models.task_losses import regression_losses

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer
    from paddlenlp.transformers import ElectraConfig

    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.tasks.base import Options
    from electra_paddle.text import Tokenizer


class Regression(Task):
    """A number for a text, on the scale of the data that it was fine-tuned on."""

    is_learned = True
    trained_by: ClassVar[str | None] = "ElectraRegressor"

    @property
    def is_taught(self) -> bool:
        return True

    def build(self, module: ElectraModule, config: ElectraConfig, parameter_names: Sequence[str]) -> Layer:
        module.model = ElectraRegressor(config)
        return module.model.electra

    def forward(self, module: ElectraModule, *batches: TokenBatch, position_ids: Positions = (None, None)) -> Tensor:
        hidden = encode(module.model.electra, batches[0], position_ids[0])  # [B, L, H]
        return module.model.classify(hidden)  # [B, 1]

    def compute(self, module: ElectraModule, *batches: TokenBatch) -> tuple[Tensor, ...]:
        return (self.forward(module, *batches),)

    def probabilities(self, logits: Tensor) -> Tensor:
        """The numbers [B, 1] themselves."""
        return logits

    def supervise(
        self, metric: Any, logits: Tensor, probabilities: Tensor, labels: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """(mean squared error, it with a minus: of metrics PaddleHub keeps the highest) of numbers [B, 1], labels [B].

        Raises:
            ConfigError: another number of labels.
        """
        numbers = labels.reshape([-1]).astype("float32")
        if numbers.shape[0] != logits.shape[0]:
            raise ConfigError(
                "labels", f"the shape {list(labels.shape)}", f"a number for each of {logits.shape[0]} rows"
            )
        loss = regression_losses(logits, numbers).mean()
        return loss, {"negative_mse": -float(loss)}

    def output_names(self, module: ElectraModule) -> list[str]:
        return ["scores"]

    def answer(self, module: ElectraModule, example: Example, values: Sequence[Any], options: Options) -> Any:
        return float(np.mean(values))

    def show(self, tokenizer: Tokenizer, texts: Sequence[str], answer: Any) -> Any:
        return {"score": answer}


class PairRegression(Regression):
    """A number for two texts in one sequence, such as their similarity."""

    num_texts = (2,)
