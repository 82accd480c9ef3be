"""With TensorFlow itself, in the environment that `make peers` makes."""

import subprocess

import numpy as np
import pytest
from conftest import ROOT
from small_checkpoint import random_variables, write_checkpoint

from electra_paddle.conversion.convert_tf import convert_from_tf, convert_to_tf
from electra_paddle.conversion.tensor_bundle import TensorBundle

PYTHON = ROOT / ".venv-peers/bin/python"
READ = """
import sys
import numpy as np
import tensorflow as tf

reader = tf.train.load_checkpoint(sys.argv[1])
np.savez(sys.argv[2], **{name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()})
"""
# Variables that TensorFlow creates and saves, in two shards.
WRITE = """
import sys
import numpy as np
import tensorflow as tf

tf.compat.v1.disable_eager_execution()
arrays = dict(np.load(sys.argv[1]))
for number, (name, array) in enumerate(arrays.items()):
    with tf.device(f"/cpu:{number % 2}"):
        tf.compat.v1.get_variable(name, initializer=array)
config = tf.compat.v1.ConfigProto(device_count={"CPU": 2})
with tf.compat.v1.Session(config=config) as session:
    session.run(tf.compat.v1.global_variables_initializer())
    tf.compat.v1.train.Saver(sharded=True).save(session, sys.argv[2])
"""


def tensorflow(script, *arguments):
    subprocess.run([PYTHON, "-c", script, *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(autouse=True)
def peers():
    if not PYTHON.exists() or subprocess.run([PYTHON, "-c", "import tensorflow"], capture_output=True).returncode:
        pytest.skip("needs TensorFlow in .venv-peers: make peers")


@pytest.mark.slow
def test_tensorflow_reads_what_is_converted_back(tmp_path):
    variables = random_variables(slots=True)
    convert_from_tf(write_checkpoint(tmp_path / "tf", variables), tmp_path / "out")
    convert_to_tf(tmp_path / "out", tmp_path / "back")
    tensorflow(READ, tmp_path / "back", tmp_path / "read.npz")  # by the file `checkpoint`
    read = np.load(tmp_path / "read.npz")
    assert set(read.files) == set(variables)
    for name, array in variables.items():
        assert read[name].dtype == array.dtype and np.array_equal(read[name], array)


@pytest.mark.slow
def test_checkpoint_that_tensorflow_wrote_in_shards_converts(tmp_path):
    variables = random_variables(slots=True)
    np.savez(tmp_path / "variables.npz", **variables)
    write_checkpoint(tmp_path / "tf", {"a": np.zeros(1, "float32")}, "other")  # for its vocabulary
    for path in (tmp_path / "tf").glob("other*"):
        path.unlink()
    tensorflow(WRITE, tmp_path / "variables.npz", tmp_path / "tf/model.ckpt-7")
    bundle = TensorBundle(tmp_path / "tf/model.ckpt-7")
    assert bundle.num_shards == 2
    assert {name: bundle[name].tobytes() for name in bundle.entries} == {
        name: array.tobytes() for name, array in variables.items()
    }
    convert_from_tf(tmp_path / "tf", tmp_path / "out")
    assert (tmp_path / "out/checkpoints/step_00000007").is_dir()
