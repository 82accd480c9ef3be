"""A corpus mixed from several files by a table of shares, part of it held out.

Every document draws its own random numbers from the seed, its file's name and its place in the file: which documents
are held out, used and converted does not depend on the other files, and a second run makes the same bytes.
"""

import itertools
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from electra_paddle.data.compression import decompressed
from electra_paddle.data.corpus import corpus_file, files_below
from electra_paddle.data.text_blocks import line_blocks
from electra_paddle.errors import ConfigError, DataError, reason
from electra_paddle.files import written_whole
from electra_paddle.parsing import parse_yaml


class Source(pydantic.BaseModel, extra="forbid"):
    """How one file of a mixture is used."""

    share: float = pydantic.Field(gt=0)  # of its documents; 2 and more repeat them
    simplified: float = pydantic.Field(0.0, ge=0, le=1)  # of the used documents, converted from Traditional
    licence: str
    source: str


class Mixture(pydantic.BaseModel, extra="forbid"):
    """The files of a mixture, and how much of each is used."""

    seed: int = 0
    held_out: float = pydantic.Field(0.0, ge=0, lt=1)  # share of the documents kept from training
    files: dict[str, Source] = pydantic.Field(min_length=1)


def read_mixture(path: str | Path) -> Mixture:
    """The Mixture of a YAML file.

    Raises:
        ConfigError: no such file, or an entry that does not fit.
    """
    path = Path(path)
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(path, reason(error), "a table of files and shares") from error
    except ValueError as error:
        raise ConfigError(path, f"no valid YAML ({error})", "a table of files and shares") from error
    try:
        return Mixture.model_validate(content)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        if first["type"] == "missing":
            raise ConfigError(f"{path}: {place}", "nothing", "an entry of this name") from error
        expected = first["msg"].removeprefix("Input should be ")
        raise ConfigError(f"{path}: {place}", repr(first["input"]), expected) from error


def mix(folder: str | Path, output: str | Path, mixture: Mixture) -> dict[str, dict[str, Any]]:
    """Write `training/NAME.txt.xz` and `held_out/NAME.txt.xz` below `output` for each file of the table.

    Args:
        folder: holds the files, `.txt` with blank lines between documents, plain or compressed.
        output: a new folder.

    Returns:
        Of each file: documents and characters of both parts, licence and source.

    Raises:
        DataError: a file that is missing or damaged. All files are looked for before anything is written.
        ConfigError: conversion is asked for and OpenCC is not installed.
    """
    folder, output = Path(folder), Path(output)
    for name in mixture.files:
        if not (folder / name).is_file():
            raise DataError(folder / name, "no such file", "the file of the table", "remove its entry from the table")
    to_simplified = converter() if any(source.simplified for source in mixture.files.values()) else None
    record = {}
    for name, source in mixture.files.items():
        base = name.split(".")[0]
        counts = {}
        parts = {"training": output / "training" / f"{base}.txt.xz", "held_out": output / "held_out" / f"{base}.txt.xz"}
        drawn = list(draw(documents(folder / name), name, source, mixture))
        for part, path in parts.items():
            texts = []
            for text, copies, is_held_out, is_converted in drawn:
                if (part == "held_out") == is_held_out:
                    text = to_simplified(text) if is_converted and to_simplified else text
                    texts += [text] * (1 if is_held_out else copies)
            counts[part] = {"documents": len(texts), "characters": sum(map(len, texts))}
            if texts:
                write_documents(texts, path)
        record[name] = {**counts, "licence": source.licence, "source": source.source}
    return record


def draw(texts: Iterable[str], name: str, source: Source, mixture: Mixture) -> Iterator[tuple[str, int, bool, bool]]:
    """(document, copies, whether it is held out, whether it is converted) of every document that is used."""
    for number, text in enumerate(texts):
        numbers = np.random.default_rng([mixture.seed, zlib.crc32(name.encode()), number]).random(3)
        is_held_out = bool(numbers[0] < mixture.held_out)
        copies = int(source.share) + int(numbers[1] < source.share % 1)
        if copies or is_held_out:
            yield text, copies, is_held_out, bool(numbers[2] < source.simplified)


def documents(path: Path) -> Iterator[str]:
    """The documents of a .txt file, each as its lines."""
    blocks = line_blocks(decompressed(corpus_file(path, path.name)))
    lines = itertools.chain.from_iterable(block.decode("utf-8", "replace").splitlines() for block in blocks)
    for is_text, group in itertools.groupby(lines, key=lambda line: bool(line.strip())):
        if is_text:
            yield "\n".join(group) + "\n"


def documents_below(corpus: Path) -> Iterator[str]:
    """The documents of a .txt file, or of all files of a folder."""
    for path in files_below(corpus) if corpus.is_dir() else [corpus]:
        yield from documents(path)


def write_documents(texts: list[str], path: Path) -> None:
    with written_whole(path) as partial, lzma.open(partial, "wt", preset=1, encoding="utf-8", newline="\n") as stream:
        stream.write("\n".join(texts))


def converter() -> Callable[[str], str]:
    """A function from Traditional to Simplified characters, OpenCC's."""
    try:
        import opencc
    except ImportError as error:
        raise ConfigError(
            "simplified", "no OpenCC in this environment", "the package opencc", "pip install opencc==1.1.9"
        ) from error
    return opencc.OpenCC("t2s").convert
