"""atlasdb: the brain atlas as a database.

Metadata, structures with their ancestry, the label volume and its meshes, in DuckDB and plain
files, for SQL, SQLAlchemy, arrays and the command line. Start with `connect`, or with
`BrainGlobeAtlas` where a script uses BrainGlobe's.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atlasdb.api import Database, connect
    from atlasdb.atlas import Atlas
    from atlasdb.brainglobe import BrainGlobeAtlas, show_atlases
    from atlasdb.errors import (
        AmbiguousAcronymError,
        ArchiveError,
        AtlasDBError,
        BlobError,
        DownloadError,
        HierarchyError,
        HomeBusyError,
        HomeError,
        HomeNotFoundError,
        LookupFailedError,
        MissingPackageError,
        NoMeshError,
        NoVoxelsError,
        OutsideError,
        PackageError,
        PictureError,
        PointsError,
        QueryError,
        SchemaVersionError,
        ShapeError,
        SourceError,
        StrictError,
        UnknownAtlasError,
        UnknownDepthError,
        UnknownLevelError,
        UnknownQueryError,
        UnknownStructureError,
        WriteError,
    )

__all__ = [
    "AmbiguousAcronymError",
    "ArchiveError",
    "Atlas",
    "AtlasDBError",
    "AtlasInUseError",
    "BlobError",
    "BrainGlobeAtlas",
    "CellTableError",
    "Database",
    "DownloadError",
    "HierarchyError",
    "HomeBusyError",
    "HomeError",
    "HomeNotFoundError",
    "LookupFailedError",
    "MissingPackageError",
    "NoMeshError",
    "NoVoxelsError",
    "OutsideError",
    "PackageError",
    "PictureError",
    "PointsError",
    "QueryError",
    "SchedulerError",
    "SchemaVersionError",
    "ShapeError",
    "SourceError",
    "StrictError",
    "UnknownAtlasError",
    "UnknownCellTableError",
    "UnknownDepthError",
    "UnknownLevelError",
    "UnknownQueryError",
    "UnknownStructureError",
    "WriteError",
    "connect",
    "show_atlases",
]

_HOMES = {
    "Atlas": "atlasdb.atlas",
    "BrainGlobeAtlas": "atlasdb.brainglobe",
    "Database": "atlasdb.api",
    "connect": "atlasdb.api",
    "show_atlases": "atlasdb.brainglobe",
}
"""Where public names are; the others are errors."""


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that the command line starts at once."""
    if name not in __all__:
        raise AttributeError(f"module 'atlasdb' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "atlasdb.errors")), name)


def __dir__() -> list[str]:
    return __all__
