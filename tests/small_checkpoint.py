"""Small TensorFlow checkpoints with random numbers, laid out as the original's options make them."""

import numpy as np

from electra_paddle.config.geometry import discriminator_geometry, generator_geometry
from electra_paddle.conversion.names import name_table
from electra_paddle.conversion.tensor_bundle import write_bundle

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(0x4E00 + number) for number in range(45))]
SHAPE = discriminator_geometry("small", len(TOKENS), 16, {"hidden_size": 32, "num_hidden_layers": 2})


def parameter_shapes(geometry, network):
    """Paddle's name -> shape, from PaddleNLP's own network."""
    import dataclasses

    import paddlenlp.transformers as models

    kind = {"generator": "ElectraGenerator", "discriminator": "ElectraDiscriminator"}[network]
    model = getattr(models, kind)(models.ElectraConfig(**dataclasses.asdict(geometry)))
    return {name: parameter.shape for name, parameter in model.named_parameters()}


def random_variables(
    networks=("generator", "discriminator"), shape=SHAPE, body="generator", embeddings="electra", slots=False, seed=0
):
    """TensorFlow's name -> array."""
    rng, arrays = np.random.default_rng(seed), {}
    for network in networks:
        geometry, options = shape, {}
        if network == "generator":
            options = {"body": body, "embeddings": embeddings}
            if body == "generator":
                geometry = generator_geometry(shape, has_own_embeddings=embeddings == "generator")
        has_projection = geometry.embedding_size != geometry.hidden_size
        shapes = parameter_shapes(geometry, network)
        for names in name_table(network, geometry.num_hidden_layers, has_projection, **options):
            arrays.setdefault(names.tensorflow, rng.normal(0, 0.1, shapes[names.paddle]).astype("float32"))
    if slots:
        moments = {f"{name}/{slot}": np.abs(array) for name, array in arrays.items() for slot in ("adam_m", "adam_v")}
        arrays |= {**moments, "global_step": np.array(7, "int64")}
    return arrays


def write_checkpoint(folder, variables, prefix="electra", tokens=TOKENS):
    """Write variables and vocab.txt, without a file `checkpoint`; returns the prefix's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_bundle(variables, folder / prefix)
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return folder / prefix
