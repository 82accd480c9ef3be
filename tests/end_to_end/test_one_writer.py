"""Two commands at once in one folder, and workers without their launcher: real processes."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from end_to_end.test_fleet import workers

BUILD = ("--corpus-dir", "corpus.txt", "--vocab-file", "vocab.txt", "--output-dir")


def only_line(result):
    """The one line of a command that ended with status 2."""
    assert result.returncode == 2, result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    return line


@pytest.fixture
def training(project):
    """A pre-training that makes updates."""
    process = project.start_alone("busy", "--save-checkpoints-steps", "1", num_train_steps=100_000)
    project.wait_for("models/busy/checkpoints/step_00000001", process)
    yield process
    process.kill()
    process.communicate()


def test_second_training_in_a_folder_is_refused_and_the_first_goes_on(project, training):
    second = project.pretrain("busy", check=False, num_train_steps=100_000)
    line = only_line(second)
    assert line.startswith(f"error: models/busy: found process {training.pid} on ")
    assert "(run_pretrain.py --data-dir . --model-name busy" in line
    debug = project.pretrain("busy", "--debug", "true", check=False)
    assert f"found process {training.pid}" in only_line(debug)  # and empties nothing
    assert training.poll() is None and (project.folder / "models/busy/metrics.jsonl").is_file()
    training.kill()
    training.wait()
    step = max(int(folder.name[5:]) for folder in (project.folder / "models/busy/checkpoints").glob("step_[0-9]*[0-9]"))
    assert project.pretrain("busy", num_train_steps=step + 1).returncode == 0


def test_second_build_into_a_folder_is_refused(project):
    holder = subprocess.Popen(
        [sys.executable, "-c", "import time; from electra_paddle.locks import only_writer\n"
         "with only_writer('twice'): print('held', flush=True); time.sleep(99)"],
        cwd=project.folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout.readline() == "held\n"
    result = project.run("tasks/build_pretraining_data.py", *BUILD, "twice", check=False)
    assert only_line(result).startswith(f"error: twice: found process {holder.pid} on ")
    holder.kill()
    holder.communicate()
    assert project.run("tasks/build_pretraining_data.py", *BUILD, "twice").returncode == 0


@pytest.mark.slow
def test_workers_end_within_seconds_of_their_launchers_death_and_the_next_start_goes_on(project):
    process = project.start(2, "orphaned", "--save-checkpoints-steps", "5", num_train_steps=100_000)
    project.wait_for("models/orphaned/checkpoints/step_00000005", process)
    pids = workers(project, "orphaned")
    assert len(pids) == 2
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 60
    while workers(project, "orphaned"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    log, other = ((project.folder / "log_orphaned" / f"workerlog.{rank}").read_text() for rank in (0, 1))
    # Whoever sees it first ends the other one, too, at the end of the update.
    assert any(f"the launcher (process {process.pid}) has died: process {pid} ends" in log + other for pid in pids)
    step = max(int(folder.name[5:]) for folder in (project.folder / "models/orphaned/checkpoints").glob("step_*"))
    assert f"update {step:,} of 100,000 is saved" in log
    output = project.launch(2, "orphaned", num_train_steps=step + 2)
    assert f"resuming after {step:,} of {step + 2:,}" in output
