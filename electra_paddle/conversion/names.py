"""What the parameters are called in Paddle, TensorFlow and Hugging Face: one table, read in every direction.

Paddle's names are those of PaddleNLP's ElectraGenerator and ElectraDiscriminator, Hugging Face's those of
ElectraForMaskedLM and ElectraForPreTraining, TensorFlow's the variables of the original. Both networks use the
original's embeddings; what else they have of their own lies there under `electra/` (discriminator) and `generator/`.
"""

from typing import NamedTuple

# Kinds of modules: (Paddle's, TensorFlow's, Hugging Face's name of a parameter in it, and whether Hugging Face holds it
# transposed).
LINEAR = (("weight", "kernel", "weight", True), ("bias", "bias", "bias", False))
NORM = (("weight", "gamma", "weight", False), ("bias", "beta", "bias", False))
TABLE = (("weight", "", "weight", False),)
PARAMETER = (("", "", "", False),)

EMBEDDINGS = (  # (Paddle's, TensorFlow's, Hugging Face's name, kind)
    ("word_embeddings", "word_embeddings", "word_embeddings", TABLE),
    ("position_embeddings", "position_embeddings", "position_embeddings", TABLE),
    ("token_type_embeddings", "token_type_embeddings", "token_type_embeddings", TABLE),
    ("layer_norm", "LayerNorm", "LayerNorm", NORM),
)
PROJECTION = (("embeddings_project", "embeddings_project", "embeddings_project", LINEAR),)
LAYER = (
    ("self_attn.q_proj", "attention/self/query", "attention.self.query", LINEAR),
    ("self_attn.k_proj", "attention/self/key", "attention.self.key", LINEAR),
    ("self_attn.v_proj", "attention/self/value", "attention.self.value", LINEAR),
    ("self_attn.out_proj", "attention/output/dense", "attention.output.dense", LINEAR),
    ("norm1", "attention/output/LayerNorm", "attention.output.LayerNorm", NORM),
    ("linear1", "intermediate/dense", "intermediate.dense", LINEAR),
    ("linear2", "output/dense", "output.dense", LINEAR),
    ("norm2", "output/LayerNorm", "output.LayerNorm", NORM),
)
HEADS = {
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
BODIES = {"generator": "generator", "discriminator": "electra", None: "electra"}  # where TensorFlow's variables lie

# What Hugging Face's files hold besides: a buffer, and the table of words once more.
HUGGINGFACE_EXTRAS = ("electra.embeddings.position_ids", "generator_lm_head.weight")


class Names(NamedTuple):
    """Of one parameter."""

    paddle: str
    tensorflow: str
    huggingface: str
    is_transposed: bool  # Hugging Face's array is the transpose of the other two


def name_table(network, num_hidden_layers, has_projection, body=None, embeddings="electra"):
    """The Names of all parameters of a network, in the order of its layers.

    Args:
        network: "generator", "discriminator", or None for an encoder without head.
        has_projection: whether embeddings and hidden states differ in size.
        body: where TensorFlow's variables of encoder and projection lie: "generator" or "electra" [the network's
            own]; a generator that is the discriminator's encoder (untied_generator false) has "electra".
        embeddings: where its embeddings lie; "generator" for embeddings of its own (untied_generator_embeddings).
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


def task_table(task, variables):
    """The Names of a task's head in a fine-tuned checkpoint, which Hugging Face does not know.

    Args:
        variables: TensorFlow's names of what the checkpoint holds, which tell the kind of the head.
    """
    scope = f"task_specific/{task}/"
    layers = {name.split("/")[2] for name in variables if name.startswith(scope)}
    return expand([(paddle, name, "", LINEAR) for paddle, name in head_layers(layers)], "", scope)


def head_layers(layers):
    """(Paddle's, TensorFlow's) name of each layer of a head; TensorFlow counts layers that it is given no name for."""
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


def expand(modules, paddle="", tensorflow="", huggingface=""):
    """The Names of the parameters of some modules, with a prefix for each framework."""
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


def join(module, separator, parameter):
    return f"{module}{separator}{parameter}" if parameter else module
