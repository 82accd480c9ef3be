import os
import pickle

import numpy as np
import paddle
import pytest

from electra_paddle.errors import CheckpointError
from electra_paddle.tensors import read_state


def test_parameters_that_paddle_saved_are_read(tmp_path):
    layer = paddle.nn.Linear(3, 2)
    paddle.save(layer.state_dict(), str(tmp_path / "model.pdparams"))
    state = read_state(tmp_path / "model.pdparams")
    assert set(state) == {"weight", "bias"}
    assert (state["weight"] == layer.weight.numpy()).all()


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickle_that_would_run_code_is_refused(tmp_path):
    (tmp_path / "model.pdparams").write_bytes(pickle.dumps({"weight": Malicious(tmp_path / "owned")}))
    with pytest.raises(CheckpointError, match="mkdir, which is refused"):
        read_state(tmp_path / "model.pdparams")
    assert not (tmp_path / "owned").exists()


def test_file_that_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "model.pdparams").write_bytes(b"hello")
    for path in (tmp_path / "model.pdparams", tmp_path / "absent.pdparams"):
        with pytest.raises(CheckpointError, match="found no readable parameters"):
            read_state(path)


def test_protocols_of_numpy_arrays_are_read(tmp_path):
    for protocol in range(2, 6):
        (tmp_path / "m.pdparams").write_bytes(pickle.dumps({"w": np.arange(3.0)}, protocol))
        assert read_state(tmp_path / "m.pdparams")["w"].tolist() == [0, 1, 2]
