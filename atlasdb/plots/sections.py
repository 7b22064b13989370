"""Planes of an atlas: which there are, where they lie, and the arrays that are seen in them.

The one idea: a section is an axis to look along and the two axes of the picture, its rows and its
columns; a plane is that axis at one index, read from the memory-mapped volumes and nothing else of
them. The picture's coordinates are the atlas's own, so that whatever is drawn over a plane (points,
outlines, a scale bar) needs no transformation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import (
    LookupFailedError,
    NoVoxelsError,
    OutsideError,
    PictureError,
    did_you_mean,
    listing,
)
from atlasdb.voxels.ranks import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from atlasdb.voxels import AtlasVoxels
    from atlasdb.voxels.grid import Grid
    from atlasdb.voxels.ranks import Structure

AXIS_NAMES = ("AP", "SI", "RL")
SIDES = (("A", "P"), ("S", "I"), ("R", "L"))
"""Where each axis begins and where it ends: of 'asr', which every atlas in a home is turned to."""


@dataclass(frozen=True)
class Section:
    """A way to cut the volume.

    Attributes
    ----------
    name
        'frontal', 'horizontal' or 'sagittal', as brainglobe-space calls them.
    axis
        The axis that is looked along: 0 is AP, 1 SI, 2 RL.
    rows, columns
        The axes that run down and along the picture.
    """

    name: str
    axis: int
    rows: int
    columns: int

    def extent_mm(self, grid: Grid) -> tuple[float, float]:
        """Return the height and the width of the whole plane, mm."""
        return grid.extent_um[self.rows] / 1e3, grid.extent_um[self.columns] / 1e3

    def of(self, volume: NDArray[Any], index: int) -> NDArray[Any]:
        """Return a plane of a volume as (rows, columns): a view, of a mapped file too."""
        window: list[slice | int] = [slice(None)] * 3
        window[self.axis] = index
        plane = volume[tuple(window)]
        return plane if self.rows < self.columns else plane.T


SECTIONS = {
    section.name: section
    for section in (
        Section("frontal", axis=0, rows=1, columns=2),
        Section("horizontal", axis=1, rows=0, columns=2),
        Section("sagittal", axis=2, rows=1, columns=0),
    )
}


def section_named(name: str) -> Section:
    """Return a section by its name.

    Raises
    ------
    LookupFailedError
        There is none of this name.
    """
    if name not in SECTIONS:
        raise LookupFailedError(
            f"no section {name!r}{did_you_mean(name, SECTIONS)}; there are {listing(SECTIONS)}"
        )
    return SECTIONS[name]


@dataclass(frozen=True)
class Plane:
    """One plane of an atlas.

    Attributes
    ----------
    section
        Which way it cuts.
    at_um
        Where it lies along the section's axis, microns.
    index
        The voxel there.
    ranks
        (rows, columns) unsigned integers: 0 background, 1…n structures, above labels without one.
    sides
        (rows, columns) uint8, the hemispheres: 1 left, 2 right, 0 neither.
    grey
        (rows, columns) the reference's values; None where there is none.
    spacing_mm
        Height and width of a voxel in the picture.
    """

    section: Section
    at_um: float
    index: int
    ranks: NDArray[Any]
    sides: NDArray[np.uint8]
    grey: NDArray[Any] | None
    spacing_mm: tuple[float, float]

    @property
    def extent_mm(self) -> tuple[float, float]:
        """The height and the width of the plane, mm."""
        rows, columns = self.ranks.shape
        return rows * self.spacing_mm[0], columns * self.spacing_mm[1]

    @property
    def position(self) -> str:
        """Where the plane lies, for people: 'AP 5.4 mm'."""
        return f"{AXIS_NAMES[self.section.axis]} {self.at_mm} mm"

    @property
    def at_mm(self) -> str:
        """The position in mm, to a tenth of a micron."""
        return f"{self.at_um / 1e3:.4f}".rstrip("0").rstrip(".")


def read_plane(
    voxels: AtlasVoxels, section: Section, at_um: float, *, reference: NDArray[Any] | None = None
) -> Plane:
    """Read one plane, and nothing but it, from an atlas's mapped volumes.

    Parameters
    ----------
    voxels
        The atlas.
    section
        Which way to cut.
    at_um
        Where, in microns along the section's axis.
    reference
        The grey volume; None for none.

    Raises
    ------
    OutsideError
        The plane lies outside the volume.
    """
    index = index_at(voxels, section, at_um)
    ranks = np.array(section.of(voxels.ranks, index))  # copies: no plane keeps a volume in memory
    refuse_unknown(ranks, voxels.rank_table.size)
    resolution = voxels.grid.resolution_um
    return Plane(
        section=section,
        at_um=at_um,
        index=index,
        ranks=ranks,
        sides=np.array(section.of(voxels.hemispheres, index)),
        grey=None if reference is None else np.array(section.of(reference, index)),
        spacing_mm=(resolution[section.rows] / 1e3, resolution[section.columns] / 1e3),
    )


def index_at(voxels: AtlasVoxels, section: Section, at_um: float) -> int:
    """Return the index of the plane at a position: voxel i covers [i·r, (i + 1)·r).

    Raises
    ------
    OutsideError
        It lies outside the volume, or is no number.
    """
    length = voxels.grid.extent_um[section.axis]
    edge = voxels.grid.resolution_um[section.axis]
    at_voxel = at_um / edge if math.isfinite(at_um) else -1.0
    if not 0 <= at_voxel < voxels.grid.shape[section.axis]:
        raise OutsideError(
            f"no {section.name} plane at {at_um:g} µm: {voxels.name} goes from 0 to "
            f"{length:g} µm along {AXIS_NAMES[section.axis]} (the far face is outside)"
        )
    return math.floor(at_voxel)


def chosen_positions(
    voxels: AtlasVoxels,
    section: Section,
    *,
    at_um: float | Sequence[float] | None = None,
    planes: int | None = None,
    structures: Sequence[Structure] | None = None,
) -> list[float]:
    """Return where planes lie along a section's axis, microns.

    Parameters
    ----------
    voxels
        The atlas.
    section
        Which way it is cut.
    at_um
        These positions.
    planes
        Or so many, evenly through the structures (by default through all that has a label).
    structures
        Without either, the one plane that shows most of these structures (which is looked for in
        their bounds); without them, too, the middle of the volume.

    Raises
    ------
    PictureError
        Both positions and a number, or no plane at all, or more than there are voxels.
    OutsideError
        A position outside the volume.
    """
    if at_um is not None and planes is not None:
        raise PictureError("choose positions or a number of planes, not both")
    if at_um is not None:
        try:
            given = np.atleast_1d(np.asarray(at_um, dtype=np.float64)).ravel().tolist()
        except (TypeError, ValueError) as error:
            raise PictureError(f"a plane lies at a number of microns, not at {at_um!r}") from error
        if not given:
            raise PictureError("there is no plane to be shown: name a position")
        for position in given:
            index_at(voxels, section, position)
        return given
    if planes is not None:
        first, end = reach_um(voxels, section.axis, structures)
        most = round((end - first) / voxels.grid.resolution_um[section.axis])
        if not 1 <= planes <= most:
            raise PictureError(
                f"{planes} {section.name} planes: there are 1 to {most} voxels to choose from"
            )
        edges = np.linspace(first, end, planes + 1)
        return [_centre(voxels, section, at) for at in ((edges[1:] + edges[:-1]) / 2).tolist()]
    if structures:
        crop = voxels.cropped_mask(list(structures))
        others = tuple(axis for axis in range(3) if axis != section.axis)
        seen = crop.mask.sum(axis=others)
        edge = voxels.grid.resolution_um[section.axis]
        return [(crop.offset[section.axis] + int(seen.argmax()) + 0.5) * edge]
    return [_centre(voxels, section, voxels.grid.extent_um[section.axis] / 2)]


def reach_um(
    voxels: AtlasVoxels, axis: int, structures: Sequence[Structure] | None
) -> tuple[float, float]:
    """Return where structures begin and end along an axis, microns.

    Parameters
    ----------
    voxels
        The atlas.
    axis
        0 is AP, 1 SI, 2 RL.
    structures
        Acronyms or ids; by default all that is labelled (the whole volume, if there are labels that
        no structure has, since nobody measured where these are).

    Raises
    ------
    NoVoxelsError
        They have no voxels.
    """
    table = voxels.rank_table
    if not structures and table.orphans.size:
        return 0.0, voxels.grid.extent_um[axis]
    ranks = table.ranks_of(list(structures or [table.structures.hierarchy.root_id]))
    bounds = voxels.bounds
    has_voxels = bounds.voxels[0, ranks - 1] > 0
    if not has_voxels.any():
        named = listing(structures or ["the root"])
        raise NoVoxelsError(f"{named} of {voxels.name} has no voxels to be shown")
    edge = voxels.grid.resolution_um[axis]
    kept = ranks[has_voxels] - 1
    first = bounds.first[0, kept, axis].min()
    end = bounds.end[0, kept, axis].max()
    return float(first * edge), float(end * edge)


def _centre(voxels: AtlasVoxels, section: Section, at_um: float) -> float:
    """Return the centre of the voxel in which a position lies."""
    edge = voxels.grid.resolution_um[section.axis]
    return (index_at(voxels, section, at_um) + 0.5) * edge
