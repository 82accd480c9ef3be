"""From a pretrained directory to the folder of a PaddleHub module."""

import re
import shutil
from importlib import resources
from pathlib import Path
from string import Template

from electra_paddle.errors import ConfigError
from electra_paddle.models.pretrained_directory import (
    CONFIG,
    TOKENIZER,
    VOCABULARY,
    WEIGHTS,
    find_pretrained,
    replace_folder,
)


def export_module(source, out, name, version="1.0.0", summary=None, overwrite=False):
    """Write a module's folder: module.py, README.md and the model in assets/.

    Args:
        source: a pretrained directory, or a pre-training run (its discriminator is taken).
        out: the folder to make.
        name: the module's name in PaddleHub, such as chinese-electra-demo.
        overwrite: replace a module's folder that is there already.

    Raises:
        ConfigError, CheckpointError: nothing is written then.
    """
    out = Path(out)
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        raise ConfigError("--name", repr(name), "lower-case words with dashes between, such as chinese-electra-demo")
    source = find_pretrained(source)
    if out.exists() and not (overwrite and (out / "module.py").is_file()):
        advice = "give --overwrite to replace it" if (out / "module.py").is_file() else ""
        raise ConfigError("OUT", f"{out}, which exists", "a new folder", advice)
    summary = summary or f"Chinese ELECTRA discriminator {name}"
    values = {
        "name": name,
        "name_literal": repr(name),
        "version_literal": repr(version),
        "summary": summary,
        "summary_literal": repr(summary),
        "class_name": "".join(word.capitalize() for word in re.split("[-_]", name)),
    }
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "assets").mkdir(parents=True)
    templates = resources.files("electra_paddle.hub") / "template"
    for file in ("module.py", "README.md"):
        text = Template((templates / f"{file}.txt").read_text(encoding="utf-8")).substitute(values)
        (partial / file).write_text(text, encoding="utf-8")
    (partial / "__init__.py").touch()
    for file in (CONFIG, WEIGHTS, VOCABULARY, TOKENIZER):
        shutil.copyfile(source / file, partial / "assets" / file)
    replace_folder(partial, out)
    return out
