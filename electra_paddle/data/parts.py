"""Parts of the plan to shards, in one process or several."""

from __future__ import annotations

import contextlib
import errno
import json
import multiprocessing.connection
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from electra_paddle import runtime
from electra_paddle.data.packing import Packer
from electra_paddle.data.sentences import boundaries
from electra_paddle.data.shards import ShardWriter
from electra_paddle.data.text_blocks import read_span
from electra_paddle.data.words import WordSegmenter
from electra_paddle.errors import DataError, ElectraPaddleError
from electra_paddle.files import replace_text, sha256
from electra_paddle.processes import Worker
from electra_paddle.text import Tokenizer

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.config.shards import ShardSettings
    from electra_paddle.data.corpus import CorpusFile, Part
    from electra_paddle.text import Vocabulary


class Progress:
    """A bar over the bytes of the corpus."""

    def __init__(self, num_bytes: int) -> None:
        self._bar = tqdm(total=num_bytes, unit="B", unit_scale=True, desc="build shards")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: Any) -> None:
        self._bar.close()

    def add(self, count: int) -> None:
        """Count bytes that are done."""
        self._bar.update(count)


class Workers:
    """Makes parts, in this process or in several others.

    Args:
        setup: (ShardSettings, Vocabulary, folder of the parts).
    """

    def __init__(self, num_workers: int, setup: tuple[ShardSettings, Vocabulary, Path], progress: Progress) -> None:
        self.num_workers, self.setup, self.progress = num_workers, setup, progress
        self._maker: PartMaker | None = None
        self._workers: list[PartWorker] = []

    def __enter__(self) -> Workers:
        if self.num_workers == 1:
            self._maker = PartMaker(*self.setup)
        else:
            self._workers = [PartWorker(self.setup) for _ in range(self.num_workers)]
        return self

    def submit(self, part: Part, key: str) -> None:
        """Make a part; waits while each worker has one to make and one to make next."""
        if self._maker:
            self._maker.make(part, key, self.progress.add)
            return
        self._wait(2 * self.num_workers - 1)
        min(self._workers, key=lambda worker: worker.num_parts).give(part, key)

    def _wait(self, most: int) -> None:
        while sum(worker.num_parts for worker in self._workers) > most:
            ready = multiprocessing.connection.wait([worker.connection for worker in self._workers])
            for worker in self._workers:
                if worker.connection in ready:
                    self.progress.add(worker.progress())

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        at_once = True
        try:
            if kind is None:
                self._wait(0)
                for worker in self._workers:
                    worker.send(None)
                at_once = False
        finally:
            for worker in self._workers:
                worker.join(at_once)


class PartWorker(Worker):
    """A process that makes parts, one after the other.

    Attributes:
        num_parts: parts that it has been given and has not finished.
    """

    def __init__(self, setup: tuple[ShardSettings, Vocabulary, Path]) -> None:
        super().__init__(make_parts, setup, "--num-processes")
        self.num_parts = 0

    def give(self, part: Part, key: str) -> None:
        self.num_parts += 1
        self.send((part, key))

    def progress(self) -> int:
        """The number of bytes that were done since the last message."""
        message = self.receive()
        if message is None:
            self.num_parts -= 1
        return message or 0


def make_parts(connection: multiprocessing.connection.Connection) -> None:
    """The work of a worker; it gets the setup of a PartMaker, then parts, then None.

    It sends numbers of bytes that are done, None after each part, and what went wrong.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends the work
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # half a shard is removed on the way
    with contextlib.suppress(EOFError):  # the main process is gone
        maker = PartMaker(*connection.recv())
        while task := connection.recv():
            part, key = task
            try:
                maker.make(part, key, connection.send)
            except ElectraPaddleError as error:
                connection.send(error)
            else:
                connection.send(None)


class Encoder:
    """Turns blocks of text into what `Packer.add` takes."""

    def __init__(self, settings: ShardSettings, vocabulary: Vocabulary) -> None:
        self.settings = settings
        self.tokenizer = Tokenizer(vocabulary, settings.do_lower_case, settings.strip_accents)
        self.segmenter = WordSegmenter(vocabulary, settings.user_dict) if settings.word_starts else None

    def encode(self, text: str) -> tuple[Array, Array | None, Array, Array]:
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

    def __init__(self, settings: ShardSettings, vocabulary: Vocabulary, folder: Path) -> None:
        runtime.keep_freed_memory()
        self.settings, self.vocabulary, self.folder = settings, vocabulary, folder
        self.encoder = Encoder(settings, vocabulary)

    def make(self, part: Part, key: str, on_bytes: Callable[[int], None]) -> None:
        """Write the shard of a part, then its record."""
        skipped: Counter[str] = Counter()
        num_bytes = 0

        def count(number: int) -> None:
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

    def _write(
        self, part: Part, packer: Packer, skipped: Counter[str], count: Callable[[int], None]
    ) -> dict[str, Any] | None:
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


def source(file: CorpusFile) -> dict[str, Any]:
    """A corpus file's entry of the manifest."""
    return {"file": file.name, "bytes": file.size, "sha256": sha256(file.path)}


def write_json(path: Path, content: Any) -> None:
    replace_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def storage_error(folder: Path, error: OSError) -> DataError:
    """An OSError as a message for the user."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    advice = "finished parts are kept: make room and give the same command again" if full else ""
    return DataError(
        error.filename or folder,
        (error.strerror or str(error)).lower(),
        "room to write the shards" if full else "a file that can be read or written",
        advice,
    )
