"""Published models, and modules of one's own, into PaddleHub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


DESCRIPTION = (
    "Install PaddleHub modules as `hub install` does, but say in one line what is wrong with them. A module's archive "
    "is a program: installing runs its module.py, and pip installs what its requirements.txt lists. Install only what "
    "you trust. Where it fails, the modules in HUB_HOME stay as they were."
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "modules",
        metavar="MODULE",
        type=Path,
        nargs="+",
        help="a published model's name, such as chinese-electra-base, or a module's archive or folder",
    )
    parser.add_argument(
        "--max-size", type=float, default=8.0, metavar="GB", help="the most that an archive may unpack to [8]"
    )


def run(arguments: Namespace) -> None:
    from electra_paddle.errors import ConfigError
    from electra_paddle.hub.packaging.installation import install_module

    if not arguments.max_size > 0:
        raise ConfigError("--max-size", arguments.max_size, "a number of GB above 0")
    for source in arguments.modules:
        name, version = install_module(source, arguments.max_size)
        print(f"{name} {version}: installed; use it with: hub.Module(name={name!r})")
