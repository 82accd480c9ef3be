"""A published data set, laid out as fine-tuning reads it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

DESCRIPTION = (
    "Lay a task's published files out as fine-tuning reads them; check their numbers of examples and checksums."
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the task: cmrc2018, lcqmc or another of docs/datasets.md")
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="what was downloaded: files, folders, zip or tar; SPLIT=FILE names one"
    )
    parser.add_argument("--output-dir", type=Path, required=True, help="becomes --data-dir of run-finetuning")
    parser.add_argument("--any-size", action="store_true", help="take other numbers of examples than published ones")


def run(arguments: Namespace) -> None:
    from electra_paddle.finetuning.preparation import prepare_task

    prepared, lines = prepare_task(arguments.name, arguments.files, arguments.output_dir, arguments.any_size)
    for item in prepared:
        print(f"{item.source} -> {item.path}: {item.examples:,} {'lines' if item.split == 'labels' else 'examples'}")
        print("".join(f"  {remark}\n" for remark in item.remarks), end="")
    print("\n".join(lines))
    folder = shlex.quote(str(arguments.output_dir))
    command = f"python -m electra_paddle run-finetuning --task-names {arguments.name} --data-dir {folder}"
    print(f"train:\n  {command} --model-name chinese-electra-nano")
