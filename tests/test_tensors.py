import os
import pickle

import numpy as np
import paddle
import pytest

from electra_paddle.errors import CheckpointError
from electra_paddle.tensors import assign, read_state


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


def test_report_of_a_load_tells_numbers_and_names(tmp_path):
    layer = paddle.nn.Linear(3, 2)
    arrays = {f"part.{name}": parameter.numpy() for name, parameter in layer.named_parameters()}
    report = assign(layer, {**arrays, "other": np.zeros(1)}, "FILE", prefix="part.", allow_extra=True)
    assert str(report) == "FILE: 2 parameters loaded, 0 missing, 1 extra (other)"
    heads = [f"head{number}" for number in range(6)]
    told = str(report._replace(untrained=heads))
    assert "2 parameters loaded, 6 missing" in told and told.endswith(
        "UNTRAINED: head0, head1, head2, head3 and 2 more"
    )


def test_nothing_is_filled_unless_all_fits():
    layer = paddle.nn.Linear(3, 2)
    before = layer.weight.numpy()
    with pytest.raises(CheckpointError, match="FILE: found no bias, expected bias"):
        assign(layer, {"weight": before + 1}, "FILE")
    assert (layer.weight.numpy() == before).all()


def test_arrays_in_half_precision_are_loaded_as_float32():
    layer = paddle.nn.Linear(3, 2)
    weight = np.full((3, 2), 0.1, np.float16)
    assign(layer, {"weight": weight, "bias": np.zeros(2, np.float32)}, "FILE")
    assert layer.weight.dtype == paddle.float32 and (layer.weight.numpy() == weight.astype(np.float32)).all()
