"""Corpus to shards: the work of `tasks/build_pretraining_data.py`.

Each part of the plan becomes one shard, with random numbers of its own, so the bytes do not depend on who makes it
or when. A part is finished when its record stands beside its shard in OUTPUT.partial; the process that finds all
records there writes the manifest and gives the folder its name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import itertools
import json
import shutil
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from electra_paddle.config.loading import build_config
from electra_paddle.config.shards import ShardSettings
from electra_paddle.data.corpus import corpus_files, notes_about, part_size, plan_parts, reckoned_size
from electra_paddle.data.parts import Progress, Workers, storage_error, write_json
from electra_paddle.data.shards import CHECKSUM, FORMAT, MANIFEST, manifest_checksum, read_manifest
from electra_paddle.data.text_blocks import sample_text
from electra_paddle.errors import ConfigError, DataError, reason
from electra_paddle.files import partial_of, sha256, written_whole
from electra_paddle.locks import only_writer
from electra_paddle.parsing import parse_json
from electra_paddle.text import Vocabulary, build_vocabulary

if TYPE_CHECKING:
    from electra_paddle.data.corpus import CorpusFile, Part
    from electra_paddle.data.shards import Manifest


FILES_OF_PARTS = ("shard_*", "part_*", "spool_*", "lock")
COUNTS = ("num_documents", "num_sentences", "num_corpus_tokens", "num_kept_tokens")
VOCABULARY_BYTES = 1_000_000_000  # of text that --build-vocab looks at


class Share(NamedTuple):
    """The parts of the plan that one process makes: every `num_processes`-th."""

    rank: int = 0
    num_processes: int = 1


ALONE = Share()


class BuiltShards(NamedTuple):
    """The result of `build_shards`."""

    folder: Path
    vocabulary: Vocabulary
    num_examples: int
    num_tokens: int


def build_shards(
    corpus: Sequence[Path | str] | Path | str,
    vocab_file: Path | str,
    output_dir: Path | str,
    *,
    build_vocab: int | None = None,
    num_workers: int = 1,
    overwrite: bool = False,
    **settings: Any,
) -> BuiltShards:
    """Text to shards for pre-training; interrupted, the same call goes on where finished parts end.

    Args:
        corpus: files, folders or patterns, see `corpus_files`.
        vocab_file: vocab.txt, or the name of a published model.
        output_dir: folder of shards to make.
        build_vocab: entries of a vocabulary to make from the corpus first, unless `vocab_file` is there.
        num_workers: processes that work at the same time.
        overwrite: replace a folder of shards that is there already.
        settings: ShardSettings by name.

    Raises:
        DataError, ConfigError: something does not fit; finished parts are kept.

    Examples:
        >>> build_shards("news/", "runs/mine/vocab.txt", "runs/mine/pretrain_shards", build_vocab=8000)
    """
    whole = build_config(ShardSettings, None, settings)
    paths = [Path(path) for path in ([corpus] if isinstance(corpus, str | Path) else corpus)]
    if build_vocab and not Path(vocab_file).exists():
        write_vocabulary(paths, vocab_file, build_vocab, whole)
    manifest = build_pretraining_data(paths, vocab_file, output_dir, whole, num_workers, overwrite)
    assert manifest is not None  # a single process has made all parts
    numbers = (manifest["num_examples"], manifest["num_tokens"])
    return BuiltShards(Path(output_dir), Vocabulary.load(vocab_file), *numbers)


def build_pretraining_data(
    corpus: Sequence[Path] | Path,
    vocab_file: Path | str,
    output_dir: Path | str,
    settings: ShardSettings | None = None,
    num_workers: int = 1,
    overwrite: bool = False,
    share: Share = ALONE,
    size: int | None = None,
) -> Manifest | None:
    """Tokenize, pack and write a corpus; interrupted, the same call goes on where finished parts end.

    Args:
        corpus: see `corpus_files`.
        vocab_file: vocab.txt, or the name of a published model.
        output_dir: the folder of shards to make. It appears under its name when all of it is written.
        settings: ShardSettings.
        num_workers: processes that work at the same time, here.
        overwrite: replace a folder of shards that is there already.
        share: of this process, where several, perhaps on several machines, fill one folder.
        size: bytes of text of a part, unless it is to follow from the corpus.

    Returns:
        The manifest; None if other processes have not finished their parts yet.

    Raises:
        DataError, ConfigError: see the messages; finished parts are kept.
    """
    settings, output_dir = settings or ShardSettings(), Path(output_dir)
    if num_workers < 1:
        raise ConfigError("--num-processes", num_workers, "at least 1")
    files = corpus_files(corpus, settings)
    if share.rank == 0:
        print("".join(f"{note}\n" for note in notes_about(files)), end="", file=sys.stderr)
    vocabulary = Vocabulary.load(vocab_file)
    identity = describe(settings, vocabulary)
    with writing_to(output_dir, identity, share):
        complete = existing_manifest(output_dir, identity, files, overwrite)
        if complete:
            remove_leftovers(output_dir, complete)
            return complete
        partial = partial_of(output_dir)
        partial.mkdir(parents=True, exist_ok=True)
        size = size or part_size(files)
        keys = []
        try:
            with (
                Progress(sum(map(reckoned_size, files))) as progress,
                Workers(num_workers, (settings, vocabulary, partial), progress) as workers,
            ):
                for part, key in planned(files, size, settings, identity, partial, share):
                    keys.append(key)
                    record = finished_record(partial, part.number, key, settings)
                    if record:
                        progress.add(record["num_bytes"])
                    elif part.number % share.num_processes == share.rank:
                        workers.submit(part, key)
            return finish(partial, output_dir, settings, identity, keys, overwrite)
        except OSError as error:
            raise storage_error(partial, error) from error
        finally:
            if share.num_processes == 1 and partial.is_dir() and not any(partial.glob("shard_*.npy")):
                shutil.rmtree(partial)


@contextlib.contextmanager
def writing_to(output_dir: Path, identity: Mapping[str, Any], share: Share) -> Iterator[None]:
    """Context in which only processes that share this very work write the folder, each of them its own parts."""
    if share.num_processes == 1:
        with only_writer(output_dir):
            yield
        return
    purpose = hashlib.sha256(json.dumps([identity, share.num_processes]).encode()).hexdigest()
    own_parts = output_dir.with_name(f"{output_dir.name}, process {share.rank} of {share.num_processes}")
    with only_writer(output_dir, purpose, is_shared=True), only_writer(own_parts):
        yield


def describe(settings: ShardSettings, vocabulary: Vocabulary) -> dict[str, Any]:
    """The manifest's entries about how the shards were made."""
    entries = dataclasses.asdict(settings)
    del entries["on_error"]  # a part without errors is the same either way
    if entries["encoding"] == "utf-8":
        del entries["encoding"]  # as before there was a choice
    if settings.user_dict:
        if not settings.word_starts:
            raise ConfigError("--user-dict", settings.user_dict, "--word-starts too")
        try:
            entries["user_dict"] = sha256(settings.user_dict)
        except OSError as error:
            raise DataError(settings.user_dict, reason(error), "a jieba dictionary") from error
    if settings.word_starts:
        entries["segmenter"] = f"jieba {importlib.metadata.version('jieba')}"
    return {
        "format": FORMAT,
        "vocab_size": len(vocabulary),
        "vocab_sha256": vocabulary.sha256,
        "unicode": unicodedata.unidata_version,
        **entries,
    }


def existing_manifest(
    output_dir: Path, identity: Mapping[str, Any], files: Sequence[CorpusFile], overwrite: bool
) -> Manifest | None:
    """The manifest of finished shards that this very work made, or None where there is room for new ones.

    Raises:
        ConfigError: something else is there; a folder that is not shards is never replaced.
    """
    if overwrite and (output_dir / MANIFEST).is_file():
        return None
    if not output_dir.exists() or (output_dir.is_dir() and not any(output_dir.iterdir())):
        return None
    if not (output_dir / MANIFEST).is_file():
        raise ConfigError("--output-dir", f"{output_dir}, which holds something else", "a new folder")
    manifest = read_manifest(output_dir)
    sources = [(source["file"], source["bytes"]) for source in manifest["sources"]]
    wanted = {**identity, "format": manifest["format"]}  # an older one of the same contents serves as well
    if {**manifest, **wanted} == manifest and sources == [(file.name, file.size) for file in files]:
        return manifest
    raise ConfigError(
        "--output-dir",
        f"{output_dir} with {manifest['num_examples']} examples made in another way",
        "a new folder",
        "give --overwrite to replace it",
    )


def planned(
    files: Sequence[CorpusFile],
    size: int,
    settings: ShardSettings,
    identity: Mapping[str, Any],
    partial: Path,
    share: Share,
) -> Iterator[tuple[Part, str]]:
    """Yield each Part of the plan with a key that changes with all that decides about its bytes."""

    def key(part: Part) -> str:
        spans = [[*span.file[1:], span.start] for span in part.spans]
        return hashlib.sha256(json.dumps([identity, size, part.number, spans]).encode()).hexdigest()

    def is_wanted(part: Part) -> bool:
        mine = part.number % share.num_processes == share.rank
        return mine and not finished_record(partial, part.number, key(part), settings)

    for part in plan_parts(files, size, settings, partial, is_wanted):
        yield part, key(part)


def finished_record(partial: Path, number: int, key: str, settings: ShardSettings) -> dict[str, Any] | None:
    """The record of a part that was finished with this key, or None."""
    try:
        record = parse_json((partial / f"part_{number:05d}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # none yet, or a damaged one
        return None
    must_stop = settings.on_error == "stop" and record["skipped"]
    return record if record["key"] == key and not must_stop else None


def finish(
    partial: Path,
    output_dir: Path,
    settings: ShardSettings,
    identity: Mapping[str, Any],
    keys: Sequence[str],
    overwrite: bool,
) -> Manifest | None:
    """Write the manifest and give the folder its name, if all parts are there; only one process gets to do it."""
    try:
        with locked(partial / "lock"):
            found = [finished_record(partial, number, key, settings) for number, key in enumerate(keys)]
            records = [record for record in found if record]
            if len(records) < len(keys):
                return None
            manifest = build_manifest(identity, records)
            manifest[CHECKSUM] = manifest_checksum(manifest)
            write_json(partial / MANIFEST, manifest)
            if output_dir.exists():
                shutil.rmtree(output_dir) if overwrite else output_dir.rmdir()
            partial.rename(output_dir)
    except FileNotFoundError:
        return read_manifest(output_dir)  # another process was quicker
    remove_leftovers(output_dir, manifest)
    return manifest


def remove_leftovers(folder: Path, manifest: Manifest) -> None:
    """Remove what served to make the shards; after a kill in the middle of it the same command goes on with it."""
    shards = {name for shard in manifest["shards"] for name in shard["sha256"]}
    for path in itertools.chain.from_iterable(map(folder.glob, FILES_OF_PARTS)):
        if path.name not in shards:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on a file for as long as this process lives; where there are no locks, go without."""
    with open(path, "w") as stream:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX)
        path.stat()  # gone if the one who held it gave the folder its name
        yield


def build_manifest(identity: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> Manifest:
    """The manifest: the shards, where they come from, and how much of the text is in them."""
    counts = {name: sum(record[name] for record in records) for name in COUNTS}
    shards = [record["shard"] for record in records if record["shard"]]
    if not shards:
        raise no_text()
    skipped = sum((Counter(record["skipped"]) for record in records), Counter())
    return {
        **identity,
        **{name: sum(shard[name] for shard in shards) for name in ("num_examples", "num_tokens")},
        **counts,
        "share_of_tokens_kept": round(counts["num_kept_tokens"] / counts["num_corpus_tokens"], 6),
        "skipped": dict(sorted(skipped.items())),
        "sources": [entry for record in records for entry in record["sources"]],
        "shards": shards,
    }


def no_text() -> DataError:
    """The error of a corpus in which nothing is left to train on."""
    return DataError("the corpus", "no text", "one sentence or paragraph a line, blank lines between documents")


class SampledLines:
    """Lines of a corpus from many places of it, read anew each time that one goes through them."""

    def __init__(self, files: Sequence[CorpusFile], settings: ShardSettings) -> None:
        self.files, self.settings = files, settings

    def __iter__(self) -> Iterator[str]:
        for block, _ in sample_text(self.files, self.settings, VOCABULARY_BYTES, num_places=1000):
            yield from block.split("\n")


def write_vocabulary(
    corpus: Sequence[Path] | Path, vocab_file: Path | str, size: int, settings: ShardSettings
) -> Vocabulary:
    """Make a vocabulary from the corpus and write it; an existing file is left alone and refused."""
    vocab_file = Path(vocab_file)
    if vocab_file.exists():
        raise ConfigError("--vocab-file", f"{vocab_file}, which exists", "a new file for --build-vocab")
    lines = SampledLines(corpus_files(corpus, settings), settings)
    vocabulary = build_vocabulary(lines, size, settings.do_lower_case, settings.strip_accents)
    with written_whole(vocab_file) as partial:
        vocabulary.save(partial)
    return vocabulary
