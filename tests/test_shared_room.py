"""Means over processes that share memory, with real processes."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from electra_paddle import shared_room
from electra_paddle.shared_room import SharedRoom, make_file

PROCESS = """
import sys, time
from pathlib import Path
import numpy as np
from electra_paddle.shared_room import SharedRoom

file, rank, count, folder, sizes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:]
rounds = iter(range(1000))

def barrier():
    number = next(rounds)
    (folder / f"{number}-{rank}").touch()
    while not all((folder / f"{number}-{other}").exists() for other in range(count)):
        time.sleep(0.001)

room = SharedRoom(file, rank, count, barrier)
for turn in range(3):
    rng = np.random.default_rng([turn, rank])
    arrays = [rng.standard_normal(int(size)).astype(np.float32) for size in sizes]
    room.average(arrays)
    np.save(folder / f"result-{turn}-{rank}.npy", np.concatenate(arrays))
"""


@pytest.mark.parametrize("count", [2, 3])
def test_processes_get_the_same_mean_of_arrays_smaller_and_larger_than_a_row(tmp_path, monkeypatch, count):
    monkeypatch.setattr(shared_room, "FOLDER", tmp_path)
    monkeypatch.setattr(shared_room, "ROW_BYTES", 400)
    file, sizes = make_file(count), [7, 0, 250, 1, 99, 100, 3]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, file, str(rank), str(count), str(tmp_path), *map(str, sizes)],
            env=environment,
        )
        for rank in range(count)
    ]
    assert [process.wait(60) for process in processes] == [0] * count
    for turn in range(3):
        results = [np.load(tmp_path / f"result-{turn}-{rank}.npy") for rank in range(count)]
        rngs = [np.random.default_rng([turn, rank]) for rank in range(count)]
        given = [[rng.standard_normal(size).astype(np.float32) for size in sizes] for rng in rngs]
        expected = np.mean([np.concatenate(arrays).astype(float) for arrays in given], axis=0)
        np.testing.assert_allclose(results[0], expected, atol=1e-6)
        for other in results[1:]:
            np.testing.assert_array_equal(other, results[0])


def test_without_room_there_is_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_room, "FOLDER", tmp_path / "nowhere")
    assert make_file(2) is None

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared_room, "FOLDER", tmp_path)
    monkeypatch.setattr(shared_room.os, "posix_fallocate", full)
    assert make_file(2) is None and not [*tmp_path.iterdir()]


def test_nothing_is_no_work(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_room, "FOLDER", tmp_path)
    SharedRoom(make_file(1), 0, 1, lambda: None).average([])
