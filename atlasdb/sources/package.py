"""BrainGlobe's TIFF package (format 1): a folder of metadata, structures, volumes and meshes.

The one idea: a package is read in place, each file when it is asked for; what its texts state is
checked before (`atlasdb.sources.stated`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlasdb.errors import PackageError
from atlasdb.findings import Finding
from atlasdb.sources.base import EVERYTHING, Fetched, Progress, Provenance, Selection, SourceAtlas
from atlasdb.sources.stated import checked_metadata, parsed_json, refuse_large, structure_table
from atlasdb.volumes import read_volume

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from atlasdb.names import AtlasName
    from atlasdb.sources.base import Metadata
    from atlasdb.structures import StructureTable

FORMAT = "brainglobe-tiff"
_MESH = re.compile(r"(-?\d{1,19})\.obj")


@dataclass(frozen=True)
class TiffPackage(SourceAtlas):
    """An atlas in a folder of BrainGlobe's TIFF layout.

    Attributes
    ----------
    folder
        The package.
    """

    folder: Path = Path()

    def volume(self, kind: str) -> NDArray[Any] | None:
        """Return a volume, None where there is no such file.

        Raises
        ------
        PackageError
            The file is damaged.
        ShapeError
            It has another shape than the metadata's.
        """
        path = self.folder / f"{kind}.tiff"
        return read_volume(path, self.metadata.shape) if path.is_file() else None


@dataclass(frozen=True)
class FolderOrigin:
    """A package folder on this machine, read in place.

    Attributes
    ----------
    folder
        The package.
    expected
        The name and version that it was found under, if it was asked for by name.
    """

    folder: Path
    expected: AtlasName | None = None

    @property
    def description(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def open(
        self,
        staging: Path,  # noqa: ARG002 (read in place)
        progress: Progress,  # noqa: ARG002
        selection: Selection = EVERYTHING,  # noqa: ARG002
    ) -> TiffPackage:
        """Open the package."""
        return open_package(self.folder, Provenance(self.folder.absolute().as_uri(), FORMAT))

    def clean_up(self) -> None:
        """Leave everything: the folder is the user's."""

    def meshes(
        self,
        structure_ids: Iterable[int],
        staging: Path,  # noqa: ARG002 (read in place)
        progress: Progress,  # noqa: ARG002
    ) -> Fetched:
        """Return the mesh files themselves."""
        metadata = _metadata(self.folder)
        metadata.require(self.expected)
        files, _ = _meshes(self.folder / "meshes")
        wanted = set(structure_ids)
        return Fetched(
            {i: path for i, path in files.items() if i in wanted},
            (),
            owns_files=False,
            metadata=metadata,
        )


def open_package(folder: Path, provenance: Provenance, *, owns_files: bool = False) -> TiffPackage:
    """Read and check what a package says of itself.

    Parameters
    ----------
    folder
        The package, ``NAME_RESOLUTION_vVERSION`` by convention.
    provenance
        Where it came from.
    owns_files
        Whether its files may be moved away.

    Raises
    ------
    PackageError
        A file is missing or malformed.
    HierarchyError
        The structures are not one tree.
    """
    metadata = _metadata(folder)
    structures = read_structures(folder / "structures.json")
    meshes, findings = _meshes(folder / "meshes")
    return TiffPackage(
        metadata=metadata,
        structures=structures,
        provenance=provenance,
        meshes=meshes,
        owns_files=owns_files,
        findings=(*_folder_name_finding(folder.name, metadata), *findings),
        folder=folder,
    )


def _metadata(folder: Path) -> Metadata:
    return checked_metadata(_json(folder / "metadata.json"), "metadata.json", folder.name)


def read_structures(path: Path) -> StructureTable:
    """Read structures.json: a list of objects with acronym, id, name, path and colour.

    Raises
    ------
    PackageError
        The file is missing or malformed.
    HierarchyError
        The structures are not one tree, or their paths contradict each other.
    """
    entries = _json(path)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise PackageError(f"{path.name} must be a list of objects, one a structure")
    return structure_table(entries, path.name)


def _json(path: Path) -> Any:  # noqa: ANN401 (whatever the file holds)
    """Parse a JSON file, or say what is wrong with it."""
    if not path.is_file():
        raise PackageError(f"{path.name} is missing from {path.parent.name}")
    refuse_large(path.stat().st_size, path.name)
    return parsed_json(path.read_bytes(), path.name)


def _meshes(folder: Path) -> tuple[dict[int, Path], list[Finding]]:
    """Return the OBJ files by the id that each is named after."""
    meshes: dict[int, Path] = {}
    foreign = []
    for path in sorted(folder.glob("*.obj")) if folder.is_dir() else []:
        match = _MESH.fullmatch(path.name)
        if match is None or int(match[1]) in meshes or not path.is_file():
            foreign.append(path.name)
        else:
            meshes[int(match[1])] = path
    return meshes, [
        Finding("mesh_without_structure", f"{name} is no file named after an id; left out")
        for name in foreign
    ]


def _folder_name_finding(folder: str, metadata: Metadata) -> list[Finding]:
    """Report a folder that is named like a package, but like another one."""
    stem, found, version = folder.rpartition("_v")
    if not found or not re.fullmatch(r"\d+\.\d+", version):
        return []
    expected = f"{metadata.name}_v{metadata.version}"
    if f"{stem}_v{version}" == expected:
        return []
    return [Finding("name_disagrees", f"the folder is {folder}, its metadata say {expected}")]
