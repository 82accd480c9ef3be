"""Text to shards."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


LITTLE_KEPT = 0.9  # share of the tokens below which a build warns
DESCRIPTION = "Turn a corpus into shards for pre-training; interrupted, the same command goes on."


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--corpus-dir",
        required=True,
        nargs="+",
        type=Path,
        metavar="PATH",
        help="files, folders or patterns of text (one sentence or paragraph a line, a blank line between documents) "
        "and JSON (a document a line, or an array), told by their contents; plain or as .gz, .bz2, .xz, .zst",
    )
    parser.add_argument(
        "--vocab-file", required=True, type=Path, help="vocabulary, one token a line, or the name of a published model"
    )
    parser.add_argument("--output-dir", required=True, type=Path, help="new folder for the shards")
    parser.add_argument("--max-seq-length", type=int, default=128, help="tokens of an example [128]")
    parser.add_argument("--num-processes", type=int, default=1, help="processes that work at the same time [1]")
    parser.add_argument("--overwrite", action="store_true", help="replace shards that are there already")
    parser.add_argument("--dry-run", action="store_true", help="read 10 MB, say what the build would make and take")

    text = parser.add_argument_group("text")
    text.add_argument("--build-vocab", type=int, metavar="SIZE", help="first make --vocab-file from the corpus")
    text.add_argument("--do-lower-case", action="store_true", default=True, help="lower-case the text [on]")
    text.add_argument("--no-lower-case", action="store_false", dest="do_lower_case", help="keep case")
    text.add_argument("--do-strip-accents", action="store_true", dest="strip_accents", default=None, help="é becomes e")
    text.add_argument(
        "--no-strip-accents", action="store_false", dest="strip_accents", help="keep accents [as --no-lower-case]"
    )
    text.add_argument(
        "--split-sentences",
        action="store_true",
        help="cut paragraphs into sentences at 。！？；; else the google and hfl rules lose much of a long line",
    )
    text.add_argument(
        "--text-field", default="text", metavar="KEY", help="key of the text in JSON; dots lead into objects [text]"
    )
    text.add_argument(
        "--encoding", default="utf-8", metavar="NAME", help="of the text: gb18030, big5, utf-16 or another [utf-8]"
    )
    text.add_argument(
        "--blanks-separate-docs",
        type=true_or_false,
        default=True,
        metavar="BOOL",
        help="whether a blank line ends a document [true]",
    )
    text.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        default="stop",
        help="what a damaged line or file does: stop, or skip it and count it [stop]",
    )

    packing = parser.add_argument_group("packing")
    packing.add_argument(
        "--segment-rule",
        choices=("google", "hfl", "lossless"),
        default="google",
        help="how sentences are dealt out to two segments: the corrected rule, the Chinese release's, or contiguous "
        "text of which nothing is lost [google]",
    )
    packing.add_argument("--short-sequence-prob", type=float, default=0.05, help="share of shorter examples [0.05]")
    packing.add_argument("--single-segment-prob", type=float, default=0.1, help="share of single segments [0.1]")
    packing.add_argument("--seed", type=int, default=0, help="of the packing [0]")

    words = parser.add_argument_group("words")
    words.add_argument("--word-starts", action="store_true", help="store where words begin, for whole_word_mask")
    words.add_argument("--user-dict", type=Path, help="words of your own, in jieba's format")


def true_or_false(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected true or false")
    return text.lower() == "true"


def run(arguments: Namespace) -> None:
    import dataclasses

    from electra_paddle import runtime
    from electra_paddle.config import ShardSettings
    from electra_paddle.data.build import Share, build_pretraining_data, write_vocabulary

    names = [field.name for field in dataclasses.fields(ShardSettings)]
    settings = ShardSettings(**{name: getattr(arguments, name) for name in names})
    if arguments.build_vocab and not arguments.dry_run:
        vocabulary = write_vocabulary(arguments.corpus_dir, arguments.vocab_file, arguments.build_vocab, settings)
        print(f"{arguments.vocab_file}: {len(vocabulary):,} entries")
    if arguments.dry_run:
        from electra_paddle.data.estimate import estimate

        print_estimate(
            estimate(arguments.corpus_dir, arguments.vocab_file, settings, arguments.num_processes), arguments
        )
        return
    manifest = build_pretraining_data(
        arguments.corpus_dir,
        arguments.vocab_file,
        arguments.output_dir,
        settings,
        arguments.num_processes,
        arguments.overwrite,
        Share(runtime.rank(), runtime.num_processes()),
    )
    if manifest is None:
        print("the parts of this process are done; the one that finishes last writes the manifest")
    else:
        print_manifest(manifest, arguments.output_dir)
        print(f"next: python tasks/run_pretrain.py {places_of(arguments)} --model-name NAME --dry-run")


def places_of(arguments: Namespace) -> str:
    """The options with which a run finds these shards."""
    shards, vocabulary = arguments.output_dir, arguments.vocab_file
    if shards.name == "pretrain_shards" and vocabulary == shards.parent / "vocab.txt":
        return f"--data-dir {shards.parent}"
    return f"--pretrain-shards {shards} --vocab-file {vocabulary}"


def print_manifest(manifest: Mapping[str, Any], folder: Path) -> None:
    print(
        f"{folder}: {manifest['num_examples']:,} examples, {manifest['num_tokens']:,} tokens; "
        f"{100 * manifest['share_of_tokens_kept']:.1f} % of the corpus's {manifest['num_corpus_tokens']:,} tokens kept"
    )
    for what, count in manifest["skipped"].items():
        print(f"skipped: {count:,} {what}")
    kept = manifest["share_of_tokens_kept"]
    if kept < LITTLE_KEPT:
        lost = manifest["num_corpus_tokens"] - manifest["num_kept_tokens"]
        print(
            f"WARNING: {lost:,} tokens ({100 * (1 - kept):.1f} %) are lost to the {manifest['segment_rule']} rule, "
            "which takes a line for a sentence and cuts what is too long; "
            "--segment-rule lossless --split-sentences keeps them",
            file=sys.stderr,
        )


def print_estimate(figures: Mapping[str, Any], arguments: Namespace) -> None:
    from tqdm import tqdm

    guess = ", reckoned from the beginning of some compressed files" if figures["is_guess"] else ""
    print(f"text:      {figures['num_bytes'] / 1e6:,.1f} MB{guess}")
    print(f"examples:  {figures['num_examples']:,}")
    print(f"tokens:    {figures['num_tokens']:,}")
    print(f"disk:      {figures['disk_bytes'] / 1e6:,.1f} MB")
    time = tqdm.format_interval(max(1, figures["seconds"]))
    print(f"time:      {time} with --num-processes {arguments.num_processes}")
    for rule, share in figures["share_of_tokens_kept"].items():
        chosen = "  <- chosen" if rule == arguments.segment_rule else ""
        print(f"kept:      {100 * share:5.1f} % of the tokens by the {rule} rule{chosen}")
