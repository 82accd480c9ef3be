"""Published models, and modules of one's own, into PaddleHub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


DESCRIPTION = "Install PaddleHub modules as `hub install` does, but say in one line what is wrong with them."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "modules",
        metavar="MODULE",
        type=Path,
        nargs="+",
        help="a published model's name, such as chinese-electra-base, or a module's archive or folder",
    )


def run(arguments: Namespace) -> None:
    from electra_paddle.hub.packaging.installation import install_module

    for source in arguments.modules:
        name, version = install_module(source)
        print(f"{name} {version}: installed; use it with: hub.Module(name={name!r})")
