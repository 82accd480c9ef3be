"""One hyper-parameter: its default and one sentence about it."""

import dataclasses
from typing import Any


def entry(default: Any, help: str) -> Any:
    """A dataclass field whose sentence `--help` prints."""
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata={"help": help})
    return dataclasses.field(default=default, metadata={"help": help})
