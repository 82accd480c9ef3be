"""One hyper-parameter: its default and one sentence about it."""

import dataclasses


def entry(default, help):
    """A dataclass field whose sentence `--help` prints."""
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata={"help": help})
    return dataclasses.field(default=default, metadata={"help": help})
