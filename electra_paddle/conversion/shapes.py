"""The geometry of a network, inferred from the shapes of its parameters."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from electra_paddle.config import Geometry
from electra_paddle.conversion.names import count_layers, name_table
from electra_paddle.errors import CheckpointError
from electra_paddle.models.initialization import initial_value

LAYER = re.compile(r"electra\.encoder\.layers\.(\d+)\.")
HEAD_SIZE = 64  # hidden units of an attention head in all published models


def infer_geometry(
    shapes: Mapping[str, Sequence[int]],
    source: str | Path,
    config: Mapping[str, Any] | None = None,
    head_size: int | None = None,
) -> tuple[Geometry, list[str]]:
    """The Geometry of a network, and notes about entries of its configuration that do not fit.

    Where parameters and configuration differ, the parameters count: some published configurations are wrong, for
    example that of the legal small generator is the discriminator's. Two things do not show in parameters. The number
    of attention heads follows from `head_size`, or is taken from the configuration unless its hidden size is wrong;
    dropout if it is there. Else they are as in all published models: a head for every 64 hidden units, which a note
    says, as nothing else would; dropout 0.1.

    Args:
        shapes: Paddle's name -> shape of the parameter, at least for the encoder.
        source: shown in messages.
        config: entries of a config.json with the keys of Hugging Face and the original.
        head_size: hidden units of an attention head, see `head_size_of`.

    Returns:
        (Geometry, list of lines for the user).

    Raises:
        CheckpointError: a parameter from which a size is inferred is missing or not two-dimensional.
    """
    config = config or {}
    num_words, embedding_size = shape_of("electra.embeddings.word_embeddings.weight", shapes, source)
    hidden_size, _ = shape_of("electra.encoder.layers.0.self_attn.q_proj.weight", shapes, source)
    told: dict[str, Any] = {
        "vocab_size": num_words,
        "embedding_size": embedding_size,
        "hidden_size": hidden_size,
        "num_hidden_layers": num_layers(shapes),
        "intermediate_size": shape_of("electra.encoder.layers.0.linear1.weight", shapes, source)[1],
        "max_position_embeddings": shape_of("electra.embeddings.position_embeddings.weight", shapes, source)[0],
        "type_vocab_size": shape_of("electra.embeddings.token_type_embeddings.weight", shapes, source)[0],
    }
    notes = [
        f"NOTE: {source}: the configuration's {name} is {config[name]}, the tensors' {value}: the tensors count"
        for name, value in told.items()
        if config.get(name, value) != value
    ]
    rest = {field.name for field in dataclasses.fields(Geometry)} - {*told, "num_attention_heads"}
    told.update({name: config[name] for name in rest if config.get(name) is not None})
    is_told = config.get("hidden_size", hidden_size) == hidden_size and "num_attention_heads" in config
    heads = max(1, hidden_size // (head_size or HEAD_SIZE))
    if is_told and head_size is None:
        heads = config["num_attention_heads"]
    elif head_size is None:
        notes.append(
            f"NOTE: {source}: {heads} attention heads are a guess, one for each {HEAD_SIZE} of {hidden_size} hidden "
            "units: tensors do not tell it; a config.json beside them does, or --num-attention-heads in a conversion"
        )
    if hidden_size % heads:
        raise CheckpointError(source, f"{heads} attention heads for {hidden_size} hidden units", "a divisor of them")
    return Geometry(num_attention_heads=heads, **told), notes


def head_size_of(
    shapes: Mapping[str, Sequence[int]], num_attention_heads: int | None, source: str | Path
) -> int | None:
    """Hidden units of an attention head of a network with so many heads; None for None.

    Of two networks the generator's heads are as large as the discriminator's, and fewer.

    Raises:
        CheckpointError: the hidden units cannot be shared out among so many heads.
    """
    if num_attention_heads is None:
        return None
    hidden_size, _ = shape_of("electra.encoder.layers.0.self_attn.q_proj.weight", shapes, source)
    if num_attention_heads < 1 or hidden_size % num_attention_heads:
        found = f"--num-attention-heads {num_attention_heads} for {hidden_size} hidden units"
        raise CheckpointError(source, found, "a divisor of them")
    return hidden_size // num_attention_heads


def num_layers(shapes: Iterable[str]) -> int:
    """The number of encoder layers among Paddle's names of parameters."""
    return count_layers(LAYER, shapes)


def shape_of(name: str, shapes: Mapping[str, Sequence[int]], source: str | Path) -> tuple[int, int]:
    if name not in shapes or len(shapes[name]) != 2:
        raise CheckpointError(source, f"no {name}", "the parameters of an ELECTRA encoder")
    rows, columns = shapes[name]
    return int(rows), int(columns)


def expected_shapes(network: str | None, geometry: Geometry) -> dict[str, tuple[int, ...]]:
    """Paddle's name -> shape, for every parameter of a network.

    Args:
        network: "generator", "discriminator", or None for an encoder without head.
    """
    embedding, hidden, inner = geometry.embedding_size, geometry.hidden_size, geometry.intermediate_size
    # last part of a module's name -> (rows, columns) of its weight; a norm has columns only
    sizes: dict[str, tuple[int, ...]] = {
        "word_embeddings": (geometry.vocab_size, embedding),
        "position_embeddings": (geometry.max_position_embeddings, embedding),
        "token_type_embeddings": (geometry.type_vocab_size, embedding),
        "layer_norm": (embedding,),
        "embeddings_project": (embedding, hidden),
        "linear1": (hidden, inner),
        "linear2": (inner, hidden),
        "norm1": (hidden,),
        "norm2": (hidden,),
        "generator_predictions.dense": (hidden, embedding),
        "discriminator_predictions.dense": (hidden, hidden),
        "dense_prediction": (hidden, 1),
        "generator_lm_head_bias": (geometry.vocab_size,),
    } | {f"{name}_proj": (hidden, hidden) for name in ("q", "k", "v", "out")}
    shapes: dict[str, tuple[int, ...]] = {}
    for names in name_table(network, geometry.num_hidden_layers, embedding != hidden):
        module, _, parameter = names.paddle.rpartition(".")
        size = sizes.get(module) or sizes[(module or parameter).rpartition(".")[2]]
        shapes[names.paddle] = size if parameter == "weight" else size[-1:]
    return shapes


def fill(arrays: dict[str, npt.NDArray[Any]], kind: str | None, geometry: Geometry, path: str | Path) -> None:
    """Check the shape of every array, and add random initial values for missing ones.

    Args:
        arrays: Paddle's name -> array; missing ones are added.
        path: shown in messages.

    Raises:
        CheckpointError: an array has another shape than the geometry implies.
    """
    for name, shape in expected_shapes(kind, geometry).items():
        if name not in arrays:
            arrays[name] = initial_value(name, shape, 0, geometry.initializer_range)
        elif arrays[name].shape != shape:
            raise CheckpointError(path, f"{name} {list(arrays[name].shape)} (as Paddle has it)", f"{list(shape)}")
