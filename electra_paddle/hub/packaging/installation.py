"""`hub install` for a published model's name, or for an archive or folder once it is known to hold a module."""

from __future__ import annotations

import ast
import contextlib
import difflib
import errno
import os
import re
import shutil
import sys
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from electra_paddle.archives import Header
from electra_paddle.errors import CheckpointError, ConfigError, reason
from electra_paddle.files import brought_folder, hub_home, replace_folder
from electra_paddle.hub.packaging.module_archive import export_module
from electra_paddle.locks import only_writer
from electra_paddle.published_models import MODELS

EXPECTED = "a module's archive or folder"
ADVICE = "tools/export_hub_module.py makes one"
PUBLISHED = {model.name.replace("-", "_"): model.name for model in MODELS}  # folder of hub_modules/ -> name
GB = 10**9
MAX_SIZE = 8.0  # GB that an archive may unpack to: the largest published model takes 1.4
MOST_FILES = 100_000  # of an archive; a module has about a hundred
FOLDERS = ("modules", "cache", "dataset", "conf", "thirdparty", "tmp", "sources", "log")  # that PaddleHub makes


def install_module(source: str | Path, max_size: float = MAX_SIZE) -> tuple[str, str]:
    """Install a module into HUB_HOME, in place of an older one of its name; its module.py runs.

    PaddleHub itself ends in a traceback at whatever is no module, on Paddle 2.6 crashes at archives, and removes the
    older one before it knows whether the new one can be imported. So it works aside, below HUB_HOME/tmp.

    Args:
        source: an archive of any kind that `tarfile` opens, with a folder in it; the folder; or the name of a published
            model, if nothing is called so here. Its weights are fetched when the module is first made.
        max_size: GB that an archive may unpack to.

    Returns:
        (name, version) of the module.

    Raises:
        CheckpointError: it holds no module, is damaged or too large, or fails at import.
        ConfigError: HUB_HOME cannot be written, or another process installs there.

        Whatever fails, HUB_HOME then has the modules that it had before, and nothing else stays behind.
    """
    source = Path(source)
    with prepared_home() as home, workplace(home) as place:
        folder = find_folder(source, place, max_size)
        name = check_module(source, folder).replace("-", "_")
        installed = home / "modules" / name
        if installed.is_symlink():
            raise ConfigError(installed, "a symbolic link", "a module's folder, or nothing", "remove it")
        print(f"{source}: installing", flush=True)  # PaddleHub takes its time
        module_name, version = install_aside(source, folder, place / "modules")
        replace_folder(place / "modules" / name, installed)
    return module_name, version


@contextlib.contextmanager
def prepared_home() -> Iterator[Path]:
    """HUB_HOME, with the folders that PaddleHub makes there as it is imported; those that are new go where it fails.

    Raises:
        ConfigError: one of them cannot be made or written to.
    """
    home = hub_home()
    new = [folder for folder in (home, *(home / name for name in FOLDERS)) if not folder.exists()]
    for folder in (home / name for name in FOLDERS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            found = f"{home}, where {folder.name}/ cannot be written ({reason(error)})"
            advice = "set the environment variable HUB_HOME to one"
            raise ConfigError("HUB_HOME", found, "a folder that can be written", advice) from error
    try:
        yield home
    except BaseException:
        for folder in reversed(new):
            with contextlib.suppress(OSError):  # what something stands in
                folder.rmdir()
        raise


@contextlib.contextmanager
def workplace(home: Path) -> Iterator[Path]:
    """An empty folder in HUB_HOME/tmp that goes at the end; also what a process has left there that was killed."""
    place = home / "tmp" / "electra-install"
    with only_writer(place):
        shutil.rmtree(place, ignore_errors=True)
        try:
            place.mkdir()
            yield place
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
            advice = "make room, or set the environment variable HUB_HOME to another folder"
            raise ConfigError("HUB_HOME", f"{home} ({reason(error)})", "room for the module thrice", advice) from error
        finally:
            shutil.rmtree(place, ignore_errors=True)


def install_aside(source: Path, folder: Path, modules: Path) -> tuple[str, str]:
    """Let PaddleHub install a module into a folder of modules that is not its own; returns (name, version).

    Raises:
        CheckpointError: it fails at import.
    """
    from paddlehub.module.manager import LocalModuleManager

    class Manager(LocalModuleManager):
        """PaddleHub's own turns `-` into `_` in a whole path, and so writes into a folder that is not its own."""

        def _get_normalized_name(self, name: str) -> str:
            path = Path(name)
            return str(path.with_name(path.name.replace("-", "_")))

    try:
        module = Manager(home=str(modules)).install(directory=str(folder.resolve()))
        return module.name, str(module.version)
    except (Exception, SystemExit) as error:  # of whatever type the module's own code raises
        found = f"a module that cannot be installed ({type(error).__name__}: {error})"
        raise CheckpointError(source, found, "one for the installed versions of Paddle and PaddleNLP") from error
    finally:  # so that nothing is imported later from where it is no more
        sys.path[:] = [path for path in sys.path if path != str(modules)]
        for name in [name for name, each in sys.modules.items() if is_below(getattr(each, "__file__", None), modules)]:
            del sys.modules[name]


def is_below(file: str | None, folder: Path) -> bool:
    """Whether a file lies in a folder or one within."""
    return file is not None and folder in Path(file).parents


def find_folder(source: Path, place: Path, max_size: float = MAX_SIZE) -> Path:
    """The module's folder: the source itself, or one that is made below `place`."""
    if source.is_dir():
        return source
    name = str(source).replace("-", "_")
    if name in PUBLISHED and not source.exists():
        return export_module(brought_folder("hub_modules") / name, place / name)
    return unpack(source, place / "unpacked", max_size)


def unpack(archive: Path, place: Path, max_size: float = MAX_SIZE) -> Path:
    """The one folder of an archive, below `place`, which is made.

    Args:
        max_size: GB that its files may have together; a file's size is known before any of it is unpacked.

    Raises:
        CheckpointError: it is none, damaged, too large, with files that would lie elsewhere or that are no files, or
            without exactly one folder.
    """
    if archive.exists() and not archive.is_file():  # such as a FIFO, which would be waited for without end
        raise CheckpointError(archive, "no ordinary file", EXPECTED, ADVICE)
    total = 0
    try:
        with tarfile.open(archive, tarinfo=Header) as tar:
            place.mkdir(exist_ok=True)
            for number, member in enumerate(tar):
                if not (member.isreg() or member.isdir()) or member.issparse():
                    advice = "tar -h --hard-dereference packs the files that links lead to"
                    raise CheckpointError(archive, f"{member.name}, {kind_of(member)}", "files and folders", advice)
                total += abs(member.size)  # a damaged one may be negative
                if total > max_size * GB:
                    found = f"{total / GB:,.1f} GB up to {member.name}, once unpacked"
                    expected, advice = f"{max_size:g} GB at most", "if you trust it, give a larger --max-size"
                    raise CheckpointError(archive, found, expected, advice)
                if number >= MOST_FILES:
                    raise CheckpointError(archive, f"more than {MOST_FILES:,} files", EXPECTED, ADVICE)
                write_member(archive, tar, member, place)
    except FileNotFoundError as error:
        near = difflib.get_close_matches(str(archive), PUBLISHED.values(), n=1)
        advice = f"perhaps {near[0]!r} is meant" if near else ADVICE
        raise CheckpointError(archive, "no such file or folder", f"{EXPECTED}, or a published name", advice) from error
    except (tarfile.TarError, zlib.error, EOFError, ValueError, KeyError, OSError) as error:
        if isinstance(error, CheckpointError) or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise CheckpointError(archive, f"no readable archive ({error})", EXPECTED, ADVICE) from error
    names = sorted(path.name for path in place.iterdir())
    if len(names) != 1 or not (place / names[0]).is_dir():
        found = "an archive of " + (", ".join(names[:3]) + (", ..." if names[3:] else "") or "nothing")
        raise CheckpointError(archive, found, "one with a module's folder in it", ADVICE)
    return place / names[0]


def write_member(archive: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    """Unpack a file or folder below `place`. The filters of `tarfile` would do; Python 3.11.3, say, has none yet.

    Raises:
        CheckpointError: it would lie elsewhere.
    """
    target = Path(os.path.normpath(place / member.name.lstrip("/")))  # no link is unpacked: no other name leads away
    if not target.is_relative_to(os.path.normpath(place)):
        raise CheckpointError(archive, f"an unsafe archive ({member.name} would lie elsewhere)", EXPECTED, ADVICE)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    stream = tar.extractfile(member)
    assert stream is not None
    with stream, open(target, "wb") as out:
        shutil.copyfileobj(stream, out)


def kind_of(member: tarfile.TarInfo) -> str:
    """What a member is that is neither file nor folder."""
    if member.islnk() or member.issym():
        return f"a link to {member.linkname}"
    if member.issparse():
        return "a sparse file"
    return "a FIFO" if member.isfifo() else "a device" if member.isdev() else f"of the unknown type {member.type!r}"


def check_module(source: Path, folder: Path) -> str:
    """The name of the class in a folder that PaddleHub takes for a module; a folder without one is refused.

    Raises:
        CheckpointError: says what is missing.
    """
    file = folder / "module.py"
    if not file.is_file():
        raise CheckpointError(source, "no module in it (no module.py)", EXPECTED, ADVICE)
    for path in folder.rglob("*"):
        if not (path.is_file() or path.is_dir()):  # which PaddleHub would copy without end, or not at all
            raise CheckpointError(source, f"{path}, a link to nothing, a FIFO or a device", "files and folders")
    try:
        classes = [node for node in ast.parse(file.read_bytes()).body if isinstance(node, ast.ClassDef)]
    except (SyntaxError, ValueError) as error:
        raise CheckpointError(source, f"a module.py that is no Python ({error})", EXPECTED, ADVICE) from error
    decorators = [each for node in classes for each in node.decorator_list if isinstance(each, ast.Call)]
    infos = [each for each in decorators if ast.unparse(each.func) == "moduleinfo"]
    if not infos:
        raise CheckpointError(source, "no class with @moduleinfo(...) in its module.py", EXPECTED, ADVICE)
    values = [keyword.value for keyword in infos[0].keywords if keyword.arg == "name"]
    name = values[0].value if values and isinstance(values[0], ast.Constant) else None
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w-]*", name):  # PaddleHub makes a path of it
        found = f"@moduleinfo(name={ast.unparse(values[0])})" if values else "@moduleinfo(...) without a name"
        raise CheckpointError(source, found, 'name="letters-digits-and-dashes"', ADVICE)
    return name
