"""Progress for people: bars on a terminal, plain lines in a log, a callback for programs.

The one idea: work reports steps and bytes (`atlasdb.sources.base.Progress`); how that is shown is
decided here, for the command line and for `atlasdb.brainglobe` alike. All of it goes to stderr.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from atlasdb.sources.base import NoProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from atlasdb.sources.base import Progress


class _Lines:
    """Progress in a log: a line a step."""

    def step(self, label: str, total: int | None = None) -> None:
        size = f" ({total:,} bytes)" if total else ""
        print(f"{label}{size}", file=sys.stderr)

    def advance(self, amount: int) -> None:
        pass


class _Bars:
    """Progress on a terminal: a bar that belongs to the step at hand."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def step(self, label: str, total: int | None = None) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(label, total=total)

    def advance(self, amount: int) -> None:
        if self._task is not None:
            self._bars.advance(self._task, amount)


class Calling:
    """Progress that is shown by another one and told to a function too.

    Parameters
    ----------
    shown
        The other one.
    tell
        Called with the bytes done and the bytes in all, for steps that are measured in bytes.
    """

    def __init__(self, shown: Progress, tell: Callable[[int, int], object]) -> None:
        self._shown = shown
        self._tell = tell
        self._done = 0
        self._total: int | None = None

    def step(self, label: str, total: int | None = None) -> None:
        """Begin a step."""
        self._shown.step(label, total)
        self._done, self._total = 0, total

    def advance(self, amount: int) -> None:
        """Report more of the step."""
        self._shown.advance(amount)
        self._done += amount
        if self._total is not None:
            try:
                self._tell(self._done, self._total)
            except Exception as error:
                raise Interrupted(error) from error


class Interrupted(BaseException):
    """Carries what a caller's function raised past all that handles errors of the work itself.

    Parameters
    ----------
    error
        What it raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def progress_shown() -> Iterator[Progress]:
    """Yield a progress: bars on a terminal, lines elsewhere, nothing where stderr is closed."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield NoProgress() if sys.stderr is None else _Lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bars(bars)
