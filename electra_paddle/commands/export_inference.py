"""A module's network as files for Paddle Inference or ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


DESCRIPTION = "Export a model's network for Paddle Inference or ONNX Runtime, once it computes what the model does."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="MODULE_OR_DIR",
        type=Path,
        help="a PaddleHub module's folder, a pretrained or fine-tuned directory, or a pre-training run",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="a new folder")
    parser.add_argument("--format", choices=("paddle", "onnx"), default="paddle", help="of the network [paddle]")
    parser.add_argument("--task", help="what it is for [what the weights were fine-tuned for, else embedding]")
    parser.add_argument("--load-checkpoint", type=Path, metavar="FILE", help="parameters that hub.Trainer wrote")
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16", "int8"),
        default="fp32",
        help="of matrix products: bf16 with paddle, 8-bit weights with onnx [fp32]",
    )
    parser.add_argument(
        "--tolerance", type=float, default=1e-5, help="largest difference to the model's outputs in fp32 [1e-5]"
    )
    parser.add_argument("--labelled", type=Path, metavar="FILE", help="label<TAB>text[<TAB>text]: prints the accuracy")
    parser.add_argument("--max-seq-len", type=int, default=128, help="tokens of a sequence, for the accuracy [128]")
    parser.add_argument("--overwrite", action="store_true", help="replace an exported network that is there already")


def run(arguments: Namespace) -> None:
    from electra_paddle import runtime

    runtime.start()
    from electra_paddle.hub.deployment.engines import ENGINES
    from electra_paddle.hub.module import ElectraModule

    name_or_folder = weights_of(arguments.source)
    model = type("Source", (ElectraModule,), {"name": str(arguments.source)})(
        arguments.task, load_checkpoint=arguments.load_checkpoint, pretrained=name_or_folder
    )
    engine = next(name for name, format in ENGINES.items() if format == arguments.format)
    labelled = arguments.labelled and read_labelled(model, arguments.labelled)
    options = arguments.format, arguments.precision, arguments.overwrite, arguments.tolerance
    about = model.export(arguments.out, *options)
    print(f"{arguments.out}: {about['task']} in the format {arguments.format}, {about['precision']}")
    print(f"on random texts outputs differ by {about['largest_difference']['fp32']:.1e} at most from the model's")
    if arguments.precision != "fp32":
        print(f"in {arguments.precision} by {about['largest_difference'][arguments.precision]:.1e}")
    if labelled:
        before, after = (accuracy(model, labelled, each, arguments.max_seq_len) for each in ("eager", engine))
        print(f"accuracy on {arguments.labelled} ({len(labelled[1]):,} texts): {before:.2%}, exported {after:.2%}")
        print(f"change: {100 * (after - before):+.2f} points")
    print(f'in Python: hub.Module(..., exported="{arguments.out}").predict(data, engine="{engine}")')


def weights_of(source: Path) -> Path | str:
    """The folder or published name that a module's folder takes its weights from; other paths as they are."""
    if not (source / "module.py").is_file():
        return source
    assets = source / "assets"
    return assets if assets.is_dir() else source.resolve().name.replace("_", "-")


def read_labelled(model: Any, path: Path) -> tuple[list[list[str]], list[str]]:
    """(items, labels) of a file.

    Raises:
        ConfigError, DataError: the task has no labels, or a line is not as it should be.
    """
    from electra_paddle.errors import ConfigError, DataError
    from electra_paddle.finetuning.description import TaskDescription
    from electra_paddle.finetuning.formats import read_rows
    from electra_paddle.finetuning.problems import Problems

    if not model.handler.has_classes or model.task == "token-cls":
        expected = "none, or a task that puts texts into classes"
        raise ConfigError("--labelled", f"a file for {model.task or 'embedding'}", expected)
    labels = tuple(map(str, model.label_map.values()))
    columns: dict[str, int | str] = {"label": 0, "text_a": 1}
    if model.handler.num_texts == (2,):
        columns["text_b"] = 2
    layout = TaskDescription(columns=columns, labels=labels)
    problems = Problems()
    rows = list(read_rows(path, layout, needs_label=True, problems=problems))
    problems.report(path)
    for row in rows:
        if row.cells["label"] not in labels:
            raise DataError(row.where, f"label {row.cells['label']!r}", " or ".join(labels))
    if not rows:
        raise DataError(path, "no texts", "label<TAB>text in each line")
    items = [[row.cells[name] for name in columns if name != "label"] for row in rows]
    return items, [row.cells["label"] for row in rows]


def accuracy(model: Any, labelled: tuple[list[list[str]], list[str]], engine: str, max_seq_len: int) -> float:
    """The share of items with the right label."""
    items, labels = labelled
    answers = model.predict(items, max_seq_len=max_seq_len, engine=engine)
    return sum(str(answer) == label for answer, label in zip(answers, labels, strict=True)) / len(labels)
