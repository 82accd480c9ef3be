"""A task's files, read and reported before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

DESCRIPTION = "Read all files of a task: classes, lengths, duplicates, leaks between splits, contradictory labels."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("task", metavar="TASK", help="a task's name, or a file that describes one")
    parser.add_argument("--data-dir", type=Path, default=Path(), help="folder of finetuning_data/TASK/ [.]")
    parser.add_argument(
        "--vocab-file", help="vocabulary or published name, to count tokens instead of characters; lower-cased"
    )
    parser.add_argument("--encoding", help="of the files, instead of what the description says")
    parser.add_argument("--max-seq-length", type=int, help="that texts are compared with [as recommended, else 128]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: Namespace) -> None:
    import json

    from electra_paddle.config import FinetuningConfig
    from electra_paddle.finetuning.data_check import check_data, lines_of
    from electra_paddle.finetuning.description import load_description
    from electra_paddle.finetuning.recommendation import recommended_for
    from electra_paddle.text import Tokenizer, Vocabulary

    description = load_description(arguments.task)
    length = arguments.max_seq_length or recommended_for(description, "base").get("max_seq_length", 128)
    config = FinetuningConfig(
        data_dir=arguments.data_dir, encoding=arguments.encoding, max_seq_length=length, on_error="skip"
    )
    tokenizer = Tokenizer(Vocabulary.load(arguments.vocab_file)) if arguments.vocab_file else None
    report = check_data(description, config, tokenizer)
    print(json.dumps(report, ensure_ascii=False) if arguments.json else "\n".join(lines_of(report)))
