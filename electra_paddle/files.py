"""Helpers for files of any kind."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


def brought_folder(name: str) -> Path:
    """A folder of this project's top level: in a clone it stands beside the package, a wheel brings it inside."""
    package = Path(__file__).parent
    return next((folder for folder in (package / name, package.parent / name) if folder.is_dir()), package / name)


def hub_home() -> Path:
    """The folder where PaddleHub keeps what it installs: HUB_HOME, or one in the user's home."""
    return Path(os.environ["HUB_HOME"]) if "HUB_HOME" in os.environ else Path("~/.paddlehub").expanduser()


@contextlib.contextmanager
def without_dashes(folder: Path) -> Iterator[Path]:
    """A path of a folder that has no `-`, for a HUB_HOME; it is gone at the end, the folder stays.

    `hub install` turns each `-` of the path that it unpacks to into `_`, those of folders too, and leaves a copy of the
    module in the folder that this makes (PaddleHub 2.4, `_install_from_directory`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    if "-" not in str(folder.resolve()):
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="electra_paddle_") as place:
        link = Path(place) / "hub_home"
        link.symlink_to(folder.resolve())
        yield link


def sha256(path: str | Path, on_bytes: Callable[[int], None] = lambda count: None) -> str:
    """SHA-256 of a file, as hexadecimal digits; `on_bytes` is told how many more bytes were read."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            on_bytes(len(chunk))
    return digest.hexdigest()


@contextlib.contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A path to write to; what lies there gets the name `path` when the context ends without an error.

    Folders are made as they are needed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(path)
    yield partial
    os.replace(partial, path)


def partial_of(path: Path) -> Path:
    """Where a file or folder is written before it gets its name; nobody else's is called like that."""
    return path.with_name(f".{path.name}.electra-partial")


def replace_folder(new: Path, folder: Path) -> None:
    """Give `new` the name `folder`; an older one of that name goes."""
    if not folder.exists():
        new.rename(folder)
        return
    old = folder.with_name(f".{folder.name}.electra-old")
    shutil.rmtree(old, ignore_errors=True)
    folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old)


def replace_text(path: str | Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")
