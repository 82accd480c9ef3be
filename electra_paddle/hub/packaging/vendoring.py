"""A copy of the part of this package that a module needs, so that the module needs no other.

Which files those are follows from their imports, beginning at the module's class. In the copy they are relative, so
an electra_paddle that is installed, of whatever version, neither is needed nor gets in the way.
"""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

from electra_paddle import __version__

PACKAGE = Path(__file__).parents[2]
FIRST = "hub/module.py"
DATA = ("hub/page.html",)  # files beside the code
COPY = "_electra_paddle"  # the copy's name within the module's folder


def copy_package(folder: str | Path) -> None:
    """Write the copy to a module's folder."""
    copy = Path(folder) / COPY
    for path in needed_files():
        target = copy / path.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        depth = len(target.relative_to(copy).parts)
        target.write_text(with_relative_imports(path.read_text(encoding="utf-8"), "." * depth), encoding="utf-8")
    for name in DATA:
        shutil.copyfile(PACKAGE / name, copy / name)
    (copy / "__init__.py").write_text(
        f'"""Part of electra-paddle {__version__}, under the Apache License 2.0."""\n\n__version__ = "{__version__}"\n',
        encoding="utf-8",
    )


def needed_files() -> list[Path]:
    """The files that the module's class needs, sorted; without the package's own __init__.py."""
    needed, waiting = set(), [PACKAGE / FIRST]
    while waiting:
        path = waiting.pop()
        if path in needed or path == PACKAGE / "__init__.py":
            continue
        needed.add(path)
        waiting += [PACKAGE / parent / "__init__.py" for parent in path.relative_to(PACKAGE).parents]
        waiting += loaded_files(path.read_text(encoding="utf-8"))
    return sorted(needed)


def loaded_files(source: str) -> list[Path]:
    """The files of this package that a source text loads; what it imports for types alone is not loaded."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return [file for node in own_imports(tree) for file in files_of(node)]


def own_imports(tree: ast.AST) -> Iterator[ast.ImportFrom]:
    """The statements that import from this package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and module_of(node)[0] == PACKAGE.name:
            yield node
        assert not (isinstance(node, ast.Import) and any(alias.name.startswith(PACKAGE.name) for alias in node.names))


def module_of(node: ast.ImportFrom) -> list[str]:
    """The parts of the dotted name that a statement imports from."""
    return (node.module or "").split(".")


def files_of(node: ast.ImportFrom) -> Iterator[Path]:
    """The files that an import statement loads."""
    folder = PACKAGE.joinpath(*module_of(node)[1:])
    for alias in node.names:
        candidates = [folder / f"{alias.name}.py", folder / alias.name / "__init__.py"]
        candidates += [folder.with_suffix(".py"), folder / "__init__.py"]
        yield next(path for path in candidates if path.is_file())


def with_relative_imports(source: str, dots: str, name: str = "") -> str:
    """Source text whose imports from this package are relative.

    Args:
        dots: what stands for the folder of the package.
        name: of the package below that folder, if it is not the folder itself.
    """
    lines = source.split("\n")
    for node in own_imports(ast.parse(source)):
        rest = [part for part in (name, *module_of(node)[1:]) if part]
        line = lines[node.lineno - 1]
        old = f"from {node.module} import"
        assert old in line
        lines[node.lineno - 1] = line.replace(old, f"from {dots}{'.'.join(rest)} import", 1)
    return "\n".join(lines)
