"""Things that are chosen by name: schedules, loggers, callbacks, objectives, kinds of tasks.

Each is either registered under a name or named as "module:attribute", which is imported when it is first used. So what
you write yourself can be chosen in a configuration without editing this package.
"""

import difflib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from electra_paddle.errors import ConfigError

T = TypeVar("T")


class Registry(Generic[T]):
    """Names and what they stand for.

    Args:
        field: the hyper-parameter that takes such a name, for messages.
        entries: name -> the thing itself, or "module:attribute".
    """

    def __init__(self, field: str, entries: Mapping[str, T | str] | None = None) -> None:
        self.field = field
        self._entries: dict[str, T | str] = dict(entries or {})

    def register(self, name: str, entry: T | str) -> None:
        """Make an entry known under a name; a later one takes the place of an earlier one."""
        self._entries[name] = entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def check(self, name: str) -> None:
        """Refuse a name that is neither registered nor of the form "module:attribute".

        Raises:
            ConfigError: it is neither.
        """
        if name in self._entries or ":" in name:
            return
        near = difflib.get_close_matches(name, self._entries, n=1)
        known = ", ".join(self._entries)
        expected = f"{near[0]!r}, perhaps" if near else f"{known}, or 'module:attribute' of your own"
        raise ConfigError(self.field, repr(name), expected)

    def load(self, name: str) -> T:
        """The object that a name stands for.

        Raises:
            ConfigError: nothing, or its module cannot be imported.
        """
        self.check(name)
        entry = self._entries.get(name, name)
        if not isinstance(entry, str):
            return entry
        return load_attribute(entry, self.field)


def load_attribute(path: str, field: str) -> Any:
    """The attribute that "module:attribute" names.

    Raises:
        ConfigError: no such module or attribute.
    """
    module, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        advice = "set PYTHONPATH to the folder of your module, or install what it imports"
        raise ConfigError(field, f"{path} ({error})", "module:attribute that can be imported", advice) from error
