"""Corpus to shards: the work of `tasks/build_pretraining_data.py`."""

import functools
import multiprocessing
import random
import shutil
from pathlib import Path

from tqdm import tqdm

from electra_paddle.data.corpus import corpus_files, read_documents
from electra_paddle.data.packing import Packer
from electra_paddle.data.shards import MANIFEST, ShardWriter, read_manifest
from electra_paddle.errors import ConfigError, DataError
from electra_paddle.text import Tokenizer, Vocabulary, build_vocabulary


def build_pretraining_data(
    corpus_dir,
    vocab_file,
    output_dir,
    max_seq_length=128,
    num_processes=1,
    split_sentences=False,
    do_lower_case=True,
    seed=0,
    overwrite=False,
):
    """Tokenize, pack and write a corpus. The folder appears under its name when all of it is written.

    Args:
        corpus_dir: a .txt file or a folder of them.
        vocab_file: vocab.txt.
        output_dir: the folder of shards to make.
        max_seq_length: tokens of an example, special tokens included.
        num_processes: processes that tokenize.
        split_sentences: cut lines into sentences first; long lines otherwise lose what does not fit.
        overwrite: replace a folder of shards that is there already.

    Returns:
        The manifest.

    Raises:
        DataError, ConfigError: see the messages; nothing is written then.
    """
    if max_seq_length < 5:
        raise ConfigError("max_seq_length", max_seq_length, "at least 5")
    output_dir = Path(output_dir)
    files = corpus_files(corpus_dir)
    vocabulary = Vocabulary.load(vocab_file)
    refuse_to_overwrite(output_dir, overwrite)
    partial = output_dir.with_name(output_dir.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        writer = ShardWriter(partial, vocabulary)
        packer = Packer(max_seq_length, random.Random(seed).random)
        num_bytes = sum(file.stat().st_size for file in files)
        with tqdm(total=num_bytes, unit="B", unit_scale=True, desc="build shards") as progress:
            documents = read_documents(files, split_sentences, progress.update)
            for example in packer.pack(tokenize_all(documents, vocabulary, do_lower_case, num_processes)):
                writer.add(example)
        if not packer.num_tokens:
            raise DataError(corpus_dir, "no text", "one sentence or paragraph a line, blank lines between documents")
        manifest = writer.close(
            {
                "max_seq_length": max_seq_length,
                "segment_rule": "google",
                "split_sentences": split_sentences,
                "do_lower_case": do_lower_case,
                "seed": seed,
                "num_corpus_tokens": packer.num_tokens,
                "corpus": [{"file": file.name, "bytes": file.stat().st_size} for file in files],
            }
        )
        if output_dir.exists():
            shutil.rmtree(output_dir)
        partial.rename(output_dir)
        return manifest
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_to_overwrite(output_dir, overwrite):
    """A folder that is not shards is never replaced, one of shards only when told to."""
    if not output_dir.exists() or (output_dir.is_dir() and not any(output_dir.iterdir())):
        return
    if not (output_dir / MANIFEST).is_file():
        raise ConfigError("--output-dir", f"{output_dir}, which holds something else", "a new folder")
    if not overwrite:
        manifest = read_manifest(output_dir)
        raise ConfigError(
            "--output-dir",
            f"{output_dir} with {manifest['num_examples']} examples",
            "a new folder",
            "give --overwrite to replace it",
        )


def write_vocabulary(corpus_dir, vocab_file, size, do_lower_case=True):
    """Make a vocabulary from the corpus and write it; an existing file is left alone and refused."""
    vocab_file = Path(vocab_file)
    if vocab_file.exists():
        raise ConfigError("--vocab-file", f"{vocab_file}, which exists", "a new file for --build-vocab")
    lines = (line for document in read_documents(corpus_files(corpus_dir)) for line in document)
    vocabulary = build_vocabulary(lines, size, do_lower_case)
    vocab_file.parent.mkdir(parents=True, exist_ok=True)
    partial = vocab_file.with_name(vocab_file.name + ".partial")
    vocabulary.save(partial)
    partial.rename(vocab_file)
    return vocabulary


def tokenize_all(documents, vocabulary, do_lower_case, num_processes):
    """Yield each document as a list of lists of ids, in order whatever the number of processes."""
    start = functools.partial(_start_worker, vocabulary, do_lower_case)
    if num_processes == 1:
        start()
        yield from map(_tokenize, documents)
        return
    with multiprocessing.get_context("spawn").Pool(num_processes, start) as pool:
        yield from pool.imap(_tokenize, documents, chunksize=16)


def _start_worker(vocabulary, do_lower_case):
    global _tokenizer
    _tokenizer = Tokenizer(vocabulary, do_lower_case)


def _tokenize(document):
    return [_tokenizer.encode(line) for line in document]
