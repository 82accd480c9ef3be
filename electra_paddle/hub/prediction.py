"""Many sequences through a network, as fast as padding allows.

Shapes: B batch, L sequence.
"""

import contextlib

import paddle

from electra_paddle.batch import TokenBatch
from electra_paddle.errors import ConfigError
from electra_paddle.text import pad


def compute_in_batches(sequences, batch_size, compute):
    """What a function of a batch makes of each sequence, in their order.

    Sequences of similar length go together, so that little is padded; each batch is padded to its longest.

    Args:
        sequences: (ids, position where the second segment begins) pairs.
        compute: takes a TokenBatch of tensors [B, L] and the B lengths; returns a list of B values.
    """
    order = sorted(range(len(sequences)), key=lambda number: len(sequences[number][0]))
    values = [None] * len(sequences)
    for start in range(0, len(order), batch_size):
        numbers = order[start : start + batch_size]
        part = [sequences[number] for number in numbers]
        batch = TokenBatch(*map(paddle.to_tensor, pad(part)))
        for number, value in zip(numbers, compute(batch, [len(ids) for ids, _ in part]), strict=True):
            values[number] = value
    return values


def windows(length, room):
    """Overlapping parts of a text that is longer than a sequence.

    Args:
        length: tokens of the text.
        room: tokens of a part.

    Returns:
        list of (start, end, first, last): tokens `start` to `end` are one part; those from `first` to `last`, which
        have context on both sides there, are answered from it. Every token is answered once.
    """
    margin, parts, first = room // 4, [], 0
    while not parts or first < length:
        start = max(0, min(first - margin, length - room))
        end = min(start + room, length)
        last = length if end == length else end - margin
        parts.append((start, end, first, last))
        first = last
    return parts


@contextlib.contextmanager
def on_device(network, use_gpu):
    """Work on a device; the global one, and the network's parameters, are left as they were.

    Raises:
        ConfigError: a GPU is wanted and there is none.
    """
    if use_gpu and not paddle.device.is_compiled_with_cuda():
        raise ConfigError("use_gpu", True, "False", "this build of Paddle has no GPU support")
    if use_gpu and not paddle.device.cuda.device_count():
        raise ConfigError("use_gpu", True, "False", "Paddle finds no GPU")
    before = paddle.device.get_device()
    target = "cpu"
    if use_gpu:
        target = before if before.startswith("gpu") else "gpu"
    was_on_gpu = any(parameter.place.is_gpu_place() for parameter in network.parameters())
    paddle.device.set_device(target)
    try:
        if was_on_gpu != bool(use_gpu):
            network.to(device=target)
        yield
    finally:
        paddle.device.set_device(before)
        if was_on_gpu != bool(use_gpu):
            network.to(device="gpu" if was_on_gpu else "cpu")
