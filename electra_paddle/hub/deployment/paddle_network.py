"""A task's network as a file for Paddle Inference, which also computes it in bfloat16. Shapes: B batch, L sequence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paddle
from paddle import nn

from electra_paddle import runtime
from electra_paddle.batch import TokenBatch
from electra_paddle.errors import CheckpointError, ConfigError
from electra_paddle.models.encoder import traceable

if TYPE_CHECKING:
    from paddle import Tensor

    from electra_paddle.arrays import Array
    from electra_paddle.hub.module import ElectraModule

NAME = "network"
GRAPHS = (f"{NAME}.json", f"{NAME}.pdmodel")  # of Paddle 3 and of Paddle 2
PARAMETERS = f"{NAME}.pdiparams"
MATRIX_OPS = {"fc", "fused_matmul", "matmul_v2", "transpose2", "reshape2"}  # as Paddle 2 fuses and calls them
BF16_PASSES = [  # of Paddle 3, in this order
    "scale_matmul_fuse_pass",
    "reshape_transpose_matmul_fuse_pass",
    "matmul_transpose_reshape_fuse_pass",
    "matmul_add_act_fuse_pass",
    "fc_onednn_enable_pass",
    "matmul_elementwise_add_fuse_pass",
    "fc_activation_fuse_pass",
    "cpu_bfloat16_placement_pass",
    "cpu_bfloat16_pass",
    "cpu_bfloat16_type_placement_pass",
    "cpu_special_ops_bf16_pass",
    "cpu_bf16_quantize_squash_pass",
    "onednn_placement_pass",
]


class Network(nn.Layer):
    """A task's `compute` as one Layer that takes a list of tensors."""

    def __init__(self, module: ElectraModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        width = len(TokenBatch._fields)
        batches = [TokenBatch(*tensors[start : start + width]) for start in range(0, len(tensors), width)]
        return self.module.handler.compute(self.module, *batches)


def write_network(module: ElectraModule, folder: Path, input_names: Sequence[str]) -> None:
    """Trace the network at any B and L, and write it."""
    network = Network(module)
    network.eval()
    inputs = [paddle.static.InputSpec([None, None], "int64", name) for name in input_names]
    with traceable(module):
        paddle.jit.save(paddle.jit.to_static(network, [inputs], full_graph=True), str(folder / NAME))
    (folder / f"{PARAMETERS}.info").unlink(missing_ok=True)  # of Paddle 2, for fine-tuning: a pickle


def files(folder: Path) -> list[Path]:
    """The files of a network, whether they are there or not."""
    graph = next((folder / name for name in GRAPHS if (folder / name).is_file()), folder / GRAPHS[0])
    return [graph, folder / PARAMETERS]


def is_paddle_2() -> bool:
    return paddle.__version__.startswith("2.")


def num_workers() -> int:
    """The number of threads that may compute at the same time; Paddle 3 holds Python's lock meanwhile, Paddle 2 does
    not.
    """
    return runtime.num_threads() if is_paddle_2() else 1


def open_network(folder: Path, precision: str) -> Callable[[Mapping[str, Array]], list[Array]]:
    """A function from {input name: array} to a list of arrays, which several threads may call.

    Args:
        precision: "bf16" for matrix products in bfloat16; the file is in float32 all the same.

    Raises:
        CheckpointError: Paddle 3 wrote it, and this is Paddle 2.
        ConfigError: the processor is none for bfloat16.
    """
    from paddle import inference

    graph, parameters = files(folder)
    is_old = graph.name == GRAPHS[1]
    if is_paddle_2() and not is_old:
        found, advice = f"a network that Paddle 3 exported, with Paddle {paddle.__version__}", "export it with Paddle 2"
        raise CheckpointError(graph, found, GRAPHS[1], advice)
    if precision == "bf16":
        require_bf16()
    config = inference.Config(str(graph), str(parameters))
    config.disable_glog_info()
    config.enable_mkldnn()
    config.set_cpu_math_library_num_threads(runtime.num_threads() // num_workers())  # of each call
    if is_old:  # which keeps every layer's arrays otherwise; Paddle 3 has another executor, and fails at this
        config.enable_memory_optim()
    if precision == "bf16":
        config.enable_mkldnn_bfloat16()
        keep_others_in_float32(config, is_old)
    first, own, lock = inference.create_predictor(config), threading.local(), threading.Lock()

    def begin() -> None:
        with lock:
            own.predictor = first.clone()  # they share the weights

    def compute(arrays: Mapping[str, Array]) -> list[Array]:
        predictor = own.predictor
        for name in predictor.get_input_names():
            predictor.get_input_handle(name).copy_from_cpu(arrays[name])
        predictor.run()
        return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]

    # oneDNN keeps its state by thread: predictors that go from thread to thread fail now and then (Paddle 3.3.1).
    workers = ThreadPoolExecutor(num_workers(), initializer=begin)
    return lambda arrays: workers.submit(compute, arrays).result()


def keep_others_in_float32(config: Any, is_old: bool) -> None:
    """Leave sums, norms and softmaxes out of what oneDNN computes in bfloat16.

    In bfloat16 they make the error of the last hidden states ten times as large.
    """
    if is_old:
        config.set_bfloat16_op(MATRIX_OPS)
        return
    # Paddle 3 ignores that. It turns to bfloat16 what oneDNN computes by then, and has handed it everything first; in
    # this order that is matrix products alone, and oneDNN gets the others afterwards, in float32.
    config.enable_custom_passes(BF16_PASSES, True)


def require_bf16() -> None:
    """Refuse a processor whose products are no faster in bfloat16.

    Raises:
        ConfigError: it is one.
    """
    if not runtime.has_fast_bf16():
        found = f"'bf16' on a processor that is faster without ({runtime.processor_name()})"
        raise ConfigError("precision", found, f"one with {runtime.FAST_BF16}", "export it with precision 'fp32'")
