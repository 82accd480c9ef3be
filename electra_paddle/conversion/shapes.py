"""A network's shape, told from its parameters and compared with what a configuration says."""

import dataclasses
import re

from electra_paddle.config import Geometry
from electra_paddle.conversion.names import name_table
from electra_paddle.errors import CheckpointError

LAYER = re.compile(r"electra\.encoder\.layers\.(\d+)\.")
WIDTH_OF_A_HEAD = 64


def infer_geometry(shapes, source, config=None):
    """The Geometry of a network, and notes about a configuration that does not fit.

    The parameters are what counts. What they do not show is taken from the configuration where its shape is theirs
    (number of attention heads), or wherever it says so (dropout); else it is as in all published models: a head for
    every 64 numbers, 0.1 of dropout. Some published configurations are wrong: that of the legal small generator is
    the discriminator's.

    Args:
        shapes: Paddle's name -> shape of the parameter, of the encoder at least.
        source: named in messages.
        config: entries of a config.json in the words of Hugging Face and the original.

    Returns:
        (Geometry, list of lines).

    Raises:
        CheckpointError: a parameter without which no shape can be told is missing.
    """
    config = config or {}
    num_words, embedding_size = shape_of("electra.embeddings.word_embeddings.weight", shapes, source)
    hidden_size, _ = shape_of("electra.encoder.layers.0.self_attn.q_proj.weight", shapes, source)
    told = {
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
    heads = max(1, hidden_size // WIDTH_OF_A_HEAD)
    if config.get("hidden_size") == hidden_size:
        heads = config.get("num_attention_heads", heads)
    return Geometry(num_attention_heads=heads, **told), notes


def num_layers(shapes):
    """How many layers parameters of Paddle's names belong to."""
    return 1 + max((int(match[1]) for match in map(LAYER.match, shapes) if match), default=-1)


def shape_of(name, shapes, source):
    if name not in shapes or len(shapes[name]) != 2:
        raise CheckpointError(source, f"no {name}", "the parameters of an ELECTRA encoder")
    return tuple(map(int, shapes[name]))


def expected_shapes(network, geometry):
    """Paddle's name -> shape of every parameter of a network.

    Args:
        network: "generator", "discriminator", or None for an encoder without head.
    """
    embedding, hidden, inner = geometry.embedding_size, geometry.hidden_size, geometry.intermediate_size
    sizes = {  # last part of a module's name -> (rows, columns) of its weight; a norm has columns only
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
    shapes = {}
    for names in name_table(network, geometry.num_hidden_layers, embedding != hidden):
        module, _, parameter = names.paddle.rpartition(".")
        size = sizes.get(module) or sizes[(module or parameter).rpartition(".")[2]]
        shapes[names.paddle] = size if parameter == "weight" else size[-1:]
    return shapes
