"""atlasdb: the brain atlas as a database.

Metadata, structures with their ancestry, the label volume and its meshes, in DuckDB and plain
files, for SQL, SQLAlchemy, arrays and the command line. Start with `connect`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atlasdb.api import Database, connect
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
        NoVoxelsError,
        OutsideError,
        PackageError,
        PointsError,
        QueryError,
        SchemaVersionError,
        ShapeError,
        SourceError,
        StrictError,
        UnknownAtlasError,
        UnknownDepthError,
        UnknownQueryError,
        UnknownStructureError,
        WriteError,
    )

__all__ = [
    "AmbiguousAcronymError",
    "ArchiveError",
    "AtlasDBError",
    "BlobError",
    "Database",
    "DownloadError",
    "HierarchyError",
    "HomeBusyError",
    "HomeError",
    "HomeNotFoundError",
    "LookupFailedError",
    "MissingPackageError",
    "NoVoxelsError",
    "OutsideError",
    "PackageError",
    "PointsError",
    "QueryError",
    "SchemaVersionError",
    "ShapeError",
    "SourceError",
    "StrictError",
    "UnknownAtlasError",
    "UnknownDepthError",
    "UnknownQueryError",
    "UnknownStructureError",
    "WriteError",
    "connect",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that the command line starts at once."""
    if name not in __all__:
        raise AttributeError(f"module 'atlasdb' has no attribute {name!r}")
    module = import_module("atlasdb.errors" if name.endswith("Error") else "atlasdb.api")
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
