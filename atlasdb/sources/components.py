"""BrainGlobe's component-wise atlases (format 3): OME-Zarr volumes, Draco meshes, a terminology.

The one idea: an atlas is its manifest's choice from components that several atlases share: one
level of each pyramid, the terminology's structures, the meshes of the annotation set. Only that is
fetched. The masks of all structures (4-D) never are: ranks do that job.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import PackageError
from atlasdb.findings import Finding
from atlasdb.meshes import obj_text
from atlasdb.meshes.draco import MeshInfo, decode_mesh
from atlasdb.sources.base import EVERYTHING, Fetched, Provenance, Selection, SourceAtlas
from atlasdb.sources.multiscale import (
    UNKNOWN,
    ZARR_JSON,
    Level,
    choose_level,
    chunk_keys,
    is_displaced,
    read_array,
)
from atlasdb.sources.objects import FolderObjects, ServerObjects, checked_key, slug
from atlasdb.sources.stated import checked_metadata, parsed_json, structure_table
from atlasdb.structures import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from atlasdb.names import AtlasName, Version
    from atlasdb.sources.base import Metadata, Progress
    from atlasdb.sources.objects import Objects
    from atlasdb.structures import StructureTable

FORMAT = "brainglobe-ome-zarr"
ATLASES = "atlases"

SHARED = "components"
"""The folder among the downloads where what several atlases may share is kept."""

_TERMINOLOGY = "terminology.csv"
_TEMPLATE = "template.ome.zarr"
_ANNOTATION = "annotations_compressed.ome.zarr"
_HEMISPHERES = "hemispheres.ome.zarr"
_MESHES = "annotations.precomputed/mesh"
_COLUMNS = (
    "identifier",
    "parent_identifier",
    "annotation_value",
    "name",
    "abbreviation",
    "color_hex_triplet",
    "root_identifier_path",
)
_INTEGER = re.compile(r"(-?\d{1,19})(?:\.0)?")
_COLOUR = re.compile(r"#([0-9A-Fa-f]{6})")
_INT64 = range(-(2**63), 2**63)


def manifest_key(name: AtlasName) -> str:
    """Return where an atlas version's manifest is, below the components' folder or address."""
    return f"{ATLASES}/{name.name}/{folder_of(name.version)}/manifest.json"


def folder_of(version: Version | None) -> str:
    """Return a version as folders are named after it."""
    return str(version).replace(".", "_")


@dataclass(frozen=True)
class ComponentsOrigin:
    """An atlas made of components, in a folder or on a server.

    Attributes
    ----------
    base
        The folder, or the address with a slash at its end, that is laid out like BrainGlobe's
        bucket.
    expected
        The atlas's name and version.
    downloads
        Where a server's objects are kept, in a folder of their own; the staging folder by default.
    """

    base: Path | str
    expected: AtlasName
    downloads: Path | None = None

    @property
    def description(self) -> str:
        """The manifest's path or address."""
        key = manifest_key(self.expected)
        return f"{self.base}{key}" if isinstance(self.base, str) else str(self.base / key)

    def open(
        self, staging: Path, progress: Progress, selection: Selection = EVERYTHING
    ) -> ComponentAtlas:
        """Fetch what is wanted of the atlas, and check it."""
        progress.step(f"reading {self.description}")
        with ExitStack() as stack:
            objects = self._objects(staging, stack)
            return _Opening(objects, self.expected, staging, progress, selection).atlas()

    def meshes(self, structure_ids: Iterable[int], staging: Path, progress: Progress) -> Fetched:
        """Fetch the meshes of some structures as OBJ files."""
        with ExitStack() as stack:
            objects = self._objects(staging, stack)
            opening = _Opening(objects, self.expected, staging, progress, EVERYTHING)
            return opening.meshes(structure_ids)

    def clean_up(self) -> None:
        """Leave everything: what atlases share stays for the next one."""

    def _objects(self, staging: Path, stack: ExitStack) -> Objects:
        if isinstance(self.base, Path):
            return FolderObjects.open(self.base)
        objects = stack.enter_context(
            ServerObjects(self.base, self._kept(self.downloads or staging))
        )
        objects.prepare()
        return objects

    def _kept(self, downloads: Path) -> Path:
        return downloads / SHARED / slug(str(self.base))


@dataclass(frozen=True)
class ComponentAtlas(SourceAtlas):
    """An atlas whose components were fetched.

    Attributes
    ----------
    arrays
        Folders of zarr arrays by the kind of volume.
    """

    arrays: dict[str, Path] = field(default_factory=dict)

    def volume(self, kind: str) -> NDArray[Any] | None:
        """Return a volume, None where there is none.

        Raises
        ------
        PackageError
            It is damaged.
        """
        folder = self.arrays.get(kind)
        return None if folder is None else read_array(folder, kind)


class _Opening:
    """The way from a manifest to an atlas."""

    def __init__(
        self,
        objects: Objects,
        name: AtlasName,
        staging: Path,
        progress: Progress,
        selection: Selection,
    ) -> None:
        self._objects = objects
        self._name = name
        self._staging = staging
        self._progress = progress
        self._selection = selection
        self._findings: list[Finding] = []
        self._chunks: list[str] = []
        self._objects.survey(manifest_key(name).rpartition("/")[0])
        self._manifest = self._json(manifest_key(name))
        self._metadata = self._checked()
        self._metadata.require(name)

    def atlas(self) -> ComponentAtlas:
        """Fetch and check everything that is wanted."""
        structures = self._structures()
        arrays = dict(self._arrays())
        fetched = Fetched({}, ())
        if self._selection.meshes:
            ids = structures.hierarchy.ids.tolist()
            fetched = self.meshes(ids)
            self._findings += self._foreign_meshes(set(map(str, ids)))
        self._objects.drop(self._chunks)  # all is there, in the staging folder
        return ComponentAtlas(
            metadata=self._metadata,
            structures=structures,
            provenance=Provenance(self._objects.address + manifest_key(self._name), FORMAT),
            meshes=fetched.files,
            owns_files=True,
            findings=(*self._findings, *fetched.findings),
            arrays=arrays,
        )

    def _json(self, key: str) -> Any:  # noqa: ANN401 (whatever the file holds)
        return parsed_json(self._objects.read(key, self._progress), self._objects.address + key)

    def _checked(self) -> Metadata:
        """Return the manifest's metadata, additional references by their names."""
        raw = self._manifest
        where = self._objects.address + manifest_key(self._name)
        if isinstance(raw, dict):
            components = raw.get("additional_references", [])
            if not isinstance(components, list):
                raise PackageError(f"{where}: additional_references must be a list")
            names = [c.get("name") if isinstance(c, dict) else c for c in components]
            raw = raw | {
                "additional_references": names,
                "additional_reference_components": components,
            }
        folder = f"{self._name.name}_v{self._name.version}"
        return checked_metadata(raw, where, folder)

    def _location(self, component: object, what: str) -> str:
        """Return where a component is, below the components' folder or address."""
        location = component.get("location") if isinstance(component, dict) else None
        if not isinstance(location, str):
            raise PackageError(
                f"{self._objects.address}{manifest_key(self._name)} has no location for its {what}"
            )
        return checked_key(location.strip("/"))

    def _structures(self) -> StructureTable:
        location = self._location(self._manifest.get("terminology"), "terminology")
        self._objects.survey(location)
        key = f"{location}/{_TERMINOLOGY}"
        return read_terminology(self._objects.read(key, self._progress), _TERMINOLOGY)

    def _arrays(self) -> Iterator[tuple[str, Path]]:
        """Fetch the volumes, and yield where each is."""
        annotation_set = self._location(self._manifest.get("annotation_set"), "annotation set")
        yield "annotation", self._array(f"{annotation_set}/{_ANNOTATION}", "annotation")
        hemispheres = f"{annotation_set}/{_HEMISPHERES}"
        self._objects.survey(hemispheres)
        if self._objects.bring([f"{hemispheres}/{ZARR_JSON}"], self._progress, optional=True):
            yield "hemispheres", self._array(hemispheres, "hemispheres")
        if not self._selection.references:
            return
        template = self._location(self._manifest.get("template"), "template")
        yield "reference", self._array(f"{template}/{_TEMPLATE}", "template")
        components = self._metadata.raw.get("additional_reference_components", [])
        for name, component in zip(self._metadata.additional_references, components, strict=True):
            location = self._location(component, f"additional reference {name}")
            yield name, self._array(f"{location}/{_TEMPLATE}", name)

    def _array(self, group: str, kind: str) -> Path:
        """Fetch the level of a pyramid that the atlas is, into a folder of its own."""
        where = self._objects.address + group
        self._objects.survey(group)
        level = choose_level(
            self._json(f"{group}/{ZARR_JSON}"), self._metadata.resolution_um, where
        )
        self._check_level(level, where, kind)
        array = checked_key(f"{group}/{level.path}")
        description = self._json(f"{array}/{ZARR_JSON}")
        chunks = chunk_keys(description, self._metadata.shape, f"{self._objects.address}{array}")
        wanted = [f"{array}/{chunk}" for chunk in chunks]
        folder = self._staging / "arrays" / kind
        folder.mkdir(parents=True)
        (folder / ZARR_JSON).write_text(json.dumps(description), "utf-8")
        found = self._brought(wanted, folder, len(array) + 1, kind)
        self._check_chunks(found, len(chunks), kind, where)
        return folder

    def _brought(self, keys: list[str], folder: Path, prefix: int, kind: str) -> int:
        """Fetch the chunks that there are into a folder of our own, and return how many."""
        for is_last in (False, False, True):
            found = self._objects.bring(keys, self._progress, f"fetching the {kind}")
            self._chunks += found
            try:
                for key, path in found.items():
                    target = folder / key[prefix:]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _link(path, target)
            except FileNotFoundError:  # another ingest has ended, and dropped what it shared
                if is_last:
                    raise
                self._objects.drop(keys)
            else:
                return len(found)
        raise AssertionError("the last attempt returns or raises")

    def _check_level(self, level: Level, where: str, kind: str) -> None:
        """Refuse a level with other axes than the manifest's, and report a displaced one."""
        orientation = self._metadata.orientation
        axes = zip(level.orientation, orientation, strict=True)
        if any(found not in {wanted, UNKNOWN} for found, wanted in axes):
            raise PackageError(
                f"{where} has its axes begin at {level.orientation!r}, the manifest says "
                f"{orientation!r}"
            )
        if is_displaced(level):
            by = ", ".join(f"{corner:g}" for corner in level.corner_um)
            detail = f"{kind}: the level begins at ({by}) µm of the finest one, taken as (0, 0, 0)"
            self._findings.append(Finding("level_displaced", detail))

    def _check_chunks(self, found: int, expected: int, kind: str, where: str) -> None:
        """Report chunks that are not there, which zarr takes for 0 throughout."""
        if found == expected:
            return
        if not found:
            raise PackageError(f"{where} has no voxels: none of its {expected:,} chunks is there")
        code = "chunks_absent" if self._objects.is_sure_of_absence else "chunks_unconfirmed"
        detail = f"{kind}: {expected - found:,} of {expected:,} chunks are not there, taken as 0"
        self._findings.append(Finding(code, detail))

    def _foreign_meshes(self, known: set[str]) -> Iterator[Finding]:
        """Yield the meshes that belong to no structure, as far as it is known what there is."""
        for name in sorted(self._objects.names(self._mesh_folder()) or ()):
            if not name.endswith(".index") and name not in known | {"info"}:
                detail = f"mesh {name} belongs to no structure; left out"
                yield Finding("mesh_without_structure", detail)

    def _mesh_folder(self) -> str:
        annotation_set = self._location(self._manifest.get("annotation_set"), "annotation set")
        return f"{annotation_set}/{_MESHES}"

    def meshes(self, structure_ids: Iterable[int]) -> Fetched:
        """Fetch meshes, and write each as an OBJ file."""
        folder = self._mesh_folder()
        there = self._objects.names(folder)
        wanted = [i for i in structure_ids if there is None or str(i) in there]
        keys = [key for i in wanted for key in (f"{folder}/{i}", f"{folder}/{i}.index")]
        info_key = f"{folder}/info"
        files = self._objects.bring(
            [info_key, *keys], self._progress, "fetching the meshes", optional=True
        )
        if info_key not in files:
            if files or there:
                raise PackageError(f"{self._objects.address}{info_key} is missing")
            return Fetched({}, metadata=self._metadata)
        info = MeshInfo.parse(parsed_json(files[info_key].read_bytes(), info_key))
        self._progress.step("decoding meshes")
        target = self._staging / "meshes"
        target.mkdir()

        def write(structure_id: int) -> str:
            data = files.get(f"{folder}/{structure_id}")
            index = files.get(f"{folder}/{structure_id}.index")
            if data is None:
                return "absent" if index is None else "it has an index, but no mesh"
            try:
                if index is None:
                    raise PackageError("it has no index")
                mesh = decode_mesh(data.read_bytes(), index.read_bytes(), info)
                (target / f"{structure_id}.obj").write_text(obj_text(mesh), "ascii")
            except PackageError as error:
                return str(error)
            return ""

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            problems = dict(zip(wanted, pool.map(write, wanted), strict=True))
        return Fetched(
            {i: target / f"{i}.obj" for i, problem in problems.items() if not problem},
            tuple(
                Finding("mesh_unreadable", f"mesh {i}: {problem}; left out", i)
                for i, problem in problems.items()
                if problem not in {"", "absent"}
            ),
            metadata=self._metadata,
        )


def _link(path: Path, target: Path) -> None:
    """Give a file a second name, or copy it where that cannot be."""
    target.unlink(missing_ok=True)
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(path, target)


def read_terminology(content: bytes, file: str) -> StructureTable:
    """Return the structures of a terminology.

    Parameters
    ----------
    content
        A terminology.csv.
    file
        What an error calls it.

    Raises
    ------
    PackageError
        It is malformed; the message names the line.
    HierarchyError
        The structures are not one tree.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), strict=True))
    except (ValueError, csv.Error) as error:
        raise PackageError(f"{file} is no CSV in UTF-8: {error!s:.200}") from error
    missing = [column for column in _COLUMNS if rows and column not in rows[0]]
    if missing or not rows:
        page = " (an HTML page?)" if content.lstrip().startswith(b"<") else ""
        raise PackageError(f"{file} has no column {', '.join(missing) or 'at all'}{page}")
    entries, values = [], []
    for number, row in enumerate(rows, start=2):
        try:
            entries.append(_entry(row))
            values.append(_label_value(row["annotation_value"]))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise PackageError(f"{file}: line {number}: {error!s:.200}") from error
    _refuse_shared_values(file, values, entries)
    return structure_table(entries, file, values)


def _entry(row: dict[str, str]) -> dict[str, Any]:
    """Return a structure as structures.json would have it."""
    colour = _COLOUR.fullmatch(row["color_hex_triplet"])
    if colour is None:
        raise ValueError(f"a colour is like #BFDAE3, not {row['color_hex_triplet']!r:.40}")
    parent = row["parent_identifier"]
    return {
        "id": _integer(row["identifier"]),
        "acronym": row["abbreviation"],
        "name": row["name"],
        "structure_id_path": json.loads(row["root_identifier_path"]),
        "parent_structure_id": _integer(parent) if parent else None,
        "rgb_triplet": list(bytes.fromhex(colour[1])),
    }


def _label_value(text: str) -> int:
    """Return the value of a structure in the annotation; some have none."""
    if not text:
        return NO_LABEL
    value = _integer(text)
    if value in {0, NO_LABEL}:
        raise ValueError(f"annotation_value {value}: 0 is the background")
    return value


def _integer(text: str) -> int:
    """Return a 64-bit integer; pandas writes some with ``.0``."""
    spelt = _INTEGER.fullmatch(text.strip())
    if spelt is None or int(spelt[1]) not in _INT64:
        raise ValueError(f"expected an integer of 64 bits, found {text!r:.40}")
    return int(spelt[1])


def _refuse_shared_values(
    file: str, values: Sequence[int], entries: Sequence[dict[str, Any]]
) -> None:
    """Refuse two structures that stand for one value of the annotation."""
    known = np.array([value for value in values if value != NO_LABEL], dtype=np.int64)
    distinct, counts = np.unique(known, return_counts=True)
    for value in distinct[counts > 1].tolist():
        sharing = [e["acronym"] for e, v in zip(entries, values, strict=True) if v == value]
        raise PackageError(f"{file}: annotation_value {value} belongs to {' and '.join(sharing)}")
