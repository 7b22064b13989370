"""Advisory locks on open files, which end with the process that holds them.

The one idea: the operating system keeps the lock, so that a killed process leaves none behind.
POSIX only: on other systems a lock is always granted, and one writer at a time is the user's care.
"""

from __future__ import annotations

import importlib
from typing import Any

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
