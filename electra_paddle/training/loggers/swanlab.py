"""SwanLab: `pip install 'electra-paddle[swanlab]'`; SWANLAB_PROJECT, SWANLAB_MODE=local and the like hold."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from electra_paddle.training.loggers import Figures, Logger, Run, client, plain_values


class SwanLab(Logger):
    """One experiment of a project; scalars are `pretrain/loss`, `eval/loss` and so on."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._swanlab = client("swanlab", "swanlab")
        project = os.environ.get("SWANLAB_PROJECT", "electra-paddle")
        mode = os.environ.get("SWANLAB_MODE", "cloud")
        folder = run.folder / "swanlab"
        self._swanlab.init(project=project, experiment_name=run.name, logdir=str(folder), mode=mode)

    def add_scalars(self, prefix: str, figures: Figures, step: int) -> None:
        self._swanlab.log({f"{prefix}/{k}": value for k, value in figures.items() if value is not None}, step=step)

    def add_hparams(self, hparams: Mapping[str, Any], compared_by: Sequence[str]) -> None:
        self._swanlab.config.update(plain_values(hparams))

    def close(self) -> None:
        self._swanlab.finish()
