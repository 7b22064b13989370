"""From a home to one atlas as a whole: its voxels, its mesh files, and what its source says of it.

The one idea: all rows are read from one state of the database, and leases on the folders keep the
files as they are, so that the object answers alike for as long as it lives.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from atlasdb.citations import AtlasCredits
from atlasdb.database import find_atlas, reading
from atlasdb.errors import BlobError
from atlasdb.home import Leases
from atlasdb.meshes import MeshFile
from atlasdb.space import STANDARD
from atlasdb.voxels.opening import opened, read_data, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from atlasdb.home import Home
    from atlasdb.names import AtlasName
    from atlasdb.voxels.data import AtlasData

_SAID = "species, citation, atlas_link, source_url, source_format, extra"


@dataclass(frozen=True)
class AtlasRecord:
    """All that the database knows of an atlas but its cells.

    Attributes
    ----------
    home
        Where it is.
    data
        Its voxels.
    meshes
        Its mesh files by structure id; those that are fetched later are added.
    metadata
        BrainGlobe's metadata: what the source's metadata.json says, in 'asr'.
    credits
        What a citation of it is made of.
    source_format
        'brainglobe-tiff' or 'brainglobe-ome-zarr'.
    leases
        What keeps the mesh files from being swept.
    """

    home: Home
    data: AtlasData
    meshes: dict[int, MeshFile]
    metadata: dict[str, Any]
    credits: AtlasCredits
    source_format: str
    leases: Leases


def open_record(home: Home, atlas: str) -> AtlasRecord:
    """Open an atlas of a home; no volume and no mesh is read.

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
    return opened(home, atlas, _read)


def credits_of(home: Home, atlas: str) -> AtlasCredits:
    """Return what a citation of an atlas is made of, without opening the atlas.

    Raises
    ------
    UnknownAtlasError
        It is not there.
    """
    with reading(home) as connection:
        atlas_id, name = find_atlas(connection, atlas)
        edges = rows_of(
            connection,
            atlas_id,
            "resolution_ap_um, resolution_si_um, resolution_rl_um",
            "atlas",
        )[0]
        return _credits(name, edges, *rows_of(connection, atlas_id, _SAID, "atlas")[0])


def _read(
    home: Home, connection: duckdb.DuckDBPyConnection, atlas_id: int, name: AtlasName
) -> AtlasRecord:
    data = read_data(home, connection, atlas_id, name)
    meshes = _meshes(home, connection, atlas_id)
    facts = rows_of(connection, atlas_id, _SAID, "atlas")[0]
    return AtlasRecord(
        home=home,
        data=data,
        meshes=meshes,
        metadata=_metadata(data, *facts),
        credits=_credits(name, data.grid.resolution_um, *facts),
        source_format=facts[4],
        leases=Leases({mesh.path.parent for mesh in meshes.values()}),
    )


def read_meshes(home: Home, data: AtlasData, structure_ids: Iterable[int]) -> dict[int, MeshFile]:
    """Return the mesh files that some structures have now.

    Raises
    ------
    BlobError
        The atlas is another one than when it was opened.
    """
    with reading(home) as connection:
        atlas_id = find_atlas(connection, str(data.name))[0]
        paths = rows_of(connection, atlas_id, "path", "volume")
        here = {home.folder / PurePosixPath(path) for (path,) in paths}
        if here != {blob.path for blob in data.blobs.values()}:
            raise BlobError(f"{data.name} was replaced since it was opened: open it anew")
        meshes = _meshes(home, connection, atlas_id)
    return {i: meshes[i] for i in structure_ids if i in meshes}


def _meshes(
    home: Home, connection: duckdb.DuckDBPyConnection, atlas_id: int
) -> dict[int, MeshFile]:
    return {
        structure_id: MeshFile(home.folder / PurePosixPath(path), *sizes)
        for structure_id, path, *sizes in rows_of(
            connection, atlas_id, "structure_id, path, bytes, vertices, triangles, sha256", "mesh"
        )
    }


def _metadata(
    data: AtlasData, species: str, citation: str, link: str, _url: str, _form: str, extra: str
) -> dict[str, Any]:
    """Return BrainGlobe's metadata, its keys in the source's order.

    Keys and types are those of METADATA_TEMPLATE in brainglobe-atlasapi 2.3.1.
    """
    said: dict[str, Any] = json.loads(extra)
    known = {
        "name": said.get("name", data.name.name),
        "citation": citation,
        "atlas_link": link,
        "species": species,
        "symmetric": data.symmetric,
        "resolution": list(data.grid.resolution_um),
        "orientation": STANDARD,
        "version": str(data.name.version),
        "shape": list(data.grid.shape),
        "additional_references": said.get("additional_references", []),
    }
    return said | known


def _credits(
    name: AtlasName,
    resolution_um: tuple[float, float, float],
    species: str,
    citation: str,
    link: str,
    url: str,
    form: str,
    _extra: str,
) -> AtlasCredits:
    return AtlasCredits(
        name=name,
        species=species,
        citation=citation,
        atlas_link=link,
        resolution_um=resolution_um,
        packaged_by_brainglobe=form.startswith("brainglobe") and not url.startswith("phantom:"),
    )
