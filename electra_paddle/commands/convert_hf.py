"""Hugging Face's ELECTRA folders to pretrained directories, and back."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


DESCRIPTION = "Convert an ELECTRA of Hugging Face's or PaddleNLP's into a pretrained or fine-tuned directory, or back."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=Path,
        help="a folder or a file of weights of Hugging Face's or PaddleNLP's, or a published name; "
        "with --to hf a pretrained or fine-tuned directory, a run's folder, or a published name",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="a new folder")
    parser.add_argument("--to", choices=("paddle", "hf"), default="paddle", help="what to make [paddle]")
    parser.add_argument("--vocab-file", type=Path, help="the vocabulary [vocab.txt in SOURCE]")
    parser.add_argument(
        "--num-attention-heads",
        metavar="N",
        type=int,
        help="of the discriminator [as config.json says, else one for each 64 hidden units]",
    )
    parser.add_argument(
        "--extend-vocab",
        metavar="FILE",
        type=Path,
        help="words to add, one a line; their rows begin as their pieces' mean",
    )
    parser.add_argument("--max-shard-size", metavar="SIZE", help="--to hf: of a file of weights, such as 500MB [2GB]")
    parser.add_argument("--pair", action="store_true", help="a fine-tuned model that takes pairs of texts")
    parser.add_argument(
        "--partial", action="store_true", help="convert what fits, and list what is missing and what is left out"
    )


def run(arguments: Namespace) -> None:
    from electra_paddle.commands import refuse_options
    from electra_paddle.conversion.convert_hf import SHARD_SIZE, convert_from_hf, convert_to_hf
    from electra_paddle.conversion.published import fetch_folders
    from electra_paddle.finetuning.converted import describe
    from electra_paddle.finetuning.kinds.base import TASK
    from electra_paddle.models.pretrained_directory import CONFIG, read_json

    if arguments.to == "hf":
        refuse_options(
            arguments, ("vocab_file", "num_attention_heads", "extend_vocab", "pair", "partial"), "with --to hf"
        )
        report = convert_to_hf(arguments.source, arguments.out, arguments.max_shard_size or SHARD_SIZE)
    else:
        refuse_options(arguments, ("max_shard_size",), "without --to hf")
        folders = fetch_folders(arguments.source)
        own = functools.partial(describe, is_pair=arguments.pair)
        options = arguments.vocab_file, arguments.partial, own, arguments.extend_vocab, arguments.num_attention_heads
        report = convert_from_hf(folders, arguments.out, *options)
    print("\n".join(report))
    both = arguments.out / "discriminator"
    folder = both if both.is_dir() else arguments.out
    call = "electra_paddle.from_finetuned" if (folder / TASK).is_file() else "electra_paddle.from_pretrained"
    if arguments.to == "hf":
        call = f"transformers.{read_json(folder / CONFIG)['architectures'][0]}.from_pretrained"
    elif arguments.pair and not (folder / TASK).is_file():
        print(f"NOTE: {folder}: no head of a task came with the encoder: --pair says nothing")
    print(f'in Python: {call}("{folder}")')
