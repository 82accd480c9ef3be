"""Half precision on a CPU, in place of Paddle's automatic casts, which do nothing there and have no kernels.

Numbers are rounded as on a GPU but kept in float32: factors and results of products, at level O2 results of sums, too.
"""

import contextlib

import paddle
import pytest
from paddle import _C_ops

from electra_paddle import runtime

PRODUCTS = [(_C_ops, "matmul"), (_C_ops, "linear")]
SUMS = [(paddle.Tensor, "__add__"), (paddle.Tensor, "__mul__")]
IN_FLOAT32 = [(_C_ops, "layer_norm"), (_C_ops, "embedding")]  # embeddings are rounded already: their weights are


@contextlib.contextmanager
def autocast(precision):
    """Takes the place of `runtime.autocast`."""
    dtype = runtime.DTYPES[precision]
    if dtype == "float32":
        yield
        return
    has_copies = precision in runtime.MASTER_WEIGHTS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "autocast_dtype", lambda: dtype)
        for owner, name in PRODUCTS:
            patch.setattr(owner, name, computed(getattr(owner, name), dtype, dtype))
        for owner, name in SUMS if has_copies else []:
            patch.setattr(owner, name, computed(getattr(owner, name), None, dtype))
        for owner, name in IN_FLOAT32 if has_copies else []:
            patch.setattr(owner, name, computed(getattr(owner, name), None, None))
        yield


def computed(function, of_inputs, of_output):
    """The function with its inputs rounded, and its output; None: not rounded."""

    def call(*arguments, **options):
        inputs = [rounded(each, of_inputs) for each in arguments]
        named = {name: rounded(each, of_inputs) for name, each in options.items()}
        return rounded(function(*inputs, **named), of_output)

    return call


def rounded(value, dtype):
    """A tensor of floats as float32; others are as they were."""
    if not isinstance(value, paddle.Tensor) or not paddle.is_floating_point(value) or value.dtype == paddle.float64:
        return value
    return (value.astype(dtype) if dtype else value).astype("float32")
