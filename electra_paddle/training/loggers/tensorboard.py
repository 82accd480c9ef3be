"""TensorBoard's log, written by tensorboardX: `pip install 'electra-paddle[tensorboard]'`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from electra_paddle.training.loggers import Figures, Logger, Run, client, parameter_values, plain_values

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.figure import Figure
    from paddle.nn import Layer


class TensorBoard(Logger):
    """Event files in FOLDER/tensorboard; a resumed run hides what was written about later updates."""

    takes_media = True

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        folder = run.folder / "tensorboard"
        self._writer = client("tensorboardX", "tensorboard").SummaryWriter(str(folder), purge_step=run.start + 1)

    def add_scalars(self, prefix: str, figures: Figures, step: int) -> None:
        for name, value in figures.items():
            if value is not None:
                self._writer.add_scalar(f"{prefix}/{name}", value, step)
        self._writer.flush()

    def add_hparams(self, hparams: Mapping[str, Any], compared_by: Sequence[str]) -> None:
        rows = "\n".join(f"| {name} | {value} |" for name, value in plain_values(hparams).items())
        self._writer.add_text("hparams", f"| | |\n|-|-|\n{rows}", self.run.start)

    def add_text(self, tag: str, text: str, step: int) -> None:
        self._writer.add_text(tag, text.replace("\n", "  \n"), step)

    def add_figure(self, tag: str, figure: Figure, step: int) -> None:
        self._writer.add_image(tag, pixels(figure), step, dataformats="HWC")

    def add_histograms(self, prefix: str, layer: Layer, step: int) -> None:
        for name, values in parameter_values(layer):
            self._writer.add_histogram(f"{prefix}/{name}", values, step)

    def add_embeddings(self, tag: str, vectors: npt.NDArray[Any], names: Sequence[str], step: int) -> None:
        self._writer.add_embedding(vectors, metadata=list(names), global_step=step, tag=tag)

    def close(self) -> None:
        self._writer.close()


def pixels(figure: Figure) -> npt.NDArray[Any]:
    """A matplotlib Figure as [height, width, 3] uint8."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
