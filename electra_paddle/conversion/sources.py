"""The files of a TensorFlow checkpoint in a published zip, in a folder, or under a prefix."""

import contextlib
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from electra_paddle.conversion.foreign import SUFFIXES
from electra_paddle.conversion.tokenizer_files import TOKENIZER_JSON, told_settings
from electra_paddle.errors import CheckpointError, reason
from electra_paddle.models.pretrained_directory import TOKENIZER, check_entries
from electra_paddle.parsing import parse_json

# The files that are unpacked from a zip. Weights hardly shrink when compressed: the published ones to 90 %.
WANTED = re.compile(r"(.*\.index|.*\.data-\d{5}-of-\d{5}|checkpoint|vocab\.txt|.*\.json)$")
LARGEST_EXPANSION = 50  # unpacked bytes for each packed one
LARGEST_TEXT = 10_000_000  # bytes of a file that does not hold weights


class Source(NamedTuple):
    """Files of a TensorFlow checkpoint."""

    prefix: Path
    vocab_file: Path | None
    tokenizer: dict[str, Any]  # settings of normalisation, as far as a file beside the checkpoint says them
    configs: dict[str, dict[str, Any]]  # "generator", "discriminator" -> entries of its configuration, if it was found


@contextlib.contextmanager
def open_source(path: str | Path) -> Iterator[Source]:
    """Yield the Source of a path; files unpacked from a zip are removed when the context ends.

    Args:
        path: a zip, a folder with one checkpoint (or with a file `checkpoint` that names one), or a prefix.

    Raises:
        CheckpointError: there is no checkpoint, there are several, or the zip is damaged or malicious.
    """
    path = Path(path)
    if path.suffix in SUFFIXES and path.is_file():
        advice = f"convert it: python -m electra_paddle convert_hf {path} OUT"
        raise CheckpointError(path, "weights of another framework", "a TensorFlow checkpoint", advice)
    if path.is_file() and zipfile.is_zipfile(path):
        with tempfile.TemporaryDirectory(prefix="electra_paddle_") as folder:
            unpack(path, Path(folder))
            yield find_source(Path(folder), shown=path)
    elif path.suffix == ".zip":
        raise CheckpointError(path, "no zip" if path.exists() else "no such file", "a published zip")
    else:
        yield find_source(path, shown=path)


def unpack(path: Path, folder: Path) -> None:
    """Unpack the files of a checkpoint from a zip.

    Raises:
        CheckpointError: the zip is damaged, or has an entry that would lie outside the folder or be too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            for entry in entries:
                check_entry(entry, path)
            for entry in entries:
                if WANTED.match(PurePosixPath(entry.filename).name):
                    target = folder / entry.filename
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(entry) as stream, open(target, "wb") as out:  # never a link
                        shutil.copyfileobj(stream, out, 1 << 20)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise CheckpointError(path, f"a damaged zip ({error})", "a published zip", "fetch it again") from error


def check_entry(entry: zipfile.ZipInfo, path: Path) -> None:
    """Refuse an entry of a zip that would lie outside the folder or be too large."""
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in entry.filename:
        raise CheckpointError(path, f"entry {entry.filename!r}", "entries within the zip's own folder")
    is_text = ".data-" not in name.name and ".meta" not in name.name and WANTED.match(name.name)
    is_bomb = entry.file_size > LARGEST_EXPANSION * max(1, entry.compress_size) and entry.file_size > 1_000_000
    if is_bomb or (is_text and entry.file_size > LARGEST_TEXT):
        sizes = f"{entry.filename} of {entry.file_size:,} bytes, packed to {entry.compress_size:,}"
        raise CheckpointError(path, sizes, "weights, which hardly shrink, and short texts")


def find_source(path: Path, shown: Path) -> Source:
    """The Source of a folder or a prefix; messages name `shown` instead of it."""
    if path.is_dir():
        prefix = find_prefix(path, shown)
    elif path.with_name(path.name + ".index").is_file():
        prefix = path
    elif path.suffix == ".index" and path.is_file():
        prefix = path.with_suffix("")
    else:
        raise CheckpointError(
            shown, "no such zip, folder or checkpoint", "SOURCE.zip, a folder, or PREFIX of PREFIX.index"
        )
    folders = [prefix.parent] + ([path] if path.is_dir() else [])
    vocab_file = next((folder / "vocab.txt" for folder in folders if (folder / "vocab.txt").is_file()), None)
    return Source(prefix, vocab_file, find_tokenizer(folders), find_configs(folders, shown))


def find_tokenizer(folders: Sequence[Path]) -> dict[str, Any]:
    """The settings in the first tokenizer's file of some folders; {} where there is none."""
    for folder in folders:
        if (folder / TOKENIZER).is_file() or (folder / TOKENIZER_JSON).is_file():
            return told_settings(folder)
    return {}


def find_prefix(folder: Path, shown: Path) -> Path:
    """The prefix of the checkpoint in a folder or below it: named by a file `checkpoint`, or the only one."""
    named = []
    for text in sorted(folder.rglob("checkpoint")):
        match = re.search(r'^model_checkpoint_path: "(.+)"', text.read_text(encoding="utf-8", errors="replace"), re.M)
        # Only the last part of the path: folders get moved, and no file outside of them is to be read.
        if match and text.with_name(PurePosixPath(match[1]).name + ".index").is_file():
            named.append(text.with_name(PurePosixPath(match[1]).name))
    found = named or sorted(file.with_suffix("") for file in folder.rglob("*.index"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "no .index"
        raise CheckpointError(shown, names, "one TensorFlow checkpoint", "name its prefix" if found else "")
    return found[0]


def find_configs(folders: Sequence[Path], shown: Path) -> dict[str, dict[str, Any]]:
    """Network -> entries of the configuration, from .json files with the network in their names.

    Raises:
        CheckpointError: one cannot be read, or says what no network has; the message names the file within `shown`.
    """
    configs: dict[str, dict[str, Any]] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.json"))):
        for network in ("generator", "discriminator"):
            if network in path.name and network not in configs:
                configs[network] = read_config(path, shown)
    return configs


def read_config(path: Path, shown: Path) -> dict[str, Any]:
    """The entries of a network's configuration; messages name the file within `shown`."""
    place = shown / path.name if shown.is_dir() or zipfile.is_zipfile(shown) else path
    try:
        entries = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            place, f"no readable configuration ({reason(error)})", "a configuration in JSON"
        ) from error
    if not isinstance(entries, dict):
        raise CheckpointError(place, f"a {type(entries).__name__}", "a configuration in JSON")
    check_entries(entries, place)
    return entries
