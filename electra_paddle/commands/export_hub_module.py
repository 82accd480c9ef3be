"""A pretrained or fine-tuned directory as a PaddleHub module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


DESCRIPTION = "Turn a pretrained or fine-tuned directory into a PaddleHub module, ready for `hub install`."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "run",
        metavar="RUN",
        type=Path,
        help="a pretrained or fine-tuned directory, a pre-training run, a folder that hub.Trainer wrote, or a folder "
        "of hub_modules/, which keeps its name, version and summary",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="the archive OUT.tar.gz, or a folder")
    parser.add_argument("--name", help="the module's name, such as chinese-electra-demo [the name of OUT]")
    parser.add_argument("--version", help="the module's version [1.0.0]")
    parser.add_argument("--summary", help="one line about the module")
    parser.add_argument(
        "--label-map", metavar="MAP", help="labels of a checkpoint's classes, as JSON or a file of it [those it names]"
    )
    parser.add_argument("--task", help="task of a checkpoint that does not say it, such as seq-cls")
    parser.add_argument(
        "--pretrained", metavar="DIR", help="directory or published name from which such a checkpoint was trained"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a module that is there already")


def run(arguments: Namespace) -> None:
    from electra_paddle.hub.packaging.module_archive import export_module
    from electra_paddle.hub.packaging.trainer_checkpoint import Missing

    out = export_module(
        arguments.run,
        arguments.out,
        arguments.name,
        arguments.version,
        arguments.summary,
        arguments.overwrite,
        Missing(arguments.task, arguments.label_map, arguments.pretrained),
    )
    print(f"{out}: written; install it with: hub install {out}")
