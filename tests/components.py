"""Small atlases as BrainGlobe's format 3: OME-Zarr volumes, Draco meshes, a terminology."""

from __future__ import annotations

import csv
import json
import struct
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import DracoPy
import numpy as np
import zarr
from small import RESOLUTION_UM, TREE, labels
from zarr.codecs import BytesCodec, ZstdCodec
from zarr.storage import LocalStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

STARTS = {
    "a": "anterior-to-posterior",
    "p": "posterior-to-anterior",
    "s": "superior-to-inferior",
    "i": "inferior-to-superior",
    "r": "right-to-left",
    "l": "left-to-right",
}
TETRAHEDRON_UM = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10]], dtype=np.float64)
TETRAHEDRON_FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


@dataclass
class Level:
    """One level of the pyramids."""

    resolution_um: tuple[float, float, float]
    annotation: NDArray[Any]
    template: NDArray[Any] | None = None
    hemispheres: NDArray[Any] | None = None


@dataclass
class SmallComponents:
    """An atlas to be written, wrong in whatever way a test needs; its finest level first."""

    name: str = "small_rat"
    version: str = "3.0"
    levels: list[Level] = field(default_factory=lambda: [Level(RESOLUTION_UM, labels())])
    orientation: str = "asr"
    axes: str = ""
    symmetric: bool = True
    tree: tuple[tuple[int, str, int | None], ...] = TREE
    annotation_values: dict[int, int | None] = field(default_factory=dict)
    meshes: dict[int, tuple[NDArray[Any], NDArray[Any]]] | None = None
    additional: dict[str, NDArray[Any]] = field(default_factory=dict)
    chunks: tuple[int, int, int] = (2, 2, 3)
    unit: str | None = "millimeter"
    translations_mm: dict[int, list[float]] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)

    def atlas_name(self, level: int = 0) -> str:
        """The name of the atlas that a level is."""
        return f"{self.name}_{self.levels[level].resolution_um[0]:g}um"

    @property
    def folder(self) -> str:
        """The version as folders are called."""
        return self.version.replace(".", "_")

    def write(self, root: Path) -> Path:
        """Write the components, and the manifest of every level, below `root`; return it."""
        for kind, place in (
            ("template", self._place("templates", "template") + "/template.ome.zarr"),
            ("annotation", self._place("annotation-sets", "annotation") + self._set("annotation")),
            ("hemispheres", self._place("annotation-sets", "annotation") + self._set("sides")),
        ):
            volumes = [self._volume(kind, level) for level in self.levels]
            if None not in [None if v is None else 0 for v in volumes]:
                self._write_pyramid(root / place.lstrip("/"), volumes)
        for name, volume in self.additional.items():
            place = f"templates/{name}/{self.folder}/template.ome.zarr"
            self._write_pyramid(root / place, [volume])
        self._write_terminology(root)
        self._write_meshes(root)
        for level in self.levels:
            self._write_manifest(root, level)
        return root

    def _place(self, kind: str, component: str) -> str:
        return f"/{kind}/{self.name}-{component}/{self.folder}"

    @staticmethod
    def _set(kind: str) -> str:
        stem = {"annotation": "annotations_compressed", "sides": "hemispheres"}[kind]
        return f"/{stem}.ome.zarr"

    def _volume(self, kind: str, level: Level) -> NDArray[Any] | None:
        if kind == "annotation":
            return level.annotation
        if kind == "hemispheres":
            return level.hemispheres
        if level.template is not None:
            return level.template
        return np.arange(level.annotation.size, dtype=np.uint16).reshape(level.annotation.shape)

    def _write_pyramid(self, group: Path, volumes: list[Any]) -> None:
        finest = self.levels[0].resolution_um
        datasets = []
        for number, (level, volume) in enumerate(zip(self.levels, volumes, strict=False)):
            scale = [edge / 1000 for edge in level.resolution_um]
            centred = [(s - f / 1000) / 2 for s, f in zip(scale, finest, strict=True)]
            translation = self.translations_mm.get(number, centred)
            datasets.append(
                {
                    "path": f"s{number}",
                    "coordinateTransformations": [
                        {"type": "scale", "scale": scale},
                        {"type": "translation", "translation": translation},
                    ],
                }
            )
            array = zarr.create_array(
                LocalStore(group / f"s{number}"),
                shape=volume.shape,
                dtype=volume.dtype,
                chunks=self.chunks,
                serializer=BytesCodec(),
                compressors=[ZstdCodec(level=0)],
                fill_value=0,
                dimension_names=["z", "y", "x"],
                zarr_format=3,
            )
            array[...] = volume
        axes = [
            {"name": name, "type": "space"}
            | ({"unit": self.unit} if self.unit else {})
            | {"orientation": {"type": "anatomical", "value": STARTS[letter]}}
            for name, letter in zip("zyx", self.axes or self.orientation, strict=True)
        ]
        image = {"datasets": datasets, "name": "/", "axes": axes}
        ome = {"version": "0.5", "multiscales": [image]}
        content = {"attributes": {"ome": ome}, "zarr_format": 3, "node_type": "group"}
        (group / "zarr.json").write_text(json.dumps(content, indent=2))

    def _write_terminology(self, root: Path) -> None:
        folder = root / self._place("terminologies", "terminology").lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        paths: dict[int | None, list[int]] = {None: []}
        with (folder / "terminology.csv").open("w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(
                [
                    "identifier",
                    "parent_identifier",
                    "annotation_value",
                    "name",
                    "abbreviation",
                    "color_hex_triplet",
                    "root_identifier_path",
                ]
            )
            for structure_id, acronym, parent in self.tree:
                paths[structure_id] = [*paths[parent], structure_id]
                value = self.annotation_values.get(structure_id, structure_id)
                colour = f"#{structure_id % 256:02X}07FF"
                table.writerow(
                    [
                        structure_id,
                        "" if parent is None else parent,
                        "" if value is None else value,
                        f"the structure {acronym}",
                        acronym,
                        colour,
                        str(paths[structure_id]),
                    ]
                )

    def _write_meshes(self, root: Path) -> None:
        place = self._place("annotation-sets", "annotation") + "/annotations.precomputed/mesh"
        folder = root / place.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        meshes = self.meshes
        if meshes is None:
            meshes = {i: (TETRAHEDRON_UM, TETRAHEDRON_FACES) for i, *_ in self.tree}
        info = {
            "@type": "neuroglancer_multilod_draco",
            "vertex_quantization_bits": 16,
            "transform": [1.0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0, 1.0, 0],
            "lod_scale_multiplier": 1.0,
        }
        (folder / "info").write_text(json.dumps(info))
        for structure_id, (vertices, faces) in meshes.items():
            data, index = draco(vertices, faces)
            (folder / str(structure_id)).write_bytes(data)
            (folder / f"{structure_id}.index").write_bytes(index)

    def _write_manifest(self, root: Path, level: Level) -> None:
        def component(kind: str, what: str) -> dict[str, Any]:
            return {
                "name": f"{self.name}-{what}",
                "version": self.version,
                "location": self._place(kind, what),
            }

        template = component("templates", "template")
        terminology = component("terminologies", "terminology")
        annotation = component("annotation-sets", "annotation")
        space = component("coordinate-spaces", "space")
        atlas = f"{self.name}_{level.resolution_um[0]:g}um"
        location = f"atlases/{atlas}/{self.folder}"
        content = {
            "name": self.name,
            "location": f"/{location}",
            "citation": "Someone 2020, doi:10.1/x",
            "atlas_link": "http://localhost",
            "species": "Rattus norvegicus",
            "symmetric": self.symmetric,
            "resolution": list(level.resolution_um),
            "orientation": self.orientation,
            "version": self.version,
            "shape": list(level.annotation.shape),
            "additional_references": [
                {
                    "name": name,
                    "version": self.version,
                    "location": f"/templates/{name}/{self.folder}",
                }
                for name in self.additional
            ],
            "atlas_packager": None,
            "coordinate_space": space | {"template": template},
            "terminology": terminology,
            "annotation_set": annotation | {"template": template, "terminology": terminology},
            "template": template,
        } | self.manifest
        for path, text in (
            (location, content),
            (space["location"].lstrip("/"), space | {"template": template}),
        ):
            (root / path).mkdir(parents=True, exist_ok=True)
            (root / path / "manifest.json").write_text(json.dumps(text, indent=4))
        listing = ConfigParser()
        conf = root / "atlases/last_versions.conf"
        listing.read(conf)
        if not listing.has_section("atlases"):
            listing.add_section("atlases")
        listing["atlases"][atlas] = self.version
        with conf.open("w") as file:
            listing.write(file)


def draco(vertices_um: NDArray[Any], faces: NDArray[Any]) -> tuple[bytes, bytes]:
    """Return a mesh as BrainGlobe's packager writes it, and its index."""
    stored = np.ascontiguousarray(vertices_um[:, ::-1] * 1000, dtype=np.float32)
    origin = stored.min(axis=0)
    extent = float((stored.max(axis=0) - origin).max())
    data = DracoPy.encode(
        stored,
        np.ascontiguousarray(faces[:, ::-1], dtype=np.uint32),
        quantization_bits=16,
        compression_level=0,
        quantization_range=extent,
        quantization_origin=origin.tolist(),
    )
    index = struct.pack("<6fI", extent, extent, extent, *origin, 1)
    index += struct.pack("<f3fI", extent, 0, 0, 0, 1)
    return data, index + struct.pack("<3II", 0, 0, 0, len(data))
