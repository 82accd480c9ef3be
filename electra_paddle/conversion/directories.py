"""Pretrained directories, written from arrays without Paddle."""

import contextlib
import dataclasses
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from electra_paddle.config import Geometry
from electra_paddle.conversion.heads import Head
from electra_paddle.errors import CheckpointError, reason
from electra_paddle.files import partial_of
from electra_paddle.locks import only_writer
from electra_paddle.models.pretrained_directory import write_pretrained
from electra_paddle.text import Vocabulary

ARCHITECTURES: dict[str | None, str] = {
    "generator": "ElectraGenerator",
    "discriminator": "ElectraDiscriminator",
    None: "ElectraModel",
}


# (task, its kind, entries of config.json) -> (labels or None, name -> text of further files)
Describe = Callable[[str, str, dict[str, Any]], tuple[Sequence[str] | None, dict[str, str]]]


class Network(NamedTuple):
    """A network read from another framework's files."""

    kind: str | None  # "generator", "discriminator", or None for an encoder without head
    geometry: Geometry
    arrays: dict[str, npt.NDArray[np.float32]]  # Paddle's name -> array, for every parameter
    report: list[str]  # lines that tell the user what was done
    head: Head | None = None  # fine-tuned, with an encoder without head of pre-training


@contextlib.contextmanager
def new_folder(out: str | Path) -> Iterator[Path]:
    """Yield an empty folder, which is renamed to `out` when the context ends without an error.

    Raises:
        CheckpointError: `out` exists and is not an empty folder, or it cannot be written.
    """
    out = Path(out)
    partial = partial_of(out)
    with only_writer(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise CheckpointError(out, "something there already", "a new folder", "remove it or give another name")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            yield partial
            if out.exists():
                out.rmdir()
            partial.rename(out)
        except OSError as error:
            raise CheckpointError(out, reason(error), "room and permission") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def check_vocabulary(geometry: Geometry, vocabulary: Vocabulary, source: str | Path) -> None:
    """Check that a vocabulary fits the word embeddings.

    Raises:
        CheckpointError: they differ in the number of entries.
    """
    if geometry.vocab_size != len(vocabulary):
        raise CheckpointError(
            source,
            f"word embeddings of {geometry.vocab_size:,} entries and a vocabulary of {len(vocabulary):,} lines",
            "the vocabulary of these weights",
            "convert with --vocab-file",
        )


def write_network(
    network: Network,
    folder: Path,
    vocabulary: Vocabulary,
    tokenizer: Mapping[str, Any],
    source: str,
    more: Mapping[str, str] | None = None,
) -> None:
    """Write a pretrained directory, or with a fine-tuned head a fine-tuned one.

    Args:
        tokenizer: entries of tokenizer_config.json, without the class.
        source: where the weights come from, named in the model card.
        more: name -> text of further files.
    """
    head, arrays = network.head, network.arrays
    card = model_card(head.kind if head else network.kind or "encoder", network.geometry, arrays, source)
    config = config_entries(head.architecture if head else ARCHITECTURES[network.kind], network.geometry)
    if head:
        config, arrays = {**config, **head.config}, {**arrays, **head.arrays}
    write_pretrained(config, arrays, folder, vocabulary, tokenizer, card, more)


def config_entries(architecture: str, geometry: Geometry) -> dict[str, Any]:
    """The entries of config.json, as PaddleNLP writes it."""
    entries = {"architectures": [architecture], "layer_norm_eps": 1e-12, "model_type": "electra"}
    return {**dataclasses.asdict(geometry), **entries, "paddlenlp_version": None}


def model_card(title: str, shape: Geometry, arrays: Mapping[str, npt.NDArray[Any]], source: str) -> str:
    """The text of README.md.

    Args:
        source: where the weights come from.
    """
    count = sum(math.prod(array.shape) for array in arrays.values())
    return (
        f"# ELECTRA {title}, from {source}\n\n"
        f"Converted by electra_paddle. {shape.num_hidden_layers} layers, hidden size {shape.hidden_size}, "
        f"{shape.num_attention_heads} attention heads, embedding size {shape.embedding_size}, vocabulary of "
        f"{shape.vocab_size:,} entries, {count:,} parameters.\n\n"
        "Licence, training data and limits are those of the weights it was made from.\n"
    )
