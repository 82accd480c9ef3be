"""PyTorch's files (`pytorch_model.bin`), read without PyTorch and without running code from them.

Such a file consists of a pickle, which could run any code, and the bytes of the tensors. Here four kinds of names are
accepted, some more are passed over, and nothing is built but descriptions of tensors.
Source: both formats of `torch.save`: a zip archive since PyTorch 1.6, a sequence of pickles before.
"""

import functools
import io
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from electra_paddle.errors import CheckpointError
from electra_paddle.tensors import widen_bfloat16
from electra_paddle.unpickling import BoundedStream, Buildable, UnpicklingError, unpickle

MAGIC_NUMBER, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # the first two pickles in a file of the older format
WHOLE_STATES = ("state_dict", "model_state_dict", "model", "module")  # of Lightning and of common training scripts
PASSED = (  # names in checkpoints of trainings that are no tensors
    ("torch", "Size"),
    ("torch", "device"),
    ("torch.serialization", "_get_layout"),
    ("argparse", "Namespace"),
    ("pathlib", "PosixPath"),
    ("collections", "defaultdict"),
    ("builtins", "set"),
    ("pytorch_lightning.utilities.parsing", "AttributeDict"),
    ("lightning.pytorch.utilities.parsing", "AttributeDict"),
    ("lightning_fabric.utilities.data", "AttributeDict"),
    ("lightning.fabric.utilities.data", "AttributeDict"),
)
STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",  # as bits: numpy has no bfloat16
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


def read_torch_file(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """Read name -> array from a file in which PyTorch saved a network's parameters; bfloat16 becomes float32.

    Raises:
        CheckpointError: the file is missing or damaged, or holds anything but tensors under names.
    """
    try:
        with open(path, "rb") as stream:
            read = read_archive if stream.read(2) == b"PK" else read_stream
        return read(path)
    except Exception as error:  # a damaged or malicious pickle can cause any
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise CheckpointError(
            path, f"no readable tensors ({reason})", "a file in which PyTorch saved parameters"
        ) from error


def read_archive(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """The format of PyTorch 1.6 and later: the pickle and each storage are entries of a zip archive."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        # PyTorch compresses nothing: the arrays cannot become larger than the file.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or (
            sum(entry.file_size for entry in entries) > Path(path).stat().st_size
        ):
            raise ValueError("a compressed archive, which PyTorch does not write")
        (pickled,) = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
        root = pickled.filename.removesuffix("data.pkl")
        if root + "byteorder" in archive.namelist() and archive.read(root + "byteorder") != b"little":
            raise ValueError("numbers with the highest byte first")
        names, content = Names(), archive.read(pickled)
        tensors = tensors_of(names.unpickle(io.BytesIO(content), len(content)))
        storages = {
            key: flat_array(storage, archive.read(f"{root}data/{key}")) for key, storage in names.storages.items()
        }
    return {name: array_of(tensor, storages) for name, tensor in tensors.items()}


def read_stream(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """The format before PyTorch 1.6: pickles one after the other, then the storages."""
    size = Path(path).stat().st_size
    with open(path, "rb") as stream:
        names: list[Names] = []
        values: list[Any] = []
        for _ in range(5):
            names.append(Names())
            values.append(names[-1].unpickle(stream, size))
            if values[0] != MAGIC_NUMBER:
                raise ValueError("another beginning than PyTorch's files have")
        _, protocol, system, state, keys = values
        if protocol != PROTOCOL or not system["little_endian"]:
            raise ValueError(f"protocol {protocol}, little_endian {system['little_endian']}")
        storages = {}
        for key in keys:
            storage = names[3].storages[key]
            length = int.from_bytes(stream.read(8), "little")
            if length != storage.length:
                raise ValueError(f"a storage of {length} numbers where {storage.length} are announced")
            storages[key] = flat_array(storage, stream.read(length * storage.dtype.itemsize))
    return {name: array_of(tensor, storages) for name, tensor in tensors_of(state).items()}


class Passed(Buildable):
    """What stands in a training's checkpoint beside tensors: nothing of it is made."""

    def __init__(self, *arguments: Any) -> None:
        pass

    def build(self, state: Any) -> None:
        pass


class Storage(NamedTuple):
    """A block of numbers of one type; tensors are views of it."""

    kind: str
    key: str
    length: int  # in numbers

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(STORAGES[self.kind])


class Tensor(NamedTuple):
    """A view of a storage; offset and strides are in numbers."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    strides: tuple[int, ...]


class Names:
    """The names that may occur in a pickle, and the storages that it refers to.

    Attributes:
        storages: key -> Storage, for all storages in the pickle.
    """

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}
        self.builders: dict[tuple[str, str], Callable[[], Any]] = {
            ("collections", "OrderedDict"): lambda: dict,
            ("torch._utils", "_rebuild_tensor_v2"): lambda: rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): lambda: lambda tensor, *rest: tensor,
            **{("torch", name): functools.partial(str, name) for name in STORAGES},
            **{name: lambda: Passed for name in PASSED},
        }

    def find_stored(self, pid: Any) -> Storage:
        label, kind, key, _, length, *view = pid
        if label != "storage" or any(view) or kind not in STORAGES or not isinstance(length, int):
            what = f"{label!r}" if isinstance(label, str) else type(label).__name__
            raise UnpicklingError(f"{what} with {len(view)} more entries, which is not read here")
        self.storages[key] = Storage(kind, key, length)
        return self.storages[key]

    def unpickle(self, stream: IO[bytes], size: int) -> Any:
        """The value of the pickle at which a file of this size stands."""
        return unpickle(BoundedStream(stream, size), self.builders, self.find_stored)


def rebuild_tensor(storage: Any, offset: Any, size: Any, strides: Any, *rest: Any) -> Tensor:
    """A Tensor, whether it requires gradients or not."""
    numbers = [offset, *size, *strides]
    if not isinstance(storage, Storage) or not all(isinstance(number, int) for number in numbers):
        raise UnpicklingError("a tensor that is described in another way than PyTorch does")
    return Tensor(storage, offset, size, strides)


def tensors_of(state: Any) -> dict[str, Tensor]:
    """Check that an unpickled object is a dictionary of name -> Tensor, and return it."""
    if not isinstance(state, dict) or not state:
        raise ValueError(f"{type(state).__name__}, not tensors under names")
    whole = (state.get(key) for key in WHOLE_STATES)  # in a training's checkpoint, of which the rest is passed over
    state = next((value for value in whole if isinstance(value, dict) and value), state)
    for name, value in state.items():
        if not isinstance(value, Tensor) or not isinstance(name, str):
            raise ValueError(f"{name!r}, which is no tensor; save `model.state_dict()` alone")
    return state


def flat_array(storage: Storage, content: bytes) -> npt.NDArray[Any]:
    """The numbers of a storage as an array of one dimension."""
    if len(content) != storage.length * storage.dtype.itemsize:
        raise ValueError(f"{len(content)} bytes where {storage.length * storage.dtype.itemsize} are announced")
    array = np.frombuffer(content, storage.dtype)
    return widen_bfloat16(array) if storage.kind == "BFloat16Storage" else array


def array_of(tensor: Tensor, storages: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The array of a Tensor, a view of its storage that cannot be written."""
    flat, count = storages[tensor.storage.key], math.prod(tensor.size)
    if count == 0:
        return np.zeros(tensor.size, flat.dtype)
    steps = [(length - 1) * stride for length, stride in zip(tensor.size, tensor.strides, strict=True)]
    is_inside = min([tensor.offset, *tensor.size, *steps]) >= 0 and tensor.offset + sum(steps) < len(flat)
    if not is_inside or count > len(flat):
        raise ValueError(f"a tensor of {tensor.size} beyond the {len(flat)} numbers of its storage")
    strides = [stride * flat.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.size, strides, writeable=False)
