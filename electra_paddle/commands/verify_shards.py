"""Shards against their checksums."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


DESCRIPTION = "Compare shards with the checksums in their manifest."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="folder of the shards")


def run(arguments: Namespace) -> None:
    from tqdm import tqdm

    from electra_paddle.data.shards import verify

    with tqdm(unit="B", unit_scale=True, desc="verify") as progress:
        manifest = verify(arguments.folder, progress.update)
    print(f"{arguments.folder}: {len(manifest['shards']):,} shards as the manifest says")
