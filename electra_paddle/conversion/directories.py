"""Pretrained directories from arrays, written without Paddle."""

import contextlib
import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import NamedTuple

from electra_paddle.config import Geometry
from electra_paddle.errors import CheckpointError
from electra_paddle.models.pretrained_directory import CARD, CONFIG, TOKENIZER, VOCABULARY, WEIGHTS
from electra_paddle.tensors import save_tensors

ARCHITECTURES = {"generator": "ElectraGenerator", "discriminator": "ElectraDiscriminator", None: "ElectraModel"}


class Network(NamedTuple):
    """What a converter makes of a source."""

    kind: str | None  # "generator", "discriminator", or None for an encoder without head
    geometry: Geometry
    arrays: dict  # Paddle's name -> float32 array, of every parameter
    report: list[str]  # lines


@contextlib.contextmanager
def new_folder(out):
    """A folder to fill, which gets its name when the context ends without an error.

    Raises:
        CheckpointError: something is there already, or it cannot be written.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CheckpointError(out, "something there already", "a new folder", "remove it or give another name")
    partial = out.with_name(out.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        if out.exists():
            out.rmdir()
        partial.rename(out)
    except OSError as error:
        raise CheckpointError(
            out, f"it cannot be written ({error.strerror or error})", "room and permission"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_vocabulary(geometry, vocabulary, source):
    """Refuse a vocabulary that is not the embeddings'.

    Raises:
        CheckpointError: it has another number of entries.
    """
    if geometry.vocab_size != len(vocabulary):
        raise CheckpointError(
            source,
            f"word embeddings of {geometry.vocab_size:,} entries and a vocabulary of {len(vocabulary):,} lines",
            "the vocabulary of these weights",
            "give --vocab-file",
        )


def write_network(network, folder, vocabulary, tokenizer, source):
    """Write a pretrained directory into a folder, which is made.

    Args:
        tokenizer: entries of tokenizer_config.json beside the class.
        source: what the weights come from, named in the model card.
    """
    folder.mkdir(exist_ok=True)
    config = {
        "architectures": [ARCHITECTURES[network.kind]],
        **dataclasses.asdict(network.geometry),
        "layer_norm_eps": 1e-12,
        "model_type": "electra",
        "paddlenlp_version": None,
    }
    write_json(folder / CONFIG, dict(sorted(config.items())))
    save_tensors(network.arrays, folder / WEIGHTS)
    vocabulary.save(folder / VOCABULARY)
    write_json(folder / TOKENIZER, {"tokenizer_class": "ElectraTokenizer", **tokenizer})
    card = model_card(network.kind or "encoder", network.geometry, network.arrays, source)
    (folder / CARD).write_text(card, encoding="utf-8")


def write_json(path, entries):
    path.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def model_card(title, shape, arrays, source):
    """Text of a README.md.

    Args:
        shape: Geometry.
        source: what the weights come from.
    """
    count = sum(math.prod(array.shape) for array in arrays.values())
    return (
        f"# ELECTRA {title}, from {source}\n\n"
        f"Converted by electra_paddle. {shape.num_hidden_layers} layers, hidden size {shape.hidden_size}, "
        f"{shape.num_attention_heads} attention heads, embedding size {shape.embedding_size}, vocabulary of "
        f"{shape.vocab_size:,} entries, {count:,} parameters.\n\n"
        "Licence, training data and limits are those of the weights it was made from.\n"
    )
