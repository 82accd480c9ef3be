"""Loggers write a run's figures, texts and pictures to one destination each; `loggers` chooses them.

One of your own is a subclass of `Logger`, registered (`LOGGERS.register("name", "module:Class")`) or named as
`loggers: [progress, module:Class]`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from electra_paddle.errors import ConfigError
from electra_paddle.registry import Registry

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.figure import Figure
    from paddle.nn import Layer

HISTOGRAM_VALUES = 10_000
EVALUATION = "eval"  # prefix of an evaluation's scores
Figures = Mapping[str, float | None]  # None where a value is infinite or no number


class Run(NamedTuple):
    """The description of a run that a logger gets."""

    folder: Path  # of the run; loggers write into it
    name: str  # of the model, or of task and trial
    start: int  # updates done before; reports of later ones, by a process that died, are to be dropped
    num_steps: int  # updates of the whole run
    title: str  # for people


class Logger:
    """A destination. Only the main process makes one; every method may be left as it is.

    Attributes:
        takes_media: whether it shows texts, pictures, histograms and embeddings, which are only then computed.
    """

    takes_media: ClassVar[bool] = False

    def __init__(self, run: Run) -> None:
        self.run = run

    def add_scalars(self, prefix: str, figures: Figures, step: int) -> None:
        """Figures after `step` updates; the prefix "eval" is that of an evaluation."""

    def add_hparams(self, hparams: Mapping[str, Any], compared_by: Sequence[str]) -> None:
        """Hyper-parameters, and the names of the scalars that runs are to be compared by."""

    def add_text(self, tag: str, text: str, step: int) -> None:
        """A text in Markdown."""

    def add_figure(self, tag: str, figure: Figure, step: int) -> None:
        """A matplotlib Figure."""

    def add_histograms(self, prefix: str, layer: Layer, step: int) -> None:
        """Histograms of a Layer's parameters."""

    def add_embeddings(self, tag: str, vectors: npt.NDArray[Any], names: Sequence[str], step: int) -> None:
        """Vectors [N, E] with their N names."""

    def update(self) -> None:
        """Called after every update."""

    def ends_at(self, num_steps: int) -> None:
        """The run has another number of updates than it began with."""

    def close(self) -> None:
        """The run is over or interrupted."""


def client(module: str, extra: str) -> Any:
    """The module of a service's client, which an extra of this package installs.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        advice = f"pip install 'electra-paddle[{extra}]'"
        raise ConfigError("loggers", f"{extra}, but {error}", f"{module} to be installed", advice) from error


def parameter_values(layer: Layer) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """(name, at most about 10,000 of its values) of a Layer's parameters, of those that are finite."""
    import numpy as np

    for name, parameter in layer.named_parameters():
        some = parameter.flatten()[:: max(1, int(parameter.size) // HISTOGRAM_VALUES)]
        values = some.astype("float32").numpy()
        if np.isfinite(values).all():
            yield name, values


def plain_values(hparams: Mapping[str, Any]) -> dict[str, int | float | str]:
    """Hyper-parameters as numbers and texts."""
    return {name: value if type(value) in (int, float, str) else str(value) for name, value in hparams.items()}


LOGGERS: Registry[type[Logger]] = Registry(
    "loggers",
    {
        "progress": "electra_paddle.training.loggers.progress:ProgressBar",
        "jsonl": "electra_paddle.training.loggers.jsonl:JsonLines",
        "visualdl": "electra_paddle.training.loggers.visualdl:VisualDL",
        "tensorboard": "electra_paddle.training.loggers.tensorboard:TensorBoard",
        "wandb": "electra_paddle.training.loggers.wandb:WeightsAndBiases",
        "swanlab": "electra_paddle.training.loggers.swanlab:SwanLab",
    },
)
