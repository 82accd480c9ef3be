"""Checkpoints: folders that appear whole or not at all, holding nothing that could run code.

`MODEL_DIR/checkpoints/step_00001000/` has `model.safetensors`, `optimizer.safetensors` (moments under the
parameters' names in the network, which unlike Paddle's own names do not change), `state.json` and `SHA256SUMS`,
which `sha256sum -c` reads too. Where the processes share the moments, each has an `optimizer-RANK.safetensors`.
Processes on several nodes need one common folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from electra_paddle import runtime
from electra_paddle.errors import CheckpointError, reason
from electra_paddle.files import sha256
from electra_paddle.parsing import parse_json
from electra_paddle.tensors import assign, read_tensors, save_tensors

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer

    from electra_paddle.arrays import Array
    from electra_paddle.training.averaging import WeightAverage
    from electra_paddle.training.optimizer import AdamWithoutBiasCorrection


MOMENTS = ("moment1", "moment2")  # as training.optimizer calls them
NAME = re.compile(r"step_(\d{8,})")  # copies under other names are left alone
MODEL, AVERAGE, STATE, CHECKSUMS = "model.safetensors", "average.safetensors", "state.json", "SHA256SUMS"


class Checkpoint(NamedTuple):
    """A checkpoint that can be restored."""

    path: Path
    step: int  # updates done
    progress: dict[str, Any]  # as it was saved


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they are.
        identity: what must be equal for a checkpoint to fit, such as the networks' shapes; a JSON-able dict.
        keep: how many to keep; 0 or None keeps all.
    """

    def __init__(self, folder: Path | str, identity: Mapping[str, Any], keep: int | None = 5) -> None:
        self.folder, self.identity, self.keep = Path(folder), json.loads(json.dumps(identity)), keep

    def paths(self) -> list[Path]:
        """Checkpoints, oldest first."""
        found = [(NAME.fullmatch(path.name), path) for path in self.folder.glob("step_*")]
        return [path for _, path in sorted((int(match[1]), path) for match, path in found if match and path.is_dir())]

    def save(
        self,
        step: int,
        model: Layer,
        optimizer: AdamWithoutBiasCorrection,
        progress: Mapping[str, Any] | None = None,
        average: WeightAverage | None = None,
    ) -> Path:
        """Write the state after `step` updates, then remove the oldest checkpoints beyond `keep`.

        Every process calls it at the same step.

        Args:
            progress: what else the run has to know when it goes on; a JSON-able dict.
            average: of the weights, where the run keeps one.

        Raises:
            CheckpointError: it cannot be written. The older ones are still there.
        """
        final = self.folder / f"step_{step:08d}"
        partial = final.with_suffix(".partial")
        with writing(partial):
            if runtime.is_main():
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
                save_tensors(weights_of(model, optimizer), partial / MODEL)
                if average:
                    save_tensors(average.tensors, partial / AVERAGE)
                state = {"step": step, **self.identity, "progress": progress or {}}
                (partial / STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
            is_shared = len(optimizer.shares) > 1
            if is_shared:
                runtime.barrier()
            if is_shared or runtime.is_main():
                suffix = f"-{runtime.rank():05d}" if is_shared else ""
                save_tensors(moments_of(model, optimizer), partial / f"optimizer{suffix}.safetensors")
            runtime.barrier()
            if runtime.is_main():
                finish(partial, final)
        if runtime.is_main():
            for old in self.paths()[: -self.keep] if self.keep else []:
                shutil.rmtree(old)
        runtime.barrier()
        return final

    def latest(self) -> Checkpoint | None:
        """The newest Checkpoint that is whole, or None.

        Raises:
            CheckpointError: none is whole, or the run is of another identity.
        """
        paths = self.paths()
        path = next((path for path in reversed(paths) if not damage(path)), None)
        if path is None and paths:
            raise CheckpointError(
                paths[-1], damage(paths[-1]), "a whole checkpoint", f"to begin anew, remove {self.folder}"
            )
        if path is None:
            return None
        state = parse_json((path / STATE).read_text(encoding="utf-8"))
        identity = {name: value for name, value in state.items() if name not in ("step", "progress")}
        for name, found, expected in differences(identity, self.identity):
            raise CheckpointError(
                path / STATE,
                f"{name} {found}",
                f"{expected} as configured",
                "choose another model_name or the run's own configuration",
            )
        return Checkpoint(path, state["step"], state["progress"])

    def restore(
        self,
        checkpoint: Checkpoint,
        model: Layer,
        optimizer: AdamWithoutBiasCorrection,
        average: WeightAverage | None = None,
    ) -> None:
        """Load a checkpoint that `latest` found; newer ones, which are damaged, are renamed, with a warning.

        Every process calls it.
        """
        path = checkpoint.path
        assign(model, read_tensors(path / MODEL), path / MODEL)
        if average:
            average.restore(read_tensors(path / AVERAGE))
        moments = {}
        for file in sorted(path.glob("optimizer*.safetensors")):
            moments.update(read_tensors(file))
        if moments:
            set_moments(model, optimizer, moments)
        runtime.barrier()  # all have seen which is the newest whole one
        if runtime.is_main():
            self._set_aside(path)

    def _set_aside(self, whole: Path) -> None:
        paths = self.paths()
        for path in paths[paths.index(whole) + 1 :]:
            if damage(path):
                aside = path.with_suffix(".damaged")
                print(
                    f"WARNING: {path}: {damage(path)}; kept as {aside.name}, going on from {whole.name}",
                    file=sys.stderr,
                )
                shutil.rmtree(aside, ignore_errors=True)
                path.rename(aside)


@contextlib.contextmanager
def writing(partial: Path) -> Iterator[None]:
    """Turn a failure to write into one line; what was half written is removed, so that its room is free again."""
    try:
        yield
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(
            partial.with_suffix(""),
            reason(error),
            "room and permission",
            "the same command goes on from the checkpoint before",
        ) from error


def finish(partial: Path, final: Path) -> None:
    """Write the checksums, let the disk have everything, and give the folder its name."""
    files = sorted(path for path in partial.iterdir() if path.name != CHECKSUMS)
    lines = [f"{sha256(path)}  {path.name}\n" for path in files]
    (partial / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
    for path in (*files, partial / CHECKSUMS, partial):
        to_disk(path)
    if final.exists():
        shutil.rmtree(final)
    partial.rename(final)
    to_disk(final.parent)


def to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def damage(path: Path) -> str | None:
    """The fault of a damaged checkpoint, in a few words; None if it is whole."""
    try:
        lines = (path / CHECKSUMS).read_text(encoding="utf-8").splitlines()
        pairs = [line.split("  ", 1) for line in lines]
        expected = {name: checksum for checksum, name in pairs}
        for name in {MODEL, STATE} - set(expected):
            return f"{CHECKSUMS} without {name}"
        for name, checksum in expected.items():
            if sha256(path / name) != checksum:
                return f"{name} is damaged: its checksum is another"
    except (OSError, ValueError) as error:
        return f"it is damaged: {error}"
    return None


def differences(
    found: Mapping[str, Any], expected: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """(key, found, expected) of every entry in which two nested dicts differ."""
    for key in sorted({*found, *expected}):
        one, other = found.get(key), expected.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from differences(one, other, f"{prefix}{key}.")
        elif one != other:
            yield f"{prefix}{key}", one, other


def weights_of(model: Layer, optimizer: AdamWithoutBiasCorrection) -> dict[str, Tensor]:
    """A parameter's name in the model -> its weights in float32, of which the parameter may be a copy."""
    weights = optimizer.by_parameter(optimizer.weights())
    return {name: weights[parameter.name] for name, parameter in model.named_parameters()}


def moments_of(model: Layer, optimizer: AdamWithoutBiasCorrection) -> dict[str, Tensor]:
    """`moment1/NAME` and `moment2/NAME` -> tensor, for parameters that this process has updated."""
    moments = optimizer.moments()
    return {
        f"{moment}/{name}": tensor
        for name, parameter in model.named_parameters()
        for moment, tensor in zip(MOMENTS, moments.get(parameter.name, ()), strict=False)
    }


def set_moments(model: Layer, optimizer: AdamWithoutBiasCorrection, moments: Mapping[str, Array]) -> None:
    """Hand saved moments to an optimizer that has made no update yet; it takes those of its share."""
    names = {parameter.name: name for name, parameter in model.named_parameters()}
    optimizer.set_moments(
        {
            parameter.name: [moments[f"{moment}/{names[parameter.name]}"] for moment in MOMENTS]
            for parameter in optimizer.share
        }
    )
