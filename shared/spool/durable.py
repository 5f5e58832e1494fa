"""What makes the spool's folder safe: locks that die with their holder, and files that are whole or not there.

Used by `shared.spool.folder` only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

_STATE = struct.Struct("<QQ")  # last place, bytes in use


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock of this file, waiting for it; gives the open file."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def locked_within(lock: int, wait_s: float) -> bool:
    """Take the lock of an open file; False when somebody else keeps it for `wait_s`."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def place(data: bytes, new: Path, path: Path) -> None:
    """Write durably under the name `new`, then give it its own: a crash leaves all of it or none."""
    try:
        write(new, data)
        new.rename(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        written = 0
        while written < len(data):
            written += os.write(fd, data[written:])
        os.fsync(fd)
    finally:
        os.close(fd)


def sync(folder: Path) -> None:
    """Wait until the disk has the folder's names."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_state(fd: int) -> tuple[int, int]:
    """Last place given, and bytes in use, from the file of the lock."""
    data = os.pread(fd, _STATE.size, 0)
    last, used = _STATE.unpack(data) if len(data) == _STATE.size else (0, 0)
    return last, used


def write_state(fd: int, last: int, used: int) -> None:
    """Not fsynced: what a power cut leaves of it is put right by `Spool.open`."""
    os.pwrite(fd, _STATE.pack(last, used), 0)
