"""The same two operations on a Dask cluster.

The one idea: a task is some pieces, and knows all it needs; its result is small (a count) or a file
of its own (a shard). The engine may run any of them twice, on any worker, and nothing changes. The
atlas is opened by the workers where they see the home, and else sent to each of them once.
"""

from __future__ import annotations

import platform
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar

from atlasdb.cells.annotating import Annotator, Tally
from atlasdb.cells.counting import Counter, Counts, count_pieces
from atlasdb.cells.joining import schema_of
from atlasdb.cells.text import TextPiece
from atlasdb.cells.writing import write_parquet
from atlasdb.errors import AtlasDBError, MissingPackageError, SchedulerError
from atlasdb.sources.base import NoProgress
from atlasdb.wholefile import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from atlasdb.cells.annotating import Wanted
    from atlasdb.cells.columns import Coordinates
    from atlasdb.cells.groups import Group
    from atlasdb.cells.pieces import Piece
    from atlasdb.cells.reading import Points
    from atlasdb.sources.base import Progress
    from atlasdb.voxels import AtlasVoxels

T = TypeVar("T")

_TASKS_PER_THREAD = 4
_TIMEOUT_S = 30
_ATTEMPTS = 5
_PAUSE_S = 1.0

_opened: dict[str, AtlasVoxels] = {}
"""The atlases that a worker has opened, by fingerprint."""


@dataclass(frozen=True)
class _Atlas:
    """An atlas as a task is told of it.

    Attributes
    ----------
    fingerprint
        What it must answer like.
    reopen
        Opens it where the home is seen; None where it was sent.
    """

    fingerprint: str
    reopen: Callable[[], AtlasVoxels] | None

    def open(self, sent: AtlasVoxels | None) -> AtlasVoxels:
        """Return the atlas, on a worker."""
        found = _opened.get(self.fingerprint)
        if found is None:
            found = sent if self.reopen is None else self.reopen()
            if found is None or found.fingerprint != self.fingerprint:
                raise SchedulerError("the workers see another version of the atlas than this one")
            _opened.clear()
            _opened[self.fingerprint] = found
        return found


def _sees(atlas: _Atlas) -> bool:
    """Whether a worker can open an atlas itself."""
    try:
        return atlas.open(None).ranks.size > 0
    except (AtlasDBError, OSError):
        return False


@dataclass(frozen=True)
class _CountTask:
    """Counts some pieces."""

    atlas: _Atlas
    coordinates: Coordinates
    by: pa.Schema
    pieces: tuple[Piece, ...]

    def __call__(self, sent: AtlasVoxels | None) -> tuple[list[Group], NDArray[np.int64], int]:
        """Return the groups, their counts and the amount."""
        counter = Counter(self.atlas.open(sent), self.coordinates, self.by)
        told = _Told()
        counts = count_pieces(self.pieces, counter, threads=1, progress=told)
        return counts.groups.values, counts.by_group.copy(), told.amount


class _Told(NoProgress):
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.amount = 0

    def advance(self, amount: int) -> None:
        """Add an amount."""
        self.amount += amount


@dataclass(frozen=True)
class _AnnotateTask:
    """Writes some pieces as a shard."""

    atlas: _Atlas
    coordinates: Coordinates
    wanted: Wanted
    names: tuple[str, ...]
    schema: pa.Schema
    pieces: tuple[Piece, ...]
    shard: Path

    def __call__(self, sent: AtlasVoxels | None) -> tuple[dict[str, int], int]:
        """Return how many points have each status, and the amount."""
        annotator = Annotator(self.atlas.open(sent), self.coordinates, self.wanted, 1)
        tally, told = Tally(), _Told()

        def batches() -> Iterator[pa.RecordBatch]:
            for piece in self.pieces:
                for annotated in map(annotator, piece.blocks(self.names)):
                    tally.add(annotated.counts)
                    told.advance(annotated.amount)
                    yield annotated.rows

        with replacing(self.shard) as file:
            write_parquet(batches(), file, self.schema)
        return tally.counts, told.amount


def count_on(
    scheduler: object, pieces: Sequence[Piece], counter: Counter, progress: Progress
) -> Counts:
    """Count the points of pieces on a cluster.

    Parameters
    ----------
    scheduler
        A Dask client, or a scheduler's address.
    pieces
        The pieces; their files must be where the workers see them.
    counter
        What counts them.
    progress
        Told of the amounts.
    """
    total = counter.none()
    _refuse_streams(pieces)
    with _client_of(scheduler) as client:
        atlas, sent = _shared(client, counter.voxels)
        tasks = [
            _CountTask(atlas, counter.coordinates, counter.by, group)
            for group in _grouped(pieces, client)
        ]
        for groups, cells, amount in _results(client, tasks, sent):
            counted = counter.none()
            counted.groups.add(groups)
            total.merge(Counts(counted.groups, counted.size, cells))
            progress.advance(amount)
    return total


def annotate_on(
    scheduler: object,
    points: Points,
    voxels: AtlasVoxels,
    folder: Path,
    wanted: Wanted,
    progress: Progress | None,
) -> Tally:
    """Write an annotated table as a folder of Parquet files, on a cluster.

    The folder appears whole. Its files are in the order of the rows.

    Parameters
    ----------
    scheduler
        A Dask client, or a scheduler's address.
    points
        The table; its files must be where the workers see them.
    voxels
        The atlas.
    folder
        The folder, where the workers see it; there must be none of this name yet.
    wanted
        Which columns are added.
    progress
        Told of the amounts.
    """
    progress = progress or NoProgress()
    _refuse_streams(points.pieces)
    folder = folder.absolute()
    if folder.exists():
        raise SchedulerError(f"{folder} is there already: name a folder that is not")
    annotator = Annotator(voxels, points.coordinates, replace(wanted, plain=False))
    annotator.check(points.schema.names)
    schema = schema_of(points, annotator)
    staging = folder.with_name(f".{folder.name}.{token_hex(4)}")
    tally = Tally()
    progress.step("annotating", points.total, points.measure)
    try:
        staging.mkdir(parents=True)
        with _client_of(scheduler) as client:
            atlas, sent = _shared(client, voxels)
            groups = _grouped(points.pieces, client)
            width = len(str(len(groups)))
            tasks = [
                _AnnotateTask(
                    atlas,
                    points.coordinates,
                    annotator.wanted,
                    tuple(points.schema.names),
                    schema,
                    group,
                    staging / f"part-{number:0{width}}.parquet",
                )
                for number, group in enumerate(groups)
            ]
            for counts, amount in _results(client, tasks, sent):
                tally.add(counts)
                progress.advance(amount)
        missing = [task.shard.name for task in tasks if not task.shard.is_file()]
        if missing:
            raise SchedulerError(
                f"{missing[0]} was written elsewhere than in {staging}: the workers do not see "
                "this folder"
            )
        for left in set(staging.iterdir()) - {task.shard for task in tasks}:
            left.unlink()  # of a worker that was killed while it wrote
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return tally


def _refuse_streams(pieces: Sequence[Piece]) -> None:
    """Refuse what can be read once and here only."""
    if any(isinstance(piece, TextPiece) and piece.stream is not None for piece in pieces):
        raise SchedulerError("standard input cannot be shared out among workers: name files")


@contextmanager
def _client_of(scheduler: object) -> Iterator[Any]:
    """Yield a client: the caller's own, or one of a scheduler's address."""
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingPackageError(
            "a Dask cluster needs the packages dask and distributed: pip install "
            "'atlasdb[distributed]'"
        ) from error
    if isinstance(scheduler, Client):
        yield scheduler
        return
    if not isinstance(scheduler, str):
        raise SchedulerError(
            f"a scheduler is a Dask client or an address, not {type(scheduler).__name__}"
        )
    try:
        client = Client(  # type: ignore[no-untyped-call]
            scheduler, timeout=_TIMEOUT_S, set_as_default=False
        )
    except (OSError, ValueError, TimeoutError) as error:
        raise SchedulerError(f"no Dask scheduler answers at {scheduler}: {error}") from error
    with client:
        yield client


def _shared(client: Any, voxels: AtlasVoxels) -> tuple[_Atlas, Any]:  # noqa: ANN401 (Dask's own)
    """Return how tasks are told of the atlas, and what is sent to all workers, if anything is."""
    try:
        client.wait_for_workers(1, timeout=_TIMEOUT_S)
    except TimeoutError as error:
        raise SchedulerError(f"the scheduler has no workers after {_TIMEOUT_S} s") from error
    seen = _Atlas(voxels.fingerprint, voxels.reopener)
    for attempt in range(_ATTEMPTS):
        try:
            if all(client.run(_sees, seen).values()):
                return seen, None
            sent = client.scatter(voxels.carried(), broadcast=True, hash=False)
            return _Atlas(voxels.fingerprint, None), sent
        except OSError as error:  # a worker was lost while it was asked
            if attempt + 1 == _ATTEMPTS:
                raise SchedulerError(f"the workers of the cluster come and go: {error}") from error
            time.sleep(_PAUSE_S)
    raise AssertionError  # the last attempt returns or raises


def _grouped(pieces: Sequence[T], client: Any) -> list[tuple[T, ...]]:  # noqa: ANN401
    """Return pieces as tasks: several for each thread, so that all end at about the same time."""
    threads = max(sum(client.nthreads().values()), 1)
    size = max(len(pieces) // (threads * _TASKS_PER_THREAD), 1)
    return [tuple(pieces[start : start + size]) for start in range(0, len(pieces), size)]


def _results(client: Any, tasks: Sequence[Any], sent: Any) -> Iterator[Any]:  # noqa: ANN401
    """Run tasks and yield their results as they come; what fails ends all."""
    from distributed import KilledWorker, as_completed

    futures = [client.submit(_run, task, sent, pure=False) for task in tasks]
    done = as_completed(  # type: ignore[no-untyped-call]
        futures, with_results=True, loop=client.loop
    )
    try:
        for _, result in done:
            yield result
    except KilledWorker as error:
        raise SchedulerError(f"the same work killed several workers: {error}") from error
    finally:
        client.cancel(futures, force=True)


def _run(task: Callable[[AtlasVoxels | None], T], sent: AtlasVoxels | None) -> T:
    """Run a task on a worker; say where it was that a file was not seen."""
    try:
        return task(sent)
    except FileNotFoundError as error:
        raise SchedulerError(
            f"the worker on {platform.node()} does not see {error.filename}: inputs and outputs "
            "must be where all workers see them"
        ) from error
