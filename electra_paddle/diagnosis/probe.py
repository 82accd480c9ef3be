"""What only an import of the libraries can tell, asked in a process of its own: an import may crash."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from electra_paddle import runtime
from electra_paddle.cuda_code import CudaCode
from electra_paddle.errors import reason

SECONDS = 300  # that all imports may take


class Card(NamedTuple):
    """A GPU as Paddle sees it; `memory` in bytes."""

    name: str
    capability: tuple[int, int]
    memory: int


class Build(NamedTuple):
    """Facts of Paddle's build.

    Attributes:
        cuda, cudnn: versions that it was built with; None on a build for CPUs.
        cards: the GPUs that it finds.
        code: that it has for GPUs; None if that is not known.
        found_cudnn, found_nccl: versions of the libraries on this system, as they number themselves; None where there
            is none, or no card to need it.
    """

    cuda: str | None
    cudnn: str | None
    cards: tuple[Card, ...] = ()
    code: CudaCode | None = None
    found_cudnn: int | None = None
    found_nccl: int | None = None


def probe(libraries: Sequence[str]) -> tuple[dict[str, str | None], Build | None]:
    """Import libraries, one after the other.

    Returns:
        (library -> what its import ended with, None where it went well; the Build, None if Paddle cannot be imported).
    """
    errors: dict[str, str | None] = {}
    build: Build | None = None
    while len(errors) < len(libraries):
        left = libraries[len(errors) :]
        lines, end = in_process(left)
        for line in lines:
            if "build" in line:
                build = build_of(line["build"])
            else:
                errors[line["library"]] = line["error"]
        if len(errors) < len(libraries) and end:  # the next one has ended the process
            errors[libraries[len(errors)]] = end
    return errors, build


def build_of(facts: dict[str, Any]) -> Build:
    """A Build from what `json` made of it."""
    cards = tuple(Card(name, tuple(capability), memory) for name, capability, memory in facts.pop("cards"))
    code = facts.pop("code")
    return Build(**facts, cards=cards, code=CudaCode(*map(tuple, code)) if code else None)


def in_process(libraries: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    """(what the process wrote, how it ended; "" if by itself)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.jsonl"
        path.touch()
        package = str(Path(__file__).parents[2])
        environment = {
            **os.environ,
            "HUB_HOME": folder,  # where PaddleHub makes folders as it is imported
            "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH")))),
        }
        command = [sys.executable, "-m", __name__, str(path), *libraries]
        try:
            result = subprocess.run(command, env=environment, capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            end = f"not done after {SECONDS} seconds"
        else:
            end = how_it_ended(result.returncode)
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()], end


def how_it_ended(status: int) -> str:
    if status < 0:
        return f"the process was ended by {signal.Signals(-status).name}"
    return f"the process ended with status {status}" if status else "the process ended without a word"


def write_facts(path: str, libraries: Sequence[str]) -> None:
    """The body of the process: a line of JSON for each library as soon as it is known, and one for the build."""
    runtime.prepare_cpu()
    with open(path, "a", encoding="utf-8") as stream:

        def write(**facts: Any) -> None:
            stream.write(json.dumps(facts) + "\n")
            stream.flush()

        for library in libraries:
            try:
                importlib.import_module(library)
            except Exception as error:
                write(library=library, error=f"{type(error).__name__}: {reason(error)}")
            else:
                write(library=library, error=None)
                if library == "paddle":
                    write(build=build_facts()._asdict())


def build_facts() -> Build:
    """The facts of the Paddle that is imported."""
    import paddle

    if not paddle.device.is_compiled_with_cuda():
        return Build(None, None)
    cuda = paddle.device.cuda
    cards = []
    for number in range(cuda.device_count()):
        properties = cuda.get_device_properties(number)
        cards.append(Card(properties.name, (properties.major, properties.minor), properties.total_memory))
    cudnn = nccl = None
    if cards:
        cudnn = answer(paddle.device.get_cudnn_version)
        nccl = answer(getattr(paddle.base.core, "nccl_version", int))
    return Build(paddle.version.cuda(), paddle.version.cudnn(), tuple(cards), runtime.cuda_code(), cudnn, nccl)


def answer(ask: Callable[[], Any]) -> int | None:
    """A version; None where the library is missing, which Paddle tells in one of several ways."""
    try:
        version = int(ask() or 0)
    except (RuntimeError, OSError):
        return None
    return version if version > 0 else None


if __name__ == "__main__":
    write_facts(sys.argv[1], sys.argv[2:])
