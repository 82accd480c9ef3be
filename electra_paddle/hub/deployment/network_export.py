"""A module's network as files for Paddle Inference or ONNX Runtime, written once they compute what the module does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import paddle

from electra_paddle import __version__
from electra_paddle.errors import CheckpointError, ConfigError
from electra_paddle.files import partial_of, replace_folder, sha256
from electra_paddle.hub.deployment import onnx_network, paddle_network
from electra_paddle.hub.deployment.engines import ABOUT, FORMATS, fingerprint, input_names, open_network, task_name
from electra_paddle.hub.prediction import eager
from electra_paddle.locks import only_writer
from electra_paddle.models import pretrained_directory as pretrained
from electra_paddle.text import pad

if TYPE_CHECKING:
    from electra_paddle.batch import TokenBatch
    from electra_paddle.hub.module import ElectraModule

PRECISIONS = {"fp32": ("paddle", "onnx"), "bf16": ("paddle",), "int8": ("onnx",)}  # precision -> formats that have it
TOLERANCE = 1e-5  # of a vector's largest number, or of 1 where that is smaller; float32 rounds more in deep networks
SHAPES = ((1, 8), (4, 33), (3, 512))  # rows and tokens of the random texts, within what the network takes


def export_network(
    module: ElectraModule,
    out: str | Path,
    format: str = "paddle",
    precision: str = "fp32",
    overwrite: bool = False,
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """Write a folder with the network, vocab.txt, tokenizer_config.json and export.json, which describes them.

    Args:
        module: an ElectraModule.
        out: the folder to make.
        format: "paddle" or "onnx".
        precision: of matrix products. "bf16", only in "paddle": the file stays in float32 and is opened in bfloat16.
            "int8", only in "onnx": their weights are stored in 8 bits, after the comparison.
        overwrite: replace an exported network that is there already.
        tolerance: the largest difference in float32 to the module's outputs, as a part of the largest number in the
            same vector (a text's or token's), or of 1 where that is smaller.

    Returns:
        the entries of export.json.

    Raises:
        ConfigError, CheckpointError: an argument is of no use, or the outputs differ; nothing is written then.
    """
    out = Path(out)
    with only_writer(out):
        check_arguments(out, format, precision, overwrite, tolerance)
        return write_export(module, out, format, precision, tolerance)


def write_export(module: ElectraModule, out: Path, format: str, precision: str, tolerance: float) -> dict[str, Any]:
    """Write the folder once the exported network computes what the module does, see `export_network`."""
    partial = partial_of(out)
    shutil.rmtree(partial, ignore_errors=True)
    module.eval()
    try:
        partial.mkdir(parents=True)
        FORMATS[format].write_network(module, partial, input_names(module.handler))
        difference = compare(module, partial, format)
        if not difference <= tolerance:
            found, expected = f"outputs that differ by {difference:.1e} from the module's", f"{tolerance:g} at most"
            advice = "a large network may round so much, a larger tolerance (--tolerance) accepts it"
            raise CheckpointError(out, found, f"{expected}, on random texts", advice)
        differences = {"fp32": difference}
        if precision == "int8":
            onnx_network.quantize(partial)
        if precision != "fp32":
            differences[precision] = compare(module, partial, format, precision)
        about = describe(module, format, precision) | {"largest_difference": differences}
        about["files"] = {file.name: sha256(file) for file in FORMATS[format].files(partial)}
        copy_tokenizer(module.assets, partial)
        pretrained.write_json(partial / ABOUT, about)
        replace_folder(partial, out)
    except OSError as error:
        raise ConfigError("OUT", f"{error.filename}: {error.strerror}", "a folder that can be written") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return about


def check_arguments(out: Path, format: str, precision: str, overwrite: bool, tolerance: float) -> None:
    """Refuse what cannot be done before anything is computed."""
    if not isinstance(tolerance, int | float) or not 0 < tolerance < 1:
        raise ConfigError("tolerance", repr(tolerance), f"a number between 0 and 1, such as {TOLERANCE:.0e}")
    if format not in FORMATS:
        raise ConfigError("format", repr(format), " or ".join(map(repr, FORMATS)))
    if precision not in PRECISIONS:
        raise ConfigError("precision", repr(precision), " or ".join(map(repr, PRECISIONS)))
    if format not in PRECISIONS[precision]:
        raise ConfigError("precision", f"{precision!r} in format {format!r}", f"format {PRECISIONS[precision][0]!r}")
    if precision == "bf16":
        paddle_network.require_bf16()
    if format == "onnx":
        for library in ("paddle2onnx", "onnxruntime"):
            onnx_network.require(library)
    if out.exists():
        is_export = (out / ABOUT).is_file()
        if not (overwrite and is_export):
            advice = "overwrite (--overwrite) replaces it" if is_export else ""
            raise ConfigError("OUT", f"{out}, which exists", "a new folder", advice)


def describe(module: ElectraModule, format: str, precision: str) -> dict[str, Any]:
    """The entries of export.json: enough to use the network without this package."""
    return {
        "format": format,
        "precision": precision,
        "task": task_name(module),
        "labels": list(module.label_map.values()) if module.handler.has_classes else None,
        "inputs": {name: "int64 [batch, length]" for name in input_names(module.handler)},
        "outputs": module.handler.output_names(module),
        "max_length": module.config.max_position_embeddings,
        "weights": fingerprint(module),
        "made_by": f"electra-paddle {__version__}, Paddle {paddle.__version__}",
    }


def copy_tokenizer(folder: Path, out: Path) -> None:
    """vocab.txt, and tokenizer_config.json where there is one."""
    for name in (pretrained.VOCABULARY, pretrained.TOKENIZER):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)


def compare(module: ElectraModule, folder: Path, format: str, precision: str = "fp32") -> float:
    """The largest difference between outputs of the module and of an exported network, see TOLERANCE.

    Positions in the text are compared in "fp32" alone: otherwise what is nearly as likely may take another's place.
    """
    own, other = eager(module), open_network(module.handler, folder, format, precision)
    largest = 0.0
    for batches in random_batches(module):
        for expected, actual in zip(own(*batches), other(*batches), strict=True):
            if expected.shape != actual.shape:
                return float("inf")
            if precision != "fp32" and expected.dtype.kind == "i":
                continue
            # The largest numbers of a vector decide how much of its smaller ones is rounded off.
            scale = np.abs(expected).max(axis=-1, keepdims=True) if expected.ndim > 1 else np.abs(expected)
            difference = np.abs(actual - expected) / np.maximum(1, scale)
            largest = np.maximum(largest, difference.max())  # which keeps a NaN
    return float(largest)


def random_batches(module: ElectraModule) -> Iterator[list[TokenBatch]]:
    """TokenBatches of random tokens, one for each of the network's inputs, in every shape of SHAPES."""
    rng, vocabulary, shortest = np.random.default_rng(0), module.text_tokenizer.vocabulary, module.handler.shortest

    def sequence(length: int) -> tuple[list[int], int]:
        ids = rng.integers(1, len(vocabulary), length)
        ids[0], ids[1], ids[-1] = vocabulary.cls, vocabulary.mask, vocabulary.sep
        return ids.tolist(), int(rng.integers(2, length - shortest + 3))

    for num_rows, length in SHAPES:
        length = min(max(length, shortest), module.config.max_position_embeddings)
        lengths = [length, *rng.integers(shortest, length + 1, num_rows - 1)]  # the rows after the first are padded
        yield [pad([sequence(each) for each in lengths]) for _ in module.handler.inputs]
