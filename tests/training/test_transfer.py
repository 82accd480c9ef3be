"""Batches are copied one step ahead, by a thread that ends with its generator."""

import threading
from typing import Any, NamedTuple

import numpy as np
import paddle
import pytest

from electra_paddle.training import transfer
from electra_paddle.training.transfer import on_device


class Batch(NamedTuple):
    input_ids: Any  # [B]
    attention_mask: Any  # [B]
    is_full: Any = np.False_


class Source:
    """Batches; notes which have been made, and by which threads."""

    def __init__(self, count=4, fails_at=None):
        self.count, self.fails_at, self.made, self.threads, self.has_made = (
            count,
            fails_at,
            [],
            set(),
            threading.Event(),
        )

    def __iter__(self):
        for number in range(self.count):
            if number == self.fails_at:
                raise ValueError(f"batch {number}")
            self.threads.add(threading.current_thread())
            self.made.append(number)
            self.has_made.set()
            yield Batch(np.full(4, number), np.array([1, 1, number, 1]))


def is_alive():
    return any(thread.name.startswith("copies batches") for thread in threading.enumerate())


def values(ready):
    return [part.input_ids.numpy().tolist() for part in ready]


def test_on_a_cpu_nothing_is_made_ahead():
    source = Source()
    ready = on_device(source)
    assert values(next(ready)) == [[0] * 4] and source.made == [0]
    assert source.threads == {threading.current_thread()} and not is_alive()


def test_next_batch_is_made_by_another_thread_while_one_is_in_use(gpu_branches):
    source = Source()
    ready = on_device(source, 2)
    first = next(ready)
    assert values(first) == [[0, 0], [0, 0]] and [bool(part.is_full) for part in first] == [True, False]
    source.has_made.clear()
    if len(source.made) < 2:
        assert source.has_made.wait(10)
    assert source.made == [0, 1]  # and not more than one ahead
    assert [values(parts)[0] for parts in ready] == [[1, 1], [2, 2], [3, 3]]
    assert len(source.threads) == 1 and threading.current_thread() not in source.threads and not is_alive()


def test_thread_ends_with_its_generator(gpu_branches):
    ready = on_device(Source())
    next(ready)
    assert is_alive()
    ready.close()
    assert not is_alive()


def test_errors_of_the_thread_reach_the_caller_at_their_batch(gpu_branches):
    ready = on_device(Source(fails_at=2))
    assert [values(next(ready)) for _ in range(2)] == [[[0] * 4], [[1] * 4]]
    with pytest.raises(ValueError, match="batch 2"):
        next(ready)
    assert not is_alive()


class Event:
    """In place of CUDA's: passed as soon as somebody says so."""

    has_passed = False

    def record(self):
        pass

    def query(self):
        return Event.has_passed


class Pinned:
    """In place of a tensor in pinned memory, which a build for CPUs does not have."""

    in_use = 0

    def __init__(self, array, place):
        assert place == "pinned"
        self.array = array
        Pinned.in_use += 1

    def cuda(self, blocking):
        assert not blocking
        return paddle.Tensor(self.array)

    def __del__(self):
        Pinned.in_use -= 1


def test_pinned_memory_is_kept_until_the_gpu_has_copied_it(gpu_branches, monkeypatch):
    monkeypatch.setattr(transfer, "is_gpu", lambda: True)
    monkeypatch.setattr(paddle, "CUDAPinnedPlace", lambda: "pinned")
    monkeypatch.setattr(paddle, "to_tensor", Pinned)
    monkeypatch.setattr(paddle.device.cuda, "Event", Event)
    monkeypatch.setattr(Event, "has_passed", False)
    memory = transfer.PinnedMemory()
    for number in range(3):
        transfer.to_tensors(Batch(np.arange(4), np.ones(4)), memory.copy)
        memory.release()
        assert Pinned.in_use == 2 * (number + 1)
    Event.has_passed = True
    memory.release()
    assert Pinned.in_use == 0
    assert [values(parts) for parts in on_device(Source(3))] == [[[number] * 4] for number in range(3)]
