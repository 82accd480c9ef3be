"""A Hugging Face folder becomes a pretrained directory, and back. Neither needs PyTorch."""

import dataclasses
import shutil
from pathlib import Path

from electra_paddle.conversion.directories import ARCHITECTURES as PADDLES
from electra_paddle.conversion.directories import check_vocabulary, new_folder, write_json, write_network
from electra_paddle.conversion.huggingface import PREFIX, WEIGHTS_FILES, complaint, fill, read_network
from electra_paddle.conversion.names import name_table
from electra_paddle.conversion.shapes import infer_geometry
from electra_paddle.errors import CheckpointError
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.tensors import save_tensors
from electra_paddle.text import Vocabulary

ARCHITECTURES = {"generator": "ElectraForMaskedLM", "discriminator": "ElectraForPreTraining", None: "ElectraModel"}
SETTINGS = ("do_lower_case", "strip_accents")  # of a tokenizer that ours knows too


def convert_from_hf(folders, out, vocab_file=None, partial=False):
    """Make pretrained directories of Hugging Face folders.

    Args:
        folders: network -> folder; the network is "" where there is one folder, of whatever network.
        out: folder, which is made: a pretrained directory, or `generator/` and `discriminator/` of two.
        vocab_file: the vocabulary, where a folder has none.
        partial: convert what fits although something is missing (its numbers are random then) or left over.

    Returns:
        list of lines that report what was done.

    Raises:
        CheckpointError, DataError: a source is damaged, incomplete or not ELECTRA's. Nothing is written then.
    """
    with new_folder(out) as partial_out:
        return [
            line
            for name, folder in folders.items()
            for line in convert_folder(folder, partial_out / name, vocab_file, partial)
        ]


def convert_folder(source, folder, vocab_file=None, partial=False, name=None):
    """Like `convert_from_hf`, into a folder that nobody sees yet.

    Args:
        name: what the source is called in the model card; default the folder's name.
    """
    source = Path(source)
    network = read_network(source, partial)
    vocab_file = Path(vocab_file or source / pretrained.VOCABULARY)
    if not vocab_file.is_file():
        raise CheckpointError(vocab_file, "no such file", "the vocabulary of these weights", "give --vocab-file")
    vocabulary = Vocabulary.load(vocab_file)
    check_vocabulary(network.geometry, vocabulary, vocab_file)
    write_network(network, folder, vocabulary, tokenizer_settings(source), name or source.resolve().name)
    return network.report


def tokenizer_settings(folder):
    """What a tokenizer_config.json says about normalisation; lower case where it says nothing."""
    path = folder / pretrained.TOKENIZER
    settings = pretrained.read_json(path) if path.exists() else {}
    return {"do_lower_case": True} | {key: settings[key] for key in SETTINGS if settings.get(key) is not None}


def convert_to_hf(source, out):
    """Make a Hugging Face folder of a pretrained directory, or one each of a folder with both networks.

    Returns:
        list of lines that report what was done.

    Raises:
        CheckpointError: nothing to convert, half a pair, or parameters that do not fit. Nothing is written then.
    """
    source = Path(source)
    if (source / pretrained.CONFIG).is_file():
        with new_folder(out) as folder:
            return [write_hf_folder(source, folder)]
    names = [name for name in ("generator", "discriminator") if (source / name / pretrained.CONFIG).is_file()]
    if len(names) == 1:
        raise CheckpointError(source, f"{names[0]}/ alone", "both networks", f"name {source / names[0]} to convert it")
    if not names:
        raise CheckpointError(source, f"no {pretrained.CONFIG}, generator/ or discriminator/", "a pretrained directory")
    with new_folder(out) as folder:
        return [write_hf_folder(source / name, folder / name) for name in names]


def write_hf_folder(source, folder):
    """Write what transformers reads; returns a line that reports."""
    config = pretrained.read_config(source)
    architecture = (config.get("architectures") or ["none"])[0]
    kinds = {paddles: kind for kind, paddles in PADDLES.items()}
    if architecture not in kinds:
        raise CheckpointError(source / pretrained.CONFIG, f"architecture {architecture}", " or ".join(kinds))
    kind, (arrays, path) = kinds[architecture], pretrained.read_weights(source)
    geometry, notes = infer_geometry({name: array.shape for name, array in arrays.items()}, path, config)
    table = name_table(kind, geometry.num_hidden_layers, geometry.embedding_size != geometry.hidden_size)
    missing = [names.paddle for names in table if names.paddle not in arrays]
    extra = sorted(arrays.keys() - {names.paddle for names in table})
    if missing or extra:
        raise CheckpointError(path, *complaint(missing, extra))
    fill(arrays, kind, geometry, path)
    vocabulary = Vocabulary.load(source / pretrained.VOCABULARY)
    check_vocabulary(geometry, vocabulary, source / pretrained.VOCABULARY)
    folder.mkdir(exist_ok=True)
    entries = {"architectures": [ARCHITECTURES[kind]], "model_type": "electra", "layer_norm_eps": 1e-12}
    write_json(folder / pretrained.CONFIG, {**entries, **dataclasses.asdict(geometry), "torch_dtype": "float32"})
    tensors = {
        names.huggingface.removeprefix("" if kind else PREFIX): arrays[names.paddle].T
        if names.is_transposed
        else arrays[names.paddle]
        for names in table
    }
    save_tensors(tensors, folder / WEIGHTS_FILES[0], form="pt")
    shutil.copyfile(source / pretrained.VOCABULARY, folder / pretrained.VOCABULARY)
    settings = {"tokenizer_class": "ElectraTokenizer", "model_max_length": geometry.max_position_embeddings}
    write_json(folder / pretrained.TOKENIZER, {**settings, **tokenizer_settings(source)})
    return "\n".join([*notes, f"{source}: {len(table)} parameters written for transformers' {ARCHITECTURES[kind]}"])
