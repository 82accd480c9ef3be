"""Reads a TensorFlow checkpoint's arrays without TensorFlow, so that golden weights can be tested everywhere.

The `.index` is a LevelDB table (prefix-compressed keys in blocks, a footer that points at the block index); each
value is a BundleEntryProto that says where in the `.data` file an array lies.
"""

from pathlib import Path

import numpy as np

DTYPES = {1: np.float32, 3: np.int32, 9: np.int64}


def read_bundle(prefix):
    """name -> array."""
    index = Path(f"{prefix}.index").read_bytes()
    data = Path(f"{prefix}.data-00000-of-00001").read_bytes()
    footer = index[-48:]
    _, position = read_varint(footer, 0)  # the meta index's handle, not needed
    _, position = read_varint(footer, position)
    start, position = read_varint(footer, position)
    size, _ = read_varint(footer, position)
    arrays = {}
    for _, handle in read_block(index, start, size):
        block_start, position = read_varint(handle, 0)
        block_size, _ = read_varint(handle, position)
        for key, value in read_block(index, block_start, block_size):
            if key:
                arrays[key.decode()] = read_entry(value, data)
    return arrays


def read_block(table, start, size):
    """(key, value) pairs of one uncompressed block."""
    assert table[start + size] == 0, "compressed blocks are not read here"
    block = table[start : start + size]
    num_restarts = int.from_bytes(block[-4:], "little")
    end, position, key = size - 4 - 4 * num_restarts, 0, b""
    while position < end:
        shared, position = read_varint(block, position)
        unshared, position = read_varint(block, position)
        length, position = read_varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + length]
        position += length


def read_entry(value, data):
    fields = read_message(value)
    shape = [read_message(dimension).get(1, [0])[0] for dimension in read_message(fields.get(2, [b""])[0]).get(2, [])]
    offset, size = fields.get(4, [0])[0], fields[5][0]
    return np.frombuffer(data[offset : offset + size], DTYPES[fields[1][0]]).reshape(shape)


def read_message(raw):
    """Protocol buffer fields: number -> values (ints, or bytes)."""
    fields, position = {}, 0
    while position < len(raw):
        tag, position = read_varint(raw, position)
        if tag & 7 == 0:
            value, position = read_varint(raw, position)
        elif tag & 7 == 2:
            length, position = read_varint(raw, position)
            value, position = raw[position : position + length], position + length
        else:  # 32 bits: the checksum
            value, position = raw[position : position + 4], position + 4
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def read_varint(raw, position):
    result = shift = 0
    while True:
        byte = raw[position]
        result |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return result, position
