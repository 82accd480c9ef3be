"""What `--dry-run` promises, beside what a real run takes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from electra_paddle.pretraining import cost

WIDE = [  # so that the activations weigh as much as the runtime
    "--model-hparam-overrides", '{"hidden_size": 256, "num_hidden_layers": 4}', "--embedding-size", "64",
    "--max-seq-length", "32", "--train-batch-size", "96", "--num-warmup-steps", "2", "--num-train-steps", "6",
]  # fmt: skip
RUN_AND_TELL = """
import re, sys
from electra_paddle.cli import run_command
status = run_command("run_pretrain", sys.argv[1:], "run_pretrain")
print("imported Paddle:", "paddle" in sys.modules)
print("peak kB:", re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1))
sys.exit(status)
"""


pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


def pretrain(project, *arguments):
    """The output of a run in a process of its own, with what it took."""
    command = [sys.executable, "-c", RUN_AND_TELL, "--data-dir", ".", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def number(pattern, text):
    return float(re.search(pattern, text).group(1).replace(",", ""))


def test_promises_of_the_dry_run_are_kept_by_the_run(project):
    """Memory within 15 % and what of it is not the runtime's within 40 %; a checkpoint's size within 1 %."""
    promised = pretrain(project, "--model-name", "wide", *WIDE, "--dry-run")
    assert "imported Paddle: False" in promised and "nothing was trained or written" in promised
    assert not (project.folder / "models/wide").exists()

    found = pretrain(project, "--model-name", "wide", *WIDE)
    generator, discriminator, total = re.search(
        r"generator ([\d,]+) and discriminator ([\d,]+) parameters, ([\d,]+) in all", found
    ).groups()
    assert re.search(rf"generator: .* {generator} parameters", promised)
    assert re.search(rf"discriminator: .* {discriminator} parameters", promised)
    assert f"{total} in all" in promised
    assert "6; 96 sequences each" in promised

    peak = 1.024e-3 * number(r"peak kB: (\d+)", found)  # MB
    expected = number(r"about ([\d,]+) MB in one process", promised)
    assert expected == pytest.approx(peak, rel=0.15)
    assert expected - cost.RUNTIME / 1e6 == pytest.approx(peak - cost.RUNTIME / 1e6, rel=0.40)
    files = (project.folder / "models/wide/checkpoints/step_00000006").iterdir()
    size = sum(file.stat().st_size for file in files) / 1e6
    assert number(r"checkpoint: *([\d.]+) MB", promised) == pytest.approx(size, rel=0.01)


def test_dry_run_tells_how_far_a_run_has_come_and_refuses_what_a_run_would_refuse(project):
    assert "6, 6 of them done" in project.pretrain("base", "--dry-run").stdout
    result = project.pretrain("base", "--dry-run", "--max-seq-length", "64", check=False)
    assert result.returncode == 2 and "max_seq_length: found 64, expected 32, as the shards" in result.stderr


def test_measured_dry_run_tells_the_time_and_warns_of_absurd_numbers_of_epochs(project):
    options = ["--dry-run", "--measure", "--num-train-steps", "1000000"]
    output = project.pretrain("measured", *options).stdout
    seconds = number(r"for 1,000,000 updates of ([\d.]+) s, as measured just now", output)
    told = re.search(r"time: +([\d,.]+) (days|hours|minutes)", output)
    size = {"days": 86_400, "hours": 3600, "minutes": 60}[told[2]]
    assert float(told[1].replace(",", "")) * size == pytest.approx(1e6 * seconds, rel=0.6)  # of a rounded number
    assert re.search(r"WARNING: [\d,]+ epochs: the network sees each example as often", output)
    assert not (project.folder / "models/measured").exists()
    result = project.pretrain("measured", "--measure", check=False)
    assert result.returncode == 2 and "--measure: found without --dry-run, expected both" in result.stderr


def test_memory_on_a_gpu_is_an_estimate_without_a_gpu(project):
    output = pretrain(project, "--model-name", "wide", *WIDE, "--dry-run", "--device", "gpu", "--precision", "bf16")
    assert "imported Paddle: False" in output
    parts = r"context 1,200, weights \d+, joined \d+, half"
    assert re.search(rf"about [\d,]+ MB on the GPU with 96 sequences in bf16: {parts}", output)
    assert "fits into 16, 24, 40, 80 GB; an estimate, which was never compared with a GPU" in output
    result = project.pretrain("base", "--device", "gpu", check=False)
    assert result.returncode == 2 and "--device: found without --dry-run, expected both" in result.stderr
