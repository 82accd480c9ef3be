"""The description of a task, guessed from its data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle.published_models import NANO

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

DESCRIPTION = "Look at data files, guess kind, columns and labels, and write a task's description to go on from."
COMMENTS = {
    "format": "of the files",
    "header": "whether the first line names the columns",
    "ignore_labels": "rows with these are left out",
    "folder": "of the files",
    "files": "their names there",
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("train", type=Path, metavar="FILE", help="training data, or data to predict")
    parser.add_argument("--dev", type=Path, metavar="FILE", help="data that models are compared on")
    parser.add_argument("--test", type=Path, metavar="FILE", help="data that is looked at last")
    parser.add_argument("--name", help="of the task [that of the training data]")
    parser.add_argument("--out", type=Path, help="the description [NAME.yaml]; it must not exist")
    parser.add_argument("--encoding", help="of the files, if it is not UTF-8 and cannot be told")
    parser.add_argument(
        "--model-name",
        default="chinese-electra-small",
        help="of the command that is printed; chinese-electra-nano needs no network",
    )


def run(arguments: Namespace) -> None:
    from electra_paddle.errors import ConfigError
    from electra_paddle.files import replace_text
    from electra_paddle.finetuning.guess import guess_task

    files = {split: path for split in ("train", "dev", "test") if (path := getattr(arguments, split))}
    folder = arguments.train.resolve().parent
    for split, path in files.items():
        if path.resolve().parent != folder:
            raise ConfigError(f"--{split}", str(path), f"a file in {folder}", "put the files of a task into one folder")
    name = arguments.name or arguments.train.stem
    out: Path = arguments.out or Path(f"{name}.yaml")
    if out.exists():
        raise ConfigError(str(out), "a file that exists", "none", "choose another --out")
    guess = guess_task(arguments.train, arguments.encoding)
    entries = {
        **guess.entries,
        "folder": str(folder),
        "files": {split: [path.name] for split, path in files.items()},
    }
    if out.stem != name:
        entries = {"name": name, **entries}
    replace_text(out, description_text(entries, guess.reasons))
    print("\n".join(summary(guess.entries, guess.reasons, guess.examples, out, files, arguments.model_name)))


def description_text(entries: dict[str, Any], reasons: dict[str, str]) -> str:
    """A task's YAML, with a comment on what was guessed."""
    import yaml

    lines = ["# Guessed from the data; every line may be changed. Keys: docs/own-task.md"]
    for name, value in entries.items():
        text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=True, width=10_000, sort_keys=False).split(
            "\n"
        )[0]
        comment = reasons.get(name) or COMMENTS.get(name)
        lines.append(f"{name}: {text}" + (f"  # {comment}" if comment else ""))
    return "\n".join(lines) + "\n"


def summary(
    entries: dict[str, Any],
    reasons: dict[str, str],
    examples: list[dict[str, Any]],
    out: Path,
    files: dict[str, Path],
    model_name: str,
) -> list[str]:
    """What was understood, and the commands that go on."""
    task = shlex.quote(str(out))
    lines = [f"{out}: {entries['kind']} ({reasons['kind']}), format {entries['format']}"]
    lines += [
        f"  {role}: column {key!r}" + (f" ({reasons[role]})" if role in reasons else "")
        for role, key in entries.get("columns", {}).items()
    ]
    for number, example in enumerate(examples, 1):
        shown = ", ".join(f"{role} {str(value)[:40]!r}" for role, value in example.items() if role != "id")
        lines.append(f"  row {number}: {shown}")
    if "columns" in entries and not {"label", "answers", "tag"} & entries["columns"].keys():
        source = shlex.quote(str(files["train"]))
        return [*lines, "predict:", f"  python -m electra_paddle predict MODEL {source} answers.csv"]
    lines += ["check:", f"  python -m electra_paddle check-data {task}"]
    more = "" if "dev" in files else " --folds 5"
    if "dev" not in files:
        lines.append("no dev file: --folds 5 measures on parts held out of the training data (or give --dev FILE)")
    offline = "" if model_name == NANO.name else f" ({NANO.name} needs no network)"
    lines += [
        f"train{offline}:",
        f"  python -m electra_paddle run-finetuning --model-name {model_name} --task {task}{more}",
    ]
    return lines
