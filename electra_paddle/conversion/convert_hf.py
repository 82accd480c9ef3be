"""Conversion of Hugging Face folders to pretrained directories and back, without PyTorch."""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from electra_paddle.conversion.directories import ARCHITECTURES as PADDLES
from electra_paddle.conversion.directories import Describe, check_vocabulary, new_folder
from electra_paddle.conversion.foreign import INDEX, PREFIX, WEIGHTS_FILES
from electra_paddle.conversion.heads import ARCHITECTURES as HEADS
from electra_paddle.conversion.heads import write_head
from electra_paddle.conversion.huggingface import check_activation, complaint, convert_folder
from electra_paddle.conversion.names import name_table
from electra_paddle.conversion.published import own_networks
from electra_paddle.conversion.shapes import fill, infer_geometry
from electra_paddle.conversion.tokenizer_files import tokenizer_settings
from electra_paddle.errors import CheckpointError, ConfigError
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.tensors import save_tensors
from electra_paddle.text import Vocabulary

SHARD_SIZE = "2GB"  # of a file of weights at most
ARCHITECTURES = {"generator": "ElectraForMaskedLM", "discriminator": "ElectraForPreTraining", None: "ElectraModel"}


def convert_from_hf(
    folders: Mapping[str, str | Path],
    out: str | Path,
    vocab_file: str | Path | None = None,
    partial: bool = False,
    describe: Describe | None = None,
    extend_vocab: str | Path | None = None,
    num_attention_heads: int | None = None,
) -> list[str]:
    """Convert folders or files of Hugging Face's or PaddleNLP's to pretrained directories.

    Args:
        folders: network -> folder or file, the discriminator first; {"": folder} converts one, of any network, or both.
        out: the new folder: a pretrained directory for "", else one with a pretrained directory for each network.
        vocab_file: the vocabulary [vocab.txt in each folder].
        partial: convert what fits; missing parameters get random initial values, unknown ones are left out.
        describe: of fine-tuned models, as `convert_from_tf` has it.
        extend_vocab: a file of words that are added to the vocabulary, see `growth`.
        num_attention_heads: of the discriminator, or of the only network; a generator's heads are as large
            [as config.json says, else one for each 64 hidden units].

    Returns:
        Lines that tell the user what was done.

    Raises:
        CheckpointError, DataError: a source is damaged, incomplete or not ELECTRA's. Nothing is written then.
    """
    report, head_size = list[str](), None
    options = vocab_file, partial, None, describe, extend_vocab, num_attention_heads
    with new_folder(out) as partial_out:
        for name, folder in folders.items():
            report += convert_folder(folder, partial_out / name, *options, head_size)
            if name and num_attention_heads is not None and head_size is None:
                head_size = pretrained.read_config(partial_out / name)["hidden_size"] // num_attention_heads
    return report


def convert_to_hf(source: str | Path, out: str | Path, max_shard_size: str = SHARD_SIZE) -> list[str]:
    """Convert a pretrained or fine-tuned directory to a Hugging Face folder, or a folder with both networks to two.

    Args:
        source: a pretrained or fine-tuned directory, a folder with `generator/` and `discriminator/`, or a published
            name.
        out: the new folder, laid out like `source`.
        max_shard_size: of a file of weights, such as "500MB"; larger weights are cut into several files.

    Returns:
        Lines that tell the user what was done.

    Raises:
        CheckpointError: no network or only one of two is there, or parameters do not fit. Nothing is written then.
    """
    networks = own_networks(source)
    if not networks:
        found = f"no {pretrained.CONFIG}, generator/ or discriminator/"
        raise CheckpointError(source, found, "a pretrained directory, or a published name")
    if len(networks) == 1 and "" not in networks:
        ((name, folder),) = networks.items()
        raise CheckpointError(source, f"{name}/ alone", "both networks", f"name {folder} to convert it")
    with new_folder(out) as partial_out:
        return [write_hf_folder(folder, partial_out / name, max_shard_size) for name, folder in networks.items()]


def save_shards(tensors: Mapping[str, npt.NDArray[Any]], folder: Path, max_shard_size: str) -> int:
    """Write weights as one file, or as several with a list of them; returns how many there are.

    Raises:
        ConfigError: the size is none.
    """
    from huggingface_hub import split_state_dict_into_shards_factory

    def size_of(array: npt.NDArray[Any]) -> int:
        return int(array.nbytes)

    try:
        plan = split_state_dict_into_shards_factory(
            {**tensors},
            get_storage_size=size_of,
            filename_pattern="model{suffix}.safetensors",
            max_shard_size=max_shard_size,
        )
    except ValueError as error:
        raise ConfigError("--max-shard-size", repr(max_shard_size), "a size such as 500MB or 2GB") from error
    for name, keys in plan.filename_to_tensors.items():
        save_tensors({key: tensors[key] for key in keys}, folder / name, form="pt")
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        pretrained.write_json(folder / f"{WEIGHTS_FILES[0]}{INDEX}", index)
    return len(plan.filename_to_tensors)


def write_hf_folder(source: Path, folder: Path, max_shard_size: str = SHARD_SIZE) -> str:
    """Write a folder that transformers reads, and return lines that tell what was done."""
    config = pretrained.read_config(source, check_weights=False)  # `infer_geometry` compares them
    architecture = (config.get("architectures") or ["none"])[0]
    kinds = {paddles: kind for kind, paddles in PADDLES.items()} | dict.fromkeys(HEADS.values())
    if architecture not in kinds:
        raise CheckpointError(source / pretrained.CONFIG, f"architecture {architecture}", " or ".join(kinds))
    kind, (arrays, path) = kinds[architecture], pretrained.read_weights(source)
    head = {name: array for name, array in arrays.items() if not name.startswith(PREFIX)} if kind is None else {}
    arrays = {name: array for name, array in arrays.items() if name not in head}
    geometry, notes = infer_geometry({name: array.shape for name, array in arrays.items()}, path, config)
    table = name_table(kind, geometry.num_hidden_layers, geometry.embedding_size != geometry.hidden_size)
    check_activation(kind, config, source / pretrained.CONFIG)
    missing = [names.paddle for names in table if names.paddle not in arrays]
    extra = sorted(arrays.keys() - {names.paddle for names in table})
    if missing or extra:
        raise CheckpointError(path, *complaint(missing, extra))
    fill(arrays, kind, geometry, path)
    vocabulary = Vocabulary.load(source / pretrained.VOCABULARY)
    check_vocabulary(geometry, vocabulary, source / pretrained.VOCABULARY)
    folder.mkdir(exist_ok=True)
    name, more = ARCHITECTURES[kind], dict[str, Any]()
    own, told = dict[str, Any](), list[str]()
    if head:
        name, own, more, told = write_head(config, head, geometry.hidden_size, source)
    entries = {"architectures": [name], "model_type": "electra", "layer_norm_eps": 1e-12, **more}
    pretrained.write_json(
        folder / pretrained.CONFIG, {**entries, **dataclasses.asdict(geometry), "torch_dtype": "float32"}
    )
    tensors = own | {
        names.huggingface.removeprefix("" if kind or head else PREFIX): arrays[names.paddle].T
        if names.is_transposed
        else arrays[names.paddle]
        for names in table
    }
    num_files = save_shards(tensors, folder, max_shard_size)
    told += [f"{source}: weights in {num_files} files"] if num_files > 1 else []
    shutil.copyfile(source / pretrained.VOCABULARY, folder / pretrained.VOCABULARY)
    settings = {"tokenizer_class": "ElectraTokenizer", "model_max_length": geometry.max_position_embeddings}
    pretrained.write_json(folder / pretrained.TOKENIZER, {**settings, **tokenizer_settings(source)})
    return "\n".join([*notes, *told, f"{source}: {len(tensors)} parameters written for transformers' {name}"])
