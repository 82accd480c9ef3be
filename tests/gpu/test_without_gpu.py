"""`make test-gpu` where there is no GPU."""

import subprocess
import sys

import paddle
import pytest
from conftest import ROOT


def test_where_nothing_could_be_tested_the_tests_fail_in_one_line():
    if paddle.device.cuda.device_count():
        pytest.skip("there is a GPU")
    assert "\t@$(PYTEST) -m gpu\n" in (ROOT / "Makefile").read_text()
    result = subprocess.run([sys.executable, "-m", "pytest", "-m", "gpu"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 4 and not result.stdout.strip()
    assert result.stderr.strip().splitlines() == [
        "ERROR: found no GPU that Paddle can use, expected one; `electra-paddle doctor` says why"
    ]
