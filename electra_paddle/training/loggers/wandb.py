"""Weights & Biases: `pip install 'electra-paddle[wandb]'`; WANDB_PROJECT, WANDB_MODE=offline and the like hold."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from electra_paddle.training.loggers import Figures, Logger, Run, client, plain_values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RUN_ID = "wandb_run_id"  # file in the run's folder, with which a resumed run goes on


class WeightsAndBiases(Logger):
    """One run of a project; scalars are `pretrain/loss`, `eval/loss` and so on."""

    takes_media = True

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._wandb = client("wandb", "wandb")
        path = run.folder / RUN_ID
        run_id = path.read_text(encoding="utf-8") if path.exists() and run.start else None
        options = {"project": os.environ.get("WANDB_PROJECT", "electra-paddle"), "name": run.name, "id": run_id}
        self._run = self._wandb.init(dir=str(run.folder), resume="allow" if run_id else None, **options)
        path.write_text(self._run.id, encoding="utf-8")

    def add_scalars(self, prefix: str, figures: Figures, step: int) -> None:
        self._run.log({f"{prefix}/{name}": value for name, value in figures.items() if value is not None}, step=step)

    def add_hparams(self, hparams: Mapping[str, Any], compared_by: Sequence[str]) -> None:
        self._run.config.update(plain_values(hparams), allow_val_change=True)

    def add_text(self, tag: str, text: str, step: int) -> None:
        self._run.log({tag: self._wandb.Html(f"<pre>{text}</pre>")}, step=step)

    def add_figure(self, tag: str, figure: Figure, step: int) -> None:
        self._run.log({tag: self._wandb.Image(figure)}, step=step)

    def close(self) -> None:
        self._run.finish()
