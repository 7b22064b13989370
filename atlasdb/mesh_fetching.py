"""Meshes that an ingest left out, fetched when they are wanted.

The one idea: a mesh that comes later goes the way of the others: into a folder of its own, counted,
and then into the database in one step.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import numpy as np

from atlasdb import rows
from atlasdb.database import find_atlas, reading, writing
from atlasdb.errors import HomeError, SourceError
from atlasdb.ingest import insert_rows, move_folder
from atlasdb.prepare import MESHES_LEFT_OUT, mesh_missing, place_meshes
from atlasdb.sources import locate
from atlasdb.sources.base import GivesMeshes, NoProgress
from atlasdb.sources.package import FolderOrigin
from atlasdb.space import STANDARD, Reorientation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import duckdb

    from atlasdb.findings import Finding
    from atlasdb.home import Home
    from atlasdb.names import AtlasName
    from atlasdb.sources.base import Metadata, Origin, Progress

_MESHES = "meshes"


@dataclass(frozen=True)
class _Known:
    """What the database knows of an atlas whose meshes are wanted."""

    atlas_id: int
    name: AtlasName
    source_url: str
    orientation: str
    extent_um: tuple[float, float, float]
    left_out: tuple[str, ...]
    without: tuple[int, ...]


def fetch_meshes(
    home: Home,
    atlas: str,
    structure_ids: Iterable[int] | None = None,
    *,
    progress: Progress | None = None,
) -> list[int]:
    """Get meshes that the ingest of an atlas left out.

    Parameters
    ----------
    home
        The home.
    atlas
        ``NAME`` or ``NAME@VERSION``.
    structure_ids
        Whose; all that have none by default, after which nothing is left out any more.
    progress
        Told of steps and bytes.

    Returns
    -------
    list of int
        The structures that have got a mesh. Those that had one, and those that have none at the
        source either, are not among them.

    Raises
    ------
    UnknownAtlasError
        The atlas is not there.
    SourceError
        Its source gives no single meshes, or cannot be asked.
    HomeError
        The home cannot be written.
    """
    progress = progress or NoProgress()
    asked = None if structure_ids is None else tuple(structure_ids)
    known = _known(home, atlas)
    if not _wanted(known, asked):
        return []
    origin = _origin(home, known, progress)
    with home.staging() as staging, home.working_on(str(known.name), waiting=progress.note):
        known = _known(home, str(known.name))  # another process may have fetched some meanwhile
        wanted = _wanted(known, asked)
        if not wanted:
            return []
        package, folder = staging / "package", staging / _MESHES
        package.mkdir()
        folder.mkdir()
        fetched = origin.meshes(wanted, package, progress)
        _require_same(fetched.metadata, known)
        turn = Reorientation.between(known.orientation)
        meshes, findings = place_meshes(
            fetched.files, folder, turn, known.extent_um, owns_files=fetched.owns_files
        )
        findings += fetched.findings
        if asked is not None and not meshes and not findings:
            return []
        place = "/".join((_MESHES, known.name.name, str(known.name.version), secrets.token_hex(6)))
        with writing(home) as connection:
            if _read(connection, str(known.name)) != known:
                raise HomeError(f"{known.name} was changed meanwhile: try again")
            if meshes:
                move_folder(folder, home.folder / place)
                insert_rows(connection, known.atlas_id, {"mesh": rows.mesh_rows(meshes, place)})
            if asked is None:
                findings += _complete(connection, known, meshes.keys())
            _add_findings(connection, known.atlas_id, findings)
    return sorted(meshes)


def _require_same(metadata: Metadata | None, known: _Known) -> None:
    """Refuse meshes of a source that describes another space than the one that was ingested."""
    if metadata is None:
        return
    extent = np.multiply(metadata.shape, metadata.resolution_um)
    if metadata.orientation != known.orientation or not np.allclose(extent, known.extent_um):
        raise SourceError(
            f"{known.source_url} is not the {known.name} that was ingested any more: "
            f"`atlasdb ingest {known.name} --force` takes the new one"
        )


def _wanted(known: _Known, asked: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the structures whose meshes were left out and are wanted."""
    if _MESHES not in known.left_out:
        return ()
    without = set(known.without)
    return known.without if asked is None else tuple(i for i in asked if i in without)


def _complete(
    connection: duckdb.DuckDBPyConnection, known: _Known, fetched: Collection[int]
) -> list[Finding]:
    """Write down that no mesh is left out any more, and return which there are none of."""
    left = [part for part in known.left_out if part != _MESHES]
    connection.execute(
        "UPDATE main.atlas SET left_out = ? WHERE atlas_id = ?", [left or None, known.atlas_id]
    )
    connection.execute(
        "DELETE FROM main.finding WHERE atlas_id = ? AND code = ? AND detail = ?",
        [known.atlas_id, MESHES_LEFT_OUT.code, MESHES_LEFT_OUT.detail],
    )
    names = dict(
        connection.execute(
            "SELECT structure_id, acronym FROM main.structure WHERE atlas_id = ?", [known.atlas_id]
        ).fetchall()
    )
    missing = [i for i in known.without if i not in set(fetched)]
    return [mesh_missing(i, names[i]) for i in missing]


def _add_findings(
    connection: duckdb.DuckDBPyConnection, atlas_id: int, findings: Iterable[Finding]
) -> None:
    """Add findings that are not known yet."""
    known = connection.execute(
        "SELECT code, structure_id, number FROM main.finding WHERE atlas_id = ?", [atlas_id]
    ).fetchall()
    before = {(code, structure_id) for code, structure_id, _ in known}
    new = [f for f in findings if (f.code, f.structure_id) not in before]
    first = max((number for *_, number in known), default=0) + 1
    if new:
        insert_rows(connection, atlas_id, {"finding": rows.finding_rows(new, first)})


def _origin(home: Home, known: _Known, progress: Progress) -> GivesMeshes:
    """Return where the atlas came from, if it gives single meshes."""
    address = known.source_url
    if address.startswith("phantom:"):
        address = address.removeprefix("phantom:")
    elif address.startswith("file:"):
        address = unquote(urlsplit(address).path)
    origin: Origin = locate(address, downloads=home.downloads, progress=progress)
    if not isinstance(origin, GivesMeshes):
        raise SourceError(
            f"{known.name} came from {known.source_url}, which gives its meshes with the whole "
            f"archive only: `atlasdb ingest {known.name} --force` gets them"
        )
    return replace(origin, expected=known.name) if isinstance(origin, FolderOrigin) else origin


def _known(home: Home, atlas: str) -> _Known:
    with reading(home) as connection:
        return _read(connection, atlas)


def _read(connection: duckdb.DuckDBPyConnection, atlas: str) -> _Known:
    """Read what is known of an atlas and its meshes."""
    atlas_id, name = find_atlas(connection, atlas)
    url, orientation, left_out, *numbers = connection.execute(
        "SELECT source_url, source_orientation, left_out, "
        "resolution_ap_um * shape_ap, resolution_si_um * shape_si, resolution_rl_um * shape_rl "
        "FROM main.atlas WHERE atlas_id = ?",
        [atlas_id],
    ).fetchall()[0]
    without = connection.execute(
        "SELECT s.structure_id FROM main.structure AS s "
        "ANTI JOIN main.mesh AS m ON m.atlas_id = s.atlas_id AND m.structure_id = s.structure_id "
        "WHERE s.atlas_id = ? ORDER BY s.rank",
        [atlas_id],
    ).fetchall()
    # Back to the source's own axes.
    extent = Reorientation.between(STANDARD, orientation).permute(tuple(numbers))
    return _Known(
        atlas_id,
        name,
        url,
        orientation,
        (extent[0], extent[1], extent[2]),
        tuple(left_out or ()),
        tuple(structure_id for (structure_id,) in without),
    )
