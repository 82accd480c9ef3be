"""`python -m electra_paddle COMMAND`, and the same commands as scripts in tasks/ and tools/."""

import argparse
import difflib
import importlib
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from electra_paddle import __version__
from electra_paddle.errors import ElectraPaddleError, Interrupted, reason
from electra_paddle.paddlenlp_parts import import_parts_only
from electra_paddle.runtime import ignore_noise

PROGRAM = "electra-paddle"
COMMANDS = (
    "demo",
    "mix_corpus",
    "build_pretraining_data",
    "inspect_shards",
    "verify_shards",
    "run_pretrain",
    "begin_decay",
    "init_task",
    "prepare_task",
    "check_data",
    "run_finetuning",
    "predict",
    "evaluate_cmrc",
    "convert_tf",
    "convert_hf",
    "models",
    "export_hub_module",
    "install_hub_module",
    "serve",
    "export_inference",
    "doctor",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status, 2 for a user's mistake."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["--version"]:
        print(__version__)
        return 0
    name = arguments[0].replace("-", "_") if arguments else ""
    if name not in COMMANDS:
        return print_commands(arguments)
    return run_command(name, arguments[1:], program=f"{PROGRAM} {arguments[0]}")


def script(name: str) -> NoReturn:
    """The body of a script in tasks/ or tools/ that is one of the commands."""
    sys.exit(run_command(name, sys.argv[1:], program=sys.argv[0]))


def run_command(name: str, arguments: Sequence[str], program: str) -> int:
    import_parts_only()
    command = importlib.import_module(f"electra_paddle.commands.{name}")
    parser = argparse.ArgumentParser(prog=program, description=command.DESCRIPTION, allow_abbrev=False)
    command.add_arguments(parser)
    return status_of(lambda: command.run(parser.parse_args([with_dashes(argument) for argument in arguments])))


def status_of(work: Callable[[], int | None]) -> int:
    """The exit status of some work: its own, or that of a user's mistake or an interruption, told in one line."""
    ignore_noise()
    try:
        status = work() or 0
        sys.stdout.flush()
    except ElectraPaddleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name != "paddle":
            raise
        found = f"paddle: found no PaddlePaddle for {sys.executable}, expected paddlepaddle or paddlepaddle-gpu"
        print(f"error: {found}; pip install 'electra-paddle[cpu]' or 'electra-paddle[gpu]'", file=sys.stderr)
        return 2
    except Interrupted as interruption:
        print(interruption, file=sys.stderr)
        return interruption.status
    except BrokenPipeError:  # who reads the output has seen enough: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at the end
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.filename is None:
            raise
        print(
            f"error: {error.filename}: found {reason(error)}, expected a file or folder that can be read and written",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return status


def with_dashes(argument: str) -> str:
    """An option's name with `-` between its words; `--corpus_dir`, as the original has it, is `--corpus-dir`."""
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value if re.fullmatch(r"--[a-z][a-z0-9_-]*", name) else argument


def print_commands(arguments: Sequence[str]) -> int:
    """The list of commands; an unknown one is an error."""
    wants_help = not arguments or arguments[0] in ("-h", "--help")
    stream = sys.stdout if wants_help else sys.stderr
    if not wants_help:
        near = difflib.get_close_matches(arguments[0].replace("-", "_"), COMMANDS, n=1)
        expected = f"{near[0].replace('_', '-')!r}, perhaps, or another of these" if near else "one of these"
        print(f"error: {arguments[0]}: found an unknown command, expected {expected}", file=stream)
    print(f"usage: {PROGRAM} COMMAND [--help]\n", file=stream)
    for name in COMMANDS:
        description = importlib.import_module(f"electra_paddle.commands.{name}").DESCRIPTION
        print(f"  {name.replace('_', '-'):24}{description.splitlines()[0]}", file=stream)
    return 0 if wants_help else 2
