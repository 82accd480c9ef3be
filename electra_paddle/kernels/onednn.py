"""oneDNN's kernels through its C interface, from the library in Paddle's wheels.

Paddle itself uses few of them outside of static graphs. Source of the numbers below: oneDNN's `dnnl_types.h`,
version 3.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from electra_paddle.arrays import Array

MAJOR_VERSION = 3  # of the C interface
LIBRARY, THREADS = "libs/libdnnl.so.3", "libs/libiomp5.so"  # in Paddle's folder
MAX_PRIMITIVES = 4096  # that a thread keeps; one for each combination of shapes

DTYPES = {np.dtype(np.float32): 3, np.dtype(np.uint16): 2}  # uint16 stands for bfloat16
ON_CPU, IN_ORDER = 1, 1
TRAINING, BACKWARD = 64, 128  # kinds of propagation
LINEAR, GELU, ADD, SOFTMAX = 0x26, 0x31, 0x1FFF0, 0x30000  # algorithms
SCALE_AND_SHIFT = 2 | 4

# Kinds of arguments.
SRC, DST, WEIGHTS, BIAS, MEAN, VARIANCE, SCALE, SHIFT = 1, 17, 33, 41, 49, 50, 51, 52
SRC_GRADIENT, DST_GRADIENT, SCALE_GRADIENT, SHIFT_GRADIENT = 129, 145, 255, 256
ADDED = [32768 | 2, 65536 | 2]  # by the place among the post-operations

real = ctypes.c_float


class Version(ctypes.Structure):
    _fields_ = [("major", ctypes.c_int), ("minor", ctypes.c_int), ("patch", ctypes.c_int)]


class Argument(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("memory", ctypes.c_void_p)]


def load() -> OneDNN | None:
    """oneDNN of the installed Paddle; None where its wheel has none of a known version."""
    package = importlib.util.find_spec("paddle")
    if package is None or package.origin is None:
        return None
    try:
        library, threads = (ctypes.CDLL(str(Path(package.origin).parent / name)) for name in (LIBRARY, THREADS))
        library.dnnl_version.restype = ctypes.POINTER(Version)
        is_known = library.dnnl_version().contents.major == MAJOR_VERSION
        return OneDNN(library, threads.omp_get_max_threads) if is_known else None
    except (OSError, AttributeError):  # no library, or another one
        return None


class Made:
    """An object of oneDNN that ends with this one.

    Args:
        kind: what it is, such as "memory".
        make: the function that makes it.
        arguments: of that function, after the place for the object.
    """

    def __init__(self, library: Any, kind: str, make: str, *arguments: Any) -> None:
        self._as_parameter_ = ctypes.c_void_p()  # what ctypes passes on
        self._destroy = getattr(library, f"dnnl_{kind}_destroy")
        call(library, make, ctypes.byref(self._as_parameter_), *arguments)

    def __del__(self) -> None:
        if self._as_parameter_:
            self._destroy(self)


def call(library: Any, function: str, *arguments: Any) -> None:
    """Call a function of oneDNN.

    Raises:
        RuntimeError: it failed.
    """
    status = getattr(library, f"dnnl_{function}")(*arguments)
    if status:
        raise RuntimeError(f"oneDNN: {function} ended with status {status}")


class Primitive:
    """A kernel for arrays of certain shapes, strides and types.

    Args:
        description: of the primitive.
        memories: kind of argument -> its place in memory, still to be told.
    """

    def __init__(self, library: Any, stream: Made, description: Made, memories: dict[int, Made]) -> None:
        self._primitive = Made(library, "primitive", "primitive_create", description)
        self._memories = list(memories.values())
        places = [Argument(kind, memory._as_parameter_) for kind, memory in memories.items()]
        self._arguments = (Argument * len(places))(*places)
        self._call = functools.partial(call, library)
        self._stream = stream

    def __call__(self, arrays: Iterable[Array]) -> None:
        for memory, array in zip(self._memories, arrays, strict=True):
            address = array.__array_interface__["data"][0]
            self._call("memory_set_data_handle", memory, ctypes.c_void_p(address))
        self._call("primitive_execute", self._primitive, self._stream, len(self._arguments), self._arguments)


class OneDNN:
    """Implements `Kernels`.

    Args:
        num_threads: function that tells with how many threads the caller's thread is to compute. A primitive is made
            for that number.
    """

    takes_bf16 = True

    def __init__(self, library: Any, num_threads: Callable[[], int]) -> None:
        self._library, self._num_threads = library, num_threads
        self._engine = Made(library, "engine", "engine_create", ON_CPU, ctypes.c_size_t(0))
        self._own = threading.local()  # the primitives of a thread, which share memory for intermediate values

    def matmul(
        self,
        a: Array,
        b: Array,
        out: Array,
        bias: Array | None = None,
        scale: float = 1.0,
        added: Array | None = None,
    ) -> None:
        arrays = {SRC: a, WEIGHTS: b, DST: out}
        if bias is not None:
            arrays[BIAS] = bias.reshape([1] * (out.ndim - 1) + [-1])
        is_scaled = scale != 1
        if added is not None:
            arrays[ADDED[is_scaled]] = added

        def describe() -> Made:
            after = self._make("post_ops")
            if is_scaled:
                self._call("post_ops_append_eltwise", after, LINEAR, real(scale), real(0))
            if added is not None:
                self._call("post_ops_append_binary", after, ADD, self._layout(added))
            attributes = self._make("primitive_attr")
            self._call("primitive_attr_set_post_ops", attributes, after)
            layouts = self._layouts(arrays, SRC, WEIGHTS, BIAS, DST)
            return self._describe("matmul", self._engine, *layouts, attributes)

        self._run(("matmul", scale), describe, arrays)

    def gelu(self, x: Array, out: Array) -> None:
        arrays = {SRC: x.reshape(-1), DST: out.reshape(-1)}
        self._run(("gelu",), lambda: self._gelu(*self._layouts(arrays, SRC, DST)), arrays)

    def gelu_backward(self, x: Array, gradient: Array, out: Array) -> None:
        arrays = {SRC: x.reshape(-1), DST_GRADIENT: gradient.reshape(-1), SRC_GRADIENT: out.reshape(-1)}

        def describe() -> Made:
            layouts = self._layouts(arrays, SRC_GRADIENT, DST_GRADIENT, SRC)
            forward = self._gelu(layouts[2], layouts[2])
            return self._describe("eltwise_backward", self._engine, GELU, *layouts, real(0), real(0), forward, None)

        self._run(("gelu_backward",), describe, arrays)

    def _gelu(self, *layouts: Made | None) -> Made:
        return self._describe("eltwise_forward", self._engine, TRAINING, GELU, *layouts, real(0), real(0), None)

    def softmax(self, x: Array, out: Array) -> None:
        arrays = {SRC: x, DST: out}
        self._run(("softmax",), lambda: self._softmax(x.ndim, *self._layouts(arrays, SRC, DST)), arrays)

    def softmax_backward(self, y: Array, gradient: Array, out: Array) -> None:
        arrays = {DST: y, DST_GRADIENT: gradient, SRC_GRADIENT: out}

        def describe() -> Made:
            layouts = self._layouts(arrays, SRC_GRADIENT, DST_GRADIENT, DST)
            forward = self._softmax(y.ndim, layouts[1], layouts[2])
            return self._describe("softmax_backward", self._engine, SOFTMAX, *layouts, y.ndim - 1, forward, None)

        self._run(("softmax_backward",), describe, arrays)

    def _softmax(self, num_dimensions: int, *layouts: Made | None) -> Made:
        return self._describe("softmax_forward", self._engine, TRAINING, SOFTMAX, *layouts, num_dimensions - 1, None)

    def layer_norm(self, x: Array, weight: Array, bias: Array, epsilon: float, out: Array) -> tuple[Array, Array]:
        mean, variance = np.empty(len(x), np.float32), np.empty(len(x), np.float32)
        arrays = {SRC: x, DST: out, MEAN: mean, VARIANCE: variance, SCALE: weight, SHIFT: bias}
        describe = lambda: self._layer_norm(epsilon, *self._layouts(arrays, SRC, DST, MEAN))  # noqa: E731
        self._run(("layer_norm", epsilon), describe, arrays)
        return mean, variance

    def layer_norm_backward(
        self, x: Array, gradient: Array, weight: Array, epsilon: float, moments: Any, out: Array
    ) -> tuple[Array, Array]:
        weight_gradient, bias_gradient = np.empty_like(weight), np.empty_like(weight)
        arrays = {SRC: x, DST_GRADIENT: gradient, SRC_GRADIENT: out, MEAN: moments[0], VARIANCE: moments[1]}
        arrays |= {SCALE: weight, SCALE_GRADIENT: weight_gradient, SHIFT_GRADIENT: bias_gradient}
        arrays[SHIFT] = weight  # is asked for but not used

        def describe() -> Made:
            layouts = self._layouts(arrays, SRC_GRADIENT, DST_GRADIENT, SRC, MEAN)
            forward = self._layer_norm(epsilon, layouts[2], layouts[2], layouts[3])
            options = real(epsilon), SCALE_AND_SHIFT, forward, None
            return self._describe("layer_normalization_backward", self._engine, BACKWARD, *layouts, *options)

        self._run(("layer_norm_backward", epsilon), describe, arrays)
        return weight_gradient, bias_gradient

    def _layer_norm(self, epsilon: float, *layouts: Made | None) -> Made:
        options = real(epsilon), SCALE_AND_SHIFT, None
        return self._describe("layer_normalization_forward", self._engine, TRAINING, *layouts, *options)

    def convert(self, x: Array, out: Array) -> None:
        def describe() -> Made:
            one, other = self._layouts({SRC: x, DST: out}, SRC, DST)
            return self._describe("reorder", one, self._engine, other, self._engine, None)

        self._run(("convert",), describe, {SRC: x, DST: out})

    def _run(self, name: tuple[Any, ...], describe: Callable[[], Made], arrays: dict[int, Array]) -> None:
        """Execute a primitive; `describe` tells of it where this thread has none for such arrays."""
        if not all(array.size for array in arrays.values()):
            return
        own = self._own.__dict__
        if not own:
            own.update(stream=self._make("stream", self._engine, IN_ORDER), primitives={})
        primitives = own["primitives"]
        key = (
            *name,
            self._num_threads(),
            *[(kind, array.shape, array.strides, array.dtype.char) for kind, array in arrays.items()],
        )
        if key not in primitives:
            if len(primitives) == MAX_PRIMITIVES:
                primitives.clear()
            memories = {
                kind: self._make("memory", self._layout(array), self._engine, None) for kind, array in arrays.items()
            }
            primitives[key] = Primitive(self._library, own["stream"], describe(), memories)
        primitives[key](arrays.values())

    def _layouts(self, arrays: dict[int, Array], *kinds: int) -> list[Made | None]:
        """Of the arrays of some kinds; None where there is none."""
        return [self._layout(arrays[kind]) if kind in arrays else None for kind in kinds]

    def _layout(self, array: Array) -> Made:
        """Shape, type and strides."""
        numbers = ctypes.c_int64 * array.ndim
        strides = [stride // array.itemsize for stride in array.strides]
        for axis in reversed(range(array.ndim)):  # numpy leaves those of a single row or column open
            if array.shape[axis] == 1:
                strides[axis] = strides[axis + 1] * array.shape[axis + 1] if axis + 1 < array.ndim else 1
        description = array.ndim, numbers(*array.shape), DTYPES[array.dtype], numbers(*strides)
        return Made(self._library, "memory_desc", "memory_desc_create_with_strides", *description)

    def _describe(self, kind: str, *arguments: Any) -> Made:
        return Made(self._library, "primitive_desc", f"{kind}_primitive_desc_create", *arguments)

    def _make(self, kind: str, *arguments: Any) -> Made:
        return Made(self._library, kind, f"{kind}_create", *arguments)

    def _call(self, function: str, *arguments: Any) -> None:
        call(self._library, function, *arguments)
