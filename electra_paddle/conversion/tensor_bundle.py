"""TensorFlow's checkpoints, read and written without TensorFlow.

`PREFIX.index` is a table in LevelDB's format: blocks of sorted, prefix-compressed entries, an index of the blocks, a
footer. It maps the name of each variable to the place of its bytes in `PREFIX.data-00000-of-00001`. Checksums are
CRC-32C, masked as in LevelDB.

Source: the formats of tensorflow/core/util/tensor_bundle, tensorflow/core/lib/io/table and
tensorflow/core/protobuf/tensor_bundle.proto. Files written here equal TensorFlow's byte for byte.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from electra_paddle.errors import CheckpointError, ConfigError

DTYPES = {1: "float32", 2: "float64", 3: "int32", 9: "int64", 19: "float16"}
NUMBERS = {name: number for number, name in DTYPES.items()}
MAGIC = 0xDB4775248B80FB57
FOOTER = 48  # bytes
MASK = 0xA282EAD8
CHUNK = 1 << 20  # bytes that are added to a checksum at once
RESTART_INTERVAL, BLOCK_SIZE = 16, 262144
VARINT, BYTES, FIXED32 = 0, 2, 5  # wire types of protocol buffers

Field = tuple[int, int, int | bytes]  # of a protocol buffer: number, wire type, value
Item = tuple[bytes, bytes]  # of a table: key, value


class Entry(NamedTuple):
    """The type, shape and place of a variable."""

    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int  # bytes
    checksum: int


class TensorBundle:
    """A checkpoint whose arrays are read on access.

    Args:
        prefix: path of the files without `.index`.

    Attributes:
        entries: name of a variable -> Entry, sorted by name.
        others: names of variables that do not hold numbers, such as TensorFlow 2's object graph.

    Raises:
        CheckpointError: a file is missing, cut short or damaged.
    """

    def __init__(self, prefix: str | Path) -> None:
        self.prefix = Path(prefix)
        self.index = self.prefix.with_name(self.prefix.name + ".index")
        self.num_shards = 1
        self.entries: dict[str, Entry] = {}
        self.others: list[str] = []
        try:
            table = self.index.read_bytes()
        except OSError as error:
            raise CheckpointError(self.index, "no such file", "a TensorFlow checkpoint's index") from error
        try:
            for key, value in read_table(table):
                self._add(key.decode(), *read_message(value))
        except (IndexError, ValueError, KeyError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(self.index, "a damaged table", "a TensorFlow checkpoint's index") from error
        self._check_sizes()

    def _add(self, name: str, integers: dict[int, list[int]], strings: dict[int, list[bytes]]) -> None:
        if not name:  # the header
            self.num_shards = integers.get(1, [0])[0]
            if integers.get(2, [0])[0]:
                raise CheckpointError(self.index, "numbers with the most significant byte first", "least significant")
        elif 7 in strings:
            raise CheckpointError(self.index, f"{name} in slices", "variables in one piece each")
        elif integers[1][0] not in DTYPES:
            self.others.append(name)
        else:
            _, dimensions = read_message(strings.get(2, [b""])[0])
            shape = tuple(read_message(dimension)[0].get(1, [0])[0] for dimension in dimensions.get(2, []))
            shard, offset, size = (integers.get(number, [0])[0] for number in (3, 4, 5))
            checksum = int.from_bytes(strings[6][0], "little")
            self.entries[name] = Entry(DTYPES[integers[1][0]], shape, shard, offset, size, checksum)

    def _check_sizes(self) -> None:
        for name, entry in self.entries.items():
            if entry.size != np.dtype(entry.dtype).itemsize * int(np.prod(entry.shape)):
                raise CheckpointError(
                    self.index, f"{entry.size} bytes for {name} {list(entry.shape)}", "as many as fit"
                )
        for shard in range(self.num_shards):
            ends = [entry.offset + entry.size for entry in self.entries.values() if entry.shard == shard]
            path = self.data_path(shard)
            if not path.is_file():
                raise CheckpointError(path, "no such file", f"shard {shard + 1} of {self.num_shards} of the checkpoint")
            if path.stat().st_size < max(ends, default=0):
                raise CheckpointError(
                    path, f"{path.stat().st_size:,} bytes", f"{max(ends):,}", "it was cut short: fetch it again"
                )

    def data_path(self, shard: int) -> Path:
        return data_path(self.prefix, shard, self.num_shards)

    @functools.cache  # noqa: B019 (it lives as long as the bundle is read)
    def _shard(self, number: int) -> npt.NDArray[np.uint8]:
        return np.memmap(self.data_path(number), np.uint8, "r")

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """The array of a variable: a read-only view of the file.

        Raises:
            CheckpointError: the bytes are damaged.
        """
        entry = self.entries[name]
        if not entry.size:
            return np.zeros(entry.shape, entry.dtype)
        data = self._shard(entry.shard)[entry.offset : entry.offset + entry.size]
        if masked_crc(data) != entry.checksum:
            raise CheckpointError(self.data_path(entry.shard), f"damaged bytes in {name}", "those of its checksum")
        return data.view(entry.dtype).reshape(entry.shape)


def data_path(prefix: Path, shard: int = 0, num_shards: int = 1) -> Path:
    return prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{num_shards:05d}")


def write_bundle(arrays: Mapping[str, npt.NDArray[Any]], prefix: str | Path) -> None:
    """Write a checkpoint.

    Args:
        arrays: name of a variable -> array, of a type in DTYPES.
        prefix: path of the files without `.index`.
    """
    prefix, offset = Path(prefix), 0
    header: list[Field] = [(1, VARINT, 1), (3, BYTES, message([(1, VARINT, 1)]))]  # one shard, version 1
    entries = [(b"", message(header))]
    with open(data_path(prefix), "wb") as stream:
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name]).reshape(np.shape(arrays[name]))
            stream.write(array.data)
            dimensions = [(2, BYTES, message([(1, VARINT, size)])) for size in array.shape]
            entry: list[Field] = [(1, VARINT, NUMBERS[str(array.dtype)]), (2, BYTES, message(dimensions))]
            entry += [(4, VARINT, offset)] if offset else []
            entry += [(5, VARINT, array.nbytes), (6, FIXED32, masked_crc(array))]
            entries.append((name.encode(), message(entry)))
            offset += array.nbytes
    prefix.with_name(prefix.name + ".index").write_bytes(table(entries))


def masked_crc(data: npt.NDArray[Any]) -> int:
    """The masked CRC-32C of an array's bytes, as LevelDB stores it."""
    try:
        import google_crc32c
    except ImportError as error:
        raise ConfigError(
            "google-crc32c", "no such package", "an installed one", "pip install 'electra-paddle[convert]'"
        ) from error
    octets, checksum = np.ascontiguousarray(data).reshape(-1).view(np.uint8), 0
    for start in range(0, len(octets), CHUNK):
        checksum = google_crc32c.extend(checksum, octets[start : start + CHUNK].tobytes())
    return (((checksum >> 15) | (checksum << 17)) + MASK) & 0xFFFFFFFF


def read_table(raw: bytes) -> Iterator[Item]:
    """Yield the (key, value) pairs of a table."""
    footer = raw[-FOOTER:]
    if int.from_bytes(footer[-8:], "little") != MAGIC:
        raise ValueError("not a table")
    _, position = read_handle(footer, 0)  # behind the handle of the block of metadata, which is empty
    handle, _ = read_handle(footer, position)
    for _, block in read_block(raw, handle):
        yield from read_block(raw, read_handle(block, 0)[0])


def read_handle(raw: bytes, position: int) -> tuple[tuple[int, int], int]:
    """The (start, size) of a block, and the position behind this handle."""
    start, position = read_varint(raw, position)
    size, position = read_varint(raw, position)
    return (start, size), position


def read_block(raw: bytes, handle: tuple[int, int]) -> Iterator[Item]:
    """Yield the (key, value) pairs of a block."""
    start, size = handle
    checked = raw[start : start + size + 1]  # with the byte that names the compression
    if int.from_bytes(raw[start + size + 1 : start + size + 5], "little") != masked_crc(np.frombuffer(checked, "u1")):
        raise ValueError("damaged")
    if checked[-1]:
        raise ValueError("compressed, which TensorFlow does not do")
    block = checked[:-1]
    end, position, key = size - 4 - 4 * int.from_bytes(block[-4:], "little"), 0, b""
    while position < end:
        shared, position = read_varint(block, position)
        unshared, position = read_varint(block, position)
        length, position = read_varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + length]
        position += length


def table(entries: Iterable[Item]) -> bytes:
    """The bytes of a table of (key, value) pairs, which are sorted."""
    blocks: list[list[Item]] = []
    current: list[Item] = []
    size = 0
    for key, value in entries:
        current.append((key, value))
        size += len(key) + len(value)
        if size >= BLOCK_SIZE:
            blocks, current, size = [*blocks, current], [], 0
    blocks += [current] if current else []
    raw = b""
    handles: list[Item] = []
    for block in blocks:
        last_key = block[-1][0] if block is not blocks[-1] else successor(block[-1][0])
        handles.append((last_key, varint(len(raw)) + varint(len(block_bytes(block)))))
        raw += with_checksum(block_bytes(block))
    footer = b""
    for index in (block_bytes([]), block_bytes(handles, restart_interval=1)):
        footer += varint(len(raw)) + varint(len(index))
        raw += with_checksum(index)
    return raw + footer.ljust(FOOTER - 8, b"\0") + MAGIC.to_bytes(8, "little")


def successor(key: bytes) -> bytes:
    """A short key that is not less than `key`."""
    for position, byte in enumerate(key):
        if byte != 0xFF:
            return key[:position] + bytes([byte + 1])
    return key


def block_bytes(entries: Sequence[Item], restart_interval: int = RESTART_INTERVAL) -> bytes:
    """The bytes of a block of sorted (key, value) pairs, without checksum."""
    raw, before = b"", b""
    restarts: list[int] = []
    for number, (key, value) in enumerate(entries):
        shared = 0
        if number % restart_interval:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        else:
            restarts.append(len(raw))
        raw += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    restarts = restarts or [0]
    return raw + b"".join(number.to_bytes(4, "little") for number in (*restarts, len(restarts)))


def with_checksum(block: bytes) -> bytes:
    raw = block + b"\0"  # not compressed
    return raw + masked_crc(np.frombuffer(raw, "u1")).to_bytes(4, "little")


def read_message(raw: bytes) -> tuple[dict[int, list[int]], dict[int, list[bytes]]]:
    """The fields of a protocol buffer: number -> values that are integers, number -> values that are bytes."""
    integers: dict[int, list[int]] = {}
    strings: dict[int, list[bytes]] = {}
    position = 0
    while position < len(raw):
        tag, position = read_varint(raw, position)
        if tag & 7 == VARINT:
            value, position = read_varint(raw, position)
            integers.setdefault(tag >> 3, []).append(value)
        else:
            length = 4
            if tag & 7 == BYTES:
                length, position = read_varint(raw, position)
            strings.setdefault(tag >> 3, []).append(raw[position : position + length])
            position += length
    return integers, strings


def message(fields: Iterable[Field]) -> bytes:
    """The bytes of a protocol buffer."""
    raw = b""
    for number, wire_type, value in fields:
        raw += varint(number << 3 | wire_type)
        if isinstance(value, bytes):
            raw += varint(len(value)) + value
        else:
            raw += varint(value) if wire_type == VARINT else value.to_bytes(4, "little")
    return raw


def read_varint(raw: bytes, position: int) -> tuple[int, int]:
    """An integer of variable length, and the position behind it."""
    result = shift = 0
    while True:
        byte = raw[position]
        result |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return result, position


def varint(number: int) -> bytes:
    """The bytes of an integer of variable length."""
    raw = b""
    while number > 127:
        raw += bytes([number & 127 | 128])
        number >>= 7
    return raw + bytes([number])
