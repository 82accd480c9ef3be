"""Write the pages of the command line and of the configuration, and the table of a task's keys in own-task.md, from the
parsers and fields, in both languages; and the README of each folder of hub_modules/ from template and cards.

Run it after a change of an option, a field, that template or a card: a test compares them with what this script would
write.
"""

import argparse
import dataclasses
import importlib
import json
import sys
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from electra_paddle.cli import COMMANDS, PROGRAM
from electra_paddle.config import FinetuningConfig, PretrainingConfig, ShardSettings
from electra_paddle.finetuning.description import TaskDescription
from electra_paddle.hub.packaging.readme import published_readme

ROOT = Path(__file__).resolve().parent.parent
SENTENCES = ROOT / "tools" / "reference_zh.txt"
MADE_BY = "<!-- made by: python tools/make_reference.py -->"
CONFIGS = {"Shards": ShardSettings, "Pre-training": PretrainingConfig, "Fine-tuning": FinetuningConfig}
OF_COMMANDS = {"run_pretrain": "Pre-training", "run_finetuning": "Fine-tuning"}
KINDS = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    dict: "mapping",
    tuple: "list",
}
COMMAND_LINE = (
    "`electra-paddle COMMAND`, `python -m electra_paddle COMMAND` and the scripts in `tasks/` and `tools/` are "
    "the same code. In names of commands and options `_` may stand for `-`. A user's mistake ends in one line and "
    "status 2; nothing is overwritten unless an option says so. Square brackets hold defaults."
)
CONFIGURATION = (
    "The names are those of the original project. `--hparams` takes YAML or JSON files, or JSON itself, later "
    "ones win; `--key value` on the command line wins over all files; in Python they are arguments of `pretrain` "
    "and `finetune`. Unknown names are refused with the nearest known one. What a run was made with is saved "
    "beside its results. Recipes: `configs/model/`, `configs/pretraining/`, `configs/finetuning/`. What describes "
    "a task stands in [Fine-tuning on files of your own](own-task.md#keys-of-a-tasks-description)."
)
FIELDS = "Every entry of the configuration is an option, too, `--seed 1` for instance:"


class Language:
    """English, or Chinese by `reference_zh.txt`.

    Attributes:
        missing: sentences that have no Chinese one.
    """

    def __init__(self, is_chinese: bool) -> None:
        self.sentences = read_sentences() if is_chinese else None
        self.suffix = ".zh" if is_chinese else ""
        self.missing: set[str] = set()

    def say(self, sentence: str) -> str:
        if self.sentences is None:
            return sentence
        if sentence not in self.sentences:
            self.missing.add(sentence)
        return self.sentences.get(sentence, sentence)

    def begin(self, page: str, title: str) -> list[str]:
        """A page's title and its link to the other language."""
        link = f"[English]({page}.md)" if self.suffix else f"[中文]({page}.zh.md)"
        return [f"# {self.say(title)}", link, MADE_BY]

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        lines = [f"| {' | '.join(cells)} |" for cells in (tuple(map(self.say, header)), *rows)]
        return "\n".join([lines[0], "|-" * len(header) + "|", *lines[1:]])


def read_sentences() -> dict[str, str]:
    """English -> Chinese."""
    lines = [line for line in SENTENCES.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(zip(lines[::2], lines[1::2], strict=True))


def command_line(language: Language) -> str:
    """The page of all commands."""
    rows, sections = [], []
    for name in COMMANDS:
        command = importlib.import_module(f"electra_paddle.commands.{name}")
        dashed = name.replace("_", "-")
        description = cell(language.say(command.DESCRIPTION))
        rows.append((f"[`{dashed}`](#{dashed})", description))
        parser = argparse.ArgumentParser(prog=f"{PROGRAM} {dashed}")
        command.add_arguments(parser)
        sections += [f"## {dashed}", description, *options(parser, OF_COMMANDS.get(name), language)]
    overview = language.table(("command", "what it does"), rows)
    return "\n\n".join(
        [*language.begin("command-line", "Command line"), language.say(COMMAND_LINE), overview, *sections]
    )


def options(parser: argparse.ArgumentParser, config: str | None, language: Language) -> list[str]:
    """A command's own options as a table, and where those of its configuration stand."""
    fields = {field.name for field in dataclasses.fields(CONFIGS[config])} if config else set()
    rows = []
    for action in parser._actions:
        if action.dest not in {"help", *fields}:
            meaning = language.say(action.help) if action.help else ""
            needed = f" ({language.say('required')})" if action.required and action.option_strings else ""
            rows.append((f"`{form(action)}`", cell(meaning + needed)))
    found = [language.table(("option", "meaning"), rows)] if rows else [language.say("No options.")]
    if config:
        title = language.say(config)
        found.append(f"{language.say(FIELDS)} [{title}](configuration{language.suffix}.md#{title.lower()})")
    return found


def form(action: argparse.Action) -> str:
    """How an option is written: `--top-k K`, `FILE ...`."""
    names = action.option_strings[-1:]
    if action.nargs == 0:
        return names[0]
    value = action.metavar or (f"{{{','.join(action.choices)}}}" if action.choices else action.dest.upper())
    value = {"+": f"{value} ...", "*": f"[{value} ...]", "?": f"[{value}]"}.get(str(action.nargs), str(value))
    return " ".join([*names, value])


def configuration(language: Language) -> str:
    """The page of all settings."""
    parts = [*language.begin("configuration", "Configuration"), language.say(CONFIGURATION)]
    for title, config in CONFIGS.items():
        groups: dict[str, list[tuple[str, ...]]] = {}
        group = ""
        for field in dataclasses.fields(config):
            group = field.metadata.get("group") or group
            meaning = cell(language.say(field.metadata["help"]))
            row = (f"`{field.name}`", kind_of(field.type, language), default_of(field), meaning)
            groups.setdefault(group, []).append(row)
        parts.append(f"## {language.say(title)}")
        for group, rows in groups.items():
            parts += [f"### {language.say(title)}: {language.say(group)}"] if group else []
            parts.append(language.table(("entry", "type", "default", "meaning"), rows))
    return "\n\n".join(parts)


def own_task(language: Language) -> str:
    """The page of tasks of one's own, with the table of their keys as they are now."""
    rows = [
        (f"`{field.name}`", cell(language.say(field.metadata["help"]))) for field in dataclasses.fields(TaskDescription)
    ]
    before, table = (ROOT / "docs" / f"own-task{language.suffix}.md").read_text(encoding="utf-8").split(f"{MADE_BY}\n")
    after = table[table.index("\n\n") :]
    return f"{before}{MADE_BY}\n{language.table(('key', 'what it says'), rows)}{after}"


def kind_of(kind: Any, language: Language) -> str:
    """A field's type in words."""
    if isinstance(kind, types.UnionType):
        names = [kind_of(part, language) for part in typing.get_args(kind) if part is not type(None)]
        return f" {language.say('or')} ".join(names)
    return language.say(KINDS[typing.get_origin(kind) or kind])


def default_of(field: dataclasses.Field[Any]) -> str:
    """A field's default as one would write it in a file; nothing where it follows from other fields."""
    value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    if value is None or value in ({}, (), ""):
        return ""
    return f"`{value if isinstance(value, str | Path) else json.dumps(value, ensure_ascii=False)}`"


def cell(text: str) -> str:
    """A sentence that may stand in a cell: placeholders are no tags, bars no borders."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def pages() -> dict[str, str]:
    """Path from the root -> text of the six pages and of the modules' READMEs.

    Raises:
        SystemExit: a sentence has no Chinese one.
    """
    found = {}
    for language in map(Language, (False, True)):
        found[f"docs/command-line{language.suffix}.md"] = command_line(language) + "\n"
        found[f"docs/configuration{language.suffix}.md"] = configuration(language) + "\n"
        found[f"docs/own-task{language.suffix}.md"] = own_task(language)
        if language.missing:
            sys.exit("\n".join([f"{SENTENCES}: found no Chinese for these sentences:", *sorted(language.missing)]))
    for module in sorted(ROOT.glob("hub_modules/*/module.py")):
        found[f"hub_modules/{module.parent.name}/README.md"] = published_readme(module.parent)
    return found


if __name__ == "__main__":
    for name, text in pages().items():
        (ROOT / name).write_text(text, encoding="utf-8")
