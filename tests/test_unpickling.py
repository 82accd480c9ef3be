"""Pickles of strangers: read, or refused in one line; nothing they say runs, crashes or fills the memory."""

import io
import pickle
import pickletools
import random
import resource
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from conftest import ROOT

from electra_paddle.conversion.torch_file import read_torch_file
from electra_paddle.errors import CheckpointError
from electra_paddle.tensors import read_state
from electra_paddle.unpickling import BoundedStream, UnpicklingError, unpickle

OBJECT_ARRAY = pickle.dumps({"w": np.array([None, "text"], object)})
ARRAYS = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.int64([7]), "flag": np.array([True])}


def read(content, builders=None):
    return unpickle(BoundedStream(io.BytesIO(content), len(content)), builders or {})


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_those_of_pythons_own_unpickler(protocol):
    value = {"a": [1, -2, 2**40, 1.5, None, True, False], "b": ("text", "文", (), {"c": {}})}
    assert read(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(print), "builtins.print, which is refused"),
        (b"\x80\x02" + b")" + b"\x85" * 100_000 + b".", "nested too deeply"),
        (b"\x80\x02}" + b"](" * 1000 + b"e" * 1000 + b".", "nested too deeply|no list|damaged"),
        (b"\x80\x02Nr\xff\xff\xff\x7f.", None),  # a memo of two billion places
        (b"\x80\x02B\xff\xff\xff\x7fabc.", "damaged pickle"),  # two billion bytes announced
        (b"\x80\x02\x8a\xff.", "damaged pickle"),
        (b"\x80\x02}(Kxu.", "entries|damaged"),
        (b"\x80\x02}K\x01)s}(}K\x02u.", "key of type dict|entries|damaged"),
        (b"\x80\x02NN\x86R.", "no function|damaged"),
        (b"", "damaged pickle"),
        (b"\x80\x02K", "damaged pickle"),
    ],
)
def test_hostile_pickles_are_refused_at_once(content, message):
    if message is None:
        assert read(content) is None
        return
    with pytest.raises(UnpicklingError, match=message):
        read(content)


def test_object_arrays_whose_bytes_would_be_addresses_are_refused(tmp_path):
    path = tmp_path / "m.pdparams"
    path.write_bytes(OBJECT_ARRAY)
    with pytest.raises(CheckpointError, match="found no readable parameters"):
        read_state(path)
    path.write_bytes(pickle.dumps({"w": np.zeros(2, [("a", "f4"), ("b", "i4")])}))
    with pytest.raises(CheckpointError, match="found no readable parameters"):
        read_state(path)


def seeds():
    """Whole files: (ending, content)."""
    found = [(".pdparams", pickle.dumps(ARRAYS, protocol)) for protocol in (2, 3, 4, 5)]
    found.append((".pdparams", pickle.dumps({name: (name, array) for name, array in ARRAYS.items()}, 2)))
    tensor = (
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQK\x00K\x02K\x03\x86K\x03K\x01\x86\x89}tRs."
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("m/data.pkl", tensor)
        archive.writestr("m/data/0", np.arange(6, dtype="<f4").tobytes())
    found.append((".bin", stream.getvalue()))
    return found


def mutated(rng, content):
    """The content with some bytes changed, cut out, put in or doubled."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        place = rng.randrange(len(data)) if data else 0
        kind = rng.randrange(5)
        if kind == 0 and data:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[place:place] = rng.choice(OPCODES)
        elif kind == 2:
            del data[place : place + rng.randrange(1, 9)]
        elif kind == 3 and data:
            data[place] = rng.randrange(256)
        else:
            other = rng.randrange(len(data) or 1)
            data[place:place] = data[other : other + rng.randrange(1, 30)]
    return bytes(data)


OPCODES = [operation.code.encode("latin-1") for operation in pickletools.opcodes]


@pytest.mark.parametrize("count", [1000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_mutated_files_are_read_or_refused_in_one_line(tmp_path, count):
    rng, num_read = random.Random(count), 0
    files = seeds()
    for ending, content in files:
        path = tmp_path / f"whole{ending}"
        path.write_bytes(content)
        (read_state if ending == ".pdparams" else read_torch_file)(path)
    for _ in range(count):
        ending, content = rng.choice(files)
        path = tmp_path / f"m{ending}"
        path.write_bytes(mutated(rng, content))
        try:
            arrays = (read_state if ending == ".pdparams" else read_torch_file)(path)
            num_read += 1
            assert all(isinstance(array, np.ndarray) and array.dtype != object for array in arrays.values())
        except CheckpointError as error:
            assert "\n" not in str(error) and len(str(error)) < 2000
    assert 0 < num_read < count


def test_hostile_files_do_not_fill_the_memory(tmp_path):
    """In a process of its own that may have 4 GB."""
    (tmp_path / "memo.pdparams").write_bytes(b"\x80\x02Nr\xff\xff\xff\x7f.")
    (tmp_path / "long.pdparams").write_bytes(b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"abc.")
    fan = b"\x80\x02)" + b"".join(b"q" + bytes([n]) + (b"h" + bytes([n])) * 2 + b"\x87" for n in range(19))
    (tmp_path / "fan.pdparams").write_bytes(b"\x80\x02cnumpy\ndtype\n" + fan[2:] + b"\x85R.")
    script = (
        "import sys\nfrom electra_paddle.tensors import read_state\nfrom electra_paddle.errors import CheckpointError\n"
        "for path in sys.argv[1:]:\n    try:\n        read_state(path)\n    except CheckpointError as error:\n"
        "        print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *map(str, sorted(tmp_path.iterdir()))],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 3 and len(result.stdout) < 2000
