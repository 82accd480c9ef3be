"""Names of the parameters in Paddle, TensorFlow and Hugging Face: one table for conversion in every direction.

Paddle's names are those of PaddleNLP's ElectraGenerator and ElectraDiscriminator, Hugging Face's those of
ElectraForMaskedLM and ElectraForPreTraining, TensorFlow's those of the original's variables. There both networks share
the embeddings under `electra/`; the rest of the discriminator lies under `electra/`, that of the generator under
`generator/`.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from electra_paddle.errors import CheckpointError

MOST_LAYERS = 1000
READING_ORDER = (  # of a reader's layers, as TensorFlow numbers those that are given no name
    "reading.start",
    "reading.end_hidden",
    "reading.end",
    "reading.answerable_hidden",
    "reading.answerable",
)

# (Paddle's, TensorFlow's, Hugging Face's name of a parameter within its module, whether Hugging Face has it transposed)
Parameter = tuple[str, str, str, bool]
# (Paddle's, TensorFlow's, Hugging Face's name of a module, its parameters)
Module = tuple[str, str, str, Sequence[Parameter]]

# The parameters of each kind of module.
LINEAR: tuple[Parameter, ...] = (("weight", "kernel", "weight", True), ("bias", "bias", "bias", False))
NORM: tuple[Parameter, ...] = (("weight", "gamma", "weight", False), ("bias", "beta", "bias", False))
TABLE: tuple[Parameter, ...] = (("weight", "", "weight", False),)
PARAMETER: tuple[Parameter, ...] = (("", "", "", False),)

EMBEDDINGS: tuple[Module, ...] = (
    ("word_embeddings", "word_embeddings", "word_embeddings", TABLE),
    ("position_embeddings", "position_embeddings", "position_embeddings", TABLE),
    ("token_type_embeddings", "token_type_embeddings", "token_type_embeddings", TABLE),
    ("layer_norm", "LayerNorm", "LayerNorm", NORM),
)
PROJECTION: tuple[Module, ...] = (("embeddings_project", "embeddings_project", "embeddings_project", LINEAR),)
LAYER: tuple[Module, ...] = (
    ("self_attn.q_proj", "attention/self/query", "attention.self.query", LINEAR),
    ("self_attn.k_proj", "attention/self/key", "attention.self.key", LINEAR),
    ("self_attn.v_proj", "attention/self/value", "attention.self.value", LINEAR),
    ("self_attn.out_proj", "attention/output/dense", "attention.output.dense", LINEAR),
    ("norm1", "attention/output/LayerNorm", "attention.output.LayerNorm", NORM),
    ("linear1", "intermediate/dense", "intermediate.dense", LINEAR),
    ("linear2", "output/dense", "output.dense", LINEAR),
    ("norm2", "output/LayerNorm", "output.LayerNorm", NORM),
)
HEADS: dict[str | None, tuple[Module, ...]] = {
    "generator": (
        ("generator_predictions.dense", "generator_predictions/dense", "generator_predictions.dense", LINEAR),
        (
            "generator_predictions.layer_norm",
            "generator_predictions/LayerNorm",
            "generator_predictions.LayerNorm",
            NORM,
        ),
        ("generator_lm_head_bias", "generator_predictions/output_bias", "generator_lm_head.bias", PARAMETER),
    ),
    "discriminator": (
        (
            "discriminator_predictions.dense",
            "discriminator_predictions/dense",
            "discriminator_predictions.dense",
            LINEAR,
        ),
        (
            "discriminator_predictions.dense_prediction",
            "discriminator_predictions/dense_1",
            "discriminator_predictions.dense_prediction",
            LINEAR,
        ),
    ),
    None: (),  # the encoder by itself
}
# network -> scope of its encoder's variables in TensorFlow
BODIES: dict[str | None, str] = {"generator": "generator", "discriminator": "electra", None: "electra"}

# What Hugging Face's files hold beyond parameters: a buffer, and a second copy of the word embeddings.
HUGGINGFACE_EXTRAS = ("electra.embeddings.position_ids", "generator_lm_head.weight")


class Names(NamedTuple):
    """The names of one parameter."""

    paddle: str
    tensorflow: str
    huggingface: str
    is_transposed: bool  # Hugging Face's array is the transpose of the other two


def name_table(
    network: str | None,
    num_hidden_layers: int,
    has_projection: bool,
    body: str | None = None,
    embeddings: str = "electra",
) -> list[Names]:
    """The Names of all parameters of a network, in the order of its layers.

    Args:
        network: "generator", "discriminator", or None for an encoder without head.
        has_projection: whether embeddings and hidden states differ in size.
        body: scope of encoder and projection in TensorFlow, "generator" or "electra" [as in BODIES]; a generator
            that shares the discriminator's encoder (untied_generator false) has "electra".
        embeddings: scope of the embeddings in TensorFlow; "generator" if the generator has embeddings of its own
            (untied_generator_embeddings).
    """
    body = body or BODIES[network]
    table = expand(EMBEDDINGS, "electra.embeddings.", f"{embeddings}/embeddings/", "electra.embeddings.")
    if has_projection:
        table += expand(PROJECTION, "electra.", f"{body}/", "electra.")
    for number in range(num_hidden_layers):
        table += expand(
            LAYER,
            f"electra.encoder.layers.{number}.",
            f"{body}/encoder/layer_{number}/",
            f"electra.encoder.layer.{number}.",
        )
    return table + expand(HEADS[network])


def task_table(task: str, variables: Iterable[str]) -> list[Names]:
    """The Names of a task's head in a fine-tuned checkpoint; Hugging Face has no names for them.

    Args:
        variables: TensorFlow's names of all variables in the checkpoint, which show the kind of the head.
    """
    scope = f"task_specific/{task}/"
    layers = {name.split("/")[2] for name in variables if name.startswith(scope)}
    return expand([(paddle, name, "", LINEAR) for paddle, name in head_layers(layers)], "", scope)


def head_layers(layers: Collection[str]) -> list[tuple[str, str]]:
    """(Paddle's, TensorFlow's) name of each layer of a head; TensorFlow numbers layers that are given no name."""
    if "dense_1" not in layers:
        return [("classifier", "dense")]
    reading = [("reading.start", "dense"), ("reading.end", "dense_1")]
    if "qa_hidden" in layers:
        reading.append(("reading.end_hidden", "qa_hidden"))
    if "dense_3" in layers:
        reading += [("reading.answerable_hidden", "dense_2"), ("reading.answerable", "dense_3")]
    elif "dense_2" in layers:
        reading.append(("reading.answerable", "dense_2"))
    return reading


def original_layers(layers: Collection[str]) -> list[tuple[str, str]]:
    """(Paddle's, TensorFlow's) name of each layer of a head, the other way round than `head_layers`.

    Args:
        layers: Paddle's names; those that no head of the original has are left out.
    """
    if "classifier" in layers:
        return [("classifier", "dense")]
    numbered = [name for name in READING_ORDER if name in layers]
    names = {"reading.end_hidden": "qa_hidden"}
    numbers = iter(("dense", "dense_1", "dense_2", "dense_3"))
    return [(name, names.get(name) or next(numbers)) for name in numbered]


def expand(modules: Iterable[Module], paddle: str = "", tensorflow: str = "", huggingface: str = "") -> list[Names]:
    """The Names of all parameters of some modules, with a prefix for each framework."""
    return [
        Names(
            join(paddle + theirs[0], ".", parameter[0]),
            join(tensorflow + theirs[1], "/", parameter[1]),
            join(huggingface + theirs[2], ".", parameter[2]),
            parameter[3],
        )
        for *theirs, kind in modules
        for parameter in kind
    ]


def join(module: str, separator: str, parameter: str) -> str:
    return f"{module}{separator}{parameter}" if parameter else module


def count_layers(pattern: re.Pattern[str], names: Iterable[str]) -> int:
    """The number of layers among names of parameters.

    Args:
        pattern: its first group is a layer's number.

    Raises:
        CheckpointError: a number that no network has.
    """
    last = max((int(match[1]) for match in map(pattern.match, names) if match), default=-1)
    if last >= MOST_LAYERS:
        raise CheckpointError("tensors", f"a layer of number {last:,}", f"numbers below {MOST_LAYERS:,}")
    return 1 + last
