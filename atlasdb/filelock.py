"""Advisory locks on open files, which end with the process that holds them.

The one idea: the operating system keeps the lock, so that a killed process leaves none behind.
POSIX only: on other systems a lock is always granted, and one writer at a time is the user's care.
"""

from __future__ import annotations

import importlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

try:
    _fcntl: Any = importlib.import_module("fcntl")
except ImportError:  # pragma: no cover (not POSIX)
    _fcntl = None


def lock_exclusive(descriptor: int) -> bool:
    """Take the exclusive lock at once, or say that another process holds a lock."""
    return _take(descriptor, "LOCK_EX")


def lock_shared(descriptor: int) -> bool:
    """Take a shared lock at once, or say that another process holds the exclusive one."""
    return _take(descriptor, "LOCK_SH")


def unlock(descriptor: int) -> None:
    """Give the lock back."""
    if _fcntl is not None:
        _fcntl.flock(descriptor, _fcntl.LOCK_UN)


def _take(descriptor: int, kind: str) -> bool:
    if _fcntl is None:
        return True
    try:
        _fcntl.flock(descriptor, getattr(_fcntl, kind) | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def lease(folder: Path) -> Iterator[None]:
    """Keep a folder of blobs from being swept while it is read or written.

    Raises
    ------
    FileNotFoundError
        The folder was swept before; what named it is out of date.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if not lock_shared(descriptor) or not is_same(folder, descriptor):
            raise FileNotFoundError(f"{folder} was removed")
        yield
    finally:
        os.close(descriptor)


def is_same(path: Path, descriptor: int) -> bool:
    """Whether a path still names the file or folder that is open."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
