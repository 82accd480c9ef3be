"""The tensors of PyTorch's files (`pytorch_model.bin`), without PyTorch and without running anything in them.

Such a file is a pickle, which could run anything, and the bytes of the tensors. The pickle is read here by an
unpickler that knows four names and builds nothing but descriptions of tensors.
Source: the two formats of `torch.save`, that of PyTorch 1.6 and later (a zip archive) and the one before.
"""

import collections
import math
import pickle
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from electra_paddle.errors import CheckpointError
from electra_paddle.tensors import widen_bfloat16

MAGIC_NUMBER, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # how a file of the older format begins
STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",  # its bits
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


def read_torch_file(path):
    """name -> array of a file in which PyTorch saved a network's parameters; bfloat16 comes back as float32.

    Raises:
        CheckpointError: no such file, a damaged one, or one that holds more than tensors.
    """
    try:
        with open(path, "rb") as stream:
            read = read_archive if stream.read(2) == b"PK" else read_stream
        return read(path)
    except Exception as error:  # whatever a damaged or hostile pickle provokes
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise CheckpointError(
            path, f"no readable tensors ({reason})", "a file in which PyTorch saved parameters"
        ) from error


def read_archive(path):
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
        with archive.open(pickled) as stream:
            unpickler = TensorUnpickler(stream)
            tensors = tensors_of(unpickler.load())
        storages = {
            key: flat_array(storage, archive.read(f"{root}data/{key}")) for key, storage in unpickler.storages.items()
        }
    return {name: array_of(tensor, storages) for name, tensor in tensors.items()}


def read_stream(path):
    """The format before PyTorch 1.6: pickles one after the other, then the storages."""
    with open(path, "rb") as stream:
        unpicklers = []
        for _ in range(5):
            unpicklers.append(TensorUnpickler(stream))
            unpicklers[-1].value = unpicklers[-1].load()
            if unpicklers[0].value != MAGIC_NUMBER:
                raise ValueError("another beginning than PyTorch's files have")
        _, protocol, system, state, keys = (unpickler.value for unpickler in unpicklers)
        if protocol != PROTOCOL or not system["little_endian"]:
            raise ValueError(f"protocol {protocol}, little_endian {system['little_endian']}")
        storages = {}
        for key in keys:
            storage = unpicklers[3].storages[key]
            length = int.from_bytes(stream.read(8), "little")
            if length != storage.length:
                raise ValueError(f"a storage of {length} numbers where {storage.length} are announced")
            storages[key] = flat_array(storage, stream.read(length * storage.dtype.itemsize))
    return {name: array_of(tensor, storages) for name, tensor in tensors_of(state).items()}


class Storage(NamedTuple):
    """A flat piece of memory that tensors are views of."""

    kind: str
    key: str
    length: int

    @property
    def dtype(self):
        return np.dtype(STORAGES[self.kind])


class Tensor(NamedTuple):
    """A view of a storage; offset and strides count numbers."""

    storage: Storage
    offset: int
    size: tuple
    strides: tuple
    rest: Any = None  # whether it wants gradients, and hooks


class TensorUnpickler(pickle.Unpickler):
    """Builds descriptions of tensors in dictionaries, and refuses every other name.

    Attributes:
        storages: key -> Storage, of all that the pickle mentions.
    """

    def __init__(self, stream):
        super().__init__(stream)
        self.storages = {}

    def find_class(self, module, name):
        if module == "torch" and name in STORAGES:
            return name
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        # New functions each time: a pickle can set attributes of what it is given.
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, strides, *rest: Tensor(storage, offset, size, strides, rest)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *rest: tensor
        raise pickle.UnpicklingError(f"it wants to run {module}.{name}, which is refused")

    def persistent_load(self, pid):
        label, kind, key, _, length, *view = pid
        if label != "storage" or any(view):
            raise pickle.UnpicklingError(f"{label!r} {view}, which is not read here")
        self.storages[key] = Storage(kind, key, length)
        return self.storages[key]


def tensors_of(state):
    """The Tensors under names; anything else beside them is refused."""
    if not isinstance(state, dict) or not state:
        raise ValueError(f"{type(state).__name__}, not tensors under names")
    for name, value in state.items():
        if not isinstance(value, Tensor) or not isinstance(name, str):
            raise ValueError(f"{name!r}, which is no tensor; save `model.state_dict()` alone")
    return state


def flat_array(storage, content):
    """A storage's numbers."""
    if len(content) != storage.length * storage.dtype.itemsize:
        raise ValueError(f"{len(content)} bytes where {storage.length * storage.dtype.itemsize} are announced")
    array = np.frombuffer(content, storage.dtype)
    return widen_bfloat16(array) if storage.kind == "BFloat16Storage" else array


def array_of(tensor, storages):
    """The array of a Tensor, a view of its storage."""
    flat, count = storages[tensor.storage.key], math.prod(tensor.size)
    if count == 0:
        return np.zeros(tensor.size, flat.dtype)
    steps = [(length - 1) * stride for length, stride in zip(tensor.size, tensor.strides, strict=True)]
    is_inside = min([tensor.offset, *tensor.size, *steps]) >= 0 and tensor.offset + sum(steps) < len(flat)
    if not is_inside or count > len(flat):
        raise ValueError(f"a tensor of {tensor.size} beyond the {len(flat)} numbers of its storage")
    strides = [stride * flat.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.size, strides, writeable=False)
