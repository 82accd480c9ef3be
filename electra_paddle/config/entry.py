"""One hyper-parameter: its default and one sentence about it."""

import dataclasses
from typing import Any


def entry(default: Any, help: str, group: str | None = None) -> Any:
    """A dataclass field whose sentence `--help` prints.

    Args:
        group: title of the group of options that begins with this entry.
    """
    metadata = {"help": help, "group": group}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
