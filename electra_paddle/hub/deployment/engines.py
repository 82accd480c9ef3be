"""Engines that compute a task's network: the module's own layers, or a file that was exported from them.

An engine is a function of TokenBatches of arrays that returns the arrays of Task.compute.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_paddle import runtime
from electra_paddle.batch import TokenBatch
from electra_paddle.errors import CheckpointError, ConfigError
from electra_paddle.files import sha256
from electra_paddle.hub.deployment import onnx_network, paddle_network
from electra_paddle.hub.prediction import eager
from electra_paddle.models.pretrained_directory import read_json

if TYPE_CHECKING:
    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.hub.prediction import Engine
    from electra_paddle.hub.tasks.base import Task

ABOUT = "export.json"  # what a folder with an exported network says of it
FORMATS = {"paddle": paddle_network, "onnx": onnx_network}
ENGINES = {"inference": "paddle", "onnx": "onnx"}  # engine -> the format that it reads
AGAIN = "export it again"


def choose_engine(module: ElectraModule, name: str, use_gpu: bool) -> tuple[Engine, int]:
    """(engine, how many batches it computes at a time at most) by name.

    On a CPU a thread a batch is faster than a batch on all cores, as none waits for another. An exported network stays
    open until the module's weights change.

    Raises:
        ConfigError, CheckpointError: no such engine, no exported network, a damaged one, or that of other weights.
    """
    if name == "eager":
        return eager(module), 1 if use_gpu else runtime.num_threads()
    if name not in ENGINES:
        raise ConfigError("engine", repr(name), " or ".join(map(repr, ("eager", *ENGINES))))
    if use_gpu:
        raise ConfigError("use_gpu", True, "False", "exported networks run on the CPU")
    if module.exported is None:
        advice = f"give exported=DIR, a folder that module.export(DIR, format={ENGINES[name]!r}) wrote"
        raise ConfigError("engine", repr(name), "'eager', for a module without an exported network", advice)
    if name not in module.engines:
        precision = check(module, module.exported, ENGINES[name])
        module.engines[name] = open_network(module.handler, module.exported, ENGINES[name], precision)
    return module.engines[name], FORMATS[ENGINES[name]].num_workers()


def check(module: ElectraModule, folder: Path, format: str) -> str:
    """Refuse a folder that does not hold the module's network as it was exported.

    Returns:
        the precision that it was exported for.

    Raises:
        ConfigError, CheckpointError: says in what they differ.
    """
    about: dict[str, Any] = read_json(folder / ABOUT)
    if about.get("format") != format:
        raise ConfigError("engine", f"{folder} in the format {about.get('format')!r}", repr(format), AGAIN)
    if about.get("task") != task_name(module) or about.get("weights") != fingerprint(module):
        found = f"the network of other weights or of another task ({about.get('task')})"
        raise CheckpointError(folder, found, f"this module's, for {task_name(module)}", AGAIN)
    files = about.get("files")
    digests: dict[str, str] = files if isinstance(files, dict) else {}
    for file in FORMATS[format].files(folder):
        digest = sha256(file) if file.is_file() else "no file"
        if digest != digests.get(file.name):
            raise CheckpointError(file, digest[:12], f"{str(digests.get(file.name))[:12]} as exported", AGAIN)
    return str(about.get("precision"))


def open_network(task: Task, folder: Path, format: str, precision: str) -> Engine:
    """The engine of an exported network, whatever it is."""
    run = FORMATS[format].open_network(folder, precision)
    names = input_names(task)
    return lambda *batches: run(dict(zip(names, (array for batch in batches for array in batch), strict=True)))


def input_names(task: Task) -> list[str]:
    """Names of the network's inputs, all of them [B, L] int64."""
    return [prefix + field for prefix in task.inputs for field in TokenBatch._fields]


def task_name(module: ElectraModule) -> str:
    """The task as the module's constructor takes it."""
    return module.task or "embedding"


def fingerprint(module: ElectraModule) -> str:
    """SHA-256 of the names and values of all parameters, as hexadecimal digits."""
    digest = hashlib.sha256()
    for name, parameter in sorted(module.named_parameters()):
        digest.update(f"{name} {parameter.shape}\n".encode())
        digest.update(np.ascontiguousarray(parameter.numpy()).data)
    return digest.hexdigest()
