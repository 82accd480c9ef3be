"""Networks from the files of Hugging Face and PaddleNLP, without PyTorch."""

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from electra_paddle.conversion.directories import Describe, Network, check_vocabulary, write_network
from electra_paddle.conversion.foreign import PREFIX, Weights, read_weights
from electra_paddle.conversion.growth import Growth, read_words
from electra_paddle.conversion.heads import read_head
from electra_paddle.conversion.names import HUGGINGFACE_EXTRAS, count_layers, name_table
from electra_paddle.conversion.shapes import fill, head_size_of, infer_geometry
from electra_paddle.conversion.tokenizer_files import read_vocabulary, tokenizer_settings
from electra_paddle.errors import CheckpointError, some_of
from electra_paddle.models import pretrained_directory as pretrained

EPSILON = 1e-12  # of every layer norm in the original and in PaddleNLP
LAYER = re.compile(r"electra\.encoder\.layer\.(\d+)\.")
PADDLES_LAYER = re.compile(r"electra\.encoder\.layers\.(\d+)\.")
QUERIES = (  # square matrices of hidden states
    "electra.encoder.layer.0.attention.self.query.weight",
    "electra.encoder.layers.0.self_attn.q_proj.weight",
)


def convert_folder(
    source: str | Path,
    folder: Path,
    vocab_file: str | Path | None = None,
    partial: bool = False,
    name: str | None = None,
    describe: Describe | None = None,
    extend_vocab: str | Path | None = None,
    num_attention_heads: int | None = None,
    head_size: int | None = None,
) -> list[str]:
    """Convert one folder or file as `convert_from_hf` does, without the protection against half-written output.

    A file in which both networks of pre-training lie becomes two directories in the folder.

    Args:
        name: name of the source in the model card [the folder's name].
        head_size: hidden units of an attention head, where that is known; then `num_attention_heads` does not count.
    """
    source = Path(source)
    beside = source if source.is_dir() else source.parent
    networks = read_networks(source, partial, num_attention_heads, head_size)
    vocabulary, notes = read_vocabulary(beside, vocab_file)
    name, settings = name or source.resolve().name, tokenizer_settings(beside)
    for network in networks.values():
        check_vocabulary(network.geometry, vocabulary, vocab_file or beside)
    if extend_vocab is not None:
        growth = Growth(read_words(extend_vocab), vocabulary, settings, extend_vocab)
        networks = {component: growth.apply(network) for component, network in networks.items()}
        vocabulary, notes = growth.vocabulary, [*notes, *growth.report]
    for component, network in networks.items():
        head, more = network.head, dict[str, str]()
        if head and describe:
            _, more = describe(name, head.kind, {**dataclasses.asdict(network.geometry), **head.config})
        write_network(network, folder / component, vocabulary, settings, name, more)
    return [line for network in networks.values() for line in network.report] + notes


def read_networks(
    source: Path, partial: bool = False, num_attention_heads: int | None = None, head_size: int | None = None
) -> dict[str, Network]:
    """The Networks of a folder or a file of Hugging Face's or PaddleNLP's, by their names; "" where there is one only.

    Args:
        partial: whether to accept missing parameters, which get random initial values, and unknown ones.
        num_attention_heads: of the discriminator where there are both; a generator's heads are as large.
        head_size: hidden units of an attention head, where that is known; then `num_attention_heads` does not count.

    Raises:
        CheckpointError: names the file and a parameter that is missing, unknown or of another shape.
    """
    found = read_weights(source)
    first = found.get("discriminator") or next(iter(found.values()))
    queries = next(({QUERIES[1]: first.arrays[name].shape} for name in QUERIES if name in first.arrays), {})
    head_size = head_size or head_size_of(queries, num_attention_heads, first.path)
    networks = {name: read_network(weights, partial, head_size) for name, weights in found.items()}
    if len(networks) > 1:
        report = next(iter(networks.values())).report
        report.insert(0, f"{first.path}: {len(networks)} networks: {', '.join(networks)}")
    return networks


def read_network(weights: Weights, partial: bool = False, head_size: int | None = None) -> Network:
    """The Network of Weights; arguments and errors as those of `read_networks`, but for the size of heads."""
    path, config, arrays = weights.path, weights.config, weights.arrays
    kind = kind_of(arrays, path)
    layers = PADDLES_LAYER if weights.is_paddle else LAYER
    table = name_table(kind, count_layers(layers, arrays), has_projection(arrays))
    theirs = [names.paddle if weights.is_paddle else names.huggingface for names in table]
    skipped = [name for name in HUGGINGFACE_EXTRAS if name in arrays]
    check_tied(arrays, path)
    missing = [name for name in theirs if name not in arrays]
    left = sorted(arrays.keys() - set(theirs) - set(skipped))
    extra = [name for name in left if kind or name.startswith(PREFIX)]
    if (missing or extra) and not partial:
        raise CheckpointError(path, *complaint(missing, extra), "convert_hf --partial converts what fits")
    converted = {
        names.paddle: to_paddle(arrays[name], names.is_transposed and not weights.is_paddle)
        for names, name in zip(table, theirs, strict=True)
        if name in arrays
    }
    geometry, report = infer_geometry({name: array.shape for name, array in converted.items()}, path, config, head_size)
    check_activation(kind, config, weights.folder / pretrained.CONFIG, weights.is_paddle)
    fill(converted, kind, geometry, path)
    epsilon = config.get("layer_norm_eps", EPSILON)
    if epsilon != EPSILON and not weights.is_paddle:
        report.append(
            f"NOTE: {path}: the configuration's layer_norm_eps is {epsilon}, ours {EPSILON}: where hidden states vary "
            "little, outputs differ"
        )
    head = read_head(weights, geometry.hidden_size) if kind is None else None
    report += [f"PARTIAL: {name} is missing, its numbers are random" for name in missing]
    report += [f"PARTIAL: {name} is left out" for name in extra]
    report += [f"skipped: {name}" for name in skipped]
    if weights.left:
        report.append(f"NOTE: {path}: left out, as they belong to no network: {some_of(weights.left)}")
    loaded = len(table) - len(missing) + (len(left) if head else 0)
    report.append(f"{path}: {loaded} parameters loaded, {len(missing)} missing, {len(extra)} extra")
    if head:
        report.append(f"{path}: a head for {head.kind} comes with the encoder")
    elif kind is None:
        report.append(f"NOTE: {path}: {about_no_head(left)}")
    return Network(kind, geometry, converted, report, head)


def about_no_head(left: Sequence[str]) -> str:
    """What is said of an encoder whose head, if there is one, is none that this package has."""
    if left:
        return f"the head is left out ({some_of(left)}), the encoder is taken: a head built on it is untrained"
    return "an encoder without head: a head built on it is untrained"


def check_activation(kind: str | None, config: Mapping[str, Any], path: Path, is_paddle: bool = False) -> None:
    """Refuse a generator of another activation than GELU, unless it is PaddleNLP's.

    transformers computes the generator's head with GELU whatever the configuration says, the original and PaddleNLP as
    it says: no configuration describes both.
    """
    activation = config.get("hidden_act", "gelu")
    if kind == "generator" and activation != "gelu" and not is_paddle:
        expected = "'gelu': transformers computes a generator's head with it, and the rest of it with hidden_act"
        raise CheckpointError(path, f"hidden_act {activation!r} of a generator", expected)


def kind_of(arrays: Collection[str], path: Path) -> str | None:
    """The network whose head is among the names: "generator", "discriminator", or None without a head."""
    kinds = [kind for kind in ("generator", "discriminator") if any(name.startswith(kind) for name in arrays)]
    if len(kinds) > 1:
        raise CheckpointError(path, "the heads of both networks", "a generator or a discriminator")
    return kinds[0] if kinds else None


def has_projection(arrays: Mapping[str, npt.NDArray[Any]]) -> bool:
    """Whether embeddings and hidden states differ in size."""
    words = arrays["electra.embeddings.word_embeddings.weight"]
    queries = [arrays[name] for name in QUERIES if name in arrays]
    return bool(queries) and words.shape[-1] != queries[0].shape[-1]


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
