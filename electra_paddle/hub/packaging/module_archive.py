"""Make a self-contained PaddleHub module of a pretrained or fine-tuned directory."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tarfile
from importlib import resources
from pathlib import Path
from string import Template

from electra_paddle import published_models
from electra_paddle.conversion.published import pretrained_directory
from electra_paddle.errors import CheckpointError, ConfigError
from electra_paddle.files import partial_of, replace_folder
from electra_paddle.hub.packaging.readme import readme
from electra_paddle.hub.packaging.trainer_checkpoint import NOTHING, Missing, is_checkpoint, write_directory
from electra_paddle.hub.packaging.vendoring import COPY, copy_package, with_relative_imports
from electra_paddle.hub.weights import PAIR_TASKS, TASK, find_component, task_of
from electra_paddle.locks import only_writer
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.tensors import save_tensors

ARCHIVE = ".tar.gz"
REQUIREMENTS = "requirements.txt"
PAIRS = {*PAIR_TASKS.values(), "similarity", "text-matching"}  # tasks on two texts


def export_module(
    source: str | Path,
    out: str | Path,
    name: str | None = None,
    version: str | None = None,
    summary: str | None = None,
    overwrite: bool = False,
    missing: Missing = NOTHING,
) -> Path:
    """Write a module: its class with the part of this package that it needs, README.md and the model in assets/.

    Args:
        source: a pretrained or fine-tuned directory, in any layout; a pre-training run, whose discriminator is taken,
            and its generator too; a folder that `hub.Trainer` wrote, or its model.pdparams; or a folder of
            hub_modules/, whose weights are left to be fetched, and which has a name, version and summary.
        out: the folder to make, or the archive if its name ends with .tar.gz.
        name: the module's name in PaddleHub, such as chinese-electra-demo; default the name of `out`.
        version: numbers with dots between; default 1.0.0.
        overwrite: replace what is there already, if it is a module or an archive.
        missing: what a checkpoint of `hub.Trainer` does not say.

    Raises:
        ConfigError, CheckpointError, DataError: nothing is written then.
    """
    source, out = Path(source), Path(out)
    partial = partial_of(out)
    given = missing.options()
    if given and source.exists() and not is_checkpoint(source):
        raise ConfigError(given[0], "an option for checkpoints of hub.Trainer", f"nothing: {source} says it itself")
    if (source / "module.py").is_file():
        for option, value in {"name": name, "version": version, "summary": summary}.items():
            if value is not None:
                raise ConfigError(f"--{option}", repr(value), f"nothing: {source} has its own in module.py")
        name, write = source.resolve().name, write_published
    else:
        name = name or out.name.removesuffix(ARCHIVE).replace("_", "-")
        version = version or "1.0.0"
        if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
            expected = "lower-case words with dashes between, such as chinese-electra-demo"
            raise ConfigError("--name", repr(name), expected)
        if not re.fullmatch(r"\d+(\.\d+)*", version):
            raise ConfigError("--version", repr(version), "numbers with dots between, such as 1.0.0")

        def write(source: Path, folder: Path) -> None:
            if is_checkpoint(source):
                write_directory(source, partial / "fine-tuned", missing)
                source = partial / "fine-tuned"
            write_module(source, folder, str(name), str(version), summary)

    folder = partial / name.replace("-", "_")
    with only_writer(out):
        check_out(out, overwrite)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            folder.mkdir(parents=True)
            write(source, folder)
            (folder / "__init__.py").touch()
            copy_package(folder)
            put_in_place(folder, out)
        except OSError as error:
            raise ConfigError("OUT", f"{error.filename}: {error.strerror}", "a folder that can be written") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return out


def check_out(out: Path, overwrite: bool) -> None:
    """Refuse to replace anything but a module, and that without being told to."""
    if out.exists():
        is_module = (out / "module.py").is_file() or (out.is_file() and out.name.endswith(ARCHIVE))
        if not (overwrite and is_module):
            advice = "give --overwrite to replace it" if is_module else ""
            raise ConfigError("OUT", f"{out}, which exists", "a new folder or archive", advice)


def write_published(source: Path, folder: Path) -> None:
    """A folder of hub_modules/ as it is, but for its imports, and with the weights that come with this package."""
    module = (source / "module.py").read_text(encoding="utf-8")
    (folder / "module.py").write_text(with_relative_imports(module, ".", COPY), encoding="utf-8")
    for file in ("README.md", REQUIREMENTS):
        shutil.copyfile(source / file, folder / file)
    repository = published_models.repository(source.resolve().name.replace("_", "-"))
    shipped = published_models.shipped_folder(repository) if repository else None
    if shipped is not None:
        (folder / "assets").mkdir()
        for file in published_models.SHIPPED:
            shutil.copyfile(shipped / file, folder / "assets" / file)


def write_module(source: Path, folder: Path, name: str, version: str, summary: str | None) -> None:
    """A module of a pretrained or fine-tuned directory."""
    directory = pretrained_directory(source)
    pretrained.load_tokenizer(directory)
    task, labels = task_of(directory)
    summary = summary or f"Chinese ELECTRA {name}" + (f" for {task}" if task else "")
    card = directory / pretrained.CARD
    values = {
        "name_literal": repr(name),
        "version_literal": repr(version),
        "summary_literal": repr(summary),
        "class_name": "".join(word.capitalize() for word in re.split("[-_]", name)),
    }
    about = card.read_text(encoding="utf-8") if card.is_file() else ""
    text = readme(name, summary, task, labels, 2 if task in PAIRS else 1, about)
    (folder / "README.md").write_text(text, encoding="utf-8")
    templates = resources.files("electra_paddle.hub.packaging") / "template"
    for file in ("module.py", REQUIREMENTS):
        text = Template((templates / f"{file}.txt").read_text(encoding="utf-8")).substitute(values)
        (folder / file).write_text(with_relative_imports(text, ".", COPY) if file == "module.py" else text, "utf-8")
    copy_model(directory, folder / "assets")
    try:
        generator = find_component(source, "generator")
    except CheckpointError:
        return
    if generator != directory:
        copy_model(generator, folder / "assets" / "generator")


def copy_model(directory: Path, folder: Path) -> None:
    """A pretrained directory, after all of it was read once to see that it is whole."""
    pretrained.read_config(directory)
    arrays, _ = pretrained.read_weights(directory)
    folder.mkdir()
    save_tensors(arrays, folder / pretrained.WEIGHTS)
    for file in (pretrained.CONFIG, pretrained.VOCABULARY, pretrained.TOKENIZER, TASK):
        if (directory / file).is_file():
            shutil.copyfile(directory / file, folder / file)


def put_in_place(folder: Path, out: Path) -> None:
    """Give a module's folder its name, or make an archive of it, the same one every time."""
    if not out.name.endswith(ARCHIVE):
        replace_folder(folder, out)
        return
    archive = folder.with_name(out.name)
    with (
        open(archive, "wb") as stream,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=stream, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        tar.add(folder, folder.name, filter=without_owner)
    os.replace(archive, out)


def without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A member of an archive without what depends on who makes it, and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
