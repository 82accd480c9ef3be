"""PaddleHub's commands: what `hub run NAME` takes and prints, and how both it and `hub serving` end at a mistake."""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle.errors import DataError, ElectraPaddleError, reason

if TYPE_CHECKING:
    from electra_paddle.hub.module import ElectraModule


PREDICT_OPTIONS = ("max_seq_len", "batch_size", "top_k", "use_gpu", "engine", "threshold", "min_score")


class Awaiting:
    """Stands in for the module during `hub run` until the command's arguments are known.

    Args:
        kind: the module's class.
    """

    is_runnable = True  # PaddleHub asks for this, then calls `_run_func`

    def __init__(self, kind: type[ElectraModule]) -> None:
        self._kind = kind

    def _run_func(self, argv: Sequence[str]) -> str:
        return run(self._kind, argv)


def is_hub_run(name: str) -> bool:
    """Whether this process is that of `hub run NAME`, in which dashes may be underscores."""
    return is_hub("run", name.replace("_", "-"))


def is_hub(*words: str) -> bool:
    """Whether this process is that of the command `hub` with these two words behind it."""
    return Path(sys.argv[0]).stem == "hub" and tuple(word.replace("_", "-") for word in sys.argv[1:3]) == words


def ends_serving_in_one_line(constructor: Callable[..., None]) -> Callable[..., None]:
    """A module's constructor; in `hub serving start`, where PaddleHub calls it, an error is one line and status 2."""

    @functools.wraps(constructor)
    def construct(*arguments: Any, **named: Any) -> None:
        try:
            constructor(*arguments, **named)
        except ElectraPaddleError as error:
            if not is_hub("serving", "start"):
                raise
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)

    return construct


def run(kind: type[ElectraModule], argv: Sequence[str], module: ElectraModule | None = None) -> str:
    """Predict as the arguments say.

    Args:
        kind: the module's class.
        module: one that is there already, for arguments that ask for no other.

    Returns:
        text, one line of JSON for each item. PaddleHub prints it.

    Raises:
        SystemExit: with status 2, after one line that says what is wrong.
    """
    parser = argparse.ArgumentParser(prog=f"hub run {kind.name}", description=kind.summary, allow_abbrev=False)
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    try:
        return "\n".join(answer_lines(kind, arguments, module))
    except ElectraPaddleError as error:
        parser.exit(2, f"error: {error}\n")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    texts = parser.add_mutually_exclusive_group(required=True)
    texts.add_argument(
        "--input_text", nargs="+", metavar="TEXT", help="a text; two for tasks on pairs; a context and a question"
    )
    texts.add_argument("--input_file", metavar="FILE", help="UTF-8, one item a line; two texts with a tab between them")
    parser.add_argument("--task", help="what to do [what the weights were fine-tuned for, else embedding]")
    parser.add_argument("--load_checkpoint", metavar="FILE", help="fine-tuned parameters")
    parser.add_argument("--pretrained", metavar="DIR", help="a pretrained directory to use instead of the module's own")
    parser.add_argument("--max_seq_len", type=int, help="tokens of a sequence [as in fine-tuning, else 128]")
    parser.add_argument("--batch_size", type=int, default=32, help="sequences at a time [32]")
    parser.add_argument("--top_k", type=int, default=5, help="candidates of fill-mask [5]")
    parser.add_argument("--threshold", type=float, help="probability of a label, or of a character's being wrong [0.5]")
    parser.add_argument("--min_score", type=float, help="probability of a correction in text-correction [0.5]")
    parser.add_argument("--engine", default="eager", help="eager, inference or onnx [eager]")
    parser.add_argument("--exported", metavar="DIR", help="the exported network that inference or onnx computes")
    parser.add_argument("--use_gpu", action="store_true", help="compute on a GPU")


def answer_lines(
    kind: type[ElectraModule], arguments: argparse.Namespace, module: ElectraModule | None = None
) -> list[str]:
    """The answers as lines."""
    items = [arguments.input_text] if arguments.input_text else read_items(arguments.input_file)
    chosen = {name: getattr(arguments, name) for name in ("task", "load_checkpoint", "pretrained", "exported")}
    if module is None or any(value is not None for value in chosen.values()):
        module = kind(**chosen)
    options = {name: getattr(arguments, name) for name in PREDICT_OPTIONS}
    answers = module.predict(items, return_prob=module.handler.has_classes, **options)
    if module.handler.has_classes:
        answers = list(zip(*answers, strict=True))
    return [
        json.dumps(module.handler.show(module.text_tokenizer, texts, answer), ensure_ascii=False)
        for texts, answer in zip(items, answers, strict=True)
    ]


def read_items(path: str | Path) -> list[list[str]]:
    """The items of a file.

    Raises:
        DataError: it cannot be read, or a line is empty.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except OSError as error:
        raise DataError(path, reason(error), "a text file, one item a line") from error
    except UnicodeDecodeError as error:
        raise DataError(path, f"invalid UTF-8 at byte {error.start}", "UTF-8 text") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise DataError(f"{path}:{number}", "an empty line", "one item a line")
    return [line.split("\t") for line in lines]
