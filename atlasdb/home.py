"""The home: one folder that holds a database, its volumes and its meshes, and how it changes.

The one idea: nothing that a reader may have open is ever changed. A change of the database is made
in a copy, which then takes the database's name in one step; every ingest writes blob folders of its
own; folders that no row names are swept when nobody holds a lease on them. Writers wait for each
other at a lock file, readers for nobody.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
import weakref
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from atlasdb.errors import HomeBusyError, HomeError
from atlasdb.filelock import is_same, lease, lock_exclusive, unlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

DATABASE = "atlas.duckdb"
_BLOBS = {"volumes": 3, "meshes": 3, "cells": 2}
"""Folders of the home's files, and how far below the folder of one ingest is."""
_STAGING = "staging-"
_DRAFT = ".atlas.duckdb."
_POLL_S = 0.05
_FORGOTTEN_S = 30 * 86_400.0


@dataclass(frozen=True)
class Home:
    """A folder that is, or will be, an atlas database.

    Attributes
    ----------
    folder
        The folder; need not exist.
    """

    folder: Path

    @classmethod
    def resolve(cls, folder: str | Path | None = None) -> Home:
        """Return the home: `folder`, else ``$ATLASDB_HOME``, else the platform's data folder."""
        named = folder or os.environ.get("ATLASDB_HOME")
        if named:
            try:
                if "?" in os.fsencode(named).decode() or "\0" in str(named):
                    raise HomeError(
                        f"{str(named)!r:.200} can be no home: no path has a NUL, DuckDB's no '?'"
                    )
                return cls(Path(named).expanduser().absolute())
            except (RuntimeError, UnicodeError) as error:
                raise HomeError(f"{str(named)!r:.200} can be no home: {error}") from error
        import platformdirs  # only for the default

        return cls(platformdirs.user_data_path("atlasdb", appauthor=False))

    @property
    def database(self) -> Path:
        """The DuckDB file."""
        return self.folder / DATABASE

    @property
    def downloads(self) -> Path:
        """Where archives, components and work in progress lie."""
        return self.folder / "downloads"

    def has_database(self) -> bool:
        """Whether there is a database in the folder.

        Raises
        ------
        HomeError
            The folder cannot even be looked at.
        """
        try:
            return self.database.is_file()
        except OSError as error:
            raise HomeError(
                f"cannot look at {str(self.folder)!r:.200}: {error.strerror}"
            ) from error

    def refuse_own(self, path: Path) -> None:
        """Refuse to write to a path at which the home keeps something of its own.

        Raises
        ------
        HomeError
            It is the database, or in a folder of the home's files.
        """
        target, folder = path.resolve(), self.folder.resolve()
        if target.parent == folder:
            is_own = target.name == ".lock" or target.name.startswith((DATABASE, _DRAFT))
        else:
            is_own = any(folder / kind in target.parents for kind in (*_BLOBS, "downloads"))
        if is_own:
            raise HomeError(f"{path} is the database's own: write elsewhere than in {self.folder}")

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Make a private folder in the home for work in progress; it is removed in the end.

        A killed process leaves it behind without a lease, and the next writer sweeps it. Folders
        that had to be made on the way (a new home) are removed again if they stay empty.
        """
        made = _make_folders(self.downloads)
        try:
            with ExitStack() as stack:
                yield self._leased_staging(stack)
        except HomeError:
            raise
        except OSError as error:
            raise unwritable(self.folder, error) from error
        finally:
            _remove_empty([self.downloads, *made])

    def _leased_staging(self, stack: ExitStack) -> Path:
        """Make a staging folder and hold a lease on it until the stack closes."""
        while True:
            folder = self.downloads / (_STAGING + secrets.token_hex(6))
            folder.mkdir(parents=True)
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            # A sweep may have come between the two steps; then begin again.
            with suppress(FileNotFoundError):
                stack.enter_context(lease(folder))
                return folder

    def remove_download(self, name: str) -> None:
        """Remove a folder that was kept among the downloads, unless it is in use."""
        with suppress(OSError):
            remove_unread(self.downloads / name)
        _remove_empty([self.downloads])

    @contextmanager
    def locked(self, *, timeout_s: float = 60.0) -> Iterator[None]:
        """Hold the lock of the one writer.

        Its number stays in the lock file until a sweep has succeeded: what it may leave behind is
        then swept by whoever comes next (`is_interrupted`).

        Raises
        ------
        HomeBusyError
            Another process holds it for longer than `timeout_s`; the message says which.
        """
        path = self.folder / ".lock"
        with self._holding(path, timeout_s, f"{self.folder} is being written", keep=True):
            yield

    @contextmanager
    def working_on(
        self, what: str, *, timeout_s: float = 3600.0, waiting: Callable[[str], object] = str
    ) -> Iterator[None]:
        """Hold the lock of the one process that works on something in this home.

        Parameters
        ----------
        what
            What is worked on, for people.
        timeout_s
            How long another process is waited for.
        waiting
            Told once, in a sentence, that another process is waited for.

        Raises
        ------
        HomeBusyError
            Another process works on it for longer; the message says which.
        """
        mark = hashlib.sha256(what.encode("utf-8", "replace")).hexdigest()[:16]
        made = _make_folders(self.downloads)
        path = self.downloads / f".{mark}.lock"
        try:
            with self._holding(path, timeout_s, f"{what} is being ingested", waiting=waiting):
                yield
        finally:
            _remove_empty([self.downloads, *made])

    @contextmanager
    def _holding(
        self,
        path: Path,
        timeout_s: float,
        busy: str,
        *,
        keep: bool = False,
        waiting: Callable[[str], object] = str,
    ) -> Iterator[None]:
        """Hold the lock on a file, in which the process says its number."""
        descriptor = self._open_lock(path, timeout_s, busy, waiting)
        try:
            with suppress(OSError):  # on a full disk the holder stays unnamed
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield
        finally:
            if not (keep and self.database.exists()):  # a home that came to nothing keeps none
                path.unlink(missing_ok=True)
            unlock(descriptor)
            os.close(descriptor)

    def _open_lock(
        self, path: Path, timeout_s: float, busy: str, waiting: Callable[[str], object]
    ) -> int:
        """Open a lock file and wait for the lock; the file may be removed meanwhile."""
        deadline = time.monotonic() + timeout_s
        told = False
        while True:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                raise unwritable(self.folder, error) from error
            if lock_exclusive(descriptor):
                if is_same(path, descriptor):
                    return descriptor
            else:
                holder = os.pread(descriptor, 64, 0).decode("ascii", "replace").strip()
                by = f"{busy} by process {holder or 'unknown'}"
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise HomeBusyError(
                        f"{by}; waited {timeout_s:g} s; try again when it has finished"
                    )
                if not told:
                    waiting(f"{by}; waiting for it")
                    told = True
                time.sleep(_POLL_S)
            os.close(descriptor)

    @contextmanager
    def draft(self, *, timeout_s: float = 60.0) -> Iterator[Draft]:
        """Change the database: yield a copy of it, and put the copy in its place in the end.

        The copy is dropped if the caller raises or sets ``draft.discard``. The caller closes its
        connections to the copy and sets ``draft.blob_folders`` to what the rows still name.

        Raises
        ------
        HomeBusyError
            Another writer holds the lock, or another program writes the database itself.
        HomeError
            The folder cannot be written.
        """
        made = _make_folders(self.folder)
        try:
            with self.locked(timeout_s=timeout_s):
                self._remove_drafts()
                draft = Draft(
                    self.folder / (_DRAFT + secrets.token_hex(6)), not self.database.exists()
                )
                try:
                    before = self._copy_to(draft.path)
                    yield draft
                    if not draft.discard:
                        self._publish(draft, before)
                finally:
                    self._remove_drafts()
                if not draft.discard:
                    with suppress(OSError):
                        self._sweep(draft.blob_folders)
        except HomeError:
            raise
        except OSError as error:
            raise unwritable(self.folder, error) from error
        finally:
            _remove_empty(made)

    def tidy(self, referenced: Callable[[], frozenset[str]]) -> None:
        """Sweep what killed processes left behind, if the lock is free and the home writable.

        `referenced` is asked under the lock for the folders that rows name.
        """
        with suppress(HomeError, OSError), self.locked(timeout_s=0):
            self._remove_drafts()
            self._sweep(referenced())

    def is_interrupted(self) -> bool:
        """Whether a writer failed or was killed, and what it may have left is still there.

        A writer at work is none that was killed: it holds its locks and leases. This costs a reader
        microseconds.
        """
        with suppress(OSError):
            lock = self.folder / ".lock"
            if lock.stat().st_size and not _is_held(lock):
                return True
        with suppress(OSError):
            left = list(self.downloads.iterdir())
            mine = [path for path in left if path.name.startswith((_STAGING, "."))]
            return not left or any(not _is_held(path) for path in mine)
        return False

    def _copy_to(self, copy: Path) -> tuple[int, int, int] | None:
        """Copy the database, if there is one, and return what identifies its present state."""
        if not self.database.exists():
            return None
        if self.database.with_name(DATABASE + ".wal").exists():
            raise HomeBusyError(
                f"{self.database} has changes of another program that are not yet part of it "
                f"({DATABASE}.wal): close that program, or open and close the file once with duckdb"
            )
        before = _state(self.database)
        shutil.copyfile(self.database, copy)
        return before

    def _publish(self, draft: Draft, before: tuple[int, int, int] | None) -> None:
        """Give the finished copy the database's name."""
        sync_file(draft.path)
        now = _state(self.database) if self.database.exists() else None
        if now != before or self.database.with_name(DATABASE + ".wal").exists():
            raise HomeBusyError(
                f"another program changed {self.database} meanwhile; nothing was overwritten; "
                "close it and try again"
            )
        draft.path.replace(self.database)
        with suppress(OSError):  # some network file systems cannot; the change is made all the same
            sync_folder(self.folder)

    def _remove_drafts(self) -> None:
        """Remove copies that were not published: this writer's, or a killed one's."""
        for path in self.folder.glob(_DRAFT + "*"):
            if path.is_dir():  # where DuckDB kept what did not fit into memory
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _sweep(self, referenced: frozenset[str]) -> None:
        """Remove the blob and staging folders that no row names and nobody reads.

        Raises
        ------
        OSError
            Something could not be removed; all else was.
        """
        failed: list[OSError] = []
        for folder in self._unnamed(referenced):
            try:
                remove_unread(folder)
            except OSError as error:
                failed.append(error)
        for kind, depth in _BLOBS.items():
            for level in reversed(range(depth)):
                _remove_empty(list(self.folder.glob(f"{kind}{'/*' * level}")))
        for path in self.downloads.glob(".*.lock"):
            _remove_unlocked(path)
        for path in self.downloads.glob("*.part*"):
            if time.time() - path.stat().st_mtime > _FORGOTTEN_S:
                _remove_unlocked(path)
        _remove_empty([self.downloads])
        if failed:
            raise failed[0]
        os.truncate(self.folder / ".lock", 0)  # nothing is left

    def _unnamed(self, referenced: frozenset[str]) -> list[Path]:
        """Return the blob folders that no row names, and all staging folders."""
        blobs = [
            folder
            for kind, depth in _BLOBS.items()
            for folder in self.folder.glob(f"{kind}{'/*' * depth}")
            if folder.relative_to(self.folder).as_posix() not in referenced
        ]
        return [*blobs, *self.downloads.glob(f"{_STAGING}*")]


@dataclass
class Draft:
    """A copy of the database that is being changed.

    Attributes
    ----------
    path
        The copy; does not exist yet in a new home.
    is_new
        Whether there is no database so far.
    discard
        Set to leave everything as it was.
    blob_folders
        The folders, relative to the home, that the changed database names.
    """

    path: Path
    is_new: bool
    discard: bool = False
    blob_folders: frozenset[str] = field(default=frozenset())


class Leases:
    """Leases on some folders, held until the object is gone.

    Parameters
    ----------
    folders
        The folders.

    Raises
    ------
    FileNotFoundError
        One was swept before; what named it is out of date.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        with ExitStack() as stack:
            for folder in folders:
                stack.enter_context(lease(folder))
            weakref.finalize(self, stack.pop_all().close)


def remove_unread(folder: Path) -> None:
    """Remove a folder unless somebody holds a lease on it.

    Raises
    ------
    OSError
        It cannot be removed.
    """
    with suppress(FileNotFoundError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            if lock_exclusive(descriptor):
                shutil.rmtree(folder)
        finally:
            os.close(descriptor)


def _remove_unlocked(path: Path) -> None:
    """Remove a file that a killed process left behind, if no other one holds it."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR)
        try:
            if lock_exclusive(descriptor):
                path.unlink()
        finally:
            os.close(descriptor)


def _is_held(path: Path) -> bool:
    """Whether a process holds a lock or a lease on a file or folder, or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return True
    try:
        return not lock_exclusive(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make a file's content durable."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritable(folder: Path, error: OSError) -> HomeError:
    """Return an error that says what cannot be written (or, elsewhere, read), and why."""
    reason = error.strerror or f"{error} (is the disk full?)"
    if error.filename and not Path(os.fsdecode(error.filename)).is_relative_to(folder):
        return HomeError(f"cannot use {os.fsdecode(error.filename)}: {reason}; nothing was changed")
    return HomeError(f"cannot write to the home {folder}: {reason}; nothing was changed")


def _state(path: Path) -> tuple[int, int, int]:
    """Return what changes whenever a file is replaced or written."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder with its parents and return those that were not there, innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _remove_empty(missing)
        raise unwritable(folder, error) from error
    return missing


def _remove_empty(folders: list[Path]) -> None:
    """Remove those folders, innermost first, that are empty."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
