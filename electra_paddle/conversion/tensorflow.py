"""The networks in a TensorFlow checkpoint, and their parameters under Paddle's names."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from electra_paddle.conversion.directories import Network
from electra_paddle.conversion.names import BODIES, Names, count_layers, name_table, task_table
from electra_paddle.conversion.shapes import fill, infer_geometry
from electra_paddle.conversion.tensor_bundle import TensorBundle
from electra_paddle.errors import CheckpointError

SLOTS = {"adam_m": "moment1", "adam_v": "moment2"}  # TensorFlow's -> Paddle's name of Adam's moments
STEP = "global_step"
IGNORED = ("temperature",)  # a variable that is not trained
WORDS = "embeddings/word_embeddings"


class Layout(NamedTuple):
    """The way in which a checkpoint's variables make up its networks."""

    networks: tuple[str, ...]  # of "generator" and "discriminator" those that it holds
    generator_body: str  # scope of the generator's encoder: "generator" or "electra"
    generator_embeddings: str  # scope of the generator's embeddings, likewise
    tasks: tuple[str, ...]  # the tasks whose heads it holds, if it is fine-tuned

    def tables(self, variables: Collection[str]) -> dict[str, list[Names]]:
        """Network, or task of a fine-tuned checkpoint -> the Names of its parameters."""
        if not self.tasks:
            return {network: self.table(network, variables) for network in self.networks}
        encoder = self.table(None, variables)
        return {task: encoder + task_table(task, variables) for task in self.tasks}

    def table(self, network: str | None, variables: Collection[str]) -> list[Names]:
        """The Names of a network's parameters, of an encoder without head for None."""
        body = self.generator_body if network == "generator" else "electra"
        embeddings = self.generator_embeddings if network == "generator" else "electra"
        pattern = re.compile(rf"{body}/encoder/layer_(\d+)/")
        has_projection = f"{body}/embeddings_project/kernel" in variables
        return name_table(network, count_layers(pattern, variables), has_projection, body, embeddings)


def find_layout(variables: Collection[str], source: str | Path, partial: bool = False) -> Layout:
    """The Layout of a checkpoint.

    Args:
        variables: their names.
        source: shown in messages.
        partial: whether to accept one network without the other.

    Raises:
        CheckpointError: it is not ELECTRA's, has no head, or lacks one of the two networks.
    """
    if f"electra/{WORDS}" not in variables:
        if any(name.startswith("bert/") for name in variables):
            raise CheckpointError(source, "a checkpoint of BERT (variables bert/...)", "one of ELECTRA (electra/...)")
        first = min(variables, default="no variable at all")
        raise CheckpointError(source, f"no electra/{WORDS} ({first} is the first)", "a checkpoint of ELECTRA")

    def has(scope: str) -> bool:
        return any(name.startswith(scope + "/") for name in variables)

    tasks = sorted({name.split("/")[1] for name in variables if name.startswith("task_specific/")})
    networks = [network for network in BODIES if network and has(f"{network}_predictions")]
    if not tasks and not networks:
        raise CheckpointError(
            source, "an encoder without a head", "the heads of generator or discriminator, or of a task"
        )
    if not tasks and len(networks) == 1 and not partial:
        other = {"generator": "discriminator", "discriminator": "generator"}[networks[0]]
        raise CheckpointError(
            source,
            f"a {networks[0]} and no {other} ({other}_predictions/...)",
            "both networks",
            f"give --partial to convert the {networks[0]} alone",
        )
    return Layout(
        tuple(networks),
        "generator" if has("generator/encoder") else "electra",
        "generator" if f"generator/{WORDS}" in variables else "electra",
        tuple(tasks),
    )


def check_names(
    tables: Mapping[str, Sequence[Names]], variables: Mapping[str, object], source: str | Path, partial: bool
) -> tuple[list[str], list[str], list[str]]:
    """Check that a checkpoint holds the variables of its networks and no others.

    Args:
        tables: what `Layout.tables` returned.
        variables: name -> anything.
        source: shown in messages.
        partial: whether to accept missing and unknown variables.

    Returns:
        Names of missing, unknown and skipped variables; skipped are Adam's moments and the step.

    Raises:
        CheckpointError: a variable is missing or unknown, unless `partial`.
    """
    expected = {names.tensorflow for table in tables.values() for names in table}
    skipped = {name for name in variables if is_skipped(name)}
    missing, extra = sorted(expected - variables.keys()), sorted(variables.keys() - expected - skipped)
    for found, names in (("no", missing), ("unknown", extra)):
        if names and not partial:
            more = f" and {len(names) - 1} more" if names[1:] else ""
            raise CheckpointError(
                source,
                f"{found} {names[0]}{more}",
                "every variable of the networks and no other",
                "give --partial to convert what fits",
            )
    return missing, extra, sorted(skipped)


def is_skipped(name: str) -> bool:
    """Whether a variable is no parameter of a network: Adam's moments, the step, the temperature."""
    last = name.rsplit("/", 1)[-1]
    return last in SLOTS or last in (STEP, *IGNORED)


def shapes_of(bundle: TensorBundle, table: Sequence[Names]) -> dict[str, tuple[int, ...]]:
    """Paddle's name -> shape, of the parameters that the checkpoint has."""
    return {
        names.paddle: tuple(bundle.entries[names.tensorflow].shape)
        for names in table
        if names.tensorflow in bundle.entries
    }


def read_network(
    bundle: TensorBundle,
    table: Sequence[Names],
    name: str,
    config: Mapping[str, Any] | None,
    source: str | Path,
    head_size: int | None = None,
) -> Network:
    """Read a network; parameters that the checkpoint lacks get random initial values.

    Args:
        table: the Names of its parameters.
        name: "generator", "discriminator", or a task.
        config: entries of the configuration found beside the checkpoint, or None.
        source: shown in messages.
        head_size: hidden units of an attention head, where that is known.

    Raises:
        CheckpointError: a variable has another shape than the others imply, or its bytes are damaged.
    """
    present = [names for names in table if names.tensorflow in bundle.entries]
    geometry, notes = infer_geometry(shapes_of(bundle, present), source, config, head_size)
    kind = name if name in BODIES else None
    arrays = {names.paddle: bundle[names.tensorflow].astype("float32", copy=False) for names in present}
    fill(arrays, kind, geometry, source)
    return Network(kind, geometry, arrays, notes)
