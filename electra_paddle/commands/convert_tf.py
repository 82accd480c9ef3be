"""TensorFlow checkpoints to pretrained directories, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


DESCRIPTION = "Convert a TensorFlow checkpoint of ELECTRA, published or your own, into pretrained directories, or back."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=Path,
        help="a zip, a folder or a checkpoint's prefix; with --to tf a run's folder, a pretrained or fine-tuned one, "
        "or a published name",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="a new folder")
    parser.add_argument("--to", choices=("paddle", "tf"), default="paddle", help="what to make [paddle]")
    parser.add_argument("--vocab-file", type=Path, help="the vocabulary [vocab.txt beside the checkpoint]")
    parser.add_argument("--cased", action="store_true", help="the vocabulary tells upper from lower case")
    parser.add_argument("--check", metavar="NPZ", type=Path, help="logits to compare the result with")
    parser.add_argument(
        "--tolerance",
        type=tolerance,
        help="largest difference to them [1e-5; more for deep networks and logits in 16 bits]",
    )
    parser.add_argument(
        "--num-attention-heads",
        metavar="N",
        type=int,
        help="of the discriminator [as a configuration beside it says, else one for each 64 hidden units]",
    )
    parser.add_argument(
        "--partial", action="store_true", help="convert what fits, and list what is missing and what is left out"
    )
    parser.add_argument(
        "--extend-vocab",
        metavar="FILE",
        type=Path,
        help="words to add, one a line; their rows begin as their pieces' mean",
    )
    parser.add_argument("--prefix", help="--to tf: name of the checkpoint's files")
    parser.add_argument(
        "--resumable",
        action="store_true",
        help="--to tf: with moments of 0 where there are none, so that TensorFlow trains",
    )


def tolerance(text: str) -> float:
    """A number between 0 and 1."""
    from argparse import ArgumentTypeError

    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise ArgumentTypeError(f"found {text}, expected a number above 0 and below 1")
    return value


def run(arguments: Namespace) -> None:
    from electra_paddle.commands import refuse_options
    from electra_paddle.conversion.convert_tf import convert_from_tf, convert_to_tf
    from electra_paddle.finetuning.converted import describe
    from electra_paddle.finetuning.kinds.base import TASK

    if arguments.to == "tf":
        own = ("vocab_file", "cased", "check", "tolerance", "num_attention_heads", "partial", "extend_vocab")
        refuse_options(arguments, own, "with --to tf")
        report = convert_to_tf(arguments.source, arguments.out, arguments.prefix, arguments.resumable)
    else:
        refuse_options(arguments, ("prefix", "resumable"), "without --to tf")
        if arguments.check is None:
            refuse_options(arguments, ("tolerance",), "without --check")
        report = convert_from_tf(
            arguments.source,
            arguments.out,
            arguments.vocab_file,
            not arguments.cased,
            arguments.partial,
            arguments.check,
            describe,
            arguments.tolerance,
            arguments.num_attention_heads,
            arguments.extend_vocab,
        )
    print("\n".join(report))
    if arguments.to == "tf":
        return
    tasks = sorted(path.parent for path in arguments.out.glob(f"*/{TASK}"))
    for folder in tasks:
        print(f'in Python: electra_paddle.from_finetuned("{folder}")')
    if not tasks:
        print(f'in Python: electra_paddle.from_pretrained("{arguments.out}")')
