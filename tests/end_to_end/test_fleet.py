"""Several processes, one after the other or together: the same numbers, and no work is lost."""

import os
import random
import re
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from electra_paddle.tensors import read_tensors
from electra_paddle.training.loggers.jsonl import read_metrics

NO_DROPOUT = [
    "--model-hparam-overrides",
    '{"hidden_size": 16, "num_hidden_layers": 1, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}',
    "--log-steps",
    "1",
]


def losses(project, name):
    """[steps, 2] of a run that logged every update."""
    figures = read_metrics(project.folder / "models" / name / "metrics.jsonl")
    assert [row["step"] for row in figures] == list(range(1, len(figures) + 1))
    return np.array([[row["mlm_loss"], row["rtd_loss"]] for row in figures])


def weights(project, name):
    folder = project.folder / "models" / name
    return {
        (network, key): value
        for network in ("generator", "discriminator")
        for key, value in read_tensors(folder / network / "model.safetensors").items()
    }


def assert_same_weights(project, one, two):
    """Bit for bit."""
    one, two = weights(project, one), weights(project, two)
    assert one.keys() == two.keys()
    for name in one:
        assert (one[name] == two[name]).all(), name


@pytest.fixture(scope="module")
def single(project):
    """Losses of 50 updates in one process, dropout off."""
    project.pretrain("single", *NO_DROPOUT, num_train_steps=50)
    return losses(project, "single")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], marks=pytest.mark.slow),
        ["--gradient-accumulation-steps", "2", "--sharding-stage", "1", "--recompute", "true"],
    ],
    ids=["plain", "accumulated, sharded, recomputed"],
)
def test_two_processes_have_the_losses_of_one(project, single, options):
    name = f"double_{len(options)}"
    output = project.launch(2, name, *NO_DROPOUT, *options, num_train_steps=50)
    np.testing.assert_allclose(losses(project, name), single, rtol=1e-5)
    for key, expected in weights(project, "single").items():
        np.testing.assert_allclose(weights(project, name)[key], expected, atol=2e-5)
    files = {path.name: path.stat().st_size for path in (last_checkpoint(project, name)).glob("optimizer*")}
    if "--sharding-stage" in options:
        whole = (last_checkpoint(project, "single") / "optimizer.safetensors").stat().st_size
        assert set(files) == {"optimizer-00000.safetensors", "optimizer-00001.safetensors"}
        assert max(files.values()) < 0.6 * whole
        sizes = re.search(r"Adam's moments: ([\d,]+) \+ ([\d,]+) bytes, a part in each process", output)
        sizes = [int(size.replace(",", "")) for size in sizes.groups()]
        whole = sum(
            value.nbytes for value in read_tensors(last_checkpoint(project, "single") / "model.safetensors").values()
        )
        assert sum(sizes) == 2 * whole and max(sizes) < 0.6 * sum(sizes)
    else:
        assert set(files) == {"optimizer.safetensors"}


def last_checkpoint(project, name):
    return max((project.folder / "models" / name / "checkpoints").glob("step_*"))


@pytest.mark.slow
def test_two_nodes_have_the_losses_of_one_process(project, single, free_port):
    nodes = [
        project.start(
            1, "nodes", *NO_DROPOUT, num_train_steps=50,
            launcher=["--master", f"127.0.0.1:{free_port}", "--nnodes", "2", "--rank", str(rank)],
        )
        for rank in range(2)
    ]  # fmt: skip
    outputs = [node.communicate()[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], outputs
    np.testing.assert_allclose(losses(project, "nodes"), single, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_run_goes_on_in_another_number_of_processes_with_the_same_batches_and_noise(project, single, order):
    name = f"changed_{order[0]}"
    options = [*NO_DROPOUT, "--sharding-stage", "1"]
    process = project.start(order[0], name, *options, "--save-checkpoints-steps", "10", num_train_steps=50)
    project.wait_for(f"models/{name}/checkpoints/step_00000010", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kill_workers(project, name)
    output = project.launch(order[1], name, *options, num_train_steps=50)
    assert "resuming after" in output
    np.testing.assert_allclose(losses(project, name), single, rtol=1e-5)


def kill_workers(project, name):
    """SIGKILL to the workers of a launcher: they are in sessions of their own."""
    for pid in workers(project, name):
        os.kill(pid, signal.SIGKILL)
    while workers(project, name):
        time.sleep(0.05)


def workers(project, name):
    """Process ids of the workers of one run, in the order of their ranks."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"run_pretrain.py" not in b" ".join(words) or b"paddle.distributed.launch" in words:
                continue
            if name.encode() not in words or (process / "cwd").readlink() != project.folder:
                continue
            variables = dict(entry.partition(b"=")[::2] for entry in (process / "environ").read_bytes().split(b"\0"))
            found[int(variables[b"PADDLE_TRAINER_ID"])] = int(process.name)
        except (OSError, KeyError):  # gone, or not yet itself
            continue
    return [found[rank] for rank in sorted(found)]


@pytest.fixture(scope="module")
def whole(project):
    """Name of a run of 60 updates in two processes, dropout on, without interruption."""
    project.launch(2, "whole_2", num_train_steps=60)
    return "whole_2"


@pytest.mark.slow
def test_terminated_job_saves_first_and_goes_on_to_the_same_weights(project, whole):
    process = project.start(2, "terminated", num_train_steps=60)
    project.wait_for("models/terminated/metrics.jsonl", process)
    while not (project.folder / "models/terminated/metrics.jsonl").read_text():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode != 0
    checkpoint = last_checkpoint(project, "terminated")
    assert 2 <= int(checkpoint.name.removeprefix("step_")) < 60
    log = (project.folder / "log_terminated" / "workerlog.0").read_text()
    assert f"interrupted; update {int(checkpoint.name[5:])} of 60 is saved, the same command goes on" in log
    output = project.launch(2, "terminated", num_train_steps=60)
    assert f"resuming after {int(checkpoint.name[5:])} of 60" in output
    assert_same_weights(project, whole, "terminated")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_dead_worker_ends_the_job_and_the_next_start_resumes(project, whole, rank):
    name = f"dead_{rank}"
    process = project.start(2, name, "--save-checkpoints-steps", "5", num_train_steps=60)
    project.wait_for(f"models/{name}/checkpoints/step_00000005", process)
    os.kill(workers(project, name)[rank], signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert f"Container rank {rank} status failed" in output
    assert not workers(project, name)
    project.launch(2, name, "--save-checkpoints-steps", "5", num_train_steps=60)
    assert_same_weights(project, whole, name)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_failing_worker_says_why_on_top(project, rank):
    """One of two processes may not have any more memory."""
    process = project.start(2, f"poor_{rank}", "--save-checkpoints-steps", "5", num_train_steps=4000)
    project.wait_for(f"models/poor_{rank}/checkpoints/step_00000005", process)  # all libraries are loaded by then
    pid = workers(project, f"poor_{rank}")[rank]
    resource.prlimit(pid, resource.RLIMIT_AS, (1 << 20, 1 << 20))
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert f"Container rank {rank} status failed" in output
    assert re.search("can't start new thread|[Mm]emory|bad_alloc", output)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_do_not_change_the_weights(project):
    """A checkpoint after each update, so that many kills hit a checkpoint that is being written."""
    options = ["--save-checkpoints-steps", "1", "--keep-checkpoint-max", "2"]
    project.pretrain("undisturbed", *options, num_train_steps=400)
    rng, steps = random.Random(0), []
    folder = project.folder / "models/disturbed/checkpoints"
    for _ in range(20):
        process = project.start_alone("disturbed", *options, num_train_steps=400)
        before = newest(folder)
        while newest(folder) == before:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.001)
        time.sleep(rng.random() / 2)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        steps.append(newest(folder))
    assert steps == sorted(set(steps)) and steps[-1] < 400
    project.pretrain("disturbed", *options, num_train_steps=400)
    assert_same_weights(project, "undisturbed", "disturbed")


def newest(folder):
    return max((int(path.name[5:]) for path in folder.glob("step_*") if not path.suffix), default=0)


def test_full_disk_ends_with_one_line_and_the_next_start_goes_on(project):
    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    process = project.start_alone("full", preexec_fn=limit_files)
    _, output = process.communicate()
    assert process.returncode == 2
    (line,) = [line for line in output.splitlines() if "error" in line]
    assert line.startswith("error: models/full/checkpoints/step_00000006: found ") and "too large" in line.lower()
    assert not list((project.folder / "models/full/checkpoints").iterdir())
    project.pretrain("full")
    assert_same_weights(project, "base", "full")


def test_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint(project):
    options = ["--learning-rate", "1e38", "--max-bad-steps", "3", "--save-checkpoints-steps", "1"]
    result = project.pretrain("broken", *options, check=False, num_train_steps=40)
    assert result.returncode == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert ", 4 times in a row, expected at most 3 (max_bad_steps)" in line and "at learning rate" in line
    stopped = int(line.split(":")[1].removeprefix(" update "))
    assert newest(project.folder / "models/broken/checkpoints") == stopped - 4
    tensors = read_tensors(last_checkpoint(project, "broken") / "model.safetensors")
    assert all(np.isfinite(value).all() for value in tensors.values())
