"""Reading the network in a Hugging Face folder, without PyTorch."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from electra_paddle.conversion.directories import Network
from electra_paddle.conversion.names import HUGGINGFACE_EXTRAS, count_layers, name_table
from electra_paddle.conversion.shapes import fill, infer_geometry
from electra_paddle.conversion.torch_file import read_torch_file
from electra_paddle.errors import CheckpointError
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.tensors import read_tensors

WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")  # in this order; the first that exists is read
PREFIX = "electra."  # begins the names of the encoder's parameters, except in Hugging Face's bare encoder
EPSILON = 1e-12  # of every layer norm in the original and in PaddleNLP
LAYER = re.compile(r"electra\.encoder\.layer\.(\d+)\.")
OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def read_network(source: Path, partial: bool = False, head_size: int | None = None) -> Network:
    """Read the Network in a Hugging Face folder.

    Args:
        partial: whether to accept missing parameters, which get random initial values, and unknown ones.
        head_size: hidden units of an attention head, where that is known.

    Raises:
        CheckpointError: names the file and a parameter that is missing, unknown or of another shape.
    """
    path = find_weights(source)
    has_config = (source / pretrained.CONFIG).exists()
    config = pretrained.read_config(source, check_weights=False) if has_config else {}
    arrays = rename_old(read_torch_file(path) if path.suffix == ".bin" else read_tensors(path))
    check_is_electra(arrays, config, path)
    kind = kind_of(arrays, path)
    table = name_table(kind, num_layers(arrays), has_projection(arrays))
    skipped = [name for name in HUGGINGFACE_EXTRAS if name in arrays]
    check_tied(arrays, path)
    missing = [names.huggingface for names in table if names.huggingface not in arrays]
    extra = sorted(arrays.keys() - {names.huggingface for names in table} - set(skipped))
    if (missing or extra) and not partial:
        raise CheckpointError(path, *complaint(missing, extra), "give --partial to convert what fits")
    converted = {
        names.paddle: to_paddle(arrays[names.huggingface], names.is_transposed)
        for names in table
        if names.huggingface in arrays
    }
    geometry, report = infer_geometry({name: array.shape for name, array in converted.items()}, path, config, head_size)
    check_activation(kind, config, source / pretrained.CONFIG)
    fill(converted, kind, geometry, path)
    if config.get("layer_norm_eps", EPSILON) != EPSILON:
        report.append(
            f"NOTE: {path}: the configuration's layer_norm_eps is {config['layer_norm_eps']}, ours {EPSILON}: where "
            "hidden states vary little, outputs differ"
        )
    report += [f"PARTIAL: {name} is missing, its numbers are random" for name in missing]
    report += [f"PARTIAL: {name} is left out" for name in extra]
    report += [f"skipped: {name}" for name in skipped]
    loaded = len(table) - len(missing)
    report.append(f"{path}: {loaded} parameters loaded, {len(missing)} missing, {len(extra)} extra")
    if kind is None:
        report.append(f"NOTE: {path}: an encoder without head: a head built on it is untrained")
    return Network(kind, geometry, converted, report)


def find_weights(folder: Path) -> Path:
    """The file of weights in a folder.

    Raises:
        CheckpointError: the folder has no such file.
    """
    for name in WEIGHTS_FILES:
        if (folder / name).is_file():
            return folder / name
    found = "no such folder" if not folder.is_dir() else f"neither {' nor '.join(WEIGHTS_FILES)}"
    raise CheckpointError(folder, found, "a Hugging Face ELECTRA folder, or the name of a published model")


def rename_old(arrays: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Rename gamma and beta of old files to weight and bias, and add the prefix to the names of a bare encoder."""
    for old, new in OLD_NAMES.items():
        arrays = {name.replace(old, new): array for name, array in arrays.items()}
    if "embeddings.word_embeddings.weight" in arrays:
        arrays = {PREFIX + name: array for name, array in arrays.items()}
    return arrays


def check_is_electra(arrays: Mapping[str, object], config: Mapping[str, Any], path: Path) -> None:
    """Refuse another architecture.

    The names of BERT's bare encoder are the same as ELECTRA's, except that it also has a pooler.

    Raises:
        CheckpointError: it is another architecture.
    """
    kind = config.get("model_type", "electra")
    poolers = [name for name in arrays if "pooler.dense" in name]
    if kind == "electra" and PREFIX + "embeddings.word_embeddings.weight" in arrays and not poolers:
        return
    first = min(poolers or arrays, default="an empty file")
    if kind == "electra":
        kind = "BERT" if poolers or first.startswith("bert.") else "another architecture"
    expected = "ELECTRA's parameters (electra.embeddings.word_embeddings.weight ...)"
    raise CheckpointError(path, f"a checkpoint of {kind} ({first})", expected)


def check_activation(kind: str | None, config: Mapping[str, Any], path: Path) -> None:
    """Refuse a generator of another activation than GELU.

    transformers computes the generator's head with GELU whatever the configuration says, the original and PaddleNLP as
    it says: no configuration describes both.
    """
    activation = config.get("hidden_act", "gelu")
    if kind == "generator" and activation != "gelu":
        expected = "'gelu': transformers computes a generator's head with it, and the rest of it with hidden_act"
        raise CheckpointError(path, f"hidden_act {activation!r} of a generator", expected)


def kind_of(arrays: Collection[str], path: Path) -> str | None:
    """The network whose head is among the names: "generator", "discriminator", or None without a head."""
    kinds = [kind for kind in ("generator", "discriminator") if any(name.startswith(kind) for name in arrays)]
    if len(kinds) > 1:
        raise CheckpointError(path, "the heads of both networks", "a generator or a discriminator")
    return kinds[0] if kinds else None


def num_layers(arrays: Iterable[str]) -> int:
    """The number of encoder layers among Hugging Face's names of parameters."""
    return count_layers(LAYER, arrays)


def has_projection(arrays: Mapping[str, npt.NDArray[Any]]) -> bool:
    """Whether embeddings and hidden states differ in size."""
    words = arrays["electra.embeddings.word_embeddings.weight"]
    query = arrays.get("electra.encoder.layer.0.attention.self.query.weight", words)
    return words.shape[-1] != query.shape[-1]


def check_tied(arrays: Mapping[str, npt.NDArray[Any]], path: Path) -> None:
    """Refuse output embeddings that differ from the word embeddings: Paddle's generator has no parameter for them."""
    table, words = arrays.get("generator_lm_head.weight"), arrays["electra.embeddings.word_embeddings.weight"]
    if table is not None and not np.array_equal(table, words):
        raise CheckpointError(path, "generator_lm_head.weight unlike the word embeddings", "the same table twice")


def complaint(missing: Sequence[str], extra: Sequence[str]) -> tuple[str, str]:
    """The (found, expected) of an error about missing names, or else about unknown ones."""
    if missing:
        return f"no {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""), "every parameter"
    more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
    return f"{extra[0]}{more}, which this network lacks", "the parameters of ELECTRA's pre-training"


def to_paddle(array: npt.NDArray[Any], is_transposed: bool) -> npt.NDArray[np.float32]:
    """The array as Paddle has it: float32, transposed if the frameworks differ."""
    return np.ascontiguousarray(array.T if is_transposed else array, dtype="float32")
