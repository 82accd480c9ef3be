"""Weights as others write them: which file, what stands before the names, how many networks, and whose names they are.

Read are Hugging Face's and PaddleNLP's folders, whole or in shards, and single files: `.safetensors`, `.bin`, `.pt` and
`.pth` of PyTorch, Lightning's `.ckpt`, `.pdparams`. Nothing is unpickled but descriptions of arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from electra_paddle.conversion.torch_file import read_torch_file
from electra_paddle.errors import CheckpointError, some_of
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.tensors import read_shapes, read_state

Arrays = dict[str, npt.NDArray[Any]]

WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")  # in this order; the first that exists is read
INDEX = ".index.json"  # ends the names of lists of shards
OLD_CONFIG = "model_config.json"  # of PaddleNLP 2.x
FOLDER_FILES = (*WEIGHTS_FILES, *(name + INDEX for name in WEIGHTS_FILES), pretrained.OLD_WEIGHTS)
SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pdparams")
WORDS = "embeddings.word_embeddings.weight"  # the parameter that every ELECTRA has
PREFIX = "electra."  # before the names of the encoder's parameters, except in a bare encoder
WRAPPERS = {"", "module", "model", "_orig_mod", "backbone", "generator", "discriminator"}  # around a bare encoder
OF_ENCODER = ("embeddings.", "embeddings_project.", "encoder.")
OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
NETWORKS = ("generator", "discriminator")


class Weights(NamedTuple):
    """The parameters of one network and what stands beside them."""

    path: Path  # of the weights, for messages
    folder: Path  # of the configuration and the tokenizer
    arrays: Arrays  # the encoder's begin with "electra."
    config: dict[str, Any]  # {} where there is none
    is_paddle: bool  # Paddle's names and orientation, not Hugging Face's
    left: list[str]  # names of parameters that belong to no network


def find_weights(source: Path) -> Path:
    """The file of weights, or of the list of its shards.

    Raises:
        CheckpointError: there is none, or several that might be it.
    """
    if source.is_file():
        if source.suffix in SUFFIXES or source.name.endswith(INDEX):
            return source
        raise CheckpointError(source, f"a file in {source.suffix or 'no format'}", f"weights: {' or '.join(SUFFIXES)}")
    if not source.is_dir():
        raise CheckpointError(source, "no such file or folder", "a folder or file of weights, or a published name")
    for name in FOLDER_FILES:
        if (source / name).is_file():
            return source / name
    others = sorted(path for path in source.iterdir() if path.is_file() and path.suffix in SUFFIXES)
    if len(others) == 1:
        return others[0]
    found = f"neither {' nor '.join(WEIGHTS_FILES)}"
    if others:
        found = f"{len(others)} files that may be weights ({some_of([path.name for path in others])})"
    is_tensorflow = any(source.glob("*.index"))
    advice = f"TensorFlow's checkpoints are converted by: python -m electra_paddle convert_tf {source} OUT"
    expected = "a Hugging Face ELECTRA folder, or the name of a published model"
    raise CheckpointError(source, found, expected, advice if is_tensorflow else "")


def read_weights(source: Path) -> dict[str, Weights]:
    """Network -> its Weights; the network is "" where there is one only.

    Raises:
        CheckpointError: nothing to read, a damaged file, or no ELECTRA.
    """
    path = find_weights(source)
    folder = source if source.is_dir() else source.parent
    config = read_config(folder)
    arrays = old_names(read_arrays(path))
    prefixes = sorted({name.removesuffix(WORDS) for name in arrays if name.endswith(WORDS)})
    if not prefixes:
        check_is_electra(arrays, config, path)
    networks = {}
    for prefix in prefixes:
        wrapper = prefix.removesuffix(PREFIX)
        if prefix == wrapper and not WRAPPERS.issuperset(prefix.split(".")):  # such as bert.
            check_is_electra(arrays, config, path)
        name = next((name for name in NETWORKS if name in wrapper), "") if len(prefixes) > 1 else ""
        if name in networks:
            found = f"several networks ({', '.join(f'{each}...' for each in prefixes)})"
            raise CheckpointError(path, found, "one, or a generator and a discriminator")
        own = {key.removeprefix(wrapper): array for key, array in arrays.items() if key.startswith(wrapper)}
        if prefix == wrapper:  # a bare encoder
            own = {PREFIX + key if key.startswith(OF_ENCODER) else key: array for key, array in own.items()}
        check_is_electra(own, config, path)
        is_paddle = any(key.startswith(f"{PREFIX}encoder.layers.") for key in own)
        networks[name] = Weights(path, folder, own, config, is_paddle, [])
    wrappers = tuple(prefix.removesuffix(PREFIX) for prefix in prefixes)
    left = sorted(key for key in arrays if not key.startswith(wrappers))
    if len(wrappers) == 1:
        networks = with_shared_encoder(networks[""], wrappers[0], {key: arrays[key] for key in left}) or networks
        left = [key for key in left if not key.startswith(tuple(f"{name}." for name in networks if name))]
    first = next(iter(networks))
    return {**networks, first: networks[first]._replace(left=left)}


def with_shared_encoder(weights: Weights, wrapper: str, others: Arrays) -> dict[str, Weights]:
    """Both networks of a file in which one of them has the encoder and the other one only its head; {} for others.

    Args:
        wrapper: what stands before the encoder's names, such as "discriminator.".
        others: the arrays whose names begin otherwise.
    """
    for name, other in (NETWORKS, NETWORKS[::-1]):
        head = {key.removeprefix(f"{other}."): array for key, array in others.items() if key.startswith(f"{other}.")}
        if wrapper == f"{name}." and head:
            encoder = {key: array for key, array in weights.arrays.items() if key.startswith(PREFIX)}
            return {name: weights, other: weights._replace(arrays={**encoder, **head})}
    return {}


def read_index(path: Path) -> dict[str, Path]:
    """parameter -> its shard, of a list of shards.

    Raises:
        CheckpointError: no such list, or a shard that lies elsewhere.
    """
    places = pretrained.read_json(path).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise CheckpointError(path, "no weight_map", "parameter -> the shard's name")
    for name in sorted(set(places.values())):
        if Path(name).name != name or Path(name).suffix not in SUFFIXES:
            raise CheckpointError(path, f"a shard {name!r}", "the name of a file beside it")
    return {parameter: path.parent / name for parameter, name in places.items()}


def weights_files(path: Path) -> list[Path]:
    """The files that `find_weights` stands for: itself, and the shards that it lists.

    Raises:
        CheckpointError: it is a list of shards that cannot be read.
    """
    shards = sorted(set(read_index(path).values())) if path.name.endswith(INDEX) else []
    for shard in shards:
        if not shard.is_file():
            raise CheckpointError(path, f"no {shard.name}", "all shards that it lists beside it")
    return [path, *shards]


def read_arrays(path: Path) -> Arrays:
    """name -> array of a file, or of all shards that a list names.

    Raises:
        CheckpointError: one is missing or damaged, or lies elsewhere.
    """
    if path.name.endswith(INDEX):
        arrays: Arrays = {}
        for shard in weights_files(path)[1:]:
            arrays |= read_arrays(shard)
        missing = sorted(read_index(path).keys() - arrays.keys())
        if missing:
            raise CheckpointError(path, f"no {some_of(missing)} in the shards", "every parameter that it lists")
        return arrays
    if path.suffix in (".safetensors", ".pdparams"):
        return read_state(path)
    return read_torch_file(path)


def read_config(folder: Path) -> dict[str, Any]:
    """The entries of config.json, or of PaddleNLP 2.x's model_config.json in that form; {} where there is neither."""
    if (folder / pretrained.CONFIG).is_file():
        return pretrained.read_config(folder, check_weights=False)
    path = folder / OLD_CONFIG
    if not path.is_file():
        return {}
    return flattened(pretrained.read_json(path), path)


def flattened(entries: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The entries of a model_config.json: a network's arguments, those of the encoder within.

    PaddleNLP 2.x wrote `{"init_args": [{..., "init_class": "ElectraModel"}], "init_class": "ElectraFor...", ...}`.
    """
    inner: dict[str, Any] = {}
    arguments = entries.get("init_args", ())
    for value in arguments if isinstance(arguments, list | tuple) else ():
        if isinstance(value, dict):
            inner |= flattened(value, path)
    own = {name: value for name, value in entries.items() if name not in ("init_args", "init_class")}
    if "num_classes" in own:
        own.setdefault("num_labels", own.pop("num_classes"))
    flat = {**inner, **own, "architectures": [entries.get("init_class", "ElectraModel")]}
    pretrained.check_entries(flat, path)
    return flat


def old_names(arrays: Arrays) -> Arrays:
    """The arrays with the gamma and beta of old files called weight and bias."""
    for old, new in OLD_NAMES.items():
        arrays = {name.replace(old, new): array for name, array in arrays.items()}
    return arrays


def check_is_electra(arrays: Mapping[str, object], config: Mapping[str, Any], path: Path) -> None:
    """Refuse another architecture.

    The names of BERT's bare encoder are the same as ELECTRA's, except that it also has a pooler.

    Raises:
        CheckpointError: it is another architecture.
    """
    kind = config.get("model_type", "electra")
    poolers = [name for name in arrays if "pooler.dense" in name]
    if kind == "electra" and PREFIX + WORDS in arrays and not poolers:
        return
    first = min(poolers or arrays, default="an empty file")
    if kind == "electra":
        kind = "BERT" if poolers or "bert." in first else "another architecture"
    expected = f"ELECTRA's parameters ({PREFIX}{WORDS} ...)"
    raise CheckpointError(path, f"a checkpoint of {kind} ({first})", expected)


def is_own(folder: Path) -> bool:
    """Whether a folder is a pretrained directory as this package writes it, which needs no conversion.

    Raises:
        CheckpointError: weights that cannot be read.
    """
    if not (folder / pretrained.CONFIG).is_file():
        return False
    architectures = pretrained.read_config(folder, check_weights=False).get("architectures") or [""]
    if str(architectures[0]).startswith("ElectraFor"):  # Hugging Face's and PaddleNLP's, never this package's
        return False
    try:
        path = find_weights(folder)
    except CheckpointError:
        return True  # what is missing is said where it is read
    if path.name == pretrained.WEIGHTS:
        names: Iterable[str] = read_shapes(path)
    elif path.name == pretrained.OLD_WEIGHTS:
        names = read_state(path)
    else:
        return False
    return f"{PREFIX}{WORDS}" in names and not any(".encoder.layer." in name for name in names)


def has_weights(folder: Path) -> bool:
    """Whether a folder holds weights in any layout."""
    try:
        return find_weights(folder).is_file()
    except CheckpointError:
        return False


def head_names(arrays: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """The names that are not the encoder's."""
    return sorted(name for name in arrays if not name.startswith(PREFIX))


def transposed(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """A float32 copy of a matrix as the other framework has it."""
    return np.ascontiguousarray(array.T, dtype="float32")
