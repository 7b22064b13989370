"""Small atlases for tests: never cubic, never isotropic, and written as genuine TIFF packages."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SHAPE = (4, 3, 7)
RESOLUTION_UM = (50.0, 20.0, 10.0)

# id, acronym, parent; ids over 16 and 32 bits, CM and cm, an all-digit acronym, slash and comma.
TREE: tuple[tuple[int, str, int | None], ...] = (
    (997, "root", None),
    (8, "grey", 997),
    (70_000, "CM", 8),
    (5_000_000_000, "VISp2/3", 70_000),
    (12, "cm", 8),
    (13, "CUL4, 5", 997),
    (14, "10", 13),
)

TETRAHEDRON = "v 0 0 0\nv 10 0 0\nv 0 10 0\nv 0 0 10\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"


def structure(structure_id: int, acronym: str, path: list[int]) -> dict[str, Any]:
    """Return an entry of structures.json."""
    return {
        "acronym": acronym,
        "id": structure_id,
        "name": f"the structure {acronym}",
        "structure_id_path": path,
        "rgb_triplet": [structure_id % 256, 7, 255],
    }


def structures(tree: tuple[tuple[int, str, int | None], ...] = TREE) -> list[dict[str, Any]]:
    """Return structures.json of a tree whose parents come before their children."""
    paths: dict[int | None, list[int]] = {None: []}
    for structure_id, _, parent in tree:
        paths[structure_id] = [*paths[parent], structure_id]
    return [structure(i, acronym, paths[i]) for i, acronym, _ in tree]


def labels(seed: int = 0) -> NDArray[np.uint32]:
    """Return a label volume in which every structure that fits 32 bits has voxels."""
    values = np.array([0, 997, 8, 70_000, 12, 13, 14], dtype=np.uint32)
    volume = np.random.default_rng(seed).choice(values, size=SHAPE)
    volume.reshape(-1)[: values.size] = values
    return volume


@dataclass
class SmallAtlas:
    """A package to be written, wrong in whatever way a test needs."""

    name: str = "small_rat"
    version: str = "1.0"
    annotation: NDArray[Any] = field(default_factory=labels)
    resolution_um: tuple[float, float, float] = RESOLUTION_UM
    orientation: str = "asr"
    symmetric: bool = True
    structures: list[dict[str, Any]] = field(default_factory=structures)
    volumes: dict[str, NDArray[Any]] = field(default_factory=dict)
    meshes: dict[str, str] = field(default_factory=dict)
    additional_references: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def folder_name(self) -> str:
        along_ap = next(n for n, side in enumerate(self.orientation) if side in "ap")
        return f"{self.name}_{self.resolution_um[along_ap]:g}um_v{self.version}"

    @property
    def atlas_name(self) -> str:
        return self.folder_name.rpartition("_v")[0]

    def write(self, parent: Path) -> Path:
        """Write the package below `parent` and return its folder."""
        folder = parent / self.folder_name
        (folder / "meshes").mkdir(parents=True)
        metadata = {
            "name": self.name,
            "citation": "Someone 2020, doi:10.1/x",
            "atlas_link": "http://localhost",
            "species": "Rattus norvegicus",
            "symmetric": self.symmetric,
            "resolution": list(self.resolution_um),
            "orientation": self.orientation,
            "version": self.version,
            "shape": list(self.annotation.shape),
            "additional_references": self.additional_references,
        } | self.metadata
        (folder / "metadata.json").write_text(json.dumps(metadata))
        (folder / "structures.json").write_text(json.dumps(self.structures))
        reference = np.arange(self.annotation.size, dtype=np.uint16)
        volumes = {
            "annotation": self.annotation,
            "reference": reference.reshape(self.annotation.shape),
        }
        for kind, volume in (volumes | self.volumes).items():
            tifffile.imwrite(folder / f"{kind}.tiff", volume, photometric="minisblack")
        every = {str(entry["id"]): TETRAHEDRON for entry in self.structures}
        for stem, text in (self.meshes or every).items():
            (folder / "meshes" / f"{stem}.obj").write_text(text)
        return folder

    def archive(self, parent: Path) -> Path:
        """Write the package and pack it as BrainGlobe does; return the archive."""
        folder = self.write(parent / "unpacked")
        target = parent / f"{self.folder_name}.tar.gz"
        with tarfile.open(target, "w:gz") as tar:
            tar.add(folder, folder.name)
        return target
