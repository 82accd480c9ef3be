"""Load configurations from files and the command line, and save them.

Precedence: `--key value` beats the last `--hparams`, which beats the ones before it, which beat the defaults.
"""

import argparse
import contextlib
import dataclasses
import datetime
import difflib
import json
import re
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from electra_paddle.config.recipes import find_recipe
from electra_paddle.errors import ConfigError
from electra_paddle.files import replace_text
from electra_paddle.parsing import parse_json, parse_yaml


class ConfigClass(Protocol):
    """A dataclass of entries. DEBUG is what its `debug` sets unless it is given too; ENTRY what entries are called."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


Config = TypeVar("Config", bound=ConfigClass)
NO_TPU = "there are no TPUs here: start several processes with `python -m paddle.distributed.launch`"
ELSEWHERE = {  # entries of the original's configurations that have no counterpart -> what to do instead
    "use_tpu": NO_TPU,
    "tpu_job_name": NO_TPU,
    "tpu_name": NO_TPU,
    "tpu_zone": NO_TPU,
    "gcp_project": NO_TPU,
    "pretrain_tfrecords": "build shards with tasks/build_pretraining_data.py and give pretrain_shards",
    "electric_objective": "Electric is not part of Chinese ELECTRA",
    "two_tower_generator": "two-tower generators are not part of Chinese ELECTRA",
}
MOST_LISTED = 40  # names in a message
ONLY_WITH_TPU = ("num_tpu_cores", "iterations_per_loop")  # mean nothing without use_tpu, whatever they say


def add_entries(parser: argparse.ArgumentParser, config_class: type[Config]) -> None:
    """Give an argparse parser `--hparams` and one option for each entry of a configuration."""
    parser.add_argument(
        "--hparams",
        nargs="+",
        default=[],
        metavar="FILE_OR_JSON",
        help="hyper-parameters: YAML or JSON files, or JSON itself; later ones win, and the options below over all",
    )
    parser.usage = f"{parser.prog} [--hparams FILE_OR_JSON ...] [--OPTION VALUE ...]"
    group: argparse._ActionsContainer = parser
    for field in dataclasses.fields(config_class):
        if field.metadata["group"]:
            group = parser.add_argument_group(field.metadata["group"])
        group.add_argument(
            "--" + field.name.replace("_", "-"),
            dest=field.name,
            metavar=metavar_of(field.type),
            help=(field.metadata["help"] + default_text(field)).replace("%", "%%"),
        )


def metavar_of(type_: Any) -> str:
    """The placeholder that `--help` shows for values of a type."""
    kinds = [kind for kind in typing.get_args(type_) if kind is not type(None)] if is_union(type_) else [type_]
    names = {int: "INTEGER", float: "NUMBER", bool: "true|false", Path: "PATH", tuple: "NAME,NAME", dict: "JSON"}
    return names.get(typing.get_origin(kinds[0]) or kinds[0], "TEXT")


def is_union(type_: Any) -> bool:
    return typing.get_origin(type_) in (types.UnionType, typing.Union)


def default_text(field: dataclasses.Field[Any]) -> str:
    """The default as `--help` shows it; what a sentence must say for itself is left out."""
    value = field.default
    if value in (None, (), dataclasses.MISSING):
        return ""
    if isinstance(value, bool):
        return f" [{str(value).lower()}]"
    return f" [{','.join(value) if isinstance(value, tuple) else value}]"


def resolve(
    config_class: type[Config], arguments: argparse.Namespace, recommended: Mapping[str, Any] | None = None
) -> Config:
    """The configuration that parsed command-line arguments describe.

    Args:
        recommended: entries that take the place of defaults.

    Raises:
        ConfigError: a file that cannot be read, an unknown entry, or a value of the wrong type.
    """
    merged = dict(recommended or {})
    sources = dict.fromkeys(merged, "recommended")
    for source in arguments.hparams:
        values, name = read_hparams(source)
        merged.update(values)
        sources.update(dict.fromkeys(values, name))
    for field in dataclasses.fields(config_class):
        text = getattr(arguments, field.name)
        if text is not None:
            merged[field.name] = parse_option(field, text)
            sources[field.name] = "command line"
    return build(config_class, merged, sources)


def build_config(config_class: type[Config], config: Config | None, settings: Mapping[str, Any]) -> Config:
    """The configuration of a call from Python: one that is whole, or settings by name.

    Raises:
        ConfigError: both, an unknown setting, or a value of the wrong type.
    """
    if config is None:
        return build(config_class, dict(settings), dict.fromkeys(settings, "settings"))
    if settings:
        raise ConfigError(
            ", ".join(settings), f"given beside a {config_class.__name__}", "one of both", "put them into the config"
        )
    return config


def load_config(config_class: type[Config], path: str | Path) -> Config:
    """The configuration that `save_config` wrote, or a user's file of hyper-parameters."""
    values, name = read_hparams(str(path))
    return build(config_class, values, dict.fromkeys(values, name))


def save_config(config: Any, path: str | Path, **more: Any) -> None:
    """Write a resolved configuration as JSON.

    Args:
        more: what is kept beside the entries, under names that the configuration's class has among WITHOUT_EFFECT.
    """
    entries = dataclasses.asdict(config) | {name: value for name, value in more.items() if value}
    text = json.dumps(entries, indent=2, ensure_ascii=False, default=str)
    replace_text(path, text + "\n")


def read_hparams(source: str) -> tuple[dict[str, Any], str]:
    """(entries, name for messages) of a file or of JSON given directly."""
    if source.lstrip().startswith("{"):
        text, name = source, "--hparams"
    else:
        name = source
        try:
            text = find_recipe(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(source, describe(error), "a YAML or JSON file of hyper-parameters") from error
    try:
        values = parse_yaml(text)  # reads JSON too, and forgives trailing commas, as in the original's README
    except ValueError as error:
        raise ConfigError(name, f"no valid YAML or JSON ({error})", '{"key": value, ...}') from error
    if not isinstance(values, dict):
        raise ConfigError(name, type(values).__name__, "a mapping from hyper-parameters to values")
    if has_trailing_comma(text):
        print(
            f"WARNING: {name}: found a comma before a closing bracket, which is no JSON; read without", file=sys.stderr
        )
    return values, name


def has_trailing_comma(text: str) -> bool:
    """Whether a text would be JSON but for commas after last elements."""
    try:
        parse_json(text)
    except ValueError:
        with contextlib.suppress(ValueError):
            parse_json(re.sub(r",(\s*[}\]])", r"\1", text))
            return True
    return False


def parse_option(field: dataclasses.Field[Any], text: str) -> Any:
    """An option's text; mappings and lists are given as JSON, a list also as names with commas between."""
    kind = typing.get_origin(field.type)
    if kind is tuple and not text.startswith("["):
        return tuple(text.split(","))
    if kind not in (tuple, dict):
        return text
    option = f"command line: {field.name}"
    try:
        value = parse_yaml(text)
    except ValueError as error:
        form = "[value, ...]" if kind is tuple else '{"key": value, ...}'
        raise ConfigError(option, f"no valid JSON ({error})", form) from error
    return tuple(value) if isinstance(value, list) else value


def build(config_class: type[Config], values: Mapping[str, Any], sources: Mapping[str, str]) -> Config:
    """Check names and types and construct; messages name the file or option that a value came from."""
    import pydantic

    known = [field.name for field in dataclasses.fields(config_class)]
    values = {key: value for key, value in values.items() if not is_elsewhere(key, value, sources)}
    values = {key: value for key, value in values.items() if key not in getattr(config_class, "WITHOUT_EFFECT", ())}
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            raise ConfigError(
                f"{sources[key]}: {key}",
                f"an unknown {getattr(config_class, 'ENTRY', 'hyper-parameter')}",
                f"{near[0]!r}, perhaps" if near else known_entries(known),
            )
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    values = {key: value for key, value in values.items() if value is not None or fields[key].default is not None}
    types = {name: field.type for name, field in fields.items()}
    checked: dict[str, Any] = {}
    for key, value in values.items():
        try:
            numbers_as_text = pydantic.ConfigDict(coerce_numbers_to_str=True)  # labels: [0, 1]
            checked[key] = pydantic.TypeAdapter(types[key], config=numbers_as_text).validate_python(value)
        except pydantic.ValidationError as error:
            expected = name_of(types[key])
            raise ConfigError(f"{sources[key]}: {key}", repr(value), expected, on_quotes(value, expected)) from error
    if checked.get("debug"):
        defaults = getattr(config_class, "DEBUG", {})
        checked = {**{key: value for key, value in defaults.items() if key in known}, **checked}
    try:
        return config_class(**checked)
    except ConfigError as error:
        key = str(error).split(":")[0].split(".")[0]
        if key in sources:
            error.args = (f"{sources[key]}: {error.args[0]}",)
        raise


def on_quotes(value: Any, expected: str) -> str:
    """What to do where words are wanted and YAML has made other values of them."""
    if not expected.endswith(("text", "names")):
        return ""
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else [value]
    if any(isinstance(part, bool) for part in parts):
        return "quote yes, no, on and off: YAML reads them as true and false"
    is_other = any(part is None or isinstance(part, datetime.date) for part in parts)
    return "quote words that YAML reads as dates or as nothing" if is_other else ""


def known_entries(names: Sequence[str]) -> str:
    """The entries that there are, as far as they fit into a message."""
    return " or ".join(names) if len(names) <= MOST_LISTED else "one of those that --help lists"


def is_elsewhere(key: str, value: Any, sources: Mapping[str, str]) -> bool:
    """Whether an entry of the original has no counterpart here and is off; on, it is refused."""
    if key in ELSEWHERE and value:
        raise ConfigError(f"{sources[key]}: {key}", repr(value), "no such entry", ELSEWHERE[key])
    return key in ELSEWHERE or key in ONLY_WITH_TPU


def name_of(kind: Any) -> str:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
    if kind in words:
        return words[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is dict and arguments[1] is Any:
        return "a mapping such as {'hidden_size': 256}"
    if origin is dict:
        return f"a mapping to {name_of(arguments[1])}"
    if origin is tuple:
        return "a list of names"
    return " or ".join(name_of(argument) for argument in arguments if argument is not type(None))


def describe(error: BaseException) -> str:
    """An exception's reason in a few words."""
    return getattr(error, "strerror", None) or str(error).splitlines()[0]
