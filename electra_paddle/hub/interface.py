"""The methods of a module that PaddleHub itself calls: `hub.Trainer`, `hub serving` and `hub run`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddlehub.module.module import runnable
from paddlehub.module.nlp_module import TransformerModule
from paddlehub.utils.utils import Version

from electra_paddle.errors import ConfigError, DataError
from electra_paddle.hub import command
from electra_paddle.hub.page import page_of
from electra_paddle.hub.serving import MAX_BODY, MAX_ITEMS, Served, make_app
from electra_paddle.hub.tokenizer import ReferenceTokenizer
from electra_paddle.models import pretrained_directory as pretrained

if TYPE_CHECKING:
    from flask import Flask

    from electra_paddle.hub.tasks.base import Task
    from electra_paddle.text import Tokenizer

EARLIER = ("2.0.0", "2.0.1")  # of the official modules
PREDICT_OPTIONS = (
    *("max_seq_len", "split_char", "batch_size", "use_gpu", "return_prob", "top_k", "engine"),
    *("output", "pooling", "on_error", "threshold", "min_score", "candidates"),
)


class ModuleClass(type):
    """The class of a module's class: version pins of scripts for earlier modules of the same interface hold."""

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, Compatible(str(value)) if name == "version" else value)


class Compatible(Version):
    """A version; 2.0.2, which these modules have as their interface is that of the official ones, is any 2.0 before."""

    def match(self, condition: str | None) -> bool:
        pinned = (condition or "").lstrip("=")
        return super().match(condition) or (str(self) == "2.0.2" and pinned in EARLIER)


class HubInterface(TransformerModule):
    """The part of a module that PaddleHub calls; everything is computed by `predict` and the forward pass."""

    task: str | None
    handler: Task
    metric: Any
    assets: Path
    text_tokenizer: Tokenizer
    suffix: bool
    predict: Callable[..., Any]
    max_items: int | None = None  # of a request and of its answer, see `check_size`; a service sets them
    max_values: int | None = None

    def training_step(self, batch: Sequence[Any], batch_idx: int) -> dict[str, Any]:
        """Loss and metric of a batch of PaddleHub's data sets."""
        _, loss, metrics = self(**self.handler.arguments_of(batch))
        self.metric.reset()
        return {"loss": loss, "metrics": metrics}

    def validation_step(self, batch: Sequence[Any], batch_idx: int) -> dict[str, Any]:
        """Metric of this batch alone; PaddleHub's own averages a running average that is never reset."""
        self.metric.reset()
        return {"metrics": self(**self.handler.arguments_of(batch))[2]}

    def get_tokenizer(self, *args: Any, **kwargs: Any) -> ReferenceTokenizer:
        """PaddleNLP's tokenizer with the reference's rules, for PaddleHub's data sets."""
        return ReferenceTokenizer(str(self.assets / pretrained.VOCABULARY), self.text_tokenizer, **kwargs)

    def get_embedding(
        self,
        data: Any,
        use_gpu: bool = False,
        max_seq_len: int | None = None,
        batch_size: int = 32,
        pooling: str | None = None,
    ) -> list[Any]:
        """[embedding of [CLS], embeddings of all tokens] of each item, or what `pooling` says; only without a task."""
        if self.task is not None:
            raise ConfigError("get_embedding", f"task {self.task!r}", "a module made with task='embedding'")
        options = {"max_seq_len": max_seq_len, "batch_size": batch_size, "pooling": pooling}
        embeddings: list[Any] = self.predict(data, use_gpu=use_gpu, **options)
        return embeddings

    @property
    def predict_method(self) -> Callable[..., Any]:
        """The function that `hub serving` calls for POST /predict/NAME: `predict` with the keys of a JSON object."""
        return self._serve

    def _serve(self, data: Any = None, **options: Any) -> Any:
        for key in options:
            if key not in PREDICT_OPTIONS:
                raise DataError(key, "an unknown key", f"data or one of {', '.join(PREDICT_OPTIONS)}")
        return as_json(self.predict(data, **options))

    def page(self, name: str) -> str:
        """The page that `hub serving` shows at /gradio/NAME, as HTML."""
        return page_of(self, name)

    def service(
        self, name: str, token: str | None = None, max_body: int = MAX_BODY, max_items: int = MAX_ITEMS
    ) -> Flask:
        """The service `electra-paddle serve` of this module, in the module's own copy of this package if it has one.

        Args: as `make_app`; name is in its addresses.
        """
        return make_app({name: self}, token, max_body, max_items)

    def create_gradio_app(self) -> Served:
        """An object whose `launch(server_port=...)` serves the page, as PaddleHub's modules have it."""
        return Served(self)

    @runnable
    def run_cmd(self, argv: Sequence[str]) -> str:
        """`hub run NAME ...`: one line of JSON for each item."""
        return command.run(type(self), argv, self)


def as_json(value: Any) -> Any:
    """An answer with lists and Python's numbers in place of numpy's."""
    if isinstance(value, list | tuple):
        return [as_json(part) for part in value]
    if isinstance(value, dict):
        return {key: as_json(part) for key, part in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value
