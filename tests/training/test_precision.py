"""What is asked of a GPU's arithmetic, as far as it can be seen without one."""

import os
import subprocess
import sys

import paddle
import pytest
from conftest import ROOT

from electra_paddle import runtime
from electra_paddle.training.checkpoint import Checkpoints
from electra_paddle.training.session import Session, SessionSettings


@pytest.fixture
def switches(monkeypatch):
    """What Paddle is told about TF32."""
    told = []
    monkeypatch.setattr(paddle.base.core, "set_cublas_switch", told.append, raising=False)
    return told


def session(folder, precision):
    return Session(paddle.nn.Linear(2, 2), SessionSettings(10, 0.1, 1, precision=precision), Checkpoints(folder, {}))


@pytest.mark.parametrize(("precision", "is_allowed"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_products_are_rounded_where_that_is_asked_for_only(
    tmp_path, gpu_branches, monkeypatch, switches, precision, is_allowed
):
    monkeypatch.setattr(runtime, "usable_precision", lambda name: (name, None))
    assert session(tmp_path, precision).precision == precision
    assert switches == [is_allowed]


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "fp32"), ((8, 0), "tf32"), ((9, 0), "tf32")])
def test_older_gpus_stay_with_fp32_and_say_so(tmp_path, gpu_branches, monkeypatch, capability, expected):
    monkeypatch.setattr(paddle.device.cuda, "get_device_capability", lambda: capability)
    one = session(tmp_path, "tf32")
    assert one.precision == expected
    assert one.notes == ([] if expected == "tf32" else ["precision fp32: this GPU has no tf32"])


@pytest.mark.parametrize("precision", ["tf32", "bf16_o2"])
def test_cpu_stays_with_fp32_and_says_so(tmp_path, precision):
    one = session(tmp_path, precision)
    assert one.notes == [f"precision fp32: {precision} needs a GPU: it changes nothing here"]
    assert one.precision == "fp32" and not one.optimizer.copies_dtype


@pytest.mark.parametrize("is_fast", [True, False])
def test_cpu_computes_in_bf16_where_that_is_faster_and_says_where_not(tmp_path, monkeypatch, is_fast):
    monkeypatch.setattr(runtime, "has_fast_bf16", lambda: is_fast)
    one = session(tmp_path, "bf16")
    need = "precision fp32: bf16 needs a processor with amx_bf16, or avx512_bf16 on AMD: it changes nothing here"
    assert (one.precision, one.notes) == (("bf16", []) if is_fast else ("fp32", [need]))


def test_nothing_is_rounded_before_a_session_asks_for_it(gpu_branches, switches):
    runtime.start()
    assert switches == [False]


@pytest.mark.parametrize("is_deterministic", [False, True])
def test_flags_of_deterministic_kernels_are_set_before_paddle_reads_them(is_deterministic):
    code = (
        "import os, sys; from electra_paddle import runtime\n"
        "class Watch:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'paddle': sys.exit(' '.join(os.environ.get(n, '-') for n in runtime.DETERMINISTIC))\n"
        f"sys.meta_path.insert(0, Watch()); runtime.start({is_deterministic})"
    )
    environment = {name: value for name, value in os.environ.items() if name not in runtime.DETERMINISTIC}
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.stderr.strip() == ("1 1 :4096:8" if is_deterministic else "- - -")


def test_flags_are_set_in_paddle_where_it_was_imported_before(gpu_branches, switches, monkeypatch):
    for name in runtime.DETERMINISTIC:
        monkeypatch.setenv(name, "")
    flags = {}
    monkeypatch.setattr(paddle, "set_flags", flags.update)
    runtime.start(is_deterministic=True)
    assert flags == {"FLAGS_cudnn_deterministic": 1, "FLAGS_embedding_deterministic": 1}
