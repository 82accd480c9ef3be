"""Shards against their checksums."""

from pathlib import Path

DESCRIPTION = "Compare shards with the checksums in their manifest."


def add_arguments(parser):
    parser.add_argument("folder", type=Path, help="folder of the shards")


def run(arguments):
    from tqdm import tqdm

    from electra_paddle.data.shards import verify

    with tqdm(unit="B", unit_scale=True, desc="verify") as progress:
        manifest = verify(arguments.folder, progress.update)
    print(f"{arguments.folder}: {len(manifest['shards']):,} shards as the manifest says")
