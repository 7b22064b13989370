"""The built-in phantom: an atlas made of solids, so that every answer about it is known in advance.

The one idea: a structure is a box or an ellipsoid, or a left and right pair of them, in microns;
a voxel bears the innermost solid that contains its centre. Volumes, centroids and meshes then have
closed forms, and whatever atlasdb computes from the voxels can be held against them. Names, ids
and nesting are those of the Allen mouse atlas; the shapes are nobody's brain.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from atlasdb.errors import SourceError
from atlasdb.names import AtlasName, Version
from atlasdb.runs import LEFT, NEITHER, RIGHT
from atlasdb.sources.base import EVERYTHING, Fetched, Progress, Provenance, Selection
from atlasdb.sources.package import FORMAT, TiffPackage, open_package
from atlasdb.space import STANDARD, Reorientation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

NOMINAL_UM = (13_200.0, 8_000.0, 11_400.0)
"""The extent (AP, SI, RL) in which the solids are given; other extents scale them."""

_STACKS, _SLICES = 12, 24
_SWELLING = 1.2  # of the left caudoputamen across AP, in the asymmetric variant
_TILT = 0.04  # of its hemispheres' border, as a fraction of the width from front to back

# Each structure: id, acronym, name, parent's id, colour; then its solid, if it has one of its own:
# shape, centre (AP, SI, distance from the midline; 0 = one solid across it) and half axes, in µm.
_STRUCTURES: tuple[tuple[Any, ...], ...] = (
    (997, "root", "root", None, "ffffff", "ellipsoid", (6600, 4000, 0), (6300, 3800, 5500)),
    (8, "grey", "Basic cell groups and regions", 997, "bfdae3"),
    (567, "CH", "Cerebrum", 8, "b0f0ff"),
    (688, "CTX", "Cerebral cortex", 567, "b0ffb8"),
    (695, "CTXpl", "Cortical plate", 688, "70ff70"),
    (315, "Isocortex", "Isocortex", 695, "70ff71"),
    (669, "VIS", "Visual areas", 315, "08858c"),
    (385, "VISp", "Primary visual area", 669, "08858c"),
    (593, "VISp1", "Primary visual area, layer 1", 385, "0a8a91",
     "box", (9300, 1850, 2100), (500, 50, 600)),
    (821, "VISp2/3", "Primary visual area, layer 2/3", 385, "0c8f96",
     "box", (9300, 2050, 2100), (500, 150, 600)),
    (721, "VISp4", "Primary visual area, layer 4", 385, "0e949b",
     "box", (9300, 2250, 2100), (500, 50, 600)),
    (778, "VISp5", "Primary visual area, layer 5", 385, "1099a0",
     "box", (9300, 2400, 2100), (500, 100, 600)),
    (33, "VISp6a", "Primary visual area, layer 6a", 385, "129ea5",
     "box", (9300, 2550, 2100), (500, 50, 600)),
    (305, "VISp6b", "Primary visual area, layer 6b", 385, "14a3aa",
     "box", (9300, 2650, 2100), (500, 50, 600)),
    (22, "PTLp", "Posterior parietal association areas", 315, "009fac"),
    (312782546, "VISa", "Anterior area", 22, "009fac",
     "box", (8100, 2100, 2000), (500, 400, 500)),
    (1089, "HPF", "Hippocampal formation", 695, "7ed04b"),
    (1080, "HIP", "Hippocampal region", 1089, "7ed04b"),
    (375, "CA", "Ammon's horn", 1080, "7ed04b"),
    (382, "CA1", "Field CA1", 375, "7ed04b", "ellipsoid", (8600, 3200, 2900), (500, 300, 600)),
    (463, "CA3", "Field CA3", 375, "7ed04b", "ellipsoid", (7400, 3400, 2600), (400, 300, 500)),
    (623, "CNU", "Cerebral nuclei", 567, "98d6f9"),
    (477, "STR", "Striatum", 623, "98d6f9"),
    (485, "STRd", "Striatum dorsal region", 477, "98d6f9"),
    (672, "CP", "Caudoputamen", 485, "98d6f9",
     "ellipsoid", (5000, 4200, 2500), (1400, 1200, 900)),
    (803, "PAL", "Pallidum", 623, "8599cc", "box", (6900, 5100, 2400), (400, 500, 500)),
    (818, "PALd", "Pallidum, dorsal region", 803, "8599cc"),
    (1022, "GPe", "Globus pallidus, external segment", 818, "8599cc",
     "ellipsoid", (6900, 5100, 2400), (300, 400, 400)),
    (343, "BS", "Brain stem", 8, "ff7080"),
    (1129, "IB", "Interbrain", 343, "ff7080"),
    (549, "TH", "Thalamus", 1129, "ff7080", "ellipsoid", (7000, 4100, 0), (1000, 800, 1600)),
    (170, "LGd", "Dorsal part of the lateral geniculate complex", 549, "ff8084",
     "box", (7300, 4100, 1050), (200, 200, 150)),
    (599, "CM", "Central medial nucleus of the thalamus", 549, "ff909f",
     "box", (7000, 4100, 0), (300, 100, 300)),
    (1097, "HY", "Hypothalamus", 1129, "e64438",
     "ellipsoid", (7000, 6100, 0), (900, 600, 1000)),
    (313, "MB", "Midbrain", 343, "ff64ff", "box", (9400, 4200, 0), (500, 800, 1300)),
    (302, "SCs", "Superior colliculus, sensory related", 313, "ff7aff",
     "box", (9300, 3650, 600), (300, 150, 400)),
    (795, "PAG", "Periaqueductal gray", 313, "ff90ff",
     "ellipsoid", (9400, 4400, 0), (400, 400, 500)),
    (512, "CB", "Cerebellum", 8, "f0f080", "ellipsoid", (11000, 3300, 0), (800, 800, 2200)),
    (519, "CBN", "Cerebellar nuclei", 512, "e0e050",
     "ellipsoid", (11000, 3500, 1000), (300, 250, 400)),
    (1009, "fiber tracts", "fiber tracts", 997, "cccccc"),
    (967, "cm", "cranial nerves", 1009, "cccccc", "box", (7600, 6950, 600), (1000, 50, 100)),
    (776, "cc", "corpus callosum", 1009, "cccccc", "box", (6600, 2700, 0), (1600, 100, 1400)),
    (73, "VS", "ventricular systems", 997, "aaaaaa"),
    (81, "VL", "lateral ventricle", 73, "aaaaaa", "ellipsoid", (5200, 3600, 900), (900, 400, 350)),
    (129, "V3", "third ventricle", 73, "aaaaaa", "box", (6900, 5200, 0), (700, 200, 100)),
)  # fmt: skip


@dataclass(frozen=True)
class Solid:
    """A box or an ellipsoid with its axes along the atlas's.

    Attributes
    ----------
    shape
        'box' or 'ellipsoid'.
    centre
        AP, SI, RL, microns.
    half
        Half of its extent along each axis, microns.
    """

    shape: str
    centre: tuple[float, float, float]
    half: tuple[float, float, float]

    @property
    def volume_mm3(self) -> float:
        """8abc of a box, 4/3 π abc of an ellipsoid with half axes a, b, c."""
        factor = 8.0 if self.shape == "box" else 4.0 / 3.0 * math.pi
        return factor * math.prod(self.half) / 1e9

    def contains(self, points_um: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which (..., 3) points lie inside; a box takes its lower faces in."""
        relative = (points_um - np.array(self.centre)) / np.array(self.half)
        if self.shape == "box":
            return np.asarray(((relative >= -1) & (relative < 1)).all(axis=-1))
        return np.asarray((relative**2).sum(axis=-1) < 1)

    def mesh(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return vertices (V, 3) in microns and triangles (T, 3), facing outwards.

        A box has 8 and 12; an ellipsoid is cut into 12 stacks of 24 slices: 266 and 528.
        """
        unit, triangles = _unit_box() if self.shape == "box" else _unit_sphere()
        return unit * np.array(self.half) + np.array(self.centre), triangles


@dataclass(frozen=True)
class PhantomStructure:
    """A structure of the phantom.

    Attributes
    ----------
    structure_id, acronym, name
        As in the Allen mouse atlas.
    path
        Ids from the root to the structure.
    rgb
        Its colour.
    solids
        What its subtree fills: its own solid or pair, which then contains its descendants', else
        the disjoint solids of its children.
    """

    structure_id: int
    acronym: str
    name: str
    path: tuple[int, ...]
    rgb: tuple[int, int, int]
    solids: tuple[Solid, ...]

    @property
    def volume_mm3(self) -> float:
        """The subtree's volume by formula."""
        return sum(solid.volume_mm3 for solid in self.solids)

    @property
    def centroid_um(self) -> tuple[float, ...]:
        """The subtree's centre of mass (AP, SI, RL) by formula, microns."""
        weights = [solid.volume_mm3 for solid in self.solids]
        centres = [solid.centre for solid in self.solids]
        return tuple(np.average(centres, axis=0, weights=weights).tolist())


@dataclass(frozen=True)
class Phantom:
    """A phantom atlas: which grid it is sampled on, and how it departs from the plain one.

    Attributes
    ----------
    name
        Without the resolution.
    resolution_um
        Edge of a voxel along AP, SI, RL.
    shape
        Voxels along AP, SI, RL; the solids are scaled to fill the volume.
    symmetric
        False: the left caudoputamen is larger, and a hemisphere volume gives a tilted border.
    orientation
        How volumes and meshes are written.
    version
        The package's version.
    """

    name: str = "phantom_mouse"
    resolution_um: tuple[float, float, float] = (100.0, 100.0, 100.0)
    shape: tuple[int, int, int] = (132, 80, 114)
    symmetric: bool = True
    orientation: str = STANDARD
    version: Version = field(default=Version(1, 0))

    @property
    def atlas_name(self) -> str:
        """The name with the resolution of axis 0."""
        return f"{self.name}_{self.resolution_um[0]:g}um"

    @property
    def extent_um(self) -> tuple[float, float, float]:
        """The volume's extent along AP, SI, RL."""
        n, r = self.shape, self.resolution_um
        return n[0] * r[0], n[1] * r[1], n[2] * r[2]

    @cached_property
    def structures(self) -> tuple[PhantomStructure, ...]:
        """The structures in the source's order, which is depth-first."""
        paths: dict[int | None, tuple[int, ...]] = {None: ()}
        own: dict[int, tuple[Solid, ...]] = {}
        for structure_id, _, _, parent, _, *solid in _STRUCTURES:
            paths[structure_id] = (*paths[parent], structure_id)
            own[structure_id] = tuple(self._placed(structure_id, *solid)) if solid else ()
        solids = dict(own)
        for structure_id, _, _, parent, *_ in reversed(_STRUCTURES):
            if parent is not None and not own[parent]:
                solids[parent] = solids[structure_id] + solids[parent]
        return tuple(
            PhantomStructure(
                structure_id=structure_id,
                acronym=acronym,
                name=name,
                path=paths[structure_id],
                rgb=(int(colour[:2], 16), int(colour[2:4], 16), int(colour[4:], 16)),
                solids=solids[structure_id],
            )
            for structure_id, acronym, name, _, colour, *_ in _STRUCTURES
        )

    def _placed(
        self,
        structure_id: int,
        shape: str,
        centre: tuple[float, float, float],
        half: tuple[float, float, float],
    ) -> Iterator[Solid]:
        """Yield a structure's one solid, or its right and its left, scaled to the volume."""
        scale = [
            extent / nominal for extent, nominal in zip(self.extent_um, NOMINAL_UM, strict=True)
        ]
        ap, si, lateral = (c * s for c, s in zip(centre, scale, strict=True))
        size = (half[0] * scale[0], half[1] * scale[1], half[2] * scale[2])
        middle = self.extent_um[2] / 2
        for side in (-1, 1) if lateral else (0,):
            swollen = side > 0 and not self.symmetric and structure_id == 672  # noqa: PLR2004 (CP)
            factor = _SWELLING if swollen else 1.0
            axes = (size[0], size[1] * factor, size[2] * factor)
            yield Solid(shape, (ap, si, middle + side * lateral), axes)

    def annotation(self) -> NDArray[np.uint32]:
        """Return the label volume, 'asr': each voxel the innermost solid that has its centre."""
        labels = np.zeros(self.shape, dtype=np.uint32)
        own = {structure_id for structure_id, _, _, _, _, *solid in _STRUCTURES if solid}
        for structure in self.structures:
            for solid in structure.solids if structure.structure_id in own else ():
                window = self._window(solid)
                labels[window][solid.contains(self._centres(window))] = structure.structure_id
        return labels

    def hemispheres(self) -> NDArray[np.uint8]:
        """Return 1 left, 2 right of a border that tilts from front to back; 0 outside the root."""
        everything = (slice(0, self.shape[0]), slice(0, self.shape[1]), slice(0, self.shape[2]))
        centres = self._centres(everything)
        ap, rl = (centres[..., axis] / self.extent_um[axis] for axis in (0, 2))
        sides = np.where(rl < 0.5 + _TILT * (ap - 0.5), RIGHT, LEFT)
        return np.where(self.annotation() > 0, sides, NEITHER).astype(np.uint8)

    def reference(self) -> NDArray[np.uint16]:
        """Return a grey-level volume: a tone for each structure under a slow wave."""
        labels = self.annotation()
        values, index = np.unique(labels, return_inverse=True)
        tones = np.where(values == 0, 0, 4000 + values.astype(np.int64) % 97 * 250)
        waves = [np.sin(np.linspace(0, 6, n)).reshape(-1, 1, 1) for n in self.shape]
        wave = waves[0] + waves[1].transpose(1, 0, 2) + waves[2].transpose(1, 2, 0)
        grey = tones[index].reshape(self.shape) * (1 + wave / 20)
        return grey.astype(np.uint16)

    def write_package(self, parent: Path) -> Path:
        """Write a BrainGlobe TIFF package below the folder `parent` and return its folder."""
        folder = parent / f"{self.atlas_name}_v{self.version}"
        (folder / "meshes").mkdir(parents=True)
        turn = Reorientation.between(STANDARD, self.orientation)
        reference = self.reference()
        volumes: dict[str, NDArray[Any]] = {
            "annotation": self.annotation(),
            "reference": reference,
            "nissl": (reference.max() - reference) // 2,
        }
        if not self.symmetric:
            volumes["hemispheres"] = self.hemispheres()
        for kind, volume in volumes.items():
            turned = np.ascontiguousarray(turn.volume(volume))
            tifffile.imwrite(folder / f"{kind}.tiff", turned, photometric="minisblack")
        for structure in self.structures:
            path = folder / "meshes" / f"{structure.structure_id}.obj"
            path.write_text(self._obj(structure, turn), "ascii")
        _write_json(folder / "metadata.json", self._metadata(turn))
        _write_json(folder / "structures.json", self._structures_json())
        return folder

    def _window(self, solid: Solid) -> tuple[slice, slice, slice]:
        """Return the voxels among which the solid lies."""
        bounds = []
        for centre, half, edge, n in zip(
            solid.centre, solid.half, self.resolution_um, self.shape, strict=True
        ):
            first, last = math.floor((centre - half) / edge), math.ceil((centre + half) / edge)
            bounds.append(slice(max(0, first), min(n, last)))
        return bounds[0], bounds[1], bounds[2]

    def _centres(self, window: tuple[slice, slice, slice]) -> NDArray[np.float64]:
        """Return the voxel centres of a window, (…, 3) microns."""
        axes = [
            (np.arange(part.start, part.stop) + 0.5) * edge
            for part, edge in zip(window, self.resolution_um, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)

    def _obj(self, structure: PhantomStructure, turn: Reorientation) -> str:
        """Return the structure's solids as one OBJ file, in the package's axis order."""
        lines, offset = [], 1
        faces = []
        for solid in structure.solids:
            vertices, triangles = solid.mesh()
            turned = turn.points(vertices, self.extent_um)
            if turn.mirrors:
                triangles = triangles[:, ::-1]
            lines += [f"v {x:.3f} {y:.3f} {z:.3f}\n" for x, y, z in turned.tolist()]
            faces += [f"f {a} {b} {c}\n" for a, b, c in (triangles + offset).tolist()]
            offset += len(vertices)
        return "".join(lines + faces)

    def _metadata(self, turn: Reorientation) -> dict[str, Any]:
        return {
            "name": self.name,
            "citation": "unpublished: a phantom made of boxes and ellipsoids",
            "atlas_link": "built into atlasdb",
            "species": "Mus musculus",
            "symmetric": self.symmetric,
            "resolution": list(turn.permute(self.resolution_um)),
            "orientation": self.orientation,
            "version": str(self.version),
            "shape": list(turn.permute(self.shape)),
            "additional_references": ["nissl"],
        }

    def _structures_json(self) -> list[dict[str, Any]]:
        return [
            {
                "acronym": structure.acronym,
                "id": structure.structure_id,
                "name": structure.name,
                "structure_id_path": list(structure.path),
                "rgb_triplet": list(structure.rgb),
            }
            for structure in self.structures
        ]


_PLAIN = Phantom()
PHANTOMS = {
    phantom.atlas_name: phantom
    for phantom in (
        _PLAIN,
        replace(
            _PLAIN,
            name="phantom_anisotropic_mouse",
            resolution_um=(200.0, 100.0, 50.0),
            shape=(66, 80, 228),
        ),
        replace(_PLAIN, name="phantom_asymmetric_mouse", symmetric=False),
        replace(_PLAIN, name="phantom_odd_mouse", shape=(131, 79, 113)),
    )
}
"""The phantoms that can be ingested by name."""


@dataclass(frozen=True)
class PhantomOrigin:
    """A phantom, made when it is opened.

    Attributes
    ----------
    phantom
        Which.
    """

    phantom: Phantom

    @property
    def description(self) -> str:
        """Say that nothing is fetched."""
        return "the built-in phantom"

    @property
    def expected(self) -> AtlasName:
        """The phantom's name and version."""
        return AtlasName(self.phantom.atlas_name, self.phantom.version)

    def open(
        self,
        staging: Path,
        progress: Progress,
        selection: Selection = EVERYTHING,  # noqa: ARG002 (made as a whole)
    ) -> TiffPackage:
        """Write the package into `staging` and open it, as any other."""
        progress.step(f"making {self.phantom.atlas_name}")
        folder = self.phantom.write_package(staging)
        provenance = Provenance(f"phantom:{self.phantom.atlas_name}", FORMAT)
        return open_package(folder, provenance, owns_files=True)

    def clean_up(self) -> None:
        """Leave everything: nothing was kept."""

    def meshes(self, structure_ids: Iterable[int], staging: Path, progress: Progress) -> Fetched:
        """Make the phantom again, and return the meshes that are wanted."""
        made, wanted = self.open(staging, progress).meshes, set(structure_ids)
        return Fetched({i: path for i, path in made.items() if i in wanted})


def origin(name: AtlasName) -> PhantomOrigin | None:
    """Return the phantom of this name, None if the name is not a phantom's."""
    phantom = PHANTOMS.get(name.name)
    if phantom is None:
        return None
    if name.version not in (None, phantom.version):
        raise SourceError(f"{name}: the built-in phantom has version {phantom.version} only")
    return PhantomOrigin(phantom)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1), "utf-8")


def _unit_box() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the cube from -1 to 1."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    return corners, np.array([t for a, b, c, d in quads for t in ([a, b, c], [a, c, d])])


def _unit_sphere() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the unit sphere cut along latitudes and longitudes."""
    polar = np.arange(1, _STACKS) * np.pi / _STACKS
    azimuth = np.arange(_SLICES) * 2 * np.pi / _SLICES
    ring = np.stack(
        [
            np.outer(np.sin(polar), np.cos(azimuth)),
            np.outer(np.sin(polar), np.sin(azimuth)),
            np.outer(np.cos(polar), np.ones_like(azimuth)),
        ],
        axis=-1,
    ).reshape(-1, 3)
    vertices = np.concatenate([[[0, 0, 1]], ring, [[0, 0, -1]]])
    here = np.arange(_SLICES)
    right = (here + 1) % _SLICES
    last = len(vertices) - 1
    triangles = [np.stack([np.zeros_like(here), 1 + here, 1 + right], axis=1)]
    for stack in range(_STACKS - 2):
        upper, lower = 1 + stack * _SLICES, 1 + (stack + 1) * _SLICES
        triangles.append(np.stack([upper + here, lower + here, upper + right], axis=1))
        triangles.append(np.stack([upper + right, lower + here, lower + right], axis=1))
    bottom = 1 + (_STACKS - 2) * _SLICES
    triangles.append(np.stack([bottom + here, np.full_like(here, last), bottom + right], axis=1))
    return vertices, np.concatenate(triangles)
