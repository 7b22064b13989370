"""From points to what their voxels hold: the path that every lookup takes.

The one idea: a gather from a rank volume waits for memory, so all else must hide behind it. Points
are taken a block at a time, small enough to stay in the cache through every step (quotient, floor,
bounds, linear index) and large enough that threads seldom wait for Python's lock; they take turns
at the blocks, and nothing of the size of the input is made but the output. The linear index
is a product of matrices: its terms are integers below 2**53, hence exact in any order.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from atlasdb.errors import OutsideError
from atlasdb.runs import LEFT, RIGHT
from atlasdb.space import first_left_index
from atlasdb.voxels.grid import AXES, MICRONS_PER_UNIT, checked_points, checked_unit
from atlasdb.voxels.ranks import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from atlasdb.voxels.grid import Grid

_BLOCK = 1 << 16
_ROW = 1 << 10  # a product of so few rows is not spread over threads by the BLAS library
_OFFENDERS = 5

_FLOAT = np.float64  # else a scale, being a number of Python's, would be applied to float32 as such

_RIGHT_OR_LEFT = np.uint8(RIGHT), np.uint8(LEFT)

T = TypeVar("T")


@dataclass(frozen=True)
class Located:
    """Where the points of one block are; the arrays are overwritten by the next block.

    Attributes
    ----------
    rows
        The block's rows among all points.
    index
        (m,) int64, linear index of each point's voxel; 0 for those outside.
    inside
        (m,) bool, whether each point is in the volume; None if all are.
    voxel
        (m, 3) float64, the voxel's index along each axis; meaningless outside.
    scratch
        (m,) int64, room for a sink's own indices.
    """

    rows: slice
    index: NDArray[np.int64]
    inside: NDArray[np.bool_] | None
    voxel: NDArray[np.float64]
    scratch: NDArray[np.int64]


Sink = Callable[[Located], None]
"""What is done with each block of located points; called by several threads at once."""


@dataclass(frozen=True)
class OutsidePoints:
    """The points outside the volume.

    Attributes
    ----------
    count
        How many.
    first
        The first few of their rows, ascending.
    """

    count: int
    first: tuple[int, ...]

    def refuse(self, points: NDArray[Any], where: str, unit: str) -> None:
        """Raise an error that names them, if there are any.

        Raises
        ------
        OutsideError
            With the count and the first offenders.
        """
        if not self.count:
            return
        shown = "; ".join(f"row {row}: {points[row].tolist()}" for row in self.first)
        more = f" and {self.count - len(self.first):,} more" if self.count > len(self.first) else ""
        raise OutsideError(
            f"{self.count:,} of {len(points):,} points ({unit}) are outside {where}: "
            f"{shown}{more}; give a value for them with outside=…"
        )


def locate(
    points: ArrayLike, grid: Grid, sink: Sink, *, unit: str = "um", threads: int | None = None
) -> OutsidePoints:
    """Find the voxel of every point and hand them to a sink, block by block.

    Parameters
    ----------
    points
        (N, 3) floats or integers along the axes AP, SI, RL, in any memory order; an array mapped
        from a file is read as it is needed.
    grid
        The volume's voxels.
    sink
        Called for every block, in no particular order.
    unit
        'um', 'mm', 'm' or 'voxel'.
    threads
        How many; by default one for each processor that this process may use.

    Examples
    --------
    >>> from atlasdb.voxels.grid import Grid
    >>> found = np.empty(2, dtype=np.int64)
    >>> def keep(located):
    ...     found[located.rows] = located.index
    >>> locate([[0, 0, 0], [60, 30, 15]], Grid((4, 3, 7), (50.0, 20.0, 10.0)), keep).count
    0
    >>> found
    array([ 0, 29])
    """
    array = checked_points(points)
    if array.flags.c_contiguous or not array.flags.f_contiguous:
        locator = partial(_Locator, grid, unit)
        return _located(locator, len(array), array.__getitem__, sink, threads)
    return locate_columns(list(array.T), grid, sink, unit=unit, threads=threads)


def locate_columns(
    columns: Sequence[NDArray[Any]],
    grid: Grid,
    sink: Sink,
    *,
    unit: str = "um",
    threads: int | None = None,
) -> OutsidePoints:
    """Find the voxel of every point, given as three arrays of coordinates.

    Parameters
    ----------
    columns
        Three (N,) arrays of floats or integers along the axes AP, SI, RL; nothing is copied.
    grid, sink, unit, threads
        As of `locate`.
    """
    locator = partial(_ColumnLocator, grid, unit)

    def part(rows: slice) -> list[NDArray[Any]]:
        return [column[rows] for column in columns]

    return _located(locator, len(columns[0]), part, sink, threads)


def _located(
    locator: Callable[[int], Callable[[Any, slice], Located]],
    count: int,
    part: Callable[[slice], Any],
    sink: Sink,
    threads: int | None,
) -> OutsidePoints:
    """Share the blocks of points out among threads; return those outside."""

    def work(blocks: Iterator[int]) -> list[tuple[int, NDArray[np.int64]]]:
        locate_block = locator(min(count, _BLOCK))
        outside = []
        with np.errstate(all="ignore"):
            for block in blocks:
                rows = slice(block * _BLOCK, min((block + 1) * _BLOCK, count))
                located = locate_block(part(rows), rows)
                if located.inside is not None:
                    outside.append(_offenders(located))
                sink(located)
        return outside

    shared = share_out(work, -(-count // _BLOCK), threads)
    found = [block for blocks in shared for block in blocks]
    rows = np.sort(np.concatenate([first for _, first in found])) if found else np.empty(0)
    return OutsidePoints(
        count=sum(count for count, _ in found),
        first=tuple(rows[:_OFFENDERS].astype(int).tolist()),
    )


def share_out(work: Callable[[Iterator[int]], T], tasks: int, threads: int | None) -> list[T]:
    """Run the same work in several threads, which take turns at numbered tasks.

    Parameters
    ----------
    work
        Called once in each thread with an iterator over the numbers of its tasks.
    tasks
        How many there are; one alone is done in the caller's thread.
    threads
        How many; None for one a processor.

    Returns
    -------
    list
        What each thread's work returned.

    Examples
    --------
    >>> sum(share_out(sum, 5, 2))
    10
    """
    number = min(processors() if threads is None else threads, tasks)
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, found {threads}")
    if number <= 1:
        return [work(iter(range(tasks)))]
    from concurrent.futures import ThreadPoolExecutor  # 5 ms, which a single point does without

    halt = threading.Event()
    numbers = itertools.count()  # next() is atomic

    def mine() -> Iterator[int]:
        while (task := next(numbers)) < tasks and not halt.is_set():
            yield task

    with ThreadPoolExecutor(number) as pool:
        futures = [pool.submit(work, mine()) for _ in range(number)]
        try:
            return [future.result() for future in futures]
        except BaseException:  # one failed, or Ctrl-C: the others stop at their next task
            halt.set()
            raise


def processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _offenders(located: Located) -> tuple[int, NDArray[np.int64]]:
    """Return how many points of a block are outside, and the first rows of these."""
    outside = np.flatnonzero(~located.inside)  # type: ignore[operator]
    return outside.size, outside[:_OFFENDERS] + located.rows.start


class _Locator:
    """One thread's buffers, and the arithmetic of one block.

    Triples lie one after the other; what they are divided by and compared with is repeated as
    often, since a loop over axes of length 3 would be ten times slower.
    """

    def __init__(self, grid: Grid, unit: str, size: int) -> None:
        checked_unit(unit)
        self._scale = 1.0 if unit == "voxel" else MICRONS_PER_UNIT[unit]
        self._divisor = None if unit == "voxel" else _divisor(grid.resolution_um, size)
        self._limit = _repeated(grid.shape, min(size, _ROW))
        self._strides = np.array([grid.shape[1] * grid.shape[2], grid.shape[2], 1], np.float64)
        self._voxel = np.empty(AXES * size)
        self._in_axis = np.empty((2, AXES * size), dtype=np.bool_)
        self._linear = np.empty(size)
        self._index, self._scratch = np.empty((2, size), dtype=np.int64)
        self._inside = np.empty(size, dtype=np.bool_)
        self._was_inside = True  # the block before: points outside seldom come alone

    def __call__(self, points: NDArray[Any], rows: slice) -> Located:
        n = len(points)
        voxel = self._voxel[: AXES * n]
        linear, index = self._linear[:n], self._index[:n]
        self._divide(np.ascontiguousarray(points).reshape(-1), voxel)
        np.floor(voxel, out=voxel)
        stack = (1, n) if n % _ROW else (n // _ROW, _ROW)
        np.matmul(voxel.reshape(*stack, AXES), self._strides, out=linear.reshape(stack))
        np.copyto(index, linear, casting="unsafe")
        triples = voxel.reshape(n, AXES)
        if n % _ROW == 0 and self._was_inside and self._is_inside(voxel):
            return Located(rows, index, None, triples, self._scratch[:n])
        inside = self._tested(voxel)
        self._was_inside = bool(inside.all())
        if self._was_inside:
            return Located(rows, index, None, triples, self._scratch[:n])
        np.multiply(index, inside, out=index)  # whatever NaN and infinities became
        return Located(rows, index, inside, triples, self._scratch[:n])

    def _is_inside(self, voxel: NDArray[np.float64]) -> bool:
        """Whether a whole block is inside, by its extremes: half the work of testing each point.

        NaN is an extreme.
        """
        highest = voxel.reshape(-1, AXES * _ROW).max(axis=0)
        return bool(voxel.min() >= 0 and np.less(highest, self._limit[: highest.size]).all())

    def _tested(self, voxel: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which points of a block are inside."""
        n = voxel.size // AXES
        above, below = self._in_axis[:, : voxel.size]
        np.greater_equal(voxel, 0, out=above)
        if self._limit.size < voxel.size:
            self._limit = np.tile(self._limit, -(-voxel.size // self._limit.size))
        np.less(voxel, self._limit[: voxel.size], out=below)
        in_axis = np.logical_and(above, below, out=above).reshape(n, AXES)
        inside = self._inside[:n]
        np.logical_and(in_axis[:, 0], in_axis[:, 1], out=inside)
        np.logical_and(inside, in_axis[:, 2], out=inside)
        return inside

    def _divide(self, points: NDArray[Any], voxel: NDArray[np.float64]) -> None:
        """Turn coordinates into voxels, not yet whole ones."""
        if self._divisor is None:
            np.copyto(voxel, points, casting="unsafe")
            return
        if self._scale != 1.0:
            points = np.multiply(points, self._scale, out=voxel, casting="unsafe", dtype=_FLOAT)
        divisor = self._divisor[: voxel.size]
        np.divide(points, divisor, out=voxel, casting="unsafe", dtype=_FLOAT)


class _ColumnLocator:
    """One thread's buffers, and the arithmetic of one block whose axes lie apart."""

    def __init__(self, grid: Grid, unit: str, size: int) -> None:
        checked_unit(unit)
        self._scale = 1.0 if unit == "voxel" else MICRONS_PER_UNIT[unit]
        self._divisors = None if unit == "voxel" else grid.resolution_um
        self._shape = grid.shape
        self._strides = (float(grid.shape[1] * grid.shape[2]), float(grid.shape[2]), 1.0)
        self._voxel = np.empty((AXES, size))
        self._linear, self._term = np.empty((2, size))
        self._index, self._scratch = np.empty((2, size), dtype=np.int64)

    def __call__(self, columns: Sequence[NDArray[Any]], rows: slice) -> Located:
        n = len(columns[0])
        voxel, index = self._voxel[:, :n], self._index[:n]
        linear, term = self._linear[:n], self._term[:n]
        is_inside = True
        for axis, column in enumerate(columns):
            self._divide(column, axis, voxel[axis])
            np.floor(voxel[axis], out=voxel[axis])
            if axis == 0:
                np.multiply(voxel[axis], self._strides[axis], out=linear)
            else:  # integers below 2**53: exact
                np.multiply(voxel[axis], self._strides[axis], out=term)
                np.add(linear, term, out=linear)
            # NaN is an extreme.
            is_inside &= bool(voxel[axis].min() >= 0 and voxel[axis].max() < self._shape[axis])
        np.copyto(index, linear, casting="unsafe")
        if is_inside:
            return Located(rows, index, None, voxel.T, self._scratch[:n])
        shape = np.array(self._shape)[:, None]
        inside = np.asarray(np.logical_and(voxel >= 0, voxel < shape).all(axis=0))
        np.multiply(index, inside, out=index)  # whatever NaN and infinities became
        return Located(rows, index, inside, voxel.T, self._scratch[:n])

    def _divide(self, column: NDArray[Any], axis: int, out: NDArray[np.float64]) -> None:
        """Turn coordinates along an axis into voxels, not yet whole ones."""
        if self._divisors is None:
            np.copyto(out, column, casting="unsafe")
            return
        if self._scale != 1.0:
            column = np.multiply(column, self._scale, out=out, casting="unsafe", dtype=_FLOAT)
        np.divide(column, self._divisors[axis], out=out, casting="unsafe", dtype=_FLOAT)


def _divisor(resolution_um: Sequence[float], size: int) -> NDArray[np.float64]:
    """Return what a block's coordinates are divided by: one number for cubic voxels."""
    if len(set(resolution_um)) == 1:
        return np.array(resolution_um[:1])
    return _repeated(resolution_um, size)


def _repeated(values: Sequence[float], times: int) -> NDArray[np.float64]:
    """Return a triple repeated for a number of points."""
    return np.tile(np.array(values, dtype=np.float64), times)


class GatherRanks:
    """A sink that looks ranks up and writes what tables make of them.

    Parameters
    ----------
    ranks
        The rank volume.
    size
        The number of ranks; tables have one entry more, for points outside.
    outputs
        Pairs of a table and the (N,) array that takes its values.
    """

    def __init__(
        self,
        ranks: NDArray[Any],
        size: int,
        outputs: Sequence[tuple[NDArray[Any], NDArray[Any]]],
    ) -> None:
        self._ranks = np.asarray(ranks).reshape(-1)
        self._size = size
        self._outside = np.min_scalar_type(size).type(size)
        self._outputs = outputs

    def codes(self, located: Located) -> NDArray[Any]:
        """Return the rank at every point of a block, `size` outside.

        Raises
        ------
        BlobError
            A rank that the atlas does not have.
        """
        codes: NDArray[Any] = self._ranks.take(located.index, mode="wrap")  # no check: all are in
        refuse_unknown(codes, self._size)
        if located.inside is None:
            return codes
        codes = codes.astype(np.promote_types(codes.dtype, self._outside.dtype), copy=False)
        np.multiply(codes, located.inside, out=codes)
        np.maximum(codes, ~located.inside * self._outside, out=codes)
        return codes

    def __call__(self, located: Located) -> None:
        """Take a block."""
        index = located.scratch
        np.copyto(index, self.codes(located))  # else `take` would, into new memory each time
        for table, out in self._outputs:
            table.take(index, out=out[located.rows], mode="wrap")


class CopyRanks:
    """A sink that looks ranks up and keeps them as they are.

    Parameters
    ----------
    ranks
        The rank volume.
    size
        The number of ranks.
    out
        (N,) integers that take them, of a type that holds them.
    fill
        The value for points outside.
    """

    def __init__(self, ranks: NDArray[Any], size: int, out: NDArray[Any], fill: int) -> None:
        self._ranks = np.asarray(ranks).reshape(-1)
        self._size = size
        self._out = out
        self._fill = out.dtype.type(fill)

    def __call__(self, located: Located) -> None:
        """Take a block."""
        out = self._out[located.rows]
        if out.dtype == self._ranks.dtype:
            self._ranks.take(located.index, out=out, mode="wrap")
        else:
            np.copyto(out, self._ranks.take(located.index, mode="wrap"))
        refuse_unknown(out, self._size)
        if located.inside is not None:
            np.multiply(out, located.inside, out=out)
            np.add(out, ~located.inside * self._fill, out=out)


class TakeSides:
    """A sink that gives the hemisphere of each point: 1 left, 2 right, 0 neither.

    Parameters
    ----------
    sides
        The hemisphere volume, None for the rule of a symmetric atlas.
    grid
        The volume's voxels.
    out
        (N,) integers that take them.
    fill
        The value for points outside.
    """

    def __init__(
        self, sides: NDArray[np.uint8] | None, grid: Grid, out: NDArray[Any], fill: int
    ) -> None:
        self._sides = None if sides is None else np.asarray(sides).reshape(-1)
        self._border = first_left_index(grid.shape[2])
        self._out = out
        self._fill = fill

    def __call__(self, located: Located) -> None:
        """Take a block."""
        out = self._out[located.rows]
        if self._sides is None:
            np.copyto(out, np.where(located.voxel[:, 2] < self._border, *_RIGHT_OR_LEFT))
        else:
            np.copyto(out, self._sides.take(located.index, mode="wrap"))
        if located.inside is not None:
            np.copyto(out, self._fill, where=~located.inside)
