"""Arrays under names: reading and writing safetensors, and filling a network strictly."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from electra_paddle.errors import CheckpointError, reason, some_of
from electra_paddle.unpickling import BoundedStream, Buildable, UnpicklingError, unpickle

if TYPE_CHECKING:
    from paddle.nn import Layer

    from electra_paddle.arrays import Array


def save_tensors(tensors: Mapping[str, Any], path: str | Path, form: str = "np") -> None:
    """Write name -> Paddle tensor or array; PaddleNLP reads the file too.

    Args:
        form: for whom the file is: "np", or "pt" for Hugging Face's transformers.

    Raises:
        OSError: it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    try:
        save_file(arrays, path, metadata={"format": form})
    except SafetensorError as error:  # it wraps the operating system's
        raise OSError(str(error)) from error


def read_tensors(path: str | Path) -> dict[str, Array]:
    """name -> array of a .safetensors file; bfloat16 comes back as float32.

    Raises:
        CheckpointError: no such file, or a damaged one.
    """
    from safetensors import SafetensorError, deserialize
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except TypeError:  # numpy has no bfloat16
        return dict(map(read_tensor, deserialize(Path(path).read_bytes())))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(path, f"no readable tensors ({reason(error)})", "a safetensors file") from error


def read_shapes(path: str | Path) -> dict[str, list[int]]:
    """name -> shape of a .safetensors file, without reading the arrays.

    Raises:
        CheckpointError: no such file, or a damaged one.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise CheckpointError(path, f"no readable tensors ({reason(error)})", "a safetensors file") from error


def read_tensor(item: tuple[str, dict[str, Any]]) -> tuple[str, Array]:
    """(name, array) of what safetensors' `deserialize` makes; bfloat16 becomes float32."""
    name, tensor = item
    kind = {"BF16": "U16", "BOOL": "B8"}.get(tensor["dtype"], tensor["dtype"])
    array = np.frombuffer(tensor["data"], f"<{kind[0].lower()}{int(kind[1:]) // 8}")
    return name, (widen_bfloat16(array) if tensor["dtype"] == "BF16" else array).reshape(tensor["shape"])


def widen_bfloat16(bits: Array) -> Array:
    """float32 numbers of the bits of bfloat16 ones: they lack the lower half."""
    return (bits.astype("<u4") << 16).view("<f4")


class LoadReport(NamedTuple):
    """The outcome of filling parameters from a file; as text one line."""

    source: object  # file or folder, for messages
    loaded: list[str]  # names in the file
    extra: list[str]  # names in the file that no parameter has
    untrained: list[str] = []  # parameters of the network that the file does not have

    def __str__(self) -> str:
        extra = f" ({some_of(self.extra)})" if self.extra else ""
        line = f"{self.source}: {len(self.loaded)} parameters loaded, {len(self.untrained)} missing"
        line += f", {len(self.extra)} extra{extra}"
        return f"{line}; UNTRAINED: {some_of(self.untrained)}" if self.untrained else line


def assign(
    layer: Layer, arrays: Mapping[str, Array], source: object, prefix: str = "", allow_extra: bool = False
) -> LoadReport:
    """Fill every parameter of a Layer from arrays[prefix + name]; only after all of them are found to fit.

    Args:
        source: the arrays' file, for messages.
        allow_extra: whether arrays without a parameter are passed over.

    Returns:
        LoadReport.

    Raises:
        CheckpointError: names the first parameter that is missing, left over or of another shape.
    """
    parameters = {prefix + name: parameter for name, parameter in layer.named_parameters()}
    for name, parameter in parameters.items():
        expected = f"{name} {list(parameter.shape)}"
        if name not in arrays:
            raise CheckpointError(source, f"no {name}", expected)
        if list(arrays[name].shape) != list(parameter.shape):
            raise CheckpointError(source, f"{name} {list(arrays[name].shape)}", expected)
    extra = sorted(set(arrays) - set(parameters))
    if extra and not allow_extra:
        raise CheckpointError(
            source, f"{extra[0]}, which this model lacks", f"{len(parameters)} parameters of the model"
        )
    not_finite = [name for name in parameters if not np.isfinite(arrays[name]).all()]
    if not_finite:
        print(f"WARNING: {source}: numbers that are infinite or none, in {some_of(not_finite)}", file=sys.stderr)
    for name, parameter in parameters.items():
        array = arrays[name]
        parameter.set_value(array.astype("float32") if array.dtype == np.float16 else array)  # stored in half the room
    return LoadReport(source, list(parameters), extra)


def read_state(path: str | Path) -> dict[str, Array]:
    """The arrays of a .safetensors file, or of a .pdparams file that Paddle saved.

    A .pdparams file is a pickle, which could run anything: here it can describe arrays and nothing else.

    Raises:
        CheckpointError: no such file, a damaged one, or one that holds more than arrays.
    """
    if str(path).endswith(".safetensors"):
        return read_tensors(path)
    try:
        with open(path, "rb") as stream:
            state = unpickle(BoundedStream(stream, Path(path).stat().st_size), PADDLE_NAMES)
        if not isinstance(state, dict):
            raise UnpicklingError(f"a {type(state).__name__} for arrays under names")
        # Paddle stores a parameter as (its own name, array) and adds one table of names.
        values = {name: value[-1] if isinstance(value, tuple) and value else value for name, value in state.items()}
        return {name: value.array() for name, value in values.items() if isinstance(value, PickledArray)}
    except (OSError, ValueError) as error:
        raise CheckpointError(
            path, f"no readable parameters ({reason(error)})", "a .safetensors or .pdparams file"
        ) from error


class PickledType(Buildable):
    """A numpy dtype as a pickle describes it."""

    def __init__(self, name: Any, *rest: Any) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[iu][1248]|b1|f(2|4|8|16)", name):
            found = name if isinstance(name, str) else type(name).__name__
            raise UnpicklingError(f"numbers of the type {found}")
        self.name, self.order = name, "<"

    def build(self, state: Any) -> None:
        _, order, *rest = state
        if order not in ("<", ">", "|", "=") or any(rest[:3]):
            raise UnpicklingError("numbers of a type that is put together")
        self.order = order


class PickledArray(Buildable):
    """A numpy array as a pickle describes it."""

    def __init__(self) -> None:
        self.parts: tuple[Any, ...] = ()

    def build(self, state: Any) -> None:
        _, *parts = state
        self.parts = tuple(parts)

    @classmethod
    def of_buffer(cls, content: Any, kind: Any, shape: Any, order: Any) -> PickledArray:
        """As newer pickles describe it."""
        array = cls()
        array.parts = (shape, kind, order == "F", content)
        return array

    def array(self) -> Array:
        """The array itself, once everything about it is checked."""
        shape, kind, is_fortran, content = self.parts
        if isinstance(content, str):  # of Python 2
            content = content.encode("latin-1")
        is_shape = isinstance(shape, tuple) and all(isinstance(size, int) and size >= 0 for size in shape)
        if not (is_shape and isinstance(kind, PickledType) and isinstance(content, bytes | bytearray)):
            raise UnpicklingError("an array that is described in another way than numpy does")
        dtype = np.dtype(kind.order + kind.name)
        if len(content) != math.prod(shape) * dtype.itemsize:
            raise UnpicklingError(f"an array of {len(content)} bytes for {list(shape)} numbers")
        return np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")


def latin1_bytes(text: Any, encoding: Any) -> bytes:
    """Bytes as protocol 2 writes them."""
    if encoding != "latin1" or not isinstance(text, str):
        raise UnpicklingError(f"text in {encoding!r} for bytes")
    return text.encode("latin-1")


NDARRAY = "numpy.ndarray"
PADDLE_NAMES: Mapping[tuple[str, str], Callable[[], Any]] = {
    ("builtins", "tuple"): lambda: tuple,
    ("__builtin__", "tuple"): lambda: tuple,
    ("collections", "OrderedDict"): lambda: dict,
    ("numpy", "dtype"): lambda: PickledType,
    ("numpy", "ndarray"): lambda: NDARRAY,
    **{
        (f"numpy.{core}.multiarray", "_reconstruct"): lambda: lambda kind, shape, code: PickledArray()
        for core in ("core", "_core")
    },
    **{(f"numpy.{core}.numeric", "_frombuffer"): lambda: PickledArray.of_buffer for core in ("core", "_core")},
    ("_codecs", "encode"): lambda: latin1_bytes,
}
