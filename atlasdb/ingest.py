"""The ingest: from a name, a folder, an archive or an address to an atlas in the home.

The one idea: prepare first, then swap. Whatever goes wrong before the last step, the home is as it
was; what readers see is the old or the new, whole.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as distribution_version
from typing import TYPE_CHECKING, Any, Literal

from atlasdb import rows
from atlasdb.cells.registering import mark_outdated, refuse_if_pinned
from atlasdb.database import find_atlas, present, reading, writing
from atlasdb.errors import (
    DownloadError,
    HierarchyError,
    PackageError,
    SourceError,
    StrictError,
    UnknownAtlasError,
)
from atlasdb.home import sync_folder
from atlasdb.prepare import Prepared, prepare
from atlasdb.queries import quoted
from atlasdb.sources import locate, named
from atlasdb.sources.base import EVERYTHING, NoProgress
from atlasdb.sources.components import FORMAT as COMPONENTS
from atlasdb.sources.components import SHARED
from atlasdb.sources.digests import Digest
from atlasdb.views import create_atlas_views

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from atlasdb.findings import Finding
    from atlasdb.home import Home
    from atlasdb.names import AtlasName
    from atlasdb.sources.base import Origin, Progress, Selection, SourceAtlas
    from atlasdb.sources.places import Place

TABLES = (
    "structure",
    "structure_closure",
    "structure_extent",
    "label",
    "annotation_run",
    "volume",
    "mesh",
    "finding",
)
"""The tables that hold an atlas's rows beside ``atlas`` itself."""


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did.

    Attributes
    ----------
    atlas
        The atlas's full name.
    status
        'ingested', 'replaced', or 'present': it was there and nothing was done.
    origin
        Where it was taken from; empty if it was present.
    structures, meshes
        How many.
    findings
        What the ingest check saw.
    left_out
        What the atlas that was present is there without: 'meshes', 'references'.
    outdated
        The tables of cells that were annotated with the atlas that was replaced, which answered
        otherwise.
    """

    atlas: AtlasName
    status: Literal["ingested", "replaced", "present"]
    origin: str = ""
    structures: int = 0
    meshes: int = 0
    findings: tuple[Finding, ...] = ()
    left_out: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()


def ingest(
    home: Home,
    atlas: str,
    *,
    source: str | None = None,
    places: Sequence[Place] | None = None,
    downloads: Path | None = None,
    sha256: str | None = None,
    selection: Selection = EVERYTHING,
    force: bool = False,
    strict: bool = False,
    progress: Progress | None = None,
) -> IngestReport:
    """Put an atlas into a home.

    Two processes that ingest the same atlas at once do the work once: the other one waits, and then
    finds it there.

    Parameters
    ----------
    home
        Where to; it is made if need be.
    atlas
        A name, a package's folder, a ``.tar.gz`` or an address (see `atlasdb.sources.locate`).
    source
        Where a name is sought (see `atlasdb.sources.locate`).
    places
        Where a name is sought, instead of in `source`.
    downloads
        Where an archive lies while it is downloaded; in the home by default.
    sha256
        The archive's digest, if it is known; by default what the mirror's own list says, or what
        an archive from the same address had before.
    selection
        Whether meshes and references are wanted.
    force
        Ingest it again, in place of the same version, if it is there.
    strict
        Refuse an atlas about which the ingest check has warnings.
    progress
        Told of steps and bytes.

    Returns
    -------
    IngestReport
        What was done, with the findings.

    Raises
    ------
    SourceError
        The atlas cannot be found, read or trusted.
    HierarchyError
        Its structures are not one tree.
    HomeError
        The home cannot be written, or is being written for too long.
    """
    wanted = named(atlas)
    if wanted is not None and not force:
        there = present(home, wanted)
        if there is not None:
            return _present(home, there, sha256)
    progress = progress or NoProgress()
    origin = locate(
        atlas,
        source=source,
        places=places,
        downloads=downloads or home.downloads,
        shared=home.downloads,
        sha256=sha256,
        earlier=lambda url: _earlier_digest(home, url),
        progress=progress,
    )
    with (
        home.staging() as staging,
        home.working_on(str(origin.expected or origin.description), waiting=progress.note),
    ):
        if origin.expected is not None and not force:
            there = present(home, origin.expected)
            if there is not None:
                return _present(home, there, sha256)
        try:
            report = _ingest(home, origin, staging, selection, progress, force, strict)
        except (DownloadError, StrictError):
            raise  # what came is there for the next command
        except (SourceError, HierarchyError):
            origin.clean_up()
            _forget_shared(home)
            raise
        origin.clean_up()
    return report


def _forget_shared(home: Home) -> None:
    """Remove the components that are kept for other atlases, if there are none."""
    if home.has_database():
        with reading(home) as connection:
            if connection.execute(
                "SELECT 1 FROM main.atlas WHERE source_format = ?", [COMPONENTS]
            ).fetchall():
                return
    home.remove_download(SHARED)


def _ingest(
    home: Home,
    origin: Origin,
    staging: Path,
    selection: Selection,
    progress: Progress,
    force: bool,
    strict: bool,
) -> IngestReport:
    """Open, prepare and commit what was located."""
    package_folder = staging / "package"
    package_folder.mkdir()
    opened = origin.open(package_folder, progress, selection)
    name = opened.metadata.require(origin.expected)
    if not force and present(home, name) is not None:
        return _present(home, name)
    prepared = prepare(opened, staging, progress, selection)
    if strict:
        _refuse_warnings(name, prepared.findings)
    progress.step("writing the database")
    status, outdated = _commit(home, name, opened, prepared, selection, force=force)
    if status == "present":
        return IngestReport(name, "present")
    return IngestReport(
        atlas=name,
        status=status,
        origin=origin.description,
        structures=len(opened.structures),
        meshes=len(prepared.meshes),
        findings=prepared.findings,
        outdated=outdated,
    )


def _present(home: Home, name: AtlasName, sha256: str | None = None) -> IngestReport:
    """Return the report of an atlas that is there already, from the archive that is meant."""
    with reading(home) as connection:
        rows = connection.execute(
            "SELECT left_out, source_sha256 FROM main.atlas WHERE name = ? AND version = ?",
            [name.name, str(name.version)],
        ).fetchall()
    left_out, found = rows[0] if rows else (None, None)
    if sha256 is not None and Digest.parse(sha256, "--sha256").sha256 != found:
        known = f"an archive with the SHA-256 {found}" if found else "no archive"
        raise SourceError(
            f"{name} is already there, from {known}, not {sha256}; --force replaces it"
        )
    return IngestReport(name, "present", left_out=tuple(left_out or ()))


def _earlier_digest(home: Home, url: str) -> str | None:
    """Return the digest that an archive from an address had when it was ingested."""
    if not home.has_database():
        return None
    with reading(home) as connection:
        rows = connection.execute(
            "SELECT source_sha256 FROM main.atlas WHERE source_url = ? "
            "ORDER BY ingested_at DESC, atlas_id DESC",
            [url],
        ).fetchall()
    return rows[0][0] if rows else None


def remove(home: Home, atlas: str) -> AtlasName:
    """Remove one version of an atlas from a home, its files included.

    Parameters
    ----------
    home
        The home.
    atlas
        ``NAME@VERSION``, or ``NAME`` for the highest version.

    Returns
    -------
    AtlasName
        What was removed.

    Raises
    ------
    UnknownAtlasError
        It is not there.
    AtlasInUseError
        Tables of cells were annotated with it.
    """
    with reading(home) as connection:
        refuse_if_pinned(connection, *find_atlas(connection, atlas))  # as misspelt names: no lock
    with writing(home) as connection:
        atlas_id, name = find_atlas(connection, atlas)
        refuse_if_pinned(connection, atlas_id, name)
        _delete_rows(connection, atlas_id)
        create_atlas_views(connection, name.name)
    _forget_shared(home)
    return name


def _refuse_warnings(name: AtlasName, findings: Iterable[Finding]) -> None:
    """Raise if any finding is a warning."""
    counts: dict[str, int] = {}
    for finding in findings:
        if finding.severity == "warning":
            counts[finding.code] = counts.get(finding.code, 0) + 1
    if counts:
        summary = ", ".join(f"{code} ({count:,})" for code, count in counts.items())
        raise StrictError(
            f"{name} has warnings and --strict was given: {summary}; nothing was changed"
        )


def _commit(
    home: Home,
    name: AtlasName,
    source: SourceAtlas,
    prepared: Prepared,
    selection: Selection,
    *,
    force: bool,
) -> tuple[Literal["ingested", "replaced", "present"], tuple[str, ...]]:
    """Name the blob folders and insert the rows, in one step for readers.

    Returns what was done, and the tables of cells that are out of date since.
    """
    outdated: tuple[str, ...] = ()
    parts = (name.name, str(name.version), secrets.token_hex(6))
    folders = {
        prepared.volumes_folder: "/".join(("volumes", *parts)),
        prepared.meshes_folder: "/".join(("meshes", *parts)),
    }
    try:
        with writing(home) as connection:
            old_id = _existing_id(connection, name)
            if old_id is not None and not force:
                raise _PresentError
            for staged, relative in folders.items():
                move_folder(staged, home.folder / relative)
            tables = prepared.tables | {
                "volume": rows.volume_rows(prepared.volumes, folders[prepared.volumes_folder]),
                "mesh": rows.mesh_rows(prepared.meshes, folders[prepared.meshes_folder]),
            }
            if old_id is not None:
                _delete_rows(connection, old_id)
            row = _atlas_row(name, source, prepared) | {"left_out": [*selection.left_out] or None}
            _insert(connection, old_id, row, tables)
            create_atlas_views(connection, name.name)
            if old_id is not None:
                outdated = tuple(mark_outdated(home, connection, old_id, name))
    except _PresentError:
        return "present", ()
    return "ingested" if old_id is None else "replaced", outdated


class _PresentError(Exception):
    """Another process ingested the same atlas meanwhile."""


def _existing_id(connection: duckdb.DuckDBPyConnection, name: AtlasName) -> int | None:
    """Return the number of the atlas if it is there, and refuse a twin in another case."""
    twins = connection.execute(
        "SELECT DISTINCT name FROM main.atlas WHERE lower(name) = lower($1) AND name <> $1",
        [name.name],
    ).fetchall()
    if twins:
        raise PackageError(
            f"{name.name} differs from {twins[0][0]} in this home by case alone: rename one"
        )
    try:
        return find_atlas(connection, str(name))[0]
    except UnknownAtlasError:
        return None


def move_folder(staged: Path, target: Path) -> None:
    """Give a staged folder its place in the home."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staged.rename(target)
    sync_folder(target.parent)


def _delete_rows(connection: duckdb.DuckDBPyConnection, atlas_id: int) -> None:
    """Delete all rows of an atlas."""
    for table in (*TABLES, "atlas"):
        connection.execute(
            f"DELETE FROM main.{quoted(table)} WHERE atlas_id = ?",  # noqa: S608 (our own names)
            [atlas_id],
        )


def _insert(
    connection: duckdb.DuckDBPyConnection,
    atlas_id: int | None,
    atlas_row: dict[str, Any],
    tables: dict[str, Any],
) -> None:
    """Insert an atlas's rows, under its old number or a new one."""
    if atlas_id is None:
        drawn = connection.execute("SELECT nextval('main.atlas_id_seq')").fetchall()
        atlas_id = int(drawn[0][0])
    row = {"atlas_id": atlas_id, **atlas_row}
    columns, values = ", ".join(map(quoted, row)), ", ".join("?" * len(row))
    connection.execute(
        f"INSERT INTO main.atlas ({columns}) VALUES ({values})",  # noqa: S608 (our own names)
        list(row.values()),
    )
    insert_rows(connection, atlas_id, tables)


def insert_rows(
    connection: duckdb.DuckDBPyConnection, atlas_id: int, tables: Mapping[str, pa.Table]
) -> None:
    """Insert rows of an atlas, by the tables that they go into."""
    for table, content in tables.items():
        columns = ", ".join(map(quoted, content.column_names))
        connection.register("_rows", content)
        connection.execute(
            f"INSERT INTO main.{quoted(table)} (atlas_id, {columns}) "  # noqa: S608 (our own names)
            f"SELECT ?, {columns} FROM _rows",
            [atlas_id],
        )
        connection.unregister("_rows")


def _atlas_row(name: AtlasName, source: SourceAtlas, prepared: Prepared) -> dict[str, Any]:
    """Return the row of ``atlas``, without its number."""
    metadata, provenance = source.metadata, source.provenance
    row: dict[str, Any] = {
        "name": name.name,
        "version": str(metadata.version),
        "version_major": metadata.version.major,
        "version_minor": metadata.version.minor,
        "species": metadata.species,
        "citation": metadata.citation,
        "atlas_link": metadata.atlas_link,
        "orientation": "asr",
        "source_orientation": metadata.orientation,
        "symmetric": metadata.symmetric,
        "root_id": source.structures.hierarchy.root_id,
        "source_url": provenance.url,
        "source_format": provenance.format,
        "source_sha256": provenance.sha256,
        "ingested_at": datetime.now(UTC).replace(tzinfo=None, microsecond=0),
        "atlasdb_version": distribution_version("atlasdb"),
        "extra": json.dumps(dict(metadata.raw)),
    }
    for axis, letters in enumerate(("ap", "si", "rl")):
        row[f"resolution_{letters}_um"] = prepared.resolution_um[axis]
        row[f"shape_{letters}"] = prepared.shape[axis]
    return row
