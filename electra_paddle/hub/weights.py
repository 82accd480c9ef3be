"""Find a module's weights: its assets, a folder that the caller names, or the published model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle import published_models
from electra_paddle.conversion import published
from electra_paddle.errors import CheckpointError, DataError
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.task_kinds import KINDS, kind_of_architecture

if TYPE_CHECKING:
    from electra_paddle.hub.module import ElectraModule

TASK = "task.json"  # in a fine-tuned directory: what one has to know to use it
PAIR_TASKS = {  # where texts come in pairs
    "seq-cls": "pair-cls",
    "multi-label-cls": "pair-multi-label-cls",
    "regression": "pair-regression",
    "multiple-choice": "pair-multiple-choice",
}
THREE_WAYS = (
    "connect to the network once, HF_ENDPOINT may name a mirror, such as https://hf-mirror.com; "
    "or give pretrained=DIR, a pretrained directory; "
    "or install an archive that holds its weights, which tools/export_hub_module.py makes"
)


def find_weights(module: ElectraModule, name_or_folder: str | Path | None, component: str) -> Path:
    """The pretrained directory of a module's network.

    Args:
        module: an ElectraModule.
        name_or_folder: what the caller gave, or None.
        component: "discriminator" or "generator".

    Raises:
        CheckpointError, DataError: there is none.
    """
    if name_or_folder is not None:
        return named_weights(name_or_folder, component)
    assets = Path(module.directory) / "assets"
    if module.weights is None or assets.is_dir():
        return find_component(assets, component)
    try:
        return fetch(module.weights, component)
    except DataError as error:
        raise DataError(module.name, f"no weights ({error.found})", "weights from somewhere", THREE_WAYS) from None


def named_weights(name_or_folder: str | Path, component: str) -> Path:
    """The pretrained directory of a network in a folder, or of a published model where no folder is called so."""
    name = published.published_name(name_or_folder)
    if name is None or Path(name_or_folder).exists():
        return find_component(Path(name_or_folder), component)
    return fetch(name, component)


def fetch(name: str, component: str) -> Path:
    """The pretrained directory of a published model, made when it is first asked for."""
    repositories = published_models.repositories_of(name)
    wanted = [repository for repository in repositories if repository.endswith(component)]
    return published.keep((wanted or repositories)[0], name)


def find_component(folder: Path, component: str) -> Path:
    """The network in a folder: a run's, a module's assets, or the pretrained directory itself."""
    found = published.pretrained_directory(folder)
    if component == "discriminator" or architecture_of(found) == "ElectraGenerator":
        return found
    inner = (folder if found == folder else found.parent) / component
    if (inner / pretrained.CONFIG).is_file():
        return inner
    raise no_generator(folder)


def check_generator(folder: Path) -> None:
    """Refuse a pretrained directory of another network.

    Raises:
        CheckpointError: it is not a generator's.
    """
    if architecture_of(folder) != "ElectraGenerator":
        raise no_generator(folder)


def no_generator(folder: Path) -> CheckpointError:
    advice = "give pretrained=DIR, the folder of a pre-training run, or for fill-mask alone that of a generator"
    return CheckpointError(folder, "no generator", "one, to fill masks", advice)


def architecture_of(folder: Path) -> str:
    """The class of a pretrained directory's network, as its configuration names it."""
    return (pretrained.read_config(folder).get("architectures") or ["none"])[0]


def task_of(folder: Path) -> tuple[str | None, list[Any] | None]:
    """(task, labels or None) that a directory was fine-tuned for; (None, None) for others.

    Raises:
        CheckpointError: it was fine-tuned for something that modules do not do.
    """
    entry = kind_of_architecture(architecture_of(folder))
    task = entry.hub_task if entry else None
    path = Path(folder) / TASK
    if not path.is_file():
        names = pretrained.read_config(folder).get("id2label") or {}
        return task, [label for _, label in sorted((int(key), label) for key, label in names.items())] or None
    description = pretrained.read_json(path)
    entry = KINDS.get(str(description.get("kind")))
    if entry is None:
        raise CheckpointError(path, f"kind {description.get('kind')!r}", " or ".join(KINDS))
    task = entry.hub_task
    if description.get("is_pair"):
        task = PAIR_TASKS.get(task, task)
    return task, description.get("labels") or None


def settings_of(folder: Path) -> dict[str, Any]:
    """The hyper-parameters that a directory was fine-tuned with and is used with; {} for others."""
    path = Path(folder) / TASK
    task = pretrained.read_json(path) if path.is_file() else {}
    return {**(task.get("settings") or {}), **(task.get("chosen") or {})}
