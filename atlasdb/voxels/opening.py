"""From a home to an atlas's voxels: the rows are read at once, the volumes when they are used.

The one idea: an open atlas is independent of the database. It has read its structures, which are
few, and holds a lease on its folders, so that replacing or removing the atlas changes nothing for
whoever looks things up in it.
"""

from __future__ import annotations

from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from atlasdb.database import find_atlas, reading
from atlasdb.errors import BlobError, HomeError
from atlasdb.hierarchy import Hierarchy
from atlasdb.home import Leases
from atlasdb.queries import quoted
from atlasdb.structures import StructureTable, label_values_of
from atlasdb.volumes import Blob
from atlasdb.voxels.data import AtlasData
from atlasdb.voxels.grid import Grid
from atlasdb.voxels.ranks import RankTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import duckdb
    import pyarrow as pa

    from atlasdb.home import Home
    from atlasdb.names import AtlasName

Opened = TypeVar("Opened")

_STATISTICS = """
    SELECT e.structure_id, e.hemisphere, e.direct_voxels, e.voxels, e.volume_mm3,
        e.centroid_ap_um, e.centroid_si_um, e.centroid_rl_um,
        e.bbox_min_ap_um, e.bbox_min_si_um, e.bbox_min_rl_um,
        e.bbox_max_ap_um, e.bbox_max_si_um, e.bbox_max_rl_um
    FROM {schema}.extent AS e JOIN {schema}.structure AS s USING (structure_id)
    ORDER BY s.rank, e.hemisphere
"""  # 'both', 'left', 'right' are in the order of the alphabet


def open_atlas(home: Home, atlas: str) -> AtlasData:
    """Open an atlas of a home; no volume is read.

    Parameters
    ----------
    home
        The home.
    atlas
        ``NAME`` or ``NAME@VERSION``.

    Raises
    ------
    UnknownAtlasError
        It is not there.
    BlobError
        Its folders are not.
    """
    return opened(home, atlas, read_data)


def opened(
    home: Home,
    atlas: str,
    read: Callable[[Home, duckdb.DuckDBPyConnection, int, AtlasName], Opened],
) -> Opened:
    """Return what is read of an atlas with leases on its folders.

    Parameters
    ----------
    home
        The home.
    atlas
        ``NAME`` or ``NAME@VERSION``.
    read
        Reads it from the database; called again if it meets a folder that was swept meanwhile.

    Raises
    ------
    UnknownAtlasError
        It is not there.
    BlobError
        Its folders are not.
    """
    before = ""
    while True:
        with reading(home) as connection:
            atlas_id, name = find_atlas(connection, atlas)
            try:
                return read(home, connection, atlas_id, name)
            except FileNotFoundError as error:  # replaced meanwhile, unless it is the same again
                if str(error) == before:
                    raise BlobError(f"the files of {name} are missing: {error}") from error
                before = str(error)
            except PermissionError as error:
                raise BlobError(f"the files of {name} cannot be read: {error}") from error


def rows_of(
    connection: duckdb.DuckDBPyConnection,
    atlas_id: int,
    columns: str,
    table: str,
    order: str = "ALL",
) -> list[Any]:
    """Return rows of an atlas, by a statement without parameters, from a table.

    DuckDB imports pandas for the first statement with a parameter (0.2 s), and plans a view for as
    long as all of this takes.
    """
    return connection.execute(
        f"SELECT {columns} FROM main.{table} "  # noqa: S608 (our own names and a number)
        f"WHERE atlas_id = {atlas_id:d} ORDER BY {order}"
    ).fetchall()


def read_data(
    home: Home, connection: duckdb.DuckDBPyConnection, atlas_id: int, name: AtlasName
) -> AtlasData:
    """Read what is known of an atlas's voxels."""

    def rows(columns: str, table: str, order: str = "ALL") -> list[Any]:
        return rows_of(connection, atlas_id, columns, table, order)

    shape = "shape_ap, shape_si, shape_rl"
    resolution = "resolution_ap_um, resolution_si_um, resolution_rl_um"
    ap, si, rl, *edges, symmetric, left_out = rows(
        f'{shape}, {resolution}, "symmetric", left_out', "atlas"
    )[0]
    structures = rows(
        "structure_id, acronym, name, parent_id, depth, last_rank, label_value, red, green, blue",
        "structure",
        "rank",
    )
    labels = rows("value, structure_id", "label", "rank")
    volumes = rows(f"kind, path, dtype, {shape}, bytes, sha256", "volume")
    blobs = {
        kind: Blob(kind, home.folder / PurePosixPath(path), dtype, (a, b, c), size, digest)
        for kind, path, dtype, a, b, c, size, digest in volumes
    }
    return AtlasData(
        name=name,
        grid=Grid((ap, si, rl), (edges[0], edges[1], edges[2])),
        table=RankTable(
            _structures(structures),
            np.array([value for value, owner in labels if owner is None], dtype=np.int64),
        ),
        blobs=blobs,
        symmetric=symmetric,
        read_statistics=lambda: _statistics(home, name, volumes),
        leases=Leases({blob.path.parent for blob in blobs.values()}),
        left_out=tuple(left_out or ()),
        reopen=partial(open_atlas, home, str(name)),
    )


def _structures(rows: Sequence[Any]) -> StructureTable:
    """Return the structures from their rows, which come by rank."""
    ids, acronyms, names, parents, depths, last_ranks, values, *rgb = zip(*rows, strict=True)
    rank_of = {structure_id: rank for rank, structure_id in enumerate(ids, start=1)}
    return StructureTable(
        hierarchy=Hierarchy(
            ids=np.array(ids, dtype=np.int64),
            source_index=np.arange(len(ids)),
            parent_rank=np.array([rank_of.get(parent, 0) for parent in parents], dtype=np.int64),
            depth=np.array(depths, dtype=np.int64),
            last_rank=np.array(last_ranks, dtype=np.int64),
        ),
        acronyms=acronyms,
        names=names,
        rgb=np.array(rgb, dtype=np.uint8).T,
        label_values=label_values_of(values),
    )


def _statistics(home: Home, name: AtlasName, volumes: Sequence[Any]) -> pa.Table:
    """Read the rows of ``structure_extent``, if the atlas is still the one that was opened."""
    schema = quoted(str(name))
    with reading(home) as connection:
        find_atlas(connection, str(name))
        paths = connection.execute(f"SELECT path FROM {schema}.volume ORDER BY ALL").fetchall()  # noqa: S608
        if {path for (path,) in paths} != {path for _, path, *_ in volumes}:
            raise HomeError(f"{name} was replaced since it was opened: open it again")
        return connection.execute(_STATISTICS.format(schema=schema)).to_arrow_table()
