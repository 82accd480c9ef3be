import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from electra_paddle import runtime

runtime.prepare_cpu()
# No test may touch the user's modules, nor those of tests beside it.
HUB_HOME = f"electra_paddle_tests_hub_home_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
os.environ.setdefault("HUB_HOME", str(Path(tempfile.gettempdir()) / HUB_HOME))

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"


def pytest_configure(config):
    """Where only tests of GPUs are asked for, none of them would run without one: that is a failure."""
    if config.getoption("markexpr") == "gpu":
        count = "import paddle; print('GPUs', paddle.device.cuda.device_count())"  # an import may say much else
        result = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True)
        if result.returncode or "GPUs 0" in result.stdout:
            raise pytest.UsageError("found no GPU that Paddle can use, expected one; `electra-paddle doctor` says why")


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch):
    """No test reaches the network."""
    connect = socket.socket.connect

    def guarded(self, address):
        if isinstance(address, tuple) and not str(address[0]).startswith(("127.", "localhost", "::1")):
            raise OSError(f"tests may not connect to {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def gpu_branches(monkeypatch):
    """The code takes the ways that it takes on a GPU, on a CPU: what they compute is checked, not how fast."""
    import paddle

    from electra_paddle.models import encoder

    paddle.set_device("cpu")
    monkeypatch.setattr(runtime, "is_cpu", lambda: False)
    monkeypatch.setattr(encoder, "runs_on_cpu", lambda x: False)


@pytest.fixture
def gpu():
    """Paddle computes on the first GPU, the same each time."""
    import paddle

    if not paddle.device.cuda.device_count():
        pytest.skip("needs a GPU")
    paddle.set_device("gpu")
    runtime.start(is_deterministic=True)
    yield
    paddle.set_device("cpu")


ON_GPU = pytest.param("GPU", marks=pytest.mark.gpu)


@pytest.fixture(params=["CPU", "GPU branches", ON_GPU])
def both_branches(request):
    """The test runs as on a CPU, with `gpu_branches`, and on a GPU."""
    if request.param == "GPU branches":
        request.getfixturevalue("gpu_branches")
    elif request.param == "GPU":
        request.getfixturevalue("gpu")


@pytest.fixture(params=["GPU branches", ON_GPU])
def device(request, monkeypatch):
    """The test runs on a GPU, and on a CPU with `gpu_branches`, half precision computed by `half_precision`."""
    if request.param == "GPU":
        request.getfixturevalue("gpu")
    else:
        import half_precision

        request.getfixturevalue("gpu_branches")
        monkeypatch.setattr(runtime, "usable_precision", lambda name: (name, None))
        monkeypatch.setattr(runtime, "autocast", half_precision.autocast)
        monkeypatch.setattr("electra_paddle.training.hardware.is_gpu", lambda: False)
    return request.param


def load_tool(name):
    """The module tools/NAME.py."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


READING = ("numpy", "item", "tolist", "__float__", "__int__", "__bool__", "__index__", "__array__", "cpu")


@pytest.fixture
def reads(monkeypatch):
    """The names of the methods by which tensors were read."""
    import paddle

    names = []

    def noting(name, method):
        def read(self, *arguments, **options):
            names.append(name)
            return method(self, *arguments, **options)

        return read

    for name in READING:
        if method := getattr(paddle.Tensor, name, None):
            monkeypatch.setattr(paddle.Tensor, name, noting(name, method))
    return names


def assert_close(actual, expected, atol=1e-5, rtol=0.0):
    """Arrays or tensors, equal within a tolerance."""
    actual = actual.numpy() if hasattr(actual, "numpy") else actual
    np.testing.assert_allclose(np.asarray(actual, "float64"), np.asarray(expected, "float64"), atol=atol, rtol=rtol)


def bf16(array):
    """Rounded to the nearest bfloat16, and its bits."""
    bits = array.view(np.uint32)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return (rounded << 16).view(np.float32), rounded.astype(np.uint16)


def shared_file(name):
    """A file beside the project that is too large to be copied here; the test is skipped without it."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs {name} from the reference material beside the project")
    return path


@pytest.fixture
def free_port():
    """A port of the loopback interface that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
