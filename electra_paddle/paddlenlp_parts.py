"""PaddleNLP without the parts that ELECTRA does not need, until one of them is asked for.

`import paddlenlp` imports its servers, data sets, prompts and ready-made applications, and pandas, pyarrow,
scikit-learn and FastAPI for them, in every process of a job.
"""

from __future__ import annotations

import ast
import importlib
import sys
import threading
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

PACKAGE = "paddlenlp"
PARTS = ("paddlenlp.data", "paddlenlp.transformers")  # that are needed, in the order in which PaddleNLP imports them


def import_parts_only() -> None:
    """From now on `import paddlenlp` imports PARTS; the rest follows, all of it, when any of it is first asked for.

    For processes that run this package's commands: how others import PaddleNLP is left to them.
    """
    if PACKAGE not in sys.modules and not any(isinstance(finder, PartsFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, PartsFinder())


class PartsFinder(MetaPathFinder):
    """Finds the package with `PartsLoader`, and completes it before a submodule is imported that PARTS do not need."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == PACKAGE:
            spec = PathFinder.find_spec(fullname, path)
            if spec is not None and isinstance(spec.loader, SourceFileLoader):
                spec.loader = PartsLoader(spec.loader.name, spec.loader.path)
                return spec
        elif fullname.startswith(f"{PACKAGE}."):
            package = sys.modules[PACKAGE]
            if isinstance(package, PartOfPackage):
                package.complete()
        return None


class PartsLoader(SourceFileLoader):
    """Runs the package's `__init__` without its imports of parts, and imports PARTS."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return PartOfPackage(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        tree = ast.parse(self.get_source(PACKAGE) or "")
        tree.body = [node for node in tree.body if not (isinstance(node, ast.ImportFrom) and node.level)]
        exec(compile(tree, self.path, "exec"), module.__dict__)
        try:
            for part in PARTS:
                importlib.import_module(part)
        except ImportError:  # a version whose parts need each other in another order
            for name in [name for name in sys.modules if name.startswith(f"{PACKAGE}.")]:
                del sys.modules[name]
            module.__class__ = ModuleType
            super().exec_module(module)
        else:
            module.__dict__["_load"] = lambda: SourceFileLoader.exec_module(self, module)


class PartOfPackage(ModuleType):
    """The package as long as it lacks parts; it becomes an ordinary module when a name is asked for that it lacks."""

    _lock = threading.RLock()

    def complete(self) -> None:
        """Import what is missing, by the package's own `__init__`."""
        with self._lock:
            load = self.__dict__.pop("_load", None)
            if load is not None:
                load()
                self.__class__ = ModuleType  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):  # those Python asks of any module
            self.complete()
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}") from None
