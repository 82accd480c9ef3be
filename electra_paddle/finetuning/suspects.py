"""Training rows that look mislabelled: those whose loss stays high over the epochs.

Source: the idea of dataset cartography (Swayamdipta et al. 2020). Losses are those of the training passes themselves,
with dropout, before the update of which they are part, so that they cost next to nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_paddle import runtime
from electra_paddle.errors import CheckpointError
from electra_paddle.finetuning.analysis import MOST_ROWS, gold_record, write_records
from electra_paddle.tensors import read_tensors
from electra_paddle.training.callbacks import Callback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paddle import Tensor

    from electra_paddle.arrays import Array
    from electra_paddle.finetuning.batches import TrainingBatches
    from electra_paddle.finetuning.kinds.base import AnyKind
    from electra_paddle.training.checkpoint import Checkpoint
    from electra_paddle.training.session import Session

FILE = "row_losses-{}.safetensors"  # of each process, in a checkpoint's folder
INTERVAL = 100  # updates after which losses are fetched from the device


class RowLosses(Callback):
    """Adds up the loss of each training example over the passes.

    Args:
        kind: of the task; nothing is measured if it has no `row_losses`.
        batches: of which each update is made.
        num_examples: N.
        checkpoint: that the run goes on from.
    """

    def __init__(self, kind: AnyKind, batches: TrainingBatches, num_examples: int, checkpoint: Checkpoint | None):
        self.kind, self.batches = kind, batches
        self.sums, self.counts = np.zeros((2, num_examples))
        self._of_update: list[Tensor] = []
        self._waiting: list[tuple[Array, list[Tensor]]] = []
        for path in sorted(checkpoint.path.glob(FILE.format("*"))) if checkpoint and runtime.is_main() else ():
            self._restore(path)

    def _restore(self, path: Path) -> None:
        try:
            kept = read_tensors(path)
            self.sums, self.counts = self.sums + kept["sums"], self.counts + kept["counts"]
        except (CheckpointError, KeyError, ValueError):
            print(f"{path}: damaged; losses of training rows count from here on")

    def metrics(self, batch: Any, output: Any) -> dict[str, Tensor]:
        """The kind's `training_metrics`; the rows' losses are kept on the way."""
        import paddle

        with paddle.no_grad():
            losses = self.kind.row_losses(batch, output)
        if losses is not None:
            self._of_update.append(losses)
        return self.kind.training_metrics(batch, output)

    def on_step(self, session: Session) -> None:
        self._waiting.append((self.batches.examples.popleft(), self._of_update))
        self._of_update = []
        if len(self._waiting) >= INTERVAL or session.is_last:
            self._add()

    def on_checkpoint(self, session: Session, folder: Path) -> None:
        from safetensors.numpy import save_file

        self._add()
        save_file({"sums": self.sums, "counts": self.counts}, folder / FILE.format(runtime.rank()))

    def _add(self) -> None:
        """Fetch from the device what waits there, all together."""
        waiting, self._waiting = [each for each in self._waiting if each[1]], []
        if not waiting:
            return
        import paddle

        losses = paddle.concat([part for _, parts in waiting for part in parts]).numpy()
        numbers = np.concatenate([numbers for numbers, _ in waiting])
        is_real = numbers >= 0
        np.add.at(self.sums, numbers[is_real], losses[is_real])
        np.add.at(self.counts, numbers[is_real], 1)

    def means(self) -> Array:
        """Mean loss of each example [N], NaN of those without one; every process gets those of all."""
        self._add()
        sums, counts = (sum(part) for part in zip(*runtime.gather((self.sums, self.counts)), strict=True))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(sums / counts)


def write_suspects(path: Path, kind: AnyKind, examples: Sequence[Any], losses: Array) -> Path | None:
    """Write the examples with the highest losses [N], highest first, an object a line; None where none is known."""
    order = [number for number in np.argsort(-losses, kind="stable") if np.isfinite(losses[number])][:MOST_ROWS]
    if not order:
        return None
    rows = [{**gold_record(kind, examples[number]), "loss": round(float(losses[number]), 6)} for number in order]
    return write_records(path, rows)
