"""Voxels, volumes, centroids and bounds of structures: as ingest measured them, and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atlasdb.runs import find_extents, find_runs

if TYPE_CHECKING:
    import pyarrow as pa

    from atlasdb.voxels.data import AtlasData


class Statistics:
    """The part of `atlasdb.voxels.AtlasVoxels` that measures structures.

    Parameters
    ----------
    data
        The atlas's volumes.
    """

    def __init__(self, data: AtlasData) -> None:
        self._data = data

    def statistics(self) -> pa.Table:
        """Return what ingest measured, from the database.

        Returns
        -------
        pyarrow.Table
            Three rows a structure, by rank and then hemisphere ('both', 'left', 'right'), with the
            columns of ``structure_extent``: direct_voxels, voxels, volume_mm3, centroid_ap_um …,
            bbox_min_ap_um …, bbox_max_ap_um ….

        Raises
        ------
        HomeError
            The atlas was replaced or removed since it was opened.
        """
        return self._data.statistics

    def measured_statistics(self) -> pa.Table:
        """Return the same, measured again from the rank volume; equal to the last bit.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> voxels = db.voxels("phantom_mouse_100um")
        >>> voxels.measured_statistics().equals(voxels.statistics())
        True
        """
        from atlasdb.rows import extent_rows  # with pyarrow, which lookups do without

        runs = find_runs(self._data.ranks, self._data.sides)
        structures = self._data.table.structures
        extents = find_extents(runs, runs.values[runs.value_index], structures.hierarchy)
        rows = extent_rows(structures, extents, self._data.grid.resolution_um)
        return rows.cast(self._data.statistics.schema)
