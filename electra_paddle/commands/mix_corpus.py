"""A training corpus and held-out text from a folder of files and a table of shares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from electra_paddle.errors import ConfigError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


DESCRIPTION = "Mix files into a corpus by a table of shares; a part of the documents is held out."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="holds the files that the table names")
    parser.add_argument("output_dir", type=Path, help="new folder, for training/, held_out/ and sources.json")
    parser.add_argument("--mixture", type=Path, required=True, help="the table, such as configs/corpus/nano.yaml")


def run(arguments: Namespace) -> None:
    from electra_paddle.config.recipes import find_recipe
    from electra_paddle.data.mixture import mix, read_mixture
    from electra_paddle.files import replace_text
    from electra_paddle.locks import only_writer

    output = arguments.output_dir
    with only_writer(output):
        if output.exists() and any(output.iterdir()):
            raise ConfigError("output_dir", f"{output}, which is not empty", "a new folder")
        record = mix(arguments.folder, output, read_mixture(find_recipe(arguments.mixture)))
        replace_text(output / "sources.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    total = sum(entry["training"]["characters"] for entry in record.values())
    for name, entry in record.items():
        count = entry["training"]["characters"]
        print(f"{name:30}{count:>12,} characters {100 * count / total:5.1f} %  {entry['licence']}")
    held_out = sum(entry["held_out"]["characters"] for entry in record.values())
    print(f"{output}: {total:,} characters for training, {held_out:,} held out")
    print(
        f"next: python tasks/build_pretraining_data.py --corpus-dir {output}/training --vocab-file {output}/vocab.txt "
        f"--build-vocab 8000 --output-dir {output}/pretrain_shards --segment-rule lossless --split-sentences"
    )
