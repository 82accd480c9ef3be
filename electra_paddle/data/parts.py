"""Parts of the plan to shards, in one process or several."""

import concurrent.futures
import contextlib
import errno
import json
import multiprocessing
import random
import signal
from collections import Counter

from tqdm import tqdm

from electra_paddle import runtime
from electra_paddle.data.packing import Packer
from electra_paddle.data.reading import read_span
from electra_paddle.data.sentences import boundaries
from electra_paddle.data.shards import ShardWriter
from electra_paddle.data.words import WordSegmenter
from electra_paddle.errors import DataError
from electra_paddle.files import sha256
from electra_paddle.text import Tokenizer


class Progress:
    """A bar over the bytes of the corpus, fed by all workers."""

    def __init__(self, num_bytes):
        self.counter = multiprocessing.get_context("spawn").Value("q", 0)
        self._bar = tqdm(total=num_bytes, unit="B", unit_scale=True, desc="build shards")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.show()
        self._bar.close()

    def add(self, count):
        """Count bytes that are done."""
        with self.counter.get_lock():
            self.counter.value += count
        self.show()

    def show(self):
        self._bar.update(self.counter.value - self._bar.n)


class Workers:
    """Makes parts, in this process or in several others.

    Args:
        setup: (ShardSettings, Vocabulary, folder of the parts).
    """

    def __init__(self, num_workers, setup, progress):
        self.num_workers, self.setup, self.progress = num_workers, setup, progress
        self._maker = self._pool = None
        self._running = set()

    def __enter__(self):
        if self.num_workers == 1:
            self._maker = PartMaker(*self.setup)
        else:
            self._pool = concurrent.futures.ProcessPoolExecutor(
                self.num_workers,
                multiprocessing.get_context("spawn"),
                initializer=start_worker,
                initargs=(*self.setup, self.progress.counter),
            )
        return self

    def submit(self, part, key):
        """Make a part; waits while enough of them are under way."""
        if self._maker:
            self._maker.make(part, key, self.progress.add)
            return
        self._running.add(self._pool.submit(make_in_worker, part, key))
        self._wait(2 * self.num_workers)

    def _wait(self, most):
        try:
            while len(self._running) > most:
                done, self._running = concurrent.futures.wait(self._running, 0.2, concurrent.futures.FIRST_COMPLETED)
                self.progress.show()
                for future in done:
                    future.result()
        except concurrent.futures.BrokenExecutor as broken:
            raise DataError(
                "--num-processes",
                "a worker that was killed, perhaps for want of memory",
                "all of them alive",
                "give the same command again, perhaps with fewer processes",
            ) from broken

    def __exit__(self, kind, *error):
        if self._pool:
            try:
                if kind is None:
                    self._wait(0)
            finally:
                self._pool.shutdown(cancel_futures=True)


def start_worker(settings, vocabulary, partial, counter):
    global _maker, _counter
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends the work
    _maker, _counter = PartMaker(settings, vocabulary, partial), counter


def make_in_worker(part, key):
    def add(count):
        with _counter.get_lock():
            _counter.value += count

    _maker.make(part, key, add)


class Encoder:
    """Turns blocks of text into what `Packer.add` takes."""

    def __init__(self, settings, vocabulary):
        self.settings = settings
        self.tokenizer = Tokenizer(vocabulary, settings.do_lower_case, settings.strip_accents)
        self.segmenter = WordSegmenter(vocabulary, settings.user_dict) if settings.word_starts else None

    def encode(self, text):
        """(ids, word starts or None, ends of sentences, ends of documents) of a block of whole lines."""
        encoded = self.tokenizer.encode_lines(text)
        word_starts = self.segmenter.word_starts(encoded, text) if self.segmenter else None
        ends = boundaries(encoded, text, self.settings.split_sentences, self.settings.blanks_separate_docs)
        return encoded.ids, word_starts, *ends


class PartMaker:
    """Turns parts into shards.

    Args:
        folder: gets the shards and their records.
    """

    def __init__(self, settings, vocabulary, folder):
        runtime.keep_freed_memory()
        self.settings, self.vocabulary, self.folder = settings, vocabulary, folder
        self.encoder = Encoder(settings, vocabulary)

    def make(self, part, key, on_bytes):
        """Write the shard of a part, then its record."""
        skipped, num_bytes = Counter(), 0

        def count(number):
            nonlocal num_bytes
            num_bytes += number
            on_bytes(number)

        packer = Packer(self.vocabulary, self.settings, random.Random(f"{self.settings.seed} {part.number}").random)
        try:
            shard = self._write(part, packer, skipped, count)
            record = {
                "key": key,
                "shard": shard,
                "num_bytes": num_bytes,
                "num_documents": packer.num_documents,
                "num_sentences": packer.num_sentences,
                "num_corpus_tokens": packer.num_tokens,
                "num_kept_tokens": packer.num_kept,
                "skipped": skipped,
                "sources": [source(span.file) for span in part.spans if span.start == 0],
            }
            write_json(self.folder / f"part_{part.number:05d}.json", record)
        except OSError as error:
            raise storage_error(self.folder, error) from error
        for span in part.spans:
            if span.spool:
                span.spool.unlink(missing_ok=True)

    def _write(self, part, packer, skipped, count):
        writer = ShardWriter(
            self.folder, f"shard_{part.number:05d}", len(self.vocabulary), has_word_starts=self.settings.word_starts
        )
        try:
            for span in part.spans:
                for text in read_span(span, self.settings, skipped, count):
                    writer.add(packer.add(*self.encoder.encode(text)))
                writer.add(packer.end_document())
            return writer.close()
        except BaseException:
            with contextlib.suppress(OSError):
                writer.discard()
            raise


def source(file):
    """A corpus file's entry of the manifest."""
    return {"file": file.name, "bytes": file.size, "sha256": sha256(file.path)}


def write_json(path, content):
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.rename(path)


def storage_error(folder, error):
    """An OSError as a message for the user."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    advice = "finished parts are kept: make room and give the same command again" if full else ""
    return DataError(
        error.filename or folder,
        (error.strerror or str(error)).lower(),
        "room to write the shards" if full else "a file that can be read or written",
        advice,
    )
