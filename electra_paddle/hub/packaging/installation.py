"""`hub install` for a published model's name, or for an archive or folder once it is known to hold a module."""

import ast
import difflib
import tarfile
import tempfile
import zlib
from pathlib import Path

from electra_paddle.errors import CheckpointError
from electra_paddle.files import brought_folder
from electra_paddle.hub.packaging.module_archive import export_module
from electra_paddle.published_models import MODELS

EXPECTED = "a module's archive or folder"
ADVICE = "tools/export_hub_module.py makes one"
PUBLISHED = {model.name.replace("-", "_"): model.name for model in MODELS}  # folder of hub_modules/ -> name


def install_module(source: str | Path) -> tuple[str, str]:
    """Install a module into HUB_HOME, in place of an older one of its name.

    PaddleHub itself ends in a traceback at whatever is no module, and on Paddle 2.6 crashes at archives.

    Args:
        source: an archive of any kind that `tarfile` opens, with a folder in it; the folder; or the name of a published
            model, if nothing is called so here. Its weights are fetched when the module is first made.

    Returns:
        (name, version) of the module.

    Raises:
        CheckpointError: it holds no module, is damaged, or fails at import; nothing is replaced but in the last case.
    """
    source = Path(source)
    with tempfile.TemporaryDirectory() as place:
        folder = find_folder(source, Path(place))
        check_module(source, folder)
        print(f"{source}: installing", flush=True)  # PaddleHub takes its time
        from paddlehub.module.manager import LocalModuleManager

        try:
            module = LocalModuleManager().install(directory=str(folder.resolve()))
        except Exception as error:  # of whatever type the module's own code raises
            found = f"a module that cannot be installed ({type(error).__name__}: {error})"
            raise CheckpointError(source, found, "one for the installed versions of Paddle and PaddleNLP") from error
    return module.name, module.version


def find_folder(source: Path, place: Path) -> Path:
    """The module's folder: the source itself, or one that is made below `place`."""
    if source.is_dir():
        return source
    name = str(source).replace("-", "_")
    if name in PUBLISHED and not source.exists():
        return export_module(brought_folder("hub_modules") / name, place / name)
    return unpack(source, place)


def unpack(archive: Path, place: Path) -> Path:
    """The one folder of an archive, below `place`.

    Raises:
        CheckpointError: it is none, damaged, with files that would lie elsewhere, or without exactly one folder.
    """
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(place, filter="data")
    except tarfile.FilterError as error:
        raise CheckpointError(archive, f"an unsafe archive ({error})", EXPECTED, ADVICE) from error
    except FileNotFoundError as error:
        near = difflib.get_close_matches(str(archive), PUBLISHED.values(), n=1)
        advice = f"perhaps {near[0]!r} is meant" if near else ADVICE
        raise CheckpointError(archive, "no such file or folder", f"{EXPECTED}, or a published name", advice) from error
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise CheckpointError(archive, f"no readable archive ({error})", EXPECTED, ADVICE) from error
    names = sorted(path.name for path in place.iterdir())
    if len(names) != 1 or not (place / names[0]).is_dir():
        found = "an archive of " + (", ".join(names[:3]) + (", ..." if names[3:] else "") or "nothing")
        raise CheckpointError(archive, found, "one with a module's folder in it", ADVICE)
    return place / names[0]


def check_module(source: Path, folder: Path) -> None:
    """Refuse a folder without a class that PaddleHub takes for a module.

    Raises:
        CheckpointError: says what is missing.
    """
    file = folder / "module.py"
    if not file.is_file():
        raise CheckpointError(source, "no module in it (no module.py)", EXPECTED, ADVICE)
    try:
        classes = [node for node in ast.parse(file.read_bytes()).body if isinstance(node, ast.ClassDef)]
    except (SyntaxError, ValueError) as error:
        raise CheckpointError(source, f"a module.py that is no Python ({error})", EXPECTED, ADVICE) from error
    decorators = [each for node in classes for each in node.decorator_list]
    if not any(isinstance(each, ast.Call) and ast.unparse(each.func) == "moduleinfo" for each in decorators):
        raise CheckpointError(source, "no class with @moduleinfo(...) in its module.py", EXPECTED, ADVICE)
