"""One writer for one folder, with real processes."""

import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from electra_paddle import locks
from electra_paddle.errors import ConfigError
from electra_paddle.locks import only_writer

HOLD = """
import sys, time
from electra_paddle.locks import only_writer
with only_writer(sys.argv[1], "purpose", is_shared=len(sys.argv) > 2):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def hold(tmp_path):
    """Start a process that holds a folder."""
    processes = []

    def start(path, *more):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path), *more], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_second_writer_is_told_who_writes_and_what_to_do(tmp_path, hold):
    process = hold(tmp_path / "out")
    with pytest.raises(ConfigError) as caught, only_writer(tmp_path / "out"):
        pass
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'out'}: found process {process.pid} on ")
    assert "which writes here since 2" in message
    assert message.endswith(f"expected no other writer; wait until it has ended, or end it with kill {process.pid}")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_lock_ends_with_its_process_however_that_dies(tmp_path, hold, number):
    process = hold(tmp_path / "out")
    process.send_signal(number)
    process.wait()
    with only_writer(tmp_path / "out"):
        assert json.loads((tmp_path / ".out.lock").read_text())["process"] == os.getpid()
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_writers_share_a_folder_for_one_purpose_only(tmp_path, hold):
    hold(tmp_path / "out", "shared")
    with only_writer(tmp_path / "out", "purpose", is_shared=True):
        pass
    assert (tmp_path / ".out.lock").exists()  # the other still holds it
    for purpose, is_shared in (("another", True), ("purpose", False)):
        with pytest.raises(ConfigError, match="no other writer"), only_writer(tmp_path / "out", purpose, is_shared):
            pass


def test_folder_is_free_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), only_writer(tmp_path / "out"):
        raise ZeroDivisionError
    with only_writer(tmp_path / "out"):
        pass


def test_without_locks_of_the_system_the_dead_are_told_from_the_living(tmp_path, monkeypatch):
    def no_locks(stream, is_shared):
        raise OSError("no locks available")

    monkeypatch.setattr(locks, "hold", no_locks)
    lock = tmp_path / ".out.lock"
    message = f"found process {os.getpid()} on .* remove {lock}$"
    with only_writer(tmp_path / "out"), pytest.raises(ConfigError, match=message), only_writer(tmp_path / "out"):
        pass
    assert not lock.exists()
    process = subprocess.Popen(["true"])
    process.wait()
    dead = {**json.loads(locks.describe("")), "process": process.pid}
    lock.write_text(json.dumps(dead))
    with only_writer(tmp_path / "out"):
        pass
    lock.write_text(json.dumps({**dead, "host": "elsewhere"}))  # of which nobody here can tell
    with pytest.raises(ConfigError, match="on elsewhere"), only_writer(tmp_path / "out"):
        pass


def test_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    message = "found file exists, expected a folder that can be written"
    with pytest.raises(ConfigError, match=message), only_writer(tmp_path / "file" / "out"):
        pass
