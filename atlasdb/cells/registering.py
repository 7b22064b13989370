"""Tables of cells in a home: annotated once, kept as Parquet, asked in SQL as ``cells.NAME``.

The one idea: a registered table is pinned to the atlas version that it was annotated with, by the
atlas's number in its rows and by a digest of what its answers follow from. An atlas that would
answer otherwise never gives its structures to such a table: the view is an error until the table is
annotated again.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from atlasdb.cells.annotating import FOUND_COLUMNS, MICRONS, Annotator, Tally, Wanted
from atlasdb.cells.columns import Coordinates, Stated
from atlasdb.cells.joining import annotate_to
from atlasdb.cells.reading import open_points
from atlasdb.database import find_atlas, find_cells, reading, writing
from atlasdb.errors import (
    AtlasInUseError,
    BlobError,
    CellTableError,
    HomeError,
    PointsError,
    UnknownCellTableError,
)
from atlasdb.home import sync_folder
from atlasdb.names import is_device
from atlasdb.views import cell_tables, create_cell_views
from atlasdb.volumes import sha256_of
from atlasdb.voxels import STATUSES, AtlasVoxels
from atlasdb.voxels.opening import open_atlas, read_data

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from atlasdb.cells.reading import Points
    from atlasdb.home import Home
    from atlasdb.names import AtlasName
    from atlasdb.sources.base import Progress

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")

_PINNED = "atlas_id"
"""The column that the view adds."""


@dataclass(frozen=True)
class Registered:
    """What became of a table of cells.

    Attributes
    ----------
    name
        The view is ``cells.NAME``.
    atlas
        The atlas's full name.
    status
        'added' or 'replaced'.
    tally
        How many cells have each status.
    """

    name: str
    atlas: AtlasName
    status: str
    tally: Tally


def add_cells(
    home: Home,
    name: str,
    points: Points,
    atlas: str,
    *,
    wanted: Wanted | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Registered:
    """Annotate a table of cells into a home.

    Parameters
    ----------
    home
        The home.
    name
        Letters, digits and underscores; the view is ``cells.NAME``.
    points
        The table.
    atlas
        ``NAME`` or ``NAME@VERSION``.
    wanted
        Which columns are added beside the structure's, the status and ``ap_um``, ``si_um``,
        ``rl_um``.
    force
        Replace a table of the same name.
    progress
        Told of rows or bytes.

    Raises
    ------
    CellTableError
        The name is none, or is taken.
    PointsError
        The table cannot be read.
    UnknownAtlasError
        The atlas is not there.
    """
    if not _NAME.fullmatch(name):
        raise CellTableError(
            f"{name!r:.80} can be no table: expected letters, digits and _, not beginning with a "
            "digit"
        )
    if is_device(name):
        raise CellTableError(f"{name!r} can be no table: Windows has no such folder; add a letter")
    clashing = [column for column in points.schema.names if column.lower() == _PINNED]
    if clashing:
        raise PointsError(f"the view adds a column {_PINNED}, which {points.name} has: rename it")
    _refuse_twins(points)
    voxels = AtlasVoxels(open_atlas(home, atlas))
    with reading(home) as connection:
        taken = _taken(connection, name)
    if taken is not None and not force:
        raise CellTableError(f"cells.{taken} is there already; --force replaces it")
    wanted = replace(wanted or Wanted(), microns=True)
    with home.staging() as staging:
        folder = staging / "cells"
        folder.mkdir()
        file = folder / f"{name}.parquet"
        with file.open("xb") as stream:
            tally = annotate_to(points, voxels, stream, wanted=wanted, progress=progress)
            stream.flush()
            os.fsync(stream.fileno())
        row = _row(name, points, voxels, wanted, tally, file)
        status = _commit(home, row, voxels, folder, force=force)
    return Registered(name, voxels.name, status, tally)


def _refuse_twins(points: Points) -> None:
    """Refuse columns that differ by case alone, which are one to DuckDB."""
    times = Counter(name.lower() for name in points.schema.names)
    twins = sorted({name for name in points.schema.names if times[name.lower()] > 1})
    if twins:
        raise PointsError(
            f"the columns {', '.join(twins)} of {points.name} differ by case alone, which SQL does "
            "not tell apart: rename one"
        )


def _row(
    name: str, points: Points, voxels: AtlasVoxels, wanted: Wanted, tally: Tally, file: Path
) -> dict[str, Any]:
    """Return the row of ``cell_table``, without the atlas's number and the final path."""
    coordinates = points.coordinates
    added = Annotator(voxels, coordinates, wanted).added
    return {
        "name": name,
        "source": points.name,
        "added_at": datetime.now(UTC).replace(tzinfo=None, microsecond=0),
        "rows": tally.total,
        "bytes": file.stat().st_size,
        "sha256": sha256_of(file),
        "unit": coordinates.unit,
        "orientation": coordinates.orientation,
        "columns": json.dumps(dict(zip(MICRONS, coordinates.columns, strict=True))),
        "added": [column for column in added if column not in points.schema.names],
        "fingerprint": voxels.fingerprint,
        "outdated": False,
        **tally.counts,
    }


def _commit(
    home: Home, row: dict[str, Any], voxels: AtlasVoxels, folder: Path, *, force: bool
) -> str:
    """Give the file its place, and the database its row and view."""
    name = row["name"]
    path = PurePosixPath("cells", name, secrets.token_hex(6), f"{name}.parquet")
    with writing(home) as connection:
        atlas_id, found = find_atlas(connection, str(voxels.name))
        now = AtlasVoxels(read_data(home, connection, atlas_id, found))
        if now.fingerprint != voxels.fingerprint:
            raise HomeError(f"{voxels.name} was replaced meanwhile: nothing was changed; try again")
        taken = _taken(connection, name)
        if taken is not None and not force:
            raise CellTableError(f"cells.{taken} is there already; --force replaces it")
        target = home.folder / path.parent
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
        sync_folder(target.parent)
        if taken is not None:
            connection.execute("DELETE FROM main.cell_table WHERE name = ?", [taken])
        values = {**row, "atlas_id": atlas_id, "path": str(path), "location": str(home.folder)}
        columns = ", ".join(f'"{column}"' for column in values)
        connection.execute(
            f"INSERT INTO main.cell_table ({columns}) "  # noqa: S608 (our own names)
            f"VALUES ({', '.join('?' * len(values))})",
            list(values.values()),
        )
        create_cell_views(connection)
    return "added" if taken is None else "replaced"


def refresh_cells(home: Home, name: str, *, progress: Progress | None = None) -> Registered:
    """Annotate a registered table again, with the atlas as it is now.

    Raises
    ------
    UnknownCellTableError
        There is none of this name.
    BlobError
        Its file is not the one that was written.
    CellTableError
        It is of an older schema, which does not say how it was annotated.
    """
    with reading(home) as connection:
        kept = _kept(home, connection, name)
    points = kept.source_points()
    return add_cells(
        home, kept.name, points, str(kept.atlas), wanted=kept.wanted, force=True, progress=progress
    )


@dataclass(frozen=True)
class _Kept:
    """A registered table as its row describes it."""

    name: str
    atlas: AtlasName
    file: Path
    source: str
    coordinates: Coordinates
    added: tuple[str, ...]
    bytes: int
    sha256: str
    fingerprint: str
    counts: dict[str, int]

    @property
    def wanted(self) -> Wanted:
        """Which columns were added."""
        depths = [n.rpartition("_")[2] for n in self.added if n.startswith("acronym_depth_")]
        return Wanted(depths=tuple(map(int, depths)), path="path" in self.added, microns=True)

    def source_points(self) -> Points:
        """Return the table as it was before anything was added: its own columns are all there.

        Raises
        ------
        BlobError
            The file is missing, truncated or altered.
        """
        if not self.file.is_file():
            raise BlobError(f"the file of cells.{self.name} is missing: {self.file}")
        if self.file.stat().st_size != self.bytes or sha256_of(self.file) != self.sha256:
            raise BlobError(f"the file of cells.{self.name} was altered: {self.file}")
        stated = Stated(
            self.coordinates.columns, self.coordinates.unit, self.coordinates.orientation, "atlas"
        )
        points = open_points(self.file, stated)
        own = pa.schema([field for field in points.schema if field.name not in self.added])
        return replace(points, name=self.source, schema=own)


def _kept(home: Home, connection: duckdb.DuckDBPyConnection, name: str) -> _Kept:
    """Return a registered table."""
    found, atlas = find_cells(connection, name)
    columns = ("path", "source", "columns", "unit", "orientation", "added", "bytes", "sha256")
    path, source, mapping, unit, orientation, added, size, digest, fingerprint, *counts = (
        connection.execute(
            f"SELECT {', '.join((*columns, 'fingerprint', *STATUSES))} "  # noqa: S608 (our own)
            "FROM main.cell_table WHERE name = ?",
            [found],
        ).fetchall()[0]
    )
    if not added:
        raise CellTableError(
            f"cells.{found} is of an older schema, which does not say how it was annotated: add it "
            "again with --force"
        )
    first, second, third = (json.loads(mapping)[name] for name in MICRONS)
    return _Kept(
        name=found,
        atlas=atlas,
        file=home.folder / PurePosixPath(path),
        source=source,
        coordinates=Coordinates((first, second, third), unit, orientation),
        added=tuple(added),
        bytes=size,
        sha256=digest,
        fingerprint=fingerprint,
        counts=dict(zip(STATUSES, counts, strict=True)),
    )


def remove_cells(home: Home, name: str) -> str:
    """Remove a registered table with its file.

    Returns
    -------
    str
        Its name.

    Raises
    ------
    UnknownCellTableError
        There is none of this name; near names are suggested.
    """
    with reading(home) as connection:
        find_cells(connection, name)  # a misspelt name needs no lock
    with writing(home) as connection:
        found, _ = find_cells(connection, name)
        connection.execute("DELETE FROM main.cell_table WHERE name = ?", [found])
        create_cell_views(connection)
    return found


def _taken(connection: duckdb.DuckDBPyConnection, name: str) -> str | None:
    """Return the table of a name, in whatever case, if there is one."""
    try:
        return find_cells(connection, name)[0]
    except UnknownCellTableError:
        return None


def verify_cells(home: Home, connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Verify a registered table's file, and its answers against the atlas as it is now.

    Raises
    ------
    BlobError
        The file is missing, truncated or altered, or says otherwise than the atlas.
    CellTableError
        It is of an older schema.
    """
    kept = _kept(home, connection, name)
    points = kept.source_points()
    atlas_id, _ = find_atlas(connection, str(kept.atlas))
    voxels = AtlasVoxels(read_data(home, connection, atlas_id, kept.atlas))
    if voxels.fingerprint != kept.fingerprint:
        raise BlobError(
            f"it was annotated with another {kept.atlas}: `atlasdb cells refresh {kept.name}`"
        )
    annotator = Annotator(voxels, kept.coordinates, replace(kept.wanted, plain=True))
    tally = Tally()
    written = open_points(kept.file, Stated(MICRONS, "um")).blocks()
    for block, stored in zip(points.blocks(points.schema.names), written, strict=True):
        again = annotator(block)
        tally.add(again.counts)
        for column in FOUND_COLUMNS:
            answer = again.rows.column(column)
            if not answer.equals(stored.rows.column(column).cast(answer.type)):
                raise BlobError(
                    f"{column} is not what the atlas says, after row {block.first:,}: `atlasdb "
                    f"cells refresh {kept.name}`"
                )
    if tally.counts != kept.counts:
        raise BlobError(f"it has other counts than its row says: {tally}")


def refuse_if_pinned(connection: duckdb.DuckDBPyConnection, atlas_id: int, name: AtlasName) -> None:
    """Refuse to remove an atlas that tables of cells were annotated with.

    Raises
    ------
    AtlasInUseError
        There are such tables.
    """
    tables = [table.name for table in cell_tables(connection, f"c.atlas_id = {atlas_id:d}")]
    if tables:
        names = ", ".join(f"cells.{table}" for table in tables)
        raise AtlasInUseError(
            f"{names} {'is' if len(tables) == 1 else 'are'} annotated with {name}: remove "
            f"{'it' if len(tables) == 1 else 'them'} first (`atlasdb cells remove {tables[0]}`)"
        )


def mark_outdated(
    home: Home, connection: duckdb.DuckDBPyConnection, atlas_id: int, name: AtlasName
) -> list[str]:
    """Mark the tables that an atlas, which was replaced, would answer otherwise for.

    Returns
    -------
    list of str
        Their names.
    """
    if not cell_tables(connection, f"c.atlas_id = {atlas_id:d}"):
        return []
    fingerprint = AtlasVoxels(read_data(home, connection, atlas_id, name)).fingerprint
    connection.execute(
        "UPDATE main.cell_table SET outdated = (fingerprint <> ?) WHERE atlas_id = ?",
        [fingerprint, atlas_id],
    )
    create_cell_views(connection)
    return [t.name for t in cell_tables(connection, f"c.atlas_id = {atlas_id:d} AND c.outdated")]
