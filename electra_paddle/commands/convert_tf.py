"""TensorFlow checkpoints to pretrained directories, and back."""

from pathlib import Path

DESCRIPTION = "Convert a TensorFlow checkpoint of ELECTRA, published or your own, into pretrained directories, or back."


def add_arguments(parser):
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=Path,
        help="a zip, a folder or a checkpoint's prefix; with --to tf a run's folder",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="a new folder")
    parser.add_argument("--to", choices=("paddle", "tf"), default="paddle", help="what to make [paddle]")
    parser.add_argument("--vocab-file", type=Path, help="the vocabulary [vocab.txt beside the checkpoint]")
    parser.add_argument("--cased", action="store_true", help="the vocabulary tells upper from lower case")
    parser.add_argument("--check", metavar="NPZ", type=Path, help="logits to compare the result with")
    parser.add_argument(
        "--partial", action="store_true", help="convert what fits, and list what is missing and what is left out"
    )
    parser.add_argument("--prefix", help="--to tf: name of the checkpoint's files")
    parser.add_argument(
        "--resumable",
        action="store_true",
        help="--to tf: with moments of 0 where there are none, so that TensorFlow trains",
    )


def run(arguments):
    from electra_paddle.conversion.convert_tf import convert_from_tf, convert_to_tf

    if arguments.to == "tf":
        report = convert_to_tf(arguments.source, arguments.out, arguments.prefix, arguments.resumable)
    else:
        report = convert_from_tf(
            arguments.source,
            arguments.out,
            arguments.vocab_file,
            not arguments.cased,
            arguments.partial,
            arguments.check,
            known_labels,
        )
    print("\n".join(report))


def known_labels(task, num_labels):
    """The labels of a built-in task with so many classes, or None."""
    from electra_paddle.errors import ConfigError
    from electra_paddle.finetuning.description import load_description

    try:
        labels = load_description(task).labels
    except ConfigError:
        return None
    return labels if len(labels) == num_labels else None
