"""Files that PyTorch 2.13 saved (see peer.py), and files that nobody should trust."""

import os
import pickle
import zipfile

import numpy as np
import pytest
from conftest import ROOT

from electra_paddle.conversion.torch_file import read_torch_file
from electra_paddle.errors import CheckpointError

GOLDEN = ROOT / "tests/golden/huggingface_micro"
NUMBERS = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize("name", ["dtypes.bin", "dtypes_legacy.bin"])
def test_tensors_of_every_kind_are_read_from_both_formats(name):
    arrays = read_torch_file(GOLDEN / name)
    for kind in ("float16", "float64", "int64", "bool"):
        assert arrays[kind].dtype == kind
        assert (arrays[kind] == NUMBERS.astype(kind)).all()
    assert arrays["bfloat16"].dtype == "float32" and (arrays["bfloat16"] == NUMBERS).all()
    assert (arrays["transposed"] == NUMBERS.T).all()
    assert arrays["part"].tolist() == [4, 5]
    assert arrays["scalar"].shape == () and arrays["scalar"] == 7
    assert arrays["empty"].shape == (0, 3)
    assert (arrays["parameter"] == NUMBERS).all()
    assert len(arrays) == 10


def pickle_of_a_tensor(size="I2\n", stride="I1\n", length="I2\n", kind="FloatStorage", label="storage"):
    """{"w": a tensor in the storage "0"}, written by hand; sizes are pickled numbers."""
    storage = f"(S'{label}'\nctorch\n{kind}\nS'0'\nS'cpu'\n{length}tQ"
    return f"(dS'w'\nctorch._utils\n_rebuild_tensor_v2\n({storage}I0\n({size}t({stride}tI00\n(dtRs.".encode()


def write_archive(path, pickled, content=bytes(8), compression=zipfile.ZIP_STORED, byteorder="little"):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", byteorder)
        archive.writestr("archive/data/0", content)
    return path


def write_legacy(path, pickled):
    headers = [pickle.dumps(value) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    path.write_bytes(b"".join(headers) + pickled)
    return path


def refusal(path):
    with pytest.raises(CheckpointError) as caught:
        read_torch_file(path)
    assert str(caught.value).startswith(f"{path}: found no readable tensors (")
    return str(caught.value)


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("write", [write_archive, write_legacy])
def test_pickle_that_would_run_code_is_refused(write, tmp_path):
    path = write(tmp_path / "pytorch_model.bin", pickle.dumps({"w": Malicious(tmp_path / "owned")}))
    assert "mkdir, which is refused" in refusal(path)
    assert not (tmp_path / "owned").exists()


def test_hand_written_tensor_is_read(tmp_path):
    path = write_archive(tmp_path / "m.bin", pickle_of_a_tensor(), np.array([3, 4], "float32").tobytes())
    assert read_torch_file(path)["w"].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"size": "I3\n"}, "beyond the 2 numbers"),
        ({"size": "I2\n", "stride": "I5\n"}, "beyond the 2 numbers"),
        ({"size": "I2\n", "stride": "I-1\n"}, "beyond the 2 numbers"),
        ({"size": "I999999999\n", "stride": "I0\n"}, "beyond the 2 numbers"),
        ({"length": "I9\n"}, "8 bytes where 36 are announced"),
        ({"kind": "QInt8Storage"}, "torch.QInt8Storage, which is refused"),
        ({"label": "module"}, "'module' with 0 more entries, which is not read here"),
    ],
)
def test_tensor_that_does_not_fit_its_bytes_is_refused(options, reason, tmp_path):
    assert reason in refusal(write_archive(tmp_path / "m.bin", pickle_of_a_tensor(**options)))


def test_compressed_archive_is_refused(tmp_path):
    path = write_archive(tmp_path / "m.bin", pickle_of_a_tensor(), bytes(1 << 20), zipfile.ZIP_DEFLATED)
    assert "a compressed archive" in refusal(path)


def test_foreign_byte_order_is_refused(tmp_path):
    assert "highest byte first" in refusal(write_archive(tmp_path / "m.bin", pickle_of_a_tensor(), byteorder="big"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [([1, 2], "list, not tensors under names"), ({}, "dict, not"), ({"epoch": 3}, "'epoch', which is no tensor")],
)
def test_anything_but_tensors_under_names_is_refused(value, reason, tmp_path):
    assert reason in refusal(write_archive(tmp_path / "m.bin", pickle.dumps(value)))


@pytest.mark.parametrize("name", ["dtypes.bin", "dtypes_legacy.bin"])
def test_file_that_was_cut_short_is_named(name, tmp_path):
    content = (GOLDEN / name).read_bytes()
    for size in range(0, len(content), 97):
        (tmp_path / name).write_bytes(content[:size])
        refusal(tmp_path / name)


def test_missing_file_is_named(tmp_path):
    assert "No such file" in refusal(tmp_path / "absent.bin")
