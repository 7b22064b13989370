"""Progress for people: bars on a terminal, plain lines in a log, a callback for programs.

The one idea: work reports steps and bytes (`atlasdb.sources.base.Progress`); how that is shown is
decided here, for the command line and for `atlasdb.brainglobe` alike. All of it goes to stderr.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from atlasdb.errors import printable
from atlasdb.sources.base import NoProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn, TaskID

    from atlasdb.sources.base import Progress


class _Lines:
    """Progress in a log: a line a step, and one now and then while bytes come."""

    def __init__(self, *, every_s: float = 10.0) -> None:
        self._every_s = every_s
        self._total: int | None = None
        self._done = 0
        self._measure = "bytes"
        self._begin = self._told = time.monotonic()

    def step(self, label: str, total: int | None = None, measure: str = "bytes") -> None:
        size = f" ({total:,} {measure})" if total else ""
        print(f"{printable(label)}{size}", file=sys.stderr, flush=True)
        self._total, self._done, self._measure = total, 0, measure
        self._begin = self._told = time.monotonic()

    def advance(self, amount: int) -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._told < self._every_s:
            return
        self._told = now
        share = f" of {self._total:,} ({self._done / self._total:.0%})" if self._total else ""
        rate = self._done / (now - self._begin)
        speed = f"{rate / 1e6:.1f} MB/s" if self._measure == "bytes" else f"{rate:,.0f} rows/s"
        print(f"  {self._done:,} {self._measure}{share}, {speed}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        print(printable(text), file=sys.stderr, flush=True)


class _Bars:
    """Progress on a terminal: a bar that belongs to the step at hand."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def step(self, label: str, total: int | None = None, measure: str = "bytes") -> None:
        from rich.markup import escape

        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(escape(printable(label)), total=total, measure=measure)

    def advance(self, amount: int) -> None:
        if self._task is not None:
            self._bars.advance(self._task, amount)

    def note(self, text: str) -> None:
        self._bars.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


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

    def step(self, label: str, total: int | None = None, measure: str = "bytes") -> None:
        """Begin a step."""
        self._shown.step(label, total, measure)
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

    def note(self, text: str) -> None:
        """Say something."""
        self._shown.note(text)


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
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(*_columns(), console=console, transient=True, expand=True) as bars:
        yield _Bars(bars)


def _columns() -> list[ProgressColumn]:
    """Return what stands in a line: what is done, how many bytes or rows, how fast, how long."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column
    from rich.text import Text

    class Bytes(DownloadColumn):
        def render(self, task: Task) -> Text:
            if task.fields["measure"] == "bytes":
                return super().render(task) if task.completed else Text()
            total = "" if task.total is None else f"/{task.total:,.0f}"
            return Text(f"{task.completed:,.0f}{total} rows", style="progress.download")

    class Speed(TransferSpeedColumn):
        def render(self, task: Task) -> Text:
            if task.fields["measure"] == "bytes":
                return super().render(task) if task.completed else Text()
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f} rows/s" if speed else "", style="progress.data.speed")

    class Remaining(TimeRemainingColumn):
        def render(self, task: Task) -> Text:
            return super().render(task) if task.total else Text()

    # A long address gives way, and figures stay in one line.
    label = Column(no_wrap=True, overflow="ellipsis", ratio=1)
    figures = [Column(no_wrap=True) for _ in range(3)]
    return [
        TextColumn("{task.description}", table_column=label),
        BarColumn(bar_width=20),
        Bytes(table_column=figures[0]),
        Speed(table_column=figures[1]),
        Remaining(table_column=figures[2]),
    ]
