"""PaddleHub's commands: what `hub run NAME` takes and prints, and how both it and `hub serving` end at a mistake."""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from electra_paddle.errors import ConfigError, DataError, ElectraPaddleError, reason
from electra_paddle.files import written_whole
from electra_paddle.hub.items import COLUMNS, STDIN, Item, checked, given_label_map, in_chunks, read_items
from electra_paddle.hub.notes import collected
from electra_paddle.hub.tasks.base import SPLIT_CHAR
from electra_paddle.hub.tasks.embedding import Embedding
from electra_paddle.hub.tasks.tagging import TokenClassification

if TYPE_CHECKING:
    from electra_paddle.hub.module import ElectraModule

FIRST_ITEMS, MOST_ITEMS = 32, 1024  # of a chunk


PREDICT_OPTIONS = (
    *("max_seq_len", "batch_size", "top_k", "use_gpu", "engine", "threshold", "min_score", "candidates", "output"),
)


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


def ends_serving_in_one_line(function: Callable[..., None]) -> Callable[..., None]:
    """What PaddleHub calls, such as a constructor; in `hub serving start` its errors are one line and status 2."""

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> None:
        try:
            function(*arguments, **named)
        except ElectraPaddleError as error:
            if not is_hub("serving", "start"):
                raise
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)

    return call


def run(kind: type[ElectraModule], argv: Sequence[str], module: ElectraModule | None = None) -> str:
    """Predict as the arguments say; answers are written as they come, one line of JSON for each item.

    Args:
        kind: the module's class.
        module: one that is there already, for arguments that ask for no other.

    Returns:
        what is left to print, which PaddleHub does: the last line, or with --output_file where the answers are.

    Raises:
        SystemExit: with status 2, after one line that says what is wrong; 141 if nobody reads the answers any more.
    """
    parser = argparse.ArgumentParser(prog=f"hub run {kind.name}", description=kind.summary, allow_abbrev=False)
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    try:
        lines = answer_lines(kind, arguments, module)
        return write_file(arguments, lines) if arguments.output_file else print_all_but_the_last(lines)
    except ElectraPaddleError as error:
        parser.exit(2, f"error: {error}\n")
    except BrokenPipeError:  # `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at the end
        sys.exit(128 + signal.SIGPIPE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    texts = parser.add_mutually_exclusive_group(required=True)
    texts.add_argument(
        "--input_text", nargs="+", metavar="TEXT", help="a text; two for tasks on pairs; a context and a question"
    )
    texts.add_argument(
        "--input_file",
        metavar="FILE",
        help="UTF-8, one item a line; two texts with a tab between them; - for standard input",
    )
    parser.add_argument("--output_file", metavar="OUT", help="write the answers there, as JSON lines [print them]")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")
    parser.add_argument("--task", help="what to do [what the weights were fine-tuned for, else embedding]")
    parser.add_argument(
        "--load_checkpoint", metavar="FILE", help="fine-tuned parameters, or the Trainer's folder of them"
    )
    parser.add_argument(
        "--label_map", metavar="MAP", help='the labels of the classes, as JSON {"0": "negative", ...} or a file of it'
    )
    parser.add_argument("--num_classes", type=int, help="number of classes, where there is no label map [2]")
    parser.add_argument("--pretrained", metavar="DIR", help="a pretrained directory to use instead of the module's own")
    parser.add_argument("--split_char", metavar="C", help="stands between the tokens of a text of token-cls [\\002]")
    parser.add_argument("--max_seq_len", type=int, help="tokens of a sequence [as in fine-tuning, else 128]")
    parser.add_argument("--batch_size", type=int, default=32, help="sequences at a time [32]")
    parser.add_argument("--top_k", type=int, default=5, help="candidates of a place, of the generator [5]")
    parser.add_argument(
        "--output",
        default="plain",
        help="plain, or dict for answers whose fields have names, as `predict` has it [plain]",
    )
    parser.add_argument("--threshold", type=float, help="probability of a label, or of a character's being wrong [0.5]")
    parser.add_argument("--min_score", type=float, help="probability of a correction in text-correction [0.5]")
    parser.add_argument(
        "--candidates",
        action="store_const",
        const=True,
        help="of replaced-token-detection: also what the generator finds more probable where a character is suspected",
    )
    parser.add_argument("--engine", default="eager", help="eager, inference or onnx [eager]")
    parser.add_argument("--exported", metavar="DIR", help="the exported network that inference or onnx computes")
    parser.add_argument("--use_gpu", action="store_true", help="compute on a GPU")


def answer_lines(
    kind: type[ElectraModule], arguments: argparse.Namespace, module: ElectraModule | None = None
) -> Iterator[str]:
    """The answers as lines, while they are computed; no more of them are in memory than a chunk.

    A file is checked as a whole before its first answer, standard input as it comes.
    """
    path = Path(arguments.input_file or STDIN)
    is_stream = str(path) == STDIN or path.is_fifo() or path.is_char_device()
    if not is_stream:
        next(read_items(str(path)))  # what is no file of items is told before the weights are loaded
    module = choose_module(kind, arguments, module)
    separator = None if arguments.split_char == COLUMNS else COLUMNS
    check_split_char(arguments.split_char, module)
    total = None
    if arguments.input_text:
        items, total = checked([Item("--input_text", arguments.input_text)], module.handler), 1
    elif is_stream:
        items = checked(read_items(str(path), separator), module.handler)
    else:
        total = sum(1 for _ in checked(read_items(str(path), separator), module.handler))
        items = read_items(str(path), separator)
    with progress(total, arguments) as bar:
        for chunk in in_chunks(items, FIRST_ITEMS, MOST_ITEMS):
            for line in answers_of(chunk, module, arguments):
                yield line
                bar.update()


def choose_module(
    kind: type[ElectraModule], arguments: argparse.Namespace, module: ElectraModule | None
) -> ElectraModule:
    """The module that the arguments ask for: the one that is there if they say nothing about it, else a new one."""
    names = ("task", "load_checkpoint", "pretrained", "exported", "label_map", "num_classes")
    chosen = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if "label_map" in chosen:
        chosen["label_map"] = given_label_map(chosen["label_map"], "--label_map")
    return kind(**{"task": None, **chosen}) if module is None or chosen else module


def check_split_char(given: str | None, module: ElectraModule) -> None:
    """Refuse a split character where none is used, or an empty one."""
    if given is not None and (not given or not isinstance(module.handler, TokenClassification)):
        expected = "a character between the tokens of a text" if not given else "none"
        raise ConfigError("--split_char", repr(given), f"{expected}; task: {module.task or 'embedding'}")


def answers_of(chunk: Sequence[Item], module: ElectraModule, arguments: argparse.Namespace) -> Iterator[str]:
    """The answers to a chunk of items, as lines.

    Raises:
        DataError: an item that its task cannot take; says where it stands.
    """
    items = [item.texts for item in chunk]
    if arguments.split_char:
        items = [[text.replace(arguments.split_char, SPLIT_CHAR) for text in texts] for texts in items]
    options: dict[str, Any] = {name: getattr(arguments, name) for name in PREDICT_OPTIONS}
    is_named = arguments.output == "dict"
    options["return_prob"] = module.handler.has_classes and not is_named
    if type(module.handler) is Embedding:
        options["pooling"] = "cls"  # which is what is shown; the states of all tokens are a hundred times as large
    with collected() as notes:
        try:
            answers = module.predict(items, **options)
        except DataError:
            for item, texts in zip(chunk, items, strict=True):
                try:
                    module.predict([texts], **options)
                except DataError as error:
                    error.args = (f"{item.where}: {error}",)
                    raise
            raise
    for note in notes:
        if f"{module.name}: data[" not in note:  # such are said already, with the line's number
            tell_once(re.sub(r"\d+|\(.*", "", note), re.sub(r"data\[(\d+)\]", lambda at: chunk[int(at[1])].where, note))
    if options["return_prob"]:
        answers = list(zip(*answers, strict=True))
    for texts, answer in zip(items, answers, strict=True):
        shown = answer if is_named else module.handler.show(module.text_tokenizer, texts, answer)
        yield json.dumps(shown, ensure_ascii=False)


def tell_once(kind: str, note: str, told: set[str] = set()) -> None:  # noqa: B006
    """Say something about the answers, once of each kind."""
    if kind not in told:
        told.add(kind)
        print(f"NOTE: {note}", file=sys.stderr)


def progress(total: int | None, arguments: argparse.Namespace) -> tqdm[Any]:
    """A bar on standard error for what takes more than a moment, unless the answers appear on the same terminal.

    In a file of errors it is a line every half a minute.
    """
    is_terminal = sys.stderr.isatty()
    is_hidden = is_terminal and sys.stdout.isatty() and not arguments.output_file
    seconds = 0.5 if is_terminal else 30
    return tqdm(
        desc="predict",
        total=total,
        unit=" items",
        file=sys.stderr,
        disable=is_hidden,
        delay=seconds,
        mininterval=seconds,
    )


def print_all_but_the_last(lines: Iterator[str]) -> str:
    """Print lines as they come; returns the last, as PaddleHub prints what is returned, and be it empty."""
    last = next(lines)
    for line in lines:
        print(last, flush=True)
        last = line
    return last


def write_file(arguments: argparse.Namespace, lines: Iterator[str]) -> str:
    """Write lines to --output_file, which appears when it is whole; returns what to say of it."""
    out, count = Path(arguments.output_file), 0
    if out.is_dir() or (out.exists() and not arguments.overwrite):
        advice = "" if out.is_dir() else "--overwrite replaces it"
        raise ConfigError("--output_file", f"{out}, which exists", "a new file", advice)
    try:
        with written_whole(out) as partial:
            try:
                with open(partial, "w", encoding="utf-8") as stream:
                    for line in lines:
                        stream.write(line + "\n")
                        count += 1
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise ConfigError("--output_file", f"{out} ({reason(error)})", "a file that can be written") from error
    return f"{out}: {count:,} answers"
