"""BrainGlobe's TIFF package (format 1): a folder of metadata, structures, volumes and meshes.

The one idea: check everything that is text before a voxel is read, and say which file and which
entry is wrong, what was expected, and what was found.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import HierarchyError, PackageError
from atlasdb.findings import Finding
from atlasdb.hierarchy import Hierarchy
from atlasdb.names import AtlasName, Version, checked_name, full_name
from atlasdb.sources.base import Metadata, Progress, Provenance, SourceAtlas
from atlasdb.space import Reorientation, is_orientation
from atlasdb.structures import StructureTable
from atlasdb.volumes import read_volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FORMAT = "brainglobe-tiff"
_LARGEST_JSON = 1 << 28
_MESH = re.compile(r"(-?\d{1,19})\.obj")
_AXES = 3
_MOST_VOXELS = 1 << 40
_LONGEST_UM = 1e9


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

    def open(self, staging: Path, progress: Progress) -> TiffPackage:  # noqa: ARG002 (in place)
        """Open the package."""
        return open_package(self.folder, Provenance(self.folder.absolute().as_uri(), FORMAT))


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
    ids = [_structure_field(n, e, "id", _is_integer, "an integer") for n, e in enumerate(entries)]
    try:
        hierarchy = _hierarchy(ids, entries)
    except HierarchyError as error:
        raise HierarchyError(f"{path.name}: {error}") from error
    if 0 in ids:
        raise PackageError(f"{path.name}: no structure can have the id 0, which is the background")
    texts = [
        tuple(_structure_field(n, e, key, _is_text, "a text") for n, e in enumerate(entries))
        for key in ("acronym", "name")
    ]
    colours = [
        _structure_field(n, e, "rgb_triplet", _is_colour, "three integers from 0 to 255")
        for n, e in enumerate(entries)
    ]
    order = hierarchy.source_index.tolist()
    return StructureTable(
        hierarchy=hierarchy,
        acronyms=tuple(texts[0][index] for index in order),
        names=tuple(texts[1][index] for index in order),
        rgb=np.array([colours[index] for index in order], dtype=np.uint8),
        label_values=hierarchy.ids,
    )


def _hierarchy(ids: list[int], entries: list[dict[str, Any]]) -> Hierarchy:
    """Rank the structures by their paths, or by their parents where no entry has a path."""
    if entries and not any("structure_id_path" in entry for entry in entries):
        parents = [
            _structure_field(n, e, "parent_structure_id", _is_parent, "an integer or null")
            for n, e in enumerate(entries)
        ]
        return Hierarchy.from_parents(ids, parents)
    paths = [
        _structure_field(n, e, "structure_id_path", _is_path, "a list of integers")
        for n, e in enumerate(entries)
    ]
    hierarchy = Hierarchy.from_paths(ids, paths)
    for structure_id, path, entry in zip(ids, paths, entries, strict=True):
        parent = path[-2] if len(path) > 1 else None
        if entry.get("parent_structure_id", parent) != parent:
            raise HierarchyError(
                f"structure {structure_id}: its parent_structure_id "
                f"{entry['parent_structure_id']} contradicts its path {path}"
            )
    return hierarchy


def _structure_field(
    number: int, entry: dict[str, Any], key: str, valid: Callable[[Any], bool], expected: str
) -> Any:  # noqa: ANN401 (each key has a type of its own)
    """Return a key of a structure, or name the structure and what is wrong with it."""
    if key not in entry:
        raise PackageError(f"structures.json: structure {_label(number, entry)} has no {key!r}")
    if not valid(entry[key]):
        raise PackageError(
            f"structures.json: structure {_label(number, entry)}: {key} must be {expected}, "
            f"found {entry[key]!r:.80}"
        )
    return entry[key]


def _label(number: int, entry: dict[str, Any]) -> str:
    """Name an entry by its place and by what it does have."""
    known = [f"{key} {entry[key]!r:.40}" for key in ("id", "acronym") if key in entry]
    return f"number {number + 1} ({', '.join(known) or 'no id'})"


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_parent(value: object) -> bool:
    return value is None or _is_integer(value)


def _is_path(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_integer, value))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_colour(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == _AXES
        and all(_is_integer(part) and 0 <= part <= np.iinfo(np.uint8).max for part in value)
    )


def _metadata(folder: Path) -> Metadata:
    """Read and check metadata.json."""
    raw = _json(folder / "metadata.json")
    if not isinstance(raw, dict):
        raise PackageError("metadata.json must be an object")
    shape = _triple(raw, "shape", lambda n: _is_integer(n) and n > 0, "positive integers")
    resolution = _triple(raw, "resolution", _is_length, "positive numbers (microns)")
    if math.prod(shape) > _MOST_VOXELS:
        raise PackageError(f"metadata.json: shape {list(shape)} is too large to be real")
    orientation = _text(raw, "orientation")
    if not is_orientation(orientation):
        raise PackageError(
            f"metadata.json: orientation must be three letters such as 'asr' (one of a/p, s/i "
            f"and r/l each), found {orientation!r}"
        )
    symmetric = raw.get("symmetric")
    if not isinstance(symmetric, bool):
        raise PackageError(f"metadata.json: symmetric must be true or false, found {symmetric!r}")
    references = raw.get("additional_references", [])
    if not isinstance(references, list) or not all(map(_is_text, references)):
        raise PackageError("metadata.json: additional_references must be a list of texts")
    name, version = _text(raw, "name"), _text(raw, "version")
    try:
        # BrainGlobe names an atlas by axis 0 once it is 'asr', that is along AP.
        along_ap = Reorientation.between(orientation).permute(resolution)[0]
        full = full_name(name, along_ap, folder.name)
        parsed_version = Version.parse(version)
        additional = tuple(checked_name(reference) for reference in references)
    except PackageError as error:
        raise PackageError(f"metadata.json: {error}") from error
    return Metadata(
        name=full,
        version=parsed_version,
        species=_text(raw, "species"),
        citation=_text(raw, "citation"),
        atlas_link=_text(raw, "atlas_link"),
        orientation=orientation.lower(),
        symmetric=symmetric,
        resolution_um=(float(resolution[0]), float(resolution[1]), float(resolution[2])),
        shape=shape,
        additional_references=additional,
        raw=raw,
    )


def _text(raw: dict[str, Any], key: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str):
        found = f"found {value!r:.80}" if key in raw else "it is missing"
        raise PackageError(f"metadata.json: {key} must be a text; {found}")
    return value


def _is_length(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LONGEST_UM
    )


def _triple(
    raw: dict[str, Any], key: str, valid: Callable[[Any], bool], expected: str
) -> tuple[Any, Any, Any]:
    value = raw.get(key)
    if not isinstance(value, list) or len(value) != _AXES or not all(map(valid, value)):
        found = f"found {value!r:.80}" if key in raw else "it is missing"
        raise PackageError(f"metadata.json: {key} must be three {expected}; {found}")
    return value[0], value[1], value[2]


def _json(path: Path) -> Any:  # noqa: ANN401 (whatever the file holds)
    """Parse a JSON file, or say what is wrong with it."""
    if not path.is_file():
        raise PackageError(f"{path.name} is missing from {path.parent.name}")
    if path.stat().st_size > _LARGEST_JSON:
        raise PackageError(f"{path.name} is too large to be real: {path.stat().st_size:,} bytes")
    try:
        content = json.loads(path.read_text("utf-8-sig"), parse_constant=_no_number)
        json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{path.name} is no valid JSON: {error!s:.200}") from error
    return content


def _no_number(text: str) -> float:
    """Refuse NaN and Infinity, which are Python's and not JSON's."""
    raise ValueError(f"{text} is no number")


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
