"""Checkpoints: folders that appear whole or not at all, holding nothing that could run code.

`MODEL_DIR/checkpoints/step_00001000/` has `model.safetensors`, `optimizer.safetensors` (moments under the
parameters' names in the network, which unlike Paddle's own names do not change) and `state.json`.
"""

import json
import os
import shutil
from pathlib import Path

from electra_paddle.errors import CheckpointError
from electra_paddle.tensors import assign, read_tensors, save_tensors

MOMENTS = ("moment1", "moment2")


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they are.
        identity: what must be equal for a checkpoint to fit, such as the networks' shapes; a JSON-able dict.
        keep: how many to keep; 0 or None keeps all.
    """

    def __init__(self, folder, identity, keep=5):
        self.folder, self.identity, self.keep = Path(folder), json.loads(json.dumps(identity)), keep

    def paths(self):
        """Complete checkpoints, oldest first."""
        return sorted(path for path in self.folder.glob("step_*") if path.suffix != ".partial")

    def save(self, step, model, optimizer):
        """Write the state after `step` updates, then remove the oldest checkpoints beyond `keep`."""
        final = self.folder / f"step_{step:08d}"
        partial = final.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_tensors(dict(model.named_parameters()), partial / "model.safetensors")
        save_tensors(moments_of(model, optimizer), partial / "optimizer.safetensors")
        (partial / "state.json").write_text(
            json.dumps({"step": step, **self.identity}, indent=2) + "\n", encoding="utf-8"
        )
        for file in partial.iterdir():
            with open(file, "rb") as stream:
                os.fsync(stream.fileno())
        if final.exists():
            shutil.rmtree(final)
        partial.rename(final)
        for old in self.paths()[: -self.keep] if self.keep else []:
            shutil.rmtree(old)
        return final

    def latest(self):
        """(folder, step) of the newest checkpoint, or (None, 0).

        Raises:
            CheckpointError: it belongs to a run of another identity.
        """
        paths = self.paths()
        if not paths:
            return None, 0
        path = paths[-1] / "state.json"
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            step = state.pop("step")
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(
                path, f"a damaged checkpoint ({error})", "the state of a run", f"remove {paths[-1]}"
            ) from error
        for name, found, expected in differences(state, self.identity):
            raise CheckpointError(
                path,
                f"{name} {found}",
                f"{expected} as configured",
                "choose another model_name or the run's own configuration",
            )
        return paths[-1], step

    def restore(self, model, optimizer, schedule):
        """Load the newest checkpoint, if there is one, and return the number of updates done."""
        path, step = self.latest()
        if path is None:
            return 0
        assign(model, read_tensors(path / "model.safetensors"), path / "model.safetensors")
        moments = read_tensors(path / "optimizer.safetensors")
        if moments:
            set_moments(model, optimizer, moments)
        schedule.step(step)
        return step


def differences(found, expected, prefix=""):
    """(key, found, expected) of every entry in which two nested dicts differ."""
    for key in sorted({*found, *expected}):
        one, other = found.get(key), expected.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from differences(one, other, f"{prefix}{key}.")
        elif one != other:
            yield f"{prefix}{key}", one, other


def moments_of(model, optimizer):
    """`moment1/NAME` and `moment2/NAME` -> tensor, for parameters that have been updated."""
    state = optimizer.state_dict()
    return {
        f"{moment}/{name}": state[key]
        for name, parameter in model.named_parameters()
        for moment in MOMENTS
        if (key := f"{parameter.name}_{moment}_0") in state
    }


def set_moments(model, optimizer, moments):
    """Hand saved moments to an optimizer that has made no update yet."""
    import paddle

    state = {key: value for key, value in optimizer.state_dict().items() if key == "LR_Scheduler"}  # 2.6 insists on it
    for name, parameter in model.named_parameters():
        for moment in MOMENTS:
            state[f"{parameter.name}_{moment}_0"] = paddle.to_tensor(moments[f"{moment}/{name}"])
        for power in ("beta1_pow_acc", "beta2_pow_acc"):
            state[f"{parameter.name}_{power}_0"] = paddle.zeros([1])
    optimizer.set_state_dict(state)
