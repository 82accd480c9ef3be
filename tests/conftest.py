import importlib.util
import os
import socket
import tempfile
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from electra_paddle import runtime

runtime.prepare_cpu()
# No test may touch the user's modules.
os.environ.setdefault("HUB_HOME", str(Path(tempfile.gettempdir()) / "electra-paddle-tests-hub-home"))

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"


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
    from electra_paddle.models import encoder

    monkeypatch.setattr(runtime, "is_cpu", lambda: False)
    monkeypatch.setattr(encoder, "runs_on_cpu", lambda x: False)


@pytest.fixture(params=["CPU", "GPU branches"])
def both_branches(request):
    """The test runs as on a CPU, and with `gpu_branches`."""
    if request.param != "CPU":
        request.getfixturevalue("gpu_branches")


def load_tool(name):
    """The module tools/NAME.py."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_close(actual, expected, atol=1e-5, rtol=0.0):
    """Arrays or tensors, equal within a tolerance."""
    actual = actual.numpy() if hasattr(actual, "numpy") else actual
    np.testing.assert_allclose(np.asarray(actual, "float64"), np.asarray(expected, "float64"), atol=atol, rtol=rtol)


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
