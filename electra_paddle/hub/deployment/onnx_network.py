"""A task's network as an ONNX file, for ONNX Runtime; also in 8-bit integers.

paddle2onnx writes it and onnxruntime computes it; both come with the extra `onnx`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_paddle import runtime
from electra_paddle.errors import ConfigError
from electra_paddle.hub.deployment import paddle_network

if TYPE_CHECKING:
    from electra_paddle.arrays import Array
    from electra_paddle.hub.module import ElectraModule

FILE = "network.onnx"
OPSET = 17  # the first with layer norms


def write_network(module: ElectraModule, folder: Path, input_names: Sequence[str]) -> None:
    """Convert what Paddle exports, under the outputs' own names.

    Raises:
        ConfigError: paddle2onnx is missing, or a version that cannot.
    """
    onnx, paddle2onnx = require("onnx"), require("paddle2onnx")
    paddle_network.write_network(module, folder, input_names)
    intermediate = paddle_network.files(folder)
    try:
        content = paddle2onnx.export(*map(str, intermediate), opset_version=OPSET, verbose=False)
        model = onnx.load_from_string(content)
    except Exception as error:  # of several types
        raise cannot_convert(paddle2onnx) from error
    if not model.graph.node:
        raise cannot_convert(paddle2onnx)
    tidy(model.graph, module.handler.output_names(module))
    onnx.save(model, str(folder / FILE))
    for file in intermediate:
        file.unlink()


def cannot_convert(paddle2onnx: Any) -> ConfigError:
    """The ConfigError of a converter that does not know this Paddle's networks."""
    found = f"paddle2onnx {paddle2onnx.__version__}, which fails at this network"
    return ConfigError("onnx", found, "another version", "2.1.0 works with Paddle 3.3, and 1.2.9 with Paddle 2.6")


def tidy(graph: Any, outputs: Sequence[str]) -> None:
    """Give outputs their names, and store constants where the quantiser looks for weights."""
    new_names = {value.name: name for value, name in zip(graph.output, outputs, strict=True)}
    nodes = []
    for node in graph.node:
        if node.op_type == "Constant":
            tensor = next(attribute.t for attribute in node.attribute if attribute.name == "value")
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
            continue
        for names in (node.input, node.output):
            names[:] = [new_names.get(name, name) for name in names]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    for value in graph.output:
        value.name = new_names[value.name]


def quantize(folder: Path) -> None:
    """Embeddings and weights of matrix products as 8-bit integers; activations are scaled as they come.

    Weights take values of 7 bits: processors without VNNI add products of 8-bit numbers in pairs in 16 bits, where
    larger ones overflow, and the file is to answer the same on all of them.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    large = folder / f"float32_{FILE}"
    (folder / FILE).rename(large)
    logging.disable(logging.WARNING)  # a line for every product of two activations
    try:
        quantize_dynamic(large, folder / FILE, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    finally:
        logging.disable(logging.NOTSET)
    large.unlink()


def files(folder: Path) -> list[Path]:
    """The files of a network, whether they are there or not."""
    return [folder / FILE]


def num_workers() -> int:
    """The number of threads that may compute at the same time."""
    return runtime.num_threads()


def open_network(folder: Path, precision: str) -> Callable[[Mapping[str, Array]], list[Array]]:
    """A function from {input name: array} to a list of arrays, which several threads may call.

    Args:
        precision: not needed, the file itself is in it.

    Raises:
        ConfigError: onnxruntime is missing.
    """
    onnxruntime = require("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = 1  # of each call; several threads may call
    session = onnxruntime.InferenceSession(str(folder / FILE), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return lambda arrays: session.run(None, {name: arrays[name] for name in names})


def require(library: str) -> Any:
    """Import a library of the extra.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return __import__(library)
    except ImportError as error:
        advice = 'pip install "electra-paddle[onnx]"'
        raise ConfigError(library, "no such package", "an installed one", advice) from error
