"""Questions about tables of cells, as Python calls.

The one idea: points come as whatever holds them, go by the atlas once, and come back as the same
kind of thing. What is not known of their coordinates is stated by the caller, never guessed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from atlasdb.database import reading, relocate
from atlasdb.queries import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from atlasdb.cells.annotating import Tally, Wanted
    from atlasdb.cells.joining import BatchAnnotator
    from atlasdb.cells.registering import Registered
    from atlasdb.cells.tables import CountTable, Hemispheres
    from atlasdb.home import Home
    from atlasdb.sources.base import Progress
    from atlasdb.voxels import AtlasVoxels
    from atlasdb.voxels.ranks import Structure


class CellQueries:
    """The part of `atlasdb.Database` that joins tables of cells with an atlas.

    Parameters
    ----------
    home
        Where the database is.

    Notes
    -----
    Cells are a path, several, or an address that pyarrow opens (see
    `atlasdb.cells.reading.open_points` for the formats); a pyarrow table, a pandas or polars frame,
    a numpy array or a DuckDB relation. Of numpy arrays, which have no NULL, 0 is no structure and
    an empty text no name.

    ``columns`` are the names of the coordinates along the axes of ``orientation``; by default those
    whose names leave no doubt, such as ``ap_um, si_um, rl_um``. ``unit`` is 'um', 'mm', 'm' or
    'voxel', and must be given where names do not say it. ``orientation`` says where they count
    from: 'asr' (anterior, superior, right) as BrainGlobe's, 'asl' as those of the Allen Institute,
    the ABC atlas and IBL. ``space='atlas'`` says that a table which looks like one of the raw
    sample (cellfinder's) is in the atlas's space.

    ``scheduler`` is a Dask client, or a scheduler's address, to work on its workers.
    """

    def __init__(self, home: Home) -> None:
        self.home = home

    def count_cells(
        self,
        cells: Any,  # noqa: ANN401 (many kinds)
        atlas: str,
        *,
        columns: Sequence[str] | None = None,
        unit: str | None = None,
        orientation: str | None = None,
        space: Literal["atlas"] | None = None,
        by: str | Sequence[str] = (),
        depth: int | None = None,
        leaves: bool = False,
        structures: Structure | Sequence[Structure] | None = None,
        hemispheres: Hemispheres = "separate",
        volumes: str | Path | None = None,
        scheduler: object = None,
        progress: Progress | None = None,
    ) -> Any:  # noqa: ANN401 (as what was given)
        """Count cells per structure and hemisphere, with subtrees, volumes and densities.

        Parameters
        ----------
        cells, columns, unit, orientation, space, scheduler
            See the class.
        atlas
            ``NAME`` or ``NAME@VERSION``.
        by
            Columns whose values make groups, such as the sample.
        depth
            Cut the atlas at that many steps from the root.
        leaves
            Count in structures without children only.
        structures
            Count in these only: acronyms or ids.
        hemispheres
            'separate' for a row for each, 'together' for one of both.
        volumes
            The ``volumes.csv`` of a registered brain, for densities of its own.
        progress
            Told of rows or bytes.

        Returns
        -------
        table
            A row for every group, structure and hemisphere, zeros included, with the columns of
            `atlasdb.cells.tables.COLUMNS`; a pyarrow table for files, else of the same kind as
            `cells`. ``direct_cells`` sums to the number of cells, whatever is chosen: those in
            labels without a structure, in the background and outside have rows of their own, and
            those in structures above a cut are 'X (unassigned)'. ``cells`` takes the structures
            below in.

        Raises
        ------
        PointsError
            The cells cannot be read, or what their columns mean cannot be told.
        UnknownAtlasError, UnknownStructureError, UnknownDepthError
            There is no such thing.

        Examples
        --------
        >>> import atlasdb, numpy as np, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> cells = np.array([[4950, 4150, 3150], [4950, 4150, 3150], [-1, 0, 0]])
        >>> found = db.count_cells(cells, "phantom_mouse_100um", unit="um", structures=["CNU"])
        >>> found[["acronym", "hemisphere", "status", "cells"]][found["cells"] > 0].tolist()
        [('CNU', 'right', 'inside', 2), ('', '', 'outside', 1)]
        """
        from atlasdb.cells import frames
        from atlasdb.cells.columns import Stated

        given = frames.read(cells, Stated(columns, unit, orientation, space))
        table = self.count_table(
            given.points,
            atlas,
            by=[by] if isinstance(by, str) else by,
            depth=depth,
            leaves=leaves,
            structures=structures,
            hemispheres=hemispheres,
            volumes=volumes,
            scheduler=scheduler,
            progress=progress,
        )
        return given.table(table.long())

    def count_table(
        self,
        points: Any,  # noqa: ANN401 (opened points)
        atlas: str,
        *,
        by: Sequence[str] = (),
        depth: int | None = None,
        leaves: bool = False,
        structures: Structure | Sequence[Structure] | None = None,
        hemispheres: Hemispheres = "separate",
        volumes: str | Path | None = None,
        scheduler: object = None,
        progress: Progress | None = None,
    ) -> CountTable:
        """Count opened points; the result can be written in any form.

        Parameters
        ----------
        points
            What `atlasdb.cells.reading.open_points` returns.
        atlas, by, depth, leaves, structures, hemispheres, volumes, scheduler, progress
            As of `count_cells`.
        """
        from atlasdb.cells.joining import count_table
        from atlasdb.cells.tables import Selection
        from atlasdb.voxels import AtlasVoxels
        from atlasdb.voxels.opening import open_atlas

        if isinstance(structures, str | int):
            structures = [structures]
        selection = Selection(depth, leaves, structures, hemispheres)
        voxels = AtlasVoxels(open_atlas(self.home, atlas))
        voxels.rank_table.cut(depth=depth, structures=structures)  # refused before all is counted
        return count_table(
            points,
            voxels,
            by=by,
            selection=selection,
            volumes=volumes,
            scheduler=scheduler,
            progress=progress,
        )

    def annotate_cells(
        self,
        cells: Any,  # noqa: ANN401 (many kinds)
        atlas: str,
        *,
        columns: Sequence[str] | None = None,
        unit: str | None = None,
        orientation: str | None = None,
        space: Literal["atlas"] | None = None,
        depths: Sequence[int] = (),
        path: bool = False,
        output: str | Path | None = None,
        scheduler: object = None,
        progress: Progress | None = None,
    ) -> Any:  # noqa: ANN401 (as what was given)
        """Add what is at each cell as columns; no row is dropped and their order stays.

        Parameters
        ----------
        cells, columns, unit, orientation, space, scheduler
            See the class.
        atlas
            ``NAME`` or ``NAME@VERSION``.
        depths
            Add the structures at these steps from the root: ``structure_id_depth_3``,
            ``acronym_depth_3``.
        path
            Add the acronyms from the root to the structure, as a list.
        output
            Write to this Parquet file instead, in memory that does not grow with the rows; with a
            scheduler, a folder of Parquet files.
        progress
            Told of rows or bytes.

        Returns
        -------
        table, or dict
            The cells with structure_id, acronym, hemisphere ('left' or 'right'; NULL where no
            structure is, as the former) and status ('inside', 'unlabelled', 'background',
            'outside'): a pyarrow table for files, else of the same kind as `cells`. With `output`
            how many cells have each status.

        Examples
        --------
        >>> import atlasdb, pandas as pd, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> cells = pd.DataFrame({"ap_um": [4950, -1], "si_um": [4150, 0], "rl_um": [3150, 0]})
        >>> db.annotate_cells(cells, "phantom_mouse_100um")[["acronym", "status"]].values.tolist()
        [['CP', 'inside'], [nan, 'outside']]
        """
        from atlasdb.cells import frames
        from atlasdb.cells.annotating import Wanted
        from atlasdb.cells.columns import Stated
        from atlasdb.cells.joining import added_columns
        from atlasdb.voxels import AtlasVoxels
        from atlasdb.voxels.opening import open_atlas

        stated = Stated(columns, unit, orientation, space)
        wanted = Wanted(depths=tuple(depths), path=path, plain=output is None)
        given = frames.read(cells, stated)
        voxels = AtlasVoxels(open_atlas(self.home, atlas))
        if output is not None:
            return self._annotate_to(
                given.points, voxels, Path(output), wanted, scheduler, progress
            )
        return given.annotated(added_columns(given.points, voxels, wanted, progress))

    def _annotate_to(
        self,
        points: Any,  # noqa: ANN401 (opened points)
        voxels: AtlasVoxels,
        output: Path,
        wanted: Wanted,
        scheduler: object,
        progress: Progress | None,
    ) -> dict[str, int]:
        """Write annotated points to a file, or to a folder by the workers of a scheduler."""
        from atlasdb.cells.joining import annotate_to
        from atlasdb.wholefile import replacing

        self.home.refuse_own(output)
        if scheduler is not None:
            from atlasdb.cells.distributed import annotate_on  # Dask is an extra

            return annotate_on(scheduler, points, voxels, output, wanted, progress).counts
        with replacing(output.resolve()) as file:
            tally: Tally = annotate_to(points, voxels, file, wanted=wanted, progress=progress)
        return tally.counts

    def annotator(
        self,
        atlas: str,
        *,
        columns: Sequence[str] | None = None,
        unit: str | None = None,
        orientation: str | None = None,
        depths: Sequence[int] = (),
        path: bool = False,
    ) -> BatchAnnotator:
        """Return a function of Arrow batches, for engines such as Spark (``mapInArrow``).

        Parameters
        ----------
        atlas, columns, unit, orientation, depths, path
            As of `annotate_cells`.

        Returns
        -------
        BatchAnnotator
            Called with an iterator of `pyarrow.RecordBatch` it yields the same rows with the added
            columns. It can be pickled to processes that see the home.

        Examples
        --------
        >>> import atlasdb, pyarrow as pa, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> batch = pa.record_batch({"ap_um": [4950.0], "si_um": [4150.0], "rl_um": [3150.0]})
        >>> (found,) = db.annotator("phantom_mouse_100um")([batch])
        >>> found["acronym"].to_pylist()
        ['CP']
        """
        from atlasdb.cells.annotating import Wanted
        from atlasdb.cells.columns import Stated
        from atlasdb.cells.joining import BatchAnnotator
        from atlasdb.voxels import AtlasVoxels
        from atlasdb.voxels.opening import open_atlas

        wanted = Wanted(depths=tuple(depths), path=path, plain=True)
        voxels = AtlasVoxels(open_atlas(self.home, atlas))
        return BatchAnnotator(voxels, Stated(columns, unit, orientation), wanted)

    def add_cells(
        self,
        name: str,
        cells: Any,  # noqa: ANN401 (many kinds)
        atlas: str,
        *,
        columns: Sequence[str] | None = None,
        unit: str | None = None,
        orientation: str | None = None,
        space: Literal["atlas"] | None = None,
        depths: Sequence[int] = (),
        path: bool = False,
        force: bool = False,
        progress: Progress | None = None,
    ) -> Registered:
        """Annotate cells into the home, to be asked in SQL as ``cells.NAME``.

        Parameters
        ----------
        name
            Letters, digits and underscores.
        cells, columns, unit, orientation, space
            See the class.
        atlas
            ``NAME`` or ``NAME@VERSION``; the table is pinned to the version.
        depths, path
            As of `annotate_cells`.
        force
            Replace a table of the same name.
        progress
            Told of rows or bytes.

        Returns
        -------
        Registered
            What was done. The view has ``atlas_id``, all columns of the cells, ``ap_um``,
            ``si_um``, ``rl_um`` along the atlas's axes, and the columns of `annotate_cells`.

        Examples
        --------
        >>> import atlasdb, pandas as pd, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> cells = pd.DataFrame({"ap_um": [4950, -1], "si_um": [4150, 0], "rl_um": [3150, 0]})
        >>> _ = db.add_cells("pilot", cells, "phantom_mouse_100um")
        >>> db.sql("SELECT acronym, status FROM cells.pilot ORDER BY ap_um").to_pylist()
        [{'acronym': None, 'status': 'outside'}, {'acronym': 'CP', 'status': 'inside'}]
        """
        from atlasdb.cells import frames
        from atlasdb.cells.annotating import Wanted
        from atlasdb.cells.columns import Stated
        from atlasdb.cells.registering import add_cells

        given = frames.read(cells, Stated(columns, unit, orientation, space))
        return add_cells(
            self.home,
            name,
            given.points,
            atlas,
            wanted=Wanted(depths=tuple(depths), path=path),
            force=force,
            progress=progress,
        )

    def refresh_cells(self, name: str, *, progress: Progress | None = None) -> Registered:
        """Annotate a registered table again, with its atlas as it is now."""
        from atlasdb.cells.registering import refresh_cells

        return refresh_cells(self.home, name, progress=progress)

    def remove_cells(self, name: str) -> str:
        """Remove a registered table with its file, and return its name."""
        from atlasdb.cells.registering import remove_cells

        return remove_cells(self.home, name)

    def cell_tables(self) -> pa.Table:
        """Return the registered tables: name, atlas, rows by status, source."""
        with reading(self.home) as connection:
            return connection.execute(load("catalog", "cell_tables")).to_arrow_table()

    def relocate(self) -> bool:
        """Let the views of a home that was moved read its files; return whether it had been."""
        return relocate(self.home)
