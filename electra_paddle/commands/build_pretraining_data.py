"""Text to shards."""

from pathlib import Path

DESCRIPTION = "Turn a corpus of text files into shards for pre-training."


def add_arguments(parser):
    parser.add_argument(
        "--corpus-dir",
        required=True,
        type=Path,
        help="a .txt file, or a folder of them: one sentence or paragraph a line, blank lines between documents",
    )
    parser.add_argument("--vocab-file", required=True, type=Path, help="vocabulary, one token a line")
    parser.add_argument("--output-dir", required=True, type=Path, help="new folder for the shards")
    parser.add_argument("--max-seq-length", type=int, default=128, help="tokens of an example [128]")
    parser.add_argument("--num-processes", type=int, default=1, help="processes that tokenize [1]")
    parser.add_argument(
        "--split-sentences",
        action="store_true",
        help="cut paragraphs into sentences at 。！？；; else what of a long line does not fit is lost",
    )
    parser.add_argument("--do-lower-case", action="store_true", default=True, help="lower-case the text [on]")
    parser.add_argument("--no-lower-case", action="store_false", dest="do_lower_case", help="keep case and accents")
    parser.add_argument("--build-vocab", type=int, metavar="SIZE", help="first make --vocab-file from the corpus")
    parser.add_argument("--seed", type=int, default=0, help="of the packing [0]")
    parser.add_argument("--overwrite", action="store_true", help="replace shards that are there already")


def run(arguments):
    from electra_paddle.data.build import build_pretraining_data, write_vocabulary

    if arguments.build_vocab:
        vocabulary = write_vocabulary(
            arguments.corpus_dir, arguments.vocab_file, arguments.build_vocab, arguments.do_lower_case
        )
        print(f"{arguments.vocab_file}: {len(vocabulary):,} entries")
    manifest = build_pretraining_data(
        arguments.corpus_dir,
        arguments.vocab_file,
        arguments.output_dir,
        arguments.max_seq_length,
        arguments.num_processes,
        arguments.split_sentences,
        arguments.do_lower_case,
        arguments.seed,
        arguments.overwrite,
    )
    kept = 100 * manifest["num_tokens"] / manifest["num_corpus_tokens"]
    print(
        f"{arguments.output_dir}: {manifest['num_examples']:,} examples, {manifest['num_tokens']:,} tokens, "
        f"{kept:.0f} % of the corpus's {manifest['num_corpus_tokens']:,} kept"
    )
