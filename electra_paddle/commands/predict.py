"""A fine-tuned model's answers for the rows of a file."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from electra_paddle.finetuning.evaluation import Exported

DESCRIPTION = "Predict a file with a fine-tuned model: all columns are kept, the answers appended."


def add_arguments(parser: ArgumentParser) -> None:
    formats = ("csv", "tsv", "json", "jsonl", "parquet", "txt")
    parser.add_argument("model", metavar="MODEL", type=Path, help="a fine-tuned model's folder, or an ensemble's")
    parser.add_argument("source", metavar="IN", help="csv, tsv, jsonl, parquet, txt (a text a line), or - for stdin")
    parser.add_argument("out", metavar="OUT", nargs="?", default="-", help="csv, tsv or jsonl; - for stdout [-]")
    parser.add_argument("--format", choices=formats, help="of IN [by its name; of stdin txt]")
    parser.add_argument("--out-format", choices=("csv", "tsv", "jsonl"), help="of OUT [by its name; of stdout tsv]")
    parser.add_argument("--encoding", default="utf-8", help="of IN [utf-8]")
    parser.add_argument(
        "--columns",
        nargs="+",
        default=[],
        metavar="INPUT=COLUMN",
        help="which columns the model reads [by their names]",
    )
    parser.add_argument(
        "--no-header", action="store_true", help="the first line of a table is a row; columns: 0, 1, ..."
    )
    parser.add_argument("--probabilities", action="store_true", help="append the probability of every class")
    parser.add_argument("--top-k", type=int, default=0, metavar="K", help="append the K most probable classes")
    parser.add_argument(
        "--engine", choices=("eager", "inference", "onnx"), default="eager", help="what computes the network [eager]"
    )
    parser.add_argument(
        "--exported", type=Path, metavar="DIR", help="what export-inference wrote of MODEL, for the other engines"
    )
    parser.add_argument("--batch-size", type=int, default=32, help="sequences that are computed at a time [32]")
    parser.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        default="stop",
        help="what a row does that the model cannot take: stop, or stay without an answer and be listed [stop]",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")


def run(arguments: Namespace) -> None:
    from electra_paddle.errors import ConfigError
    from electra_paddle.finetuning.prediction import WRITTEN, Wanted, format_of, predict_file

    if arguments.batch_size < 1 or arguments.top_k < 0:
        raise ConfigError("--batch-size, --top-k", f"{arguments.batch_size}, {arguments.top_k}", "1 and 0 at least")
    columns = dict(split(text) for text in arguments.columns)
    form = format_of(arguments.source, arguments.format, "--format")
    out_form = arguments.out_format or (
        "tsv" if arguments.out == "-" else format_of(arguments.out, None, "--out-format")
    )
    if out_form not in WRITTEN:
        raise ConfigError("OUT", out_form, " or ".join(WRITTEN), "--out-format says which")
    if arguments.source != "-" and not Path(arguments.source).is_file():
        raise ConfigError("IN", f"no file {arguments.source}", "a file of texts, or - for standard input")
    if arguments.out != "-" and Path(arguments.out).exists() and not arguments.overwrite:
        raise ConfigError("OUT", f"{arguments.out}, which exists", "a new file", "--overwrite replaces it")
    if (arguments.engine == "eager") != (arguments.exported is None):
        found = f"{arguments.engine} with {arguments.exported or 'no folder'}"
        advice = f"python -m electra_paddle export-inference {arguments.model} DIR writes one (--format onnx for onnx)"
        raise ConfigError("--engine, --exported", found, "inference or onnx with a folder", advice)
    from electra_paddle.finetuning.finetuned import from_finetuned

    model = from_finetuned(arguments.model)
    if arguments.engine != "eager":
        model.exported = open_exported(arguments.model, arguments.engine, arguments.exported)
    with opened(arguments.out) as stream:
        count = predict_file(
            model,
            arguments.source,
            stream,
            (form, out_form),
            arguments.encoding,
            arguments.on_error,
            columns,
            Wanted(arguments.probabilities, arguments.top_k),
            arguments.batch_size,
            not arguments.no_header,
        )
    print(f"{arguments.out}: {count:,} rows", file=sys.stderr)


def open_exported(folder: Path, engine: str, exported: Path) -> Exported:
    """The network that was exported from a fine-tuned directory, checked to be that one's."""
    from electra_paddle.errors import ConfigError
    from electra_paddle.finetuning.evaluation import Exported
    from electra_paddle.hub.deployment.engines import choose_engine
    from electra_paddle.hub.module import ElectraModule
    from electra_paddle.models.pretrained_directory import ENSEMBLE

    if (folder / ENSEMBLE).is_file():
        raise ConfigError("--engine", f"{engine} for an ensemble", "eager", "an exported network is one model")
    module = type("Source", (ElectraModule,), {"name": str(folder)})(pretrained=folder, exported=exported)
    run, num_workers = choose_engine(module, engine, use_gpu=False)
    names = module.handler.output_names(module)
    return Exported(lambda tokens: dict(zip(names, run(tokens), strict=True)), num_workers)


def split(text: str) -> tuple[str, str]:
    """The two sides of INPUT=COLUMN."""
    from electra_paddle.errors import ConfigError

    name, equals, column = text.partition("=")
    if not equals:
        raise ConfigError("--columns", repr(text), "INPUT=COLUMN, such as text_a=评论")
    return name, column


@contextlib.contextmanager
def opened(path: str) -> Iterator[IO[str]]:
    """A stream to write to: standard output, or a file that appears when it is whole."""
    from electra_paddle.files import written_whole

    if path == "-":
        yield sys.stdout
        return
    with written_whole(path) as partial:
        try:
            with open(partial, "w", encoding="utf-8", newline="") as stream:
                yield stream
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
