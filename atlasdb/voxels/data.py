"""The volumes of one atlas in a home: opened when they are used, memory-mapped where they can be.

The one idea: what an ingest wrote never changes (a replaced atlas gets folders of its own), so that
an open atlas keeps its files from being swept by a lease and answers alike for as long as it lives.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import BlobError, LookupFailedError, did_you_mean, listing
from atlasdb.runs import HEMISPHERES, LEFT, RIGHT
from atlasdb.space import first_left_index
from atlasdb.volumes import check_blob, map_contiguous, read_contiguous, read_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from atlasdb.names import AtlasName
    from atlasdb.volumes import Blob
    from atlasdb.voxels.grid import Grid
    from atlasdb.voxels.ranks import RankTable


@dataclass(frozen=True)
class Bounds:
    """Where structures are: (3, n) arrays, hemispheres as in `atlasdb.runs.HEMISPHERES`.

    Attributes
    ----------
    voxels
        (3, n) int64, voxels of the subtree.
    first, end
        (3, n, 3) int64, its first voxel along each axis and the one after its last; 0 where there
        is no voxel.
    """

    voxels: NDArray[np.int64]
    first: NDArray[np.int64]
    end: NDArray[np.int64]


@dataclass(frozen=True)
class AtlasData:
    """What the voxels of an atlas are asked with.

    Attributes
    ----------
    name
        The atlas's full name.
    grid
        Where the voxels are.
    table
        What ranks mean.
    blobs
        The volumes' files by kind.
    symmetric
        Whether hemispheres follow the rule and not a file.
    read_statistics
        Reads the rows of ``structure_extent``, by rank and then 'both', 'left', 'right'.
    leases
        What keeps the files from being swept.
    left_out
        What the ingest was told to leave out: 'meshes', 'references'.
    reopen
        Opens it again, in another process too.
    carried
        Volumes that are in memory instead of their files; then no other one can be asked for.
    """

    name: AtlasName
    grid: Grid
    table: RankTable
    blobs: Mapping[str, Blob]
    symmetric: bool
    read_statistics: Callable[[], pa.Table]
    leases: object = None
    left_out: tuple[str, ...] = ()
    reopen: Callable[[], AtlasData] | None = None
    carried: Mapping[str, NDArray[Any]] | None = None

    def __reduce__(self) -> tuple[Callable[..., AtlasData], tuple[Any, ...]]:
        # Another process maps the same files; what is carried goes with the object.
        if self.carried is None and self.reopen is not None:
            return _reopened, (self.reopen, str(self.name), self.fingerprint)
        fields = (self.name, self.grid, self.table, self.blobs, self.symmetric)
        return _carried, (*fields, self.statistics, self.left_out, self.carried)

    def carrying(self, *kinds: str) -> AtlasData:
        """Return the same atlas with some volumes in memory, to go where its files are not."""
        volumes = {kind: np.array(self.volume(kind)) for kind in kinds}
        return replace(self, carried=volumes)

    @cached_property
    def ranks(self) -> NDArray[Any]:
        """The rank volume, memory-mapped, read-only: 0 is background, n + 1… have no structure."""
        return self.volume("ranks")

    @cached_property
    def sides(self) -> NDArray[np.uint8] | None:
        """The hemisphere volume of an asymmetric atlas: 1 left, 2 right, 0 neither."""
        if self.symmetric or "hemispheres" not in self.blobs:
            return None
        return self.volume("hemispheres")

    @property
    def hemispheres(self) -> NDArray[np.uint8]:
        """The hemisphere of every voxel, read-only: 1 left, 2 right, 0 neither.

        In a symmetric atlas one line along the last axis serves for all, and no volume is made.
        """
        if self.sides is not None:
            return self.sides
        line = np.full(self.grid.shape[2], LEFT, dtype=np.uint8)
        line[: first_left_index(self.grid.shape[2])] = RIGHT
        return np.broadcast_to(line, self.grid.shape)

    @cached_property
    def statistics(self) -> pa.Table:
        """The rows of ``structure_extent``, read once."""
        return self.read_statistics()

    @cached_property
    def bounds(self) -> Bounds:
        """The structures' voxels and bounds, from `statistics`."""
        n = len(self.table.structures)

        def column(name: str) -> NDArray[Any]:
            values = self.statistics[name].to_numpy().reshape(n, len(HEMISPHERES))
            return np.ascontiguousarray(values.T)

        def faces(name: str) -> NDArray[np.int64]:
            microns = np.stack([column(f"{name}_{axis}_um") for axis in ("ap", "si", "rl")], -1)
            index: NDArray[np.float64] = np.nan_to_num(microns) / self.grid.resolution_um
            return np.rint(index).astype(np.int64)

        return Bounds(column("voxels"), faces("bbox_min"), faces("bbox_max"))

    def volume(self, kind: str) -> NDArray[Any]:
        """Return a volume from its file, (AP, SI, RL), read-only.

        Parameters
        ----------
        kind
            'annotation' (the source's label values), 'ranks', 'reference', 'hemispheres', or an
            additional reference's name.

        Returns
        -------
        ndarray
            Memory-mapped where the file is uncompressed (all but the annotation; references too,
            unless an early atlasdb wrote them), read otherwise.

        Raises
        ------
        LookupFailedError
            The atlas has no such volume.
        BlobError
            The file is missing, or its size is not the one that it was written with.
        """
        blob = self.blob(kind)
        if self.carried is not None and kind in self.carried:
            carried = self.carried[kind].view()
            carried.flags.writeable = False
            return carried
        check_blob(blob)
        mapped = map_contiguous(blob.path, blob.dtype, blob.shape)
        try:
            volume = read_volume(blob.path, blob.shape) if mapped is None else mapped
        except ValueError as error:
            raise BlobError(
                f"the {kind} volume {blob.path} was altered: {error}; `atlasdb check {self.name}` "
                "says more"
            ) from error
        if volume.dtype.name != blob.dtype:
            raise BlobError(f"the {kind} volume {blob.path} is {volume.dtype}, not {blob.dtype}")
        volume = volume.view(np.ndarray)
        volume.flags.writeable = False
        return volume

    def array(self, kind: str) -> NDArray[Any]:
        """Return a volume as an array of the caller's own, read whole, (AP, SI, RL).

        The errors are those of `volume`.
        """
        blob = self.blob(kind)
        check_blob(blob)
        read = read_contiguous(blob.path, blob.dtype, blob.shape)
        return np.array(self.volume(kind)) if read is None else read

    def blob(self, kind: str) -> Blob:
        """Return what the database remembers of a volume's file.

        Raises
        ------
        LookupFailedError
            The atlas has no such volume.
        """
        if kind not in self.blobs:
            left_out = (
                f"; references were left out: `atlasdb ingest {self.name} --force` gets them"
                if "references" in self.left_out
                else ""
            )
            raise LookupFailedError(
                f"{self.name} has no volume {kind!r}{did_you_mean(kind, self.blobs)}; it has "
                f"{listing(sorted(self.blobs), limit=20)}{left_out}"
            )
        return self.blobs[kind]

    @cached_property
    def fingerprint(self) -> str:
        """A digest of all that lookups depend on: it tells whether two openings answer alike."""
        structures = self.table.structures
        said = [
            self.grid,
            structures.hierarchy.ids.tolist(),
            structures.hierarchy.last_rank.tolist(),
            structures.acronyms,
            self.table.orphans.tolist(),
            self.blobs["ranks"].sha256,
            None if self.sides is None else self.blobs["hemispheres"].sha256,
        ]
        return hashlib.sha256(repr(said).encode()).hexdigest()


def _reopened(reopen: Callable[[], AtlasData], name: str, fingerprint: str) -> AtlasData:
    """Return an atlas opened again, if it still answers alike.

    Raises
    ------
    BlobError
        It was replaced meanwhile.
    """
    data = reopen()
    if data.fingerprint != fingerprint:
        raise BlobError(f"{name} was replaced since it was opened: open it again")
    return data


def _carried(
    name: AtlasName,
    grid: Grid,
    table: RankTable,
    blobs: Mapping[str, Blob],
    symmetric: bool,
    statistics: pa.Table,
    left_out: tuple[str, ...],
    carried: Mapping[str, NDArray[Any]] | None,
) -> AtlasData:
    """Return an atlas that another process sent."""
    return AtlasData(
        name,
        grid,
        table,
        blobs,
        symmetric,
        read_statistics=lambda: statistics,
        left_out=left_out,
        carried=carried,
    )
