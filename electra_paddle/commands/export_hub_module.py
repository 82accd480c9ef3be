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
        help="a pretrained or fine-tuned directory, a pre-training run, or a folder of hub_modules/",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="the archive OUT.tar.gz, or a folder")
    parser.add_argument("--name", help="the module's name, such as chinese-electra-demo [the name of OUT]")
    parser.add_argument("--version", default="1.0.0", help="the module's version [1.0.0]")
    parser.add_argument("--summary", help="one line about the module")
    parser.add_argument("--overwrite", action="store_true", help="replace a module that is there already")


def run(arguments: Namespace) -> None:
    from electra_paddle.hub.packaging.module_archive import export_module

    out = export_module(
        arguments.run, arguments.out, arguments.name, arguments.version, arguments.summary, arguments.overwrite
    )
    print(f"{out}: written; install it with: hub install {out}")
