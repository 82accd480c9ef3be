"""What differs between the configuration that a run began with and the one that it goes on with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NamedTuple


class Change(NamedTuple):
    """One entry with two values."""

    name: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.name} {shown(self.before)} -> {shown(self.now)}"


def shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value


def plain_settings(config: Any) -> dict[str, Any]:
    """A configuration as JSON has it: paths as text, tuples as lists."""
    return as_json(dataclasses.asdict(config))


def default_settings(config_class: type[Any]) -> dict[str, Any]:
    """The defaults of a configuration's class, as JSON has them; None where there is none."""
    fields = dataclasses.fields(config_class)
    made = {field.name: field.default_factory() for field in fields if field.default_factory is not dataclasses.MISSING}
    plain = {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
    return as_json({**plain, **made})


def as_json(entries: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(entries, default=str))
    return values


def changes_between(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """The entries that both have with different values; one that an earlier version did not know is no change."""
    return [Change(name, before[name], now[name]) for name in now if name in before and before[name] != now[name]]
