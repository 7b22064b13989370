"""The ancestors, the descendants and the levels of an atlas's structures, by BrainGlobe's names.

The one idea: a subtree is a range of ranks, so that descendants are a slice and a level of them one
comparison; ancestors are a climb through a list of parents.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from atlasdb.errors import UnknownLevelError

if TYPE_CHECKING:
    from atlasdb.atlas.entries import AnyStructure, StructuresDict
    from atlasdb.atlas.opening import AtlasRecord
    from atlasdb.voxels import AtlasVoxels


class Relatives:
    """The part of `atlasdb.atlas.Atlas` that is asked about the hierarchy.

    Parameters
    ----------
    record
        The atlas.
    """

    _record: AtlasRecord
    voxels: AtlasVoxels
    structures: StructuresDict

    def get_structure_ancestors(self, structure: AnyStructure) -> list[str]:
        """Return the acronyms of a structure's ancestors, from the root to the parent.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> db.atlas("phantom_mouse_100um").get_structure_ancestors("CP")
        ['root', 'grey', 'CH', 'CNU', 'STR', 'STRd']
        """
        return self._acronyms(self._path(self._rank(structure))[:-1])

    def get_structure_descendants(self, structure: AnyStructure) -> list[str]:
        """Return the acronyms of a structure's descendants, in depth-first order."""
        rank = self._rank(structure)
        return self._acronyms(range(rank + 1, self._last_rank(rank) + 1))

    def get_structures_at_hierarchy_level(
        self,
        structure: AnyStructure,
        hierarchy_level: int | None = None,
        as_acronym: bool = False,
    ) -> list[int] | list[str]:
        """Return the structures at a level of the hierarchy above or below a structure.

        Parameters
        ----------
        structure
            An acronym or id.
        hierarchy_level
            Steps from the root (0). Above the structure, it gives its ancestor there; below it, its
            descendants there, in depth-first order. Branches that end above the level have none.
            By default all ancestors, the structure itself, and all descendants, level by level.
        as_acronym
            Return acronyms and not ids.

        Raises
        ------
        ValueError
            The level is no integer, or negative, or nothing of the structure is so deep.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> atlas = db.atlas("phantom_mouse_100um")
        >>> atlas.get_structures_at_hierarchy_level("grey", 2, as_acronym=True)
        ['CH', 'BS', 'CB']
        """
        rank = self._rank(structure)
        ranks = self._at_level(rank, _checked_level(hierarchy_level))
        if as_acronym:
            return self._acronyms(ranks)
        return self._record.data.table.structures.ids_of(ranks)

    @cached_property
    def _rank_of(self) -> dict[int, int]:
        """The rank of each id."""
        ids = self._record.data.table.structures.hierarchy.ids.tolist()
        return dict(zip(ids, range(1, len(ids) + 1), strict=True))

    @cached_property
    def _parents(self) -> list[int]:
        """The rank of each rank's parent; 0 for the root, and for 0."""
        return [0, *self._record.data.table.structures.hierarchy.parent_rank.tolist()]

    def _rank(self, structure: AnyStructure) -> int:
        """Return the rank of a structure."""
        return self._rank_of[self.structures.id_of(structure)]

    def _last_rank(self, rank: int) -> int:
        return int(self._record.data.table.structures.hierarchy.last_rank[rank - 1])

    def _path(self, rank: int) -> list[int]:
        """Return the ranks from the root to a structure."""
        path = []
        while rank:
            path.append(rank)
            rank = self._parents[rank]
        return path[::-1]

    def _at_level(self, rank: int, level: int | None) -> list[int]:
        """Return the ranks at a level on the way to a structure and below it."""
        hierarchy = self._record.data.table.structures.hierarchy
        path = self._path(rank)
        below = np.arange(rank + 1, self._last_rank(rank) + 1)
        depth = hierarchy.depth[below - 1]
        if level is None:
            by_level: list[int] = below[np.argsort(depth, kind="stable")].tolist()
            return path + by_level
        if level < len(path):
            return [path[level]]
        found: list[int] = below[depth == level].tolist()
        if not found:
            deepest = int(depth.max(initial=len(path) - 1))
            raise UnknownLevelError(
                f"{self._acronyms([rank])[0]} of {self.voxels.name} has no descendants at "
                f"hierarchy level {level}: the deepest are at level {deepest}"
            )
        return found

    def _acronyms(self, ranks: range | list[int]) -> list[str]:
        acronyms = self._record.data.table.structures.acronyms
        return [acronyms[rank - 1] for rank in ranks]


def _checked_level(level: object) -> int | None:
    """Return a level, or refuse it as BrainGlobe does.

    Raises
    ------
    ValueError
        It is no integer from 0.
    """
    if level is None:
        return None
    if isinstance(level, bool | np.bool_) or not isinstance(level, int | np.integer):
        raise ValueError(  # noqa: TRY004 (as BrainGlobe)
            f"hierarchy_level must be an int or None, got {type(level).__name__}"
        )
    if level < 0:
        raise ValueError("hierarchy_level must be non-negative")
    return int(level)
