"""TensorFlow's checkpoints, read and written without TensorFlow.

`PREFIX.index` is a table in LevelDB's format: blocks of sorted, prefix-compressed entries, an index of the blocks, a
footer. Under each variable's name it says where in `PREFIX.data-00000-of-00001` its bytes lie. Checksums are CRC-32C,
masked as LevelDB does.

Source: the formats of tensorflow/core/util/tensor_bundle, tensorflow/core/lib/io/table and
tensorflow/core/protobuf/tensor_bundle.proto. Files written here equal TensorFlow's byte for byte.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from electra_paddle.errors import CheckpointError, ConfigError

DTYPES = {1: "float32", 2: "float64", 3: "int32", 9: "int64", 19: "float16"}
NUMBERS = {name: number for number, name in DTYPES.items()}
MAGIC = 0xDB4775248B80FB57
FOOTER = 48  # bytes
MASK = 0xA282EAD8
CHUNK = 1 << 20  # bytes of which a checksum is made at once
RESTART_INTERVAL, BLOCK_SIZE = 16, 262144
VARINT, BYTES, FIXED32 = 0, 2, 5  # wire types of protocol buffers


class Entry(NamedTuple):
    """Where a variable lies."""

    dtype: str
    shape: tuple
    shard: int
    offset: int
    size: int  # bytes
    checksum: int


class TensorBundle:
    """A checkpoint; its arrays are read when they are asked for.

    Args:
        prefix: path of the files without `.index`.

    Attributes:
        entries: variable -> Entry, in the order of names.
        others: variables of types that are no numbers, such as TensorFlow 2's object graph.

    Raises:
        CheckpointError: a file is missing, cut short or damaged.
    """

    def __init__(self, prefix):
        self.prefix = Path(prefix)
        self.index = self.prefix.with_name(self.prefix.name + ".index")
        self.num_shards, self.entries, self.others = 1, {}, []
        try:
            table = self.index.read_bytes()
        except OSError as error:
            raise CheckpointError(self.index, "no such file", "a TensorFlow checkpoint's index") from error
        try:
            for key, value in read_table(table):
                self._add(key.decode(), read_message(value))
        except (IndexError, ValueError, KeyError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(self.index, "a damaged table", "a TensorFlow checkpoint's index") from error
        self._check_sizes()

    def _add(self, name, fields):
        if not name:  # the header
            self.num_shards = fields.get(1, [0])[0]
            if fields.get(2, [0])[0]:
                raise CheckpointError(self.index, "numbers with the most significant byte first", "least significant")
        elif 7 in fields:
            raise CheckpointError(self.index, f"{name} in slices", "variables in one piece each")
        elif fields[1][0] not in DTYPES:
            self.others.append(name)
        else:
            dimensions = read_message(fields.get(2, [b""])[0]).get(2, [])
            shape = tuple(read_message(dimension).get(1, [0])[0] for dimension in dimensions)
            shard, offset, size = (fields.get(number, [0])[0] for number in (3, 4, 5))
            checksum = int.from_bytes(fields[6][0], "little")
            self.entries[name] = Entry(DTYPES[fields[1][0]], shape, shard, offset, size, checksum)

    def _check_sizes(self):
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

    def data_path(self, shard):
        return data_path(self.prefix, shard, self.num_shards)

    @functools.cache  # noqa: B019 (it lives as long as the bundle is read)
    def _shard(self, number):
        return np.memmap(self.data_path(number), np.uint8, "r")

    def __getitem__(self, name):
        """The array of a variable: a view of the file, which cannot be written.

        Raises:
            CheckpointError: its bytes are damaged.
        """
        entry = self.entries[name]
        if not entry.size:
            return np.zeros(entry.shape, entry.dtype)
        data = self._shard(entry.shard)[entry.offset : entry.offset + entry.size]
        if masked_crc(data) != entry.checksum:
            raise CheckpointError(self.data_path(entry.shard), f"damaged bytes in {name}", "those of its checksum")
        return data.view(entry.dtype).reshape(entry.shape)


def data_path(prefix, shard=0, num_shards=1):
    return prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{num_shards:05d}")


def write_bundle(arrays, prefix):
    """Write variables (name -> array) as one checkpoint."""
    prefix, offset = Path(prefix), 0
    header = [(1, VARINT, 1), (3, BYTES, message([(1, VARINT, 1)]))]  # one shard, version 1
    entries = [(b"", message(header))]
    with open(data_path(prefix), "wb") as stream:
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name]).reshape(np.shape(arrays[name]))
            stream.write(array.data)
            dimensions = [(2, BYTES, message([(1, VARINT, size)])) for size in array.shape]
            entry = [(1, VARINT, NUMBERS[str(array.dtype)]), (2, BYTES, message(dimensions))]
            entry += [(4, VARINT, offset)] if offset else []
            entry += [(5, VARINT, array.nbytes), (6, FIXED32, masked_crc(array))]
            entries.append((name.encode(), message(entry)))
            offset += array.nbytes
    prefix.with_name(prefix.name + ".index").write_bytes(table(entries))


def masked_crc(data):
    """CRC-32C of some bytes, as LevelDB stores it."""
    try:
        import google_crc32c
    except ImportError as error:
        raise ConfigError(
            "google-crc32c", "no such package", "it installed", "pip install 'electra-paddle[convert]'"
        ) from error
    octets, checksum = np.ascontiguousarray(data).reshape(-1).view(np.uint8), 0
    for start in range(0, len(octets), CHUNK):
        checksum = google_crc32c.extend(checksum, octets[start : start + CHUNK].tobytes())
    return (((checksum >> 15) | (checksum << 17)) + MASK) & 0xFFFFFFFF


def read_table(raw):
    """Yield (key, value) of a table."""
    footer = raw[-FOOTER:]
    if int.from_bytes(footer[-8:], "little") != MAGIC:
        raise ValueError("not a table")
    _, position = read_handle(footer, 0)  # of the block of other blocks, which is empty
    handle, _ = read_handle(footer, position)
    for _, block in read_block(raw, handle):
        yield from read_block(raw, read_handle(block, 0)[0])


def read_handle(raw, position):
    """((start, size) of a block, position behind)."""
    start, position = read_varint(raw, position)
    size, position = read_varint(raw, position)
    return (start, size), position


def read_block(raw, handle):
    """Yield (key, value) of a block."""
    start, size = handle
    checked = raw[start : start + size + 1]  # with the byte that says how it is compressed
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


def table(entries):
    """The bytes of a table of sorted (key, value) entries."""
    blocks, current, size = [], [], 0
    for key, value in entries:
        current.append((key, value))
        size += len(key) + len(value)
        if size >= BLOCK_SIZE:
            blocks, current, size = [*blocks, current], [], 0
    blocks += [current] if current else []
    raw, handles = b"", []
    for block in blocks:
        last_key = block[-1][0] if block is not blocks[-1] else successor(block[-1][0])
        handles.append((last_key, varint(len(raw)) + varint(len(block_bytes(block)))))
        raw += with_checksum(block_bytes(block))
    footer = b""
    for block in (block_bytes([]), block_bytes(handles, restart_interval=1)):
        footer += varint(len(raw)) + varint(len(block))
        raw += with_checksum(block)
    return raw + footer.ljust(FOOTER - 8, b"\0") + MAGIC.to_bytes(8, "little")


def successor(key):
    """A short key that is not less than a key."""
    for position, byte in enumerate(key):
        if byte != 0xFF:
            return key[:position] + bytes([byte + 1])
    return key


def block_bytes(entries, restart_interval=RESTART_INTERVAL):
    raw, restarts, before = b"", [], b""
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


def with_checksum(block):
    raw = block + b"\0"  # not compressed
    return raw + masked_crc(np.frombuffer(raw, "u1")).to_bytes(4, "little")


def read_message(raw):
    """Fields of a protocol buffer: number -> values, which are ints or bytes."""
    fields, position = {}, 0
    while position < len(raw):
        tag, position = read_varint(raw, position)
        if tag & 7 == VARINT:
            value, position = read_varint(raw, position)
        else:
            length = 4
            if tag & 7 == BYTES:
                length, position = read_varint(raw, position)
            value, position = raw[position : position + length], position + length
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def message(fields):
    """The bytes of a protocol buffer of (number, wire type, value)."""
    raw = b""
    for number, wire_type, value in fields:
        raw += varint(number << 3 | wire_type)
        if wire_type == VARINT:
            raw += varint(value)
        else:
            raw += varint(len(value)) + value if wire_type == BYTES else value.to_bytes(4, "little")
    return raw


def read_varint(raw, position):
    result = shift = 0
    while True:
        byte = raw[position]
        result |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return result, position


def varint(number):
    raw = b""
    while number > 127:
        raw += bytes([number & 127 | 128])
        number >>= 7
    return raw + bytes([number])
