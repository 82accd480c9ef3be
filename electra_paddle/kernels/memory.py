"""The memory of Paddle's tensors on a CPU."""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import paddle

if TYPE_CHECKING:
    from paddle import Tensor

    from electra_paddle.arrays import Array

DTYPES: dict[Any, tuple[Any, Any]] = {
    paddle.float32: (ctypes.c_float, np.float32),
    paddle.bfloat16: (ctypes.c_uint16, np.uint16),
}


def values(tensor: Tensor) -> Array:
    """The memory of a float32 or bfloat16 tensor as an array, which keeps the tensor alive; bfloat16 as uint16."""
    assert tensor.is_contiguous()
    size = math.prod(tensor.shape)
    kind, dtype = DTYPES[tensor.dtype]
    memory: Any = (kind * size).from_address(tensor.data_ptr())
    memory.owner = tensor
    return np.frombuffer(memory, dtype).reshape(tensor.shape)
