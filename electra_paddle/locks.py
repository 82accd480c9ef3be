"""One writer for one folder: a lock that names its holder, and ends with the process that holds it.

The lock is a hidden file beside the folder, since the folder itself may be replaced as a whole. The system's file locks
hold it (`flock`, which Linux also keeps on NFS); where a file system has none, the file's existence does, and a holder
on this machine that has died is recognised by its process id.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from electra_paddle.errors import ConfigError, reason


@contextlib.contextmanager
def only_writer(path: Path | str, purpose: str = "", is_shared: bool = False) -> Iterator[None]:
    """Context in which no other process of this package writes a folder or file.

    Args:
        path: what is written; it need not exist.
        purpose: what is done there; writers that share it must have the same one.
        is_shared: let other processes in that share it for the same purpose.

    Raises:
        ConfigError: another process writes there; says which one, since when, and what to do.
    """
    path = Path(path)
    lock = path.with_name(f".{path.name}.lock")
    new_folders = [folder for folder in lock.parents if not folder.exists()]
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        stream = acquire(lock, path, purpose, is_shared)
    except OSError as error:
        raise ConfigError(path, reason(error), "a folder that can be written") from error
    try:
        yield
    finally:
        release(lock, stream, is_shared)
        with contextlib.suppress(OSError):  # something stands there now
            for folder in new_folders:
                folder.rmdir()


def wait_for_writer(path: Path, purpose: str, seconds: float = 60) -> None:
    """Wait until a process writes there for this purpose.

    Raises:
        ConfigError: none came; another one, perhaps, writes there.
    """
    lock = path.with_name(f".{path.name}.lock")
    deadline = time.monotonic() + seconds
    while True:
        holder = parse(lock.read_text(encoding="utf-8")) if lock.is_file() else {}
        if holder.get("purpose") == purpose:
            return
        if time.monotonic() > deadline:
            raise refusal(path, holder)
        time.sleep(0.05)


def acquire(lock: Path, path: Path, purpose: str, is_shared: bool) -> IO[str] | None:
    """The locked file, or None where the file's existence is the lock."""
    while True:
        stream = open(lock, "a+", encoding="utf-8")
        try:
            found = hold(stream, is_shared)
        except OSError:  # no locks on this file system
            stream.close()
            acquire_by_existence(lock, path, purpose)
            return None
        if not found:
            stream.seek(0)
            holder = parse(stream.read())
            stream.close()
            raise refusal(path, holder)
        if is_same_file(stream, lock):
            break
        stream.close()  # its holder has just removed it
    stream.seek(0)
    holder = parse(stream.read())
    if is_shared and holder.get("purpose", purpose) != purpose:
        stream.close()
        raise refusal(path, holder)
    if not (is_shared and holder):
        stream.truncate(0)
        stream.write(describe(purpose))
        stream.flush()
    return stream


def hold(stream: IO[str], is_shared: bool) -> bool:
    """Take the system's lock of a file; false if another process has it.

    Raises:
        OSError: there are no such locks here.
    """
    try:
        import fcntl
    except ImportError as error:
        raise OSError("no file locks") from error
    try:
        fcntl.flock(stream, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def acquire_by_existence(lock: Path, path: Path, purpose: str) -> None:
    """Create the lock's file, or take over that of a process that has died."""
    holder = parse(lock.read_text(encoding="utf-8"))
    if holder and not (holder["host"] == socket.gethostname() and not is_alive(holder["process"])):
        raise refusal(path, holder, f"; if it has died, remove {lock}")
    lock.write_text(describe(purpose), encoding="utf-8")


def release(lock: Path, stream: IO[str] | None, is_shared: bool) -> None:
    """Give the lock back; the last one who holds it removes the file."""
    if stream is None:
        lock.unlink(missing_ok=True)
        return
    with stream, contextlib.suppress(OSError):
        if hold(stream, is_shared=False) and is_same_file(stream, lock):  # nobody else shares it
            lock.unlink(missing_ok=True)


def is_same_file(stream: IO[str], path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def describe(purpose: str) -> str:
    """The text of a lock's file."""
    holder = {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200],
        "purpose": purpose,
    }
    return json.dumps(holder, ensure_ascii=False)


def parse(text: str) -> dict[str, Any]:
    """What a lock's file says; {} if it says nothing, as while it is being written."""
    try:
        holder = json.loads(text)
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) and {"process", "host", "since", "command"} <= holder.keys() else {}


def is_alive(process: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def refusal(path: Path, holder: dict[str, Any], more: str = "") -> ConfigError:
    """The error of whoever comes second."""
    if not holder:
        return ConfigError(path, "another process that writes here", "no other writer", "wait until it has ended")
    who = f"process {holder['process']} on {holder['host']}"
    found = f"{who}, which writes here since {holder['since']} ({holder['command']})"
    advice = f"wait until it has ended, or end it with kill {holder['process']}{more}"
    return ConfigError(path, found, "no other writer", advice)
