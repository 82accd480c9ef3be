"""From what was downloaded to `finetuning_data/TASK/`: find each split's file, lay it out, read it, compare it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from electra_paddle.archives import is_archive, members, opened_member
from electra_paddle.config import FinetuningConfig
from electra_paddle.errors import ConfigError, DataError, some_of
from electra_paddle.files import partial_of
from electra_paddle.finetuning.data_check import check_data, lines_of
from electra_paddle.finetuning.description import SPLITS, TaskDescription, load_description
from electra_paddle.finetuning.preparation.layouts import Layout, lay_out
from electra_paddle.finetuning.preparation.published import LABELS, PUBLISHED, Published
from electra_paddle.locks import only_writer

OTHER_SIZE = "fetch it again, or say that another version is meant: --any-size"


class Offered(NamedTuple):
    """A file that was given, by itself, in a folder or in an archive."""

    path: Path
    member: str | None = None  # in the archive `path`

    @property
    def shown(self) -> str:
        return f"{self.path}:{self.member}" if self.member else str(self.path)

    @property
    def name(self) -> str:
        return self.member or self.path.as_posix()


class Prepared(NamedTuple):
    """One file that is now there."""

    split: str
    source: str  # for people
    path: Path
    examples: int  # of the published file
    remarks: list[str]


def prepare_task(
    name: str, files: Sequence[str | Path], output_dir: str | Path, any_size: bool = False
) -> tuple[list[Prepared], list[str]]:
    """Write `output_dir/finetuning_data/NAME/` from a task's published files.

    Args:
        name: of a task in PUBLISHED.
        files: files, folders, zip or tar archives; `SPLIT=FILE` says what a file of another name is.
        output_dir: what fine-tuning calls `data_dir`.
        any_size: take files also with other numbers of examples than any published version has.

    Returns:
        (what was written; what `check_data` found in it, and what was left or lacks, as lines).

    Raises:
        ConfigError: an unknown task, or a file that exists already.
        DataError: a file that is not there, not of this task, damaged, or of another size. Nothing is written then.
    """
    if name not in PUBLISHED:
        raise ConfigError("NAME", repr(name), " or ".join(PUBLISHED))
    published, description = PUBLISHED[name], load_description(name)
    sources, left = find_sources(published, files)
    folder = description.folder_in(Path(output_dir))
    targets = {split: folder / target_name(description, split) for split in sources}
    with only_writer(folder):
        for target in targets.values():
            if target.exists():
                raise ConfigError(target, "a file that exists", "none", "choose another --output-dir, or remove it")
        staging = partial_of(folder)
        try:
            prepared, lines = stage(description, published, sources, staging, any_size)
            folder.mkdir(parents=True, exist_ok=True)
            staged = description.folder_in(staging)
            for item in prepared:
                os.replace(staged / item.path.name, folder / item.path.name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    lines = [line.replace(str(staged), str(folder)) for line in lines]
    if left:
        lines.append(f"not read: {some_of(left)}")
    missing = [
        split
        for split in published.names
        if split not in sources and not (folder / target_name(description, split)).exists()
    ]
    if missing:
        lines.append(f"not given: {', '.join(missing)}")
    return [item._replace(path=folder / item.path.name) for item in prepared], lines


def find_sources(published: Published, files: Sequence[str | Path]) -> tuple[dict[str, Offered], list[str]]:
    """(split -> its file, the others), of those that were given.

    Raises:
        DataError: one that is not there; none of the task's; two that are equally good for a split.
    """
    named: dict[str, Offered] = {}
    offered: list[Offered] = []
    for file in files:
        split, path = split_named(str(file), published)
        if not path.exists():
            raise DataError(path, "no such file or folder", "what was downloaded")
        if split:
            if split in named:
                raise DataError(f"{split}=", f"{named[split].shown} and {path}", "one file")
            if not path.is_file() or is_archive(path):
                raise DataError(path, "a folder or an archive", f"the file of {split} itself", "unpack it first")
            named[split] = Offered(path)
        else:
            offered += all_files(path)
    found = {split: choose(names, offered, split) for split, names in published.names.items()}
    sources = {**{split: file for split, file in found.items() if file}, **named}
    if not {*SPLITS} & {*sources}:
        given = {PurePosixPath(file.name).name for file in offered}
        for name in sorted(given & {*published.advice}):
            raise DataError(name, "only this file", "a file of the task's splits", published.advice[name])
        wanted = ", ".join(names[0] for names in published.names.values())
        expected = f"{wanted}, as their owners call them"
        raise DataError("FILES", some_of(sorted(given)) or "no file", expected, "say which is which: train=FILE")
    left = sorted(file.shown for file in offered if file not in sources.values())
    return {split: sources[split] for split in (*SPLITS, LABELS) if split in sources}, left


def split_named(file: str, published: Published) -> tuple[str | None, Path]:
    """(split or None, path) of an argument such as `train=FILE`."""
    match = re.fullmatch(r"(\w+)=(.+)", file)
    if match and match[1] in published.names and not Path(file).exists():
        return match[1], Path(match[2])
    return None, Path(file)


def all_files(path: Path) -> Iterator[Offered]:
    """The files that a path stands for."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and not file.name.startswith("."):
                yield Offered(file)
    elif is_archive(path):
        yield from (Offered(path, member.name) for member in members(path))
    else:
        yield Offered(path)


def choose(names: Sequence[str], offered: Sequence[Offered], split: str) -> Offered | None:
    """The file of a split: the one with the best name."""
    for name in names:
        matching = [file for file in offered if PurePosixPath(file.name).match(name)]
        if len(matching) > 1:
            found = some_of([file.shown for file in matching])
            raise DataError("FILES", f"{len(matching)} files for {split}: {found}", "one", f"say which: {split}=FILE")
        if matching:
            return matching[0]
    return None


def target_name(description: TaskDescription, split: str) -> str:
    """The name that fine-tuning looks for first."""
    if split != LABELS:
        return description.names(split)[0]
    assert description.labels_file
    return description.labels_file


def stage(
    description: TaskDescription, published: Published, sources: Mapping[str, Offered], staging: Path, any_size: bool
) -> tuple[list[Prepared], list[str]]:
    """Lay all files out below `staging`, as a data directory of its own, and read them as fine-tuning will."""
    shutil.rmtree(staging, ignore_errors=True)
    folder, raw = description.folder_in(staging), staging / "raw"
    folder.mkdir(parents=True)
    layouts, sums = {}, {}
    for split, source in sources.items():
        target = folder / target_name(description, split)
        sums[split] = copy_of(source, raw)
        with shown_as(source.shown, raw, target):
            if split == LABELS:
                shutil.copyfile(raw, target)
                layouts[split] = Layout(len(raw.read_text(encoding="utf-8").split()))
            else:
                layouts[split] = lay_out(raw, target, description)
    config = FinetuningConfig(data_dir=staging, max_seq_length=512, on_error="skip")
    has_labels = description.kind != "reading_comprehension"  # else they may be read from training data
    with shown_as(folder.name, folder):
        report = check_data(description if has_labels else dataclasses.replace(description, labels=()), config)
    prepared = []
    for split, source in sources.items():
        path = folder / target_name(description, split)
        unusable = report[split]["unusable"] if split != LABELS else []
        if unusable:
            text = unusable[0].replace(str(path), source.shown)
            raise DataError(source.shown, f"{len(unusable):,} rows that cannot be used, {text}", "the published file")
        rows = layouts[split].rows
        count = report[split]["examples"] if rows is None else rows
        remarks = [
            about_size(split, count, description, published, source.shown, any_size),
            about_sum(sums[split], published.md5.get(split, {})),
            layouts[split].remark,
        ]
        prepared.append(Prepared(split, source.shown, path, count, [remark for remark in remarks if remark]))
    return prepared, lines_of(report)


def copy_of(source: Offered, target: Path) -> str:
    """Copy a file to `target`; returns its MD5 sum, which is what publishers of data give."""
    digest = hashlib.md5(usedforsecurity=False)
    opened = opened_member(source.path, source.member) if source.member else open(source.path, "rb")
    with opened as stream, open(target, "wb") as out:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def shown_as(shown: str | Path, *staged: Path) -> Iterator[None]:
    """Errors that name a staged file name the one that was given, or is to be."""
    try:
        yield
    except DataError as error:
        text = str(error)
        for path in staged:
            text = text.replace(str(path), str(shown))
        error.args = (text,)
        raise


def about_size(
    split: str, count: int, description: TaskDescription, published: Published, shown: str, any_size: bool
) -> str:
    """What the number of examples says.

    Raises:
        DataError: no published version has so many.
    """
    known: dict[int, str] = {}
    if split in description.published_sizes:
        known[description.published_sizes[split]] = "as published"
    known.update(published.sizes.get(split, {}))
    if count in known:
        return known[count]
    if not known:
        return "no number of examples is known"
    expected = " or ".join(f"{size:,}" for size in known)
    if not any_size:
        raise DataError(shown, f"{count:,} examples", f"{expected}, as published", OTHER_SIZE)
    return f"another number than published, {expected}"


def about_sum(digest: str, known: Mapping[str, str]) -> str:
    """What the checksum says."""
    if digest in known:
        return f"checksum of {known[digest]}"
    return f"md5 {digest}, " + ("none of the known ones" if known else "no checksum is known")
