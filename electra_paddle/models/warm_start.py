"""Pre-training that begins with the weights of pretrained directories."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_paddle.config import Geometry
from electra_paddle.errors import CheckpointError
from electra_paddle.models.pretrained_directory import CONFIG, VOCABULARY, WEIGHTS, read_config, read_weights
from electra_paddle.tensors import assign
from electra_paddle.text import Vocabulary

if TYPE_CHECKING:
    from electra_paddle.models.pretraining import ElectraForJointPretraining


KINDS = {"ElectraGenerator": "generator", "ElectraDiscriminator": "discriminator"}

# What shapes parameters: the numbers of a Geometry, the id of padding apart.
SHAPE = [field.name for field in dataclasses.fields(Geometry) if field.type is int and field.name != "pad_token_id"]


def find_networks(
    folders: Sequence[Path | str], vocabulary: Vocabulary, shapes: Mapping[str, Geometry | None]
) -> dict[str, Path]:
    """Find the networks to begin with: {"generator": folder, "discriminator": folder}, or one of them.

    Args:
        folders: each holds `generator/` and `discriminator/`, or is the pretrained directory of one network.
        vocabulary: of the run; weights of another one are refused.
        shapes: {"generator": Geometry, "discriminator": Geometry}, None where the run has no such network.

    Raises:
        CheckpointError: no network there, one without its head, of another shape or vocabulary, or one that the run
            does not have.
    """
    found = {}
    for folder in map(Path, folders):
        if (folder / CONFIG).is_file():
            found[kind_of(read_config(folder), folder)] = folder
        else:
            found |= {name: folder / name for name in KINDS.values() if (folder / name / CONFIG).is_file()}
    if not found:
        advice = "`python -m electra_paddle models` lists the published names"
        raise CheckpointError(
            folders[0], f"no {CONFIG}, generator/ or discriminator/", "pretrained directories", advice
        )
    for name, path in found.items():
        shape = shapes[name]
        if shape is None:
            raise CheckpointError(path, f"a {name}", "a network that this objective has")
        check_shape(read_config(path), path, shape)
        theirs = Vocabulary.load(path / VOCABULARY)
        if theirs.sha256 != vocabulary.sha256:
            raise CheckpointError(
                path / VOCABULARY,
                f"another vocabulary ({len(theirs)} entries)",
                f"this run's ({len(vocabulary)} entries)",
                "pre-train with the vocabulary of the weights",
            )
    return found


def kind_of(config: Mapping[str, Any], folder: Path) -> str:
    """The network that a configuration describes."""
    architecture = (config.get("architectures") or ["none"])[0]
    if architecture not in KINDS:
        raise CheckpointError(
            folder / CONFIG,
            f"architecture {architecture}",
            " or ".join(KINDS),
            "other heads cannot go on with pre-training",
        )
    return KINDS[architecture]


def check_shape(config: Mapping[str, Any], folder: Path, shape: Geometry) -> None:
    """Refuse a network of another shape than the run's."""
    for name in SHAPE:
        if config.get(name) != getattr(shape, name):
            raise CheckpointError(
                folder / CONFIG, f"{name} {config.get(name)}", f"{getattr(shape, name)}, as this run has it"
            )


def fill_networks(model: ElectraForJointPretraining, found: Mapping[str, Path], shared_prefix: str | None) -> list[str]:
    """Fill the joint model, every parameter of each network that was found.

    Args:
        found: what `find_networks` returned.
        shared_prefix: beginning of the names of the parameters that both networks share, or None.

    Returns:
        lines that say what was filled and what was not.

    Raises:
        CheckpointError: a parameter that is missing, left over or of another shape.
    """
    networks = {name: getattr(model, name) for name in KINDS.values() if getattr(model, name) is not None}
    if shared_prefix and len(found) == 2:
        check_shared(found, shared_prefix)
    lines = []
    for name, folder in found.items():
        lines.append(f"{name}: {assign(networks[name], *read_weights(folder))}")
    for name in networks.keys() - found.keys():
        apart = f", those under {shared_prefix} apart, which it shares" if shared_prefix else ""
        lines.append(f"NOTE: {name}: nothing to begin with, its weights are random{apart}")
    return lines


def check_shared(found: Mapping[str, Path], prefix: str) -> None:
    """Refuse two networks that differ in what they are to share."""
    one, other = (read_weights(found[name])[0] for name in ("generator", "discriminator"))
    for name in one:
        if name.startswith(prefix) and not (name in other and np.array_equal(one[name], other[name])):
            raise CheckpointError(
                found["generator"] / WEIGHTS,
                f"{name} unlike the discriminator's",
                "the same in both networks, which share it",
                "they were not trained together: give the folder of one of them",
            )
