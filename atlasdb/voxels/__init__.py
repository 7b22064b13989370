"""An atlas's voxels: arrays in, arrays out, on the memory-mapped rank volume.

The one idea: what the database knows of an atlas is read once and kept as tables over ranks; from
then on points, masks, surroundings and statistics are array arithmetic, with no database open.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from atlasdb.errors import BlobError
from atlasdb.voxels.borders import boundaries, surface
from atlasdb.voxels.grid import UNITS, Grid
from atlasdb.voxels.images import Images
from atlasdb.voxels.lookups import Lookup, PointLookups
from atlasdb.voxels.masks import CroppedMask
from atlasdb.voxels.ranks import STATUSES, Cut, RankTable
from atlasdb.voxels.statistics import Statistics
from atlasdb.voxels.surroundings import Composition, Surroundings, Track

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from atlasdb.names import AtlasName
    from atlasdb.structures import StructureTable
    from atlasdb.voxels.data import AtlasData, Bounds

__all__ = [
    "STATUSES",
    "UNITS",
    "AtlasVoxels",
    "Composition",
    "CroppedMask",
    "Cut",
    "Grid",
    "Lookup",
    "RankTable",
    "Track",
    "boundaries",
    "surface",
]


class AtlasVoxels(PointLookups, Images, Surroundings, Statistics):
    """The voxels of one atlas version; `atlasdb.Database.voxels` opens it.

    Parameters
    ----------
    data
        The atlas's volumes.

    Notes
    -----
    Volumes have the axes AP, SI, RL and start at anterior, superior, right ('asr'). They are opened
    when they are first used and are read-only. The object stays as it is if the atlas is replaced
    or removed, and may be used by several threads.
    """

    def __init__(self, data: AtlasData) -> None:
        self._data = data

    def __repr__(self) -> str:
        return f"<{self.name}: {self.grid}>"

    def __copy__(self) -> AtlasVoxels:
        return self

    def __deepcopy__(self, memo: object) -> AtlasVoxels:
        return self  # nothing of it ever changes

    @property
    def reopener(self) -> Callable[[], AtlasVoxels]:
        """A small function that opens the same home again, in another process too."""
        return partial(_reopened, self._data.reopen)

    def carried(self) -> AtlasVoxels:
        """Return the same atlas with what lookups need in memory.

        It can be pickled to a machine that does not see the home. An atlas as it was opened can be
        pickled too: the other process then opens the same home, and refuses one that was changed.

        Examples
        --------
        >>> import atlasdb, pickle, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> voxels = db.voxels("phantom_mouse_100um")
        >>> for sent in (voxels, voxels.carried()):
        ...     pickle.loads(pickle.dumps(sent)).acronyms_at([[4950, 4150, 3150]]).tolist()
        ['CP']
        ['CP']
        """
        kinds = ["ranks"] if self._data.sides is None else ["ranks", "hemispheres"]
        return AtlasVoxels(self._data.carrying(*kinds))

    @property
    def name(self) -> AtlasName:
        """The atlas's full name."""
        return self._data.name

    @property
    def grid(self) -> Grid:
        """The shape, the resolution, and where voxels are."""
        return self._data.grid

    @property
    def fingerprint(self) -> str:
        """A digest of all that lookups depend on: equal for atlases that answer alike."""
        return self._data.fingerprint

    @property
    def structures(self) -> StructureTable:
        """The structures in rank order."""
        return self._data.table.structures

    @property
    def rank_table(self) -> RankTable:
        """What the ranks of the rank volume mean."""
        return self._data.table

    @property
    def bounds(self) -> Bounds:
        """Where structures begin and end, in voxels, as ingest measured it."""
        return self._data.bounds

    @property
    def ranks(self) -> NDArray[Any]:
        """The rank volume, memory-mapped, read-only.

        0 is the background, 1…n are structures in depth-first order, higher ones are labels that no
        structure has.
        """
        return self._data.ranks

    @property
    def hemispheres(self) -> NDArray[np.uint8]:
        """The hemisphere of every voxel, read-only: 1 left, 2 right, 0 neither.

        From the file of an asymmetric atlas. In a symmetric one indices below n // 2 of the last
        axis are right, the rest left, and one line stands for all: no volume is made.
        """
        return self._data.hemispheres

    @property
    def kinds(self) -> tuple[str, ...]:
        """The volumes that there are: 'annotation', 'ranks', 'reference', additional ones, …."""
        return tuple(sorted(self._data.blobs))

    def volume(self, kind: str) -> NDArray[Any]:
        """Return a volume from its file; see `atlasdb.voxels.data.AtlasData.volume`."""
        return self._data.volume(kind)

    def array(self, kind: str) -> NDArray[Any]:
        """Return a volume read whole; see `atlasdb.voxels.data.AtlasData.array`."""
        return self._data.array(kind)


def _reopened(reopen: Callable[[], AtlasData] | None) -> AtlasVoxels:
    """Return an atlas that was opened before, opened again.

    Raises
    ------
    BlobError
        It has no home: it was sent.
    """
    if reopen is None:
        raise BlobError("this atlas was sent from another process: it has no home to open")
    return AtlasVoxels(reopen())
