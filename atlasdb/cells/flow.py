"""Work on pieces by several threads, whose results come in the pieces' order.

The one idea: each piece has a short queue of its own, so that threads run ahead of whoever takes
the results, but never far: memory does not grow with the number of pieces nor with their size.
"""

from __future__ import annotations

import itertools
import queue
import threading
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

P = TypeVar("P")
R = TypeVar("R")

_AHEAD = 8
"""Results of a piece that wait to be taken; a piece of a million rows in blocks has as many."""

_POLL_S = 0.1


def in_order(pieces: Sequence[P], work: Callable[[P], Iterator[R]], threads: int) -> Iterator[R]:
    """Yield what some work makes of each piece, in the pieces' order.

    Parameters
    ----------
    pieces
        What is worked on.
    work
        Called with a piece in some thread; it may raise, which ends everything.
    threads
        How many pieces are worked on at once.

    Examples
    --------
    >>> list(in_order([1, 2], lambda piece: iter([piece, piece * 10]), threads=2))
    [1, 10, 2, 20]
    """
    workers = _Workers(pieces, work, threads)
    try:
        yield from workers.results()
    finally:
        workers.halt.set()


class _Item(NamedTuple, Generic[R]):
    """A result, or what came instead: an error, or with neither the end of a piece."""

    result: R | None
    error: BaseException | None


class _Workers(Generic[P, R]):
    """Threads that take turns at pieces."""

    def __init__(self, pieces: Sequence[P], work: Callable[[P], Iterator[R]], threads: int) -> None:
        self.halt = threading.Event()
        self._pieces = pieces
        self._work = work
        self._queues: list[queue.Queue[_Item[R]]] = [queue.Queue(_AHEAD) for _ in pieces]
        self._turns = threading.Semaphore(threads)  # a piece begins when one before it was taken
        self._numbers = itertools.count()  # next() is atomic
        # Daemons: Ctrl-C never waits for a disk or a server.
        for _ in range(threads):
            threading.Thread(target=self._run, daemon=True).start()

    def results(self) -> Iterator[R]:
        """Yield the results in order."""
        for waiting in self._queues:
            while (item := waiting.get()).result is not None:
                yield item.result
            if item.error is not None:
                raise item.error
            self._turns.release()

    def _run(self) -> None:
        """Work on one piece after the other."""
        while not self.halt.is_set():
            if not self._turns.acquire(timeout=_POLL_S):
                continue
            number = next(self._numbers)
            if number >= len(self._pieces):
                return
            self._put(number, _Item(None, self._failure(number)))

    def _failure(self, number: int) -> BaseException | None:
        """Work on a piece; return what went wrong, if anything did."""
        try:
            for result in self._work(self._pieces[number]):
                self._put(number, _Item(result, None))
                if self.halt.is_set():
                    break
        except BaseException as error:  # noqa: BLE001 (raised again where it is waited for)
            return error
        return None

    def _put(self, number: int, item: _Item[R]) -> None:
        """Let something be taken, once there is room."""
        while not self.halt.is_set():
            try:
                self._queues[number].put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return
