"""Slices: the structures of an atlas in a plane, in its colours over the reference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

import numpy as np

from atlasdb.errors import PictureError
from atlasdb.plots.looks import LookWords, look_of
from atlasdb.plots.picture import Picture
from atlasdb.plots.regions import find_regions, grey_levels
from atlasdb.plots.sections import chosen_positions, reach_um, read_plane, section_named
from atlasdb.plots.sheets import Sheet
from atlasdb.plots.style import need_matplotlib
from atlasdb.plots.views import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from atlasdb.atlas import Atlas
    from atlasdb.plots.regions import Regions
    from atlasdb.plots.sections import Plane, Section
    from atlasdb.voxels import AtlasVoxels
    from atlasdb.voxels.ranks import Structure

PlanePositions = float | list[float] | tuple[float, ...] | None

NO_REFERENCE = "none"
"""The name by which no reference is asked for."""

_MARGIN = 0.08


def plot_slice(
    atlas: Atlas | AtlasVoxels,
    section: str = "frontal",
    *,
    at_um: PlanePositions = None,
    planes: int | None = None,
    structures: Structure | Sequence[Structure] | None = None,
    depth: int | None = None,
    opacity: float = 0.5,
    reference: str | None = None,
    zoom: bool = False,
    **look: Unpack[LookWords],
) -> Picture:
    """Draw the structures of an atlas in one plane or several.

    Parameters
    ----------
    atlas
        The atlas: `Database.atlas` or `Database.voxels`.
    section
        'frontal' (rows SI, columns RL), 'horizontal' (rows AP, columns RL) or 'sagittal' (rows SI,
        columns AP), as brainglobe-space names them.
    at_um
        Where along the axis that is looked along, microns from the volume's corner; several make a
        sheet. By default the plane that shows most of `structures`, or the middle of the volume.
    planes
        So many planes instead, evenly through the structures or the brain.
    structures
        Colour, outline and name these only: acronyms or ids.
    depth
        Steps from the root: deeper structures are shown as their ancestor there.
    opacity
        Of the colours, from 0 (the reference alone) to 1 (the atlas's colours as they are).
    reference
        The grey volume: 'reference' by default if there is one, an additional reference's name, or
        'none'.
    zoom
        Show no more than the structures and a margin.
    **look
        ``dark`` (False), ``width_mm`` (120), ``title``, ``outlines``, ``names`` and ``inset``
        (True), ``smooth`` (False: outlines run exactly between voxels), ``mirrored`` (False: axis
        RL runs from right to left, as in the volume; mirrored, the picture is turned round, so that
        in sagittal planes anterior is at the right).

    Returns
    -------
    Picture
        Coordinates of its axes are the atlas's, in mm.

    Raises
    ------
    OutsideError
        A plane outside the volume.
    UnknownStructureError, AmbiguousAcronymError, UnknownDepthError, NoVoxelsError
        There is no such structure or depth, or nothing of it in the volume.
    LookupFailedError
        There is no such section or reference.
    PictureError
        An opacity, a width or a number of planes that cannot be drawn.
    MissingPackageError
        matplotlib is not installed.

    Examples
    --------
    >>> import atlasdb, tempfile
    >>> db = atlasdb.connect(tempfile.mkdtemp())
    >>> _ = db.ingest("phantom_mouse_100um")
    >>> plot_slice(db.atlas("phantom_mouse_100um"), "sagittal", at_um=3200, structures=["CP"])
    <atlasdb.plots.Picture: sagittal plane at RL 3.2 mm of phantom_mouse_100um@1.0: 1 structure, \
1 of them named>
    """
    need_matplotlib()
    voxels = voxels_of(atlas)
    style = look_of(look)
    named = several(structures)
    regions = find_regions(voxels, structures=named, depth=depth)
    shown = read_planes(
        voxels,
        section,
        at_um=at_um,
        planes=planes,
        structures=named,
        zoom=zoom,
        reference=reference,
        flat=style.theme.flat,
    )
    views = shown.views(regions, regions.rgba(opacity))
    sheet = Sheet(voxels, views, style, shown.window_mm)
    figure = sheet.draw()
    return Picture(figure, shown.caption(_told(sheet, regions)))


@dataclass(frozen=True)
class Planes:
    """Some planes of an atlas, with their reference on one scale of grey.

    Attributes
    ----------
    voxels
        The atlas.
    section
        Which way they cut.
    planes
        The planes.
    greys
        The reference from 0 to 1 in each.
    window_mm
        What is seen of each: first row and its end, first column and its end.
    """

    voxels: AtlasVoxels
    section: Section
    planes: list[Plane]
    greys: list[NDArray[np.float64]]
    window_mm: tuple[float, float, float, float]

    def views(self, regions: Regions, rgba: NDArray[np.float64]) -> list[View]:
        """Return the planes with regions in their colours.

        Parameters
        ----------
        regions
            What is told apart.
        rgba
            (size, 4) colours and opacities by code.
        """
        return [
            View.of(
                plane,
                grey,
                plane.ranks.astype(np.int64),
                rgba=rgba[regions.code],
                codes=_outlined(regions),
                names=regions.names,
            )
            for plane, grey in zip(self.planes, self.greys, strict=True)
        ]

    def caption(self, told: str) -> str:
        """Return a sentence about what is seen."""
        where = self.planes[0].position
        if len(self.planes) > 1:
            last = self.planes[-1].position
            kind = f"{len(self.planes)} {self.section.name} planes from {where} to {last}"
        else:
            kind = f"{self.section.name} plane at {where}"
        return f"{kind} of {self.voxels.name}: {told}"


def read_planes(
    voxels: AtlasVoxels,
    section: str,
    *,
    at_um: PlanePositions,
    planes: int | None,
    structures: list[Structure] | None,
    zoom: bool,
    reference: str | None,
    flat: float,
) -> Planes:
    """Read the planes that are asked for; see `plot_slice`.

    Parameters
    ----------
    voxels, section, at_um, planes, structures, zoom, reference
        As there.
    flat
        The level of grey without a reference.

    Raises
    ------
    PictureError
        What is to be zoomed on is not named, or planes cannot be drawn as asked.
    OutsideError, LookupFailedError, NoVoxelsError
        As of `plot_slice`.
    """
    if zoom and not structures:
        raise PictureError("zoom on what? name the structures that are to be seen")
    way = section_named(section)
    positions = chosen_positions(voxels, way, at_um=at_um, planes=planes, structures=structures)
    if reference is None and "reference" in voxels.kinds:
        reference = "reference"
    kind = None if reference in {None, NO_REFERENCE} else reference
    grey = None if kind is None else voxels.volume(kind)
    found = [read_plane(voxels, way, position, reference=grey) for position in positions]
    greys = grey_levels([p.grey for p in found], [p.ranks > 0 for p in found], flat)
    window = _window_on(voxels, way, structures if zoom else None)
    return Planes(voxels, way, found, greys, window)


def _window_on(
    voxels: AtlasVoxels, section: Section, structures: Sequence[Structure] | None
) -> tuple[float, float, float, float]:
    """Return the part of a plane in which structures can be seen, with a margin, in mm.

    The same in all planes of a section, so that they have one scale. By default of the brain.
    """
    share = _MARGIN if structures else 0.0
    window = []
    for axis in (section.rows, section.columns):
        edge = voxels.grid.resolution_um[axis]
        first, end = reach_um(voxels, axis, structures)
        margin = max(share * (end - first), edge)
        full = voxels.grid.extent_um[axis]
        window += [max(0.0, first - margin) / 1e3, min(full, end + margin) / 1e3]
    top, bottom, left, right = window
    return top, bottom, left, right


def voxels_of(atlas: Atlas | AtlasVoxels) -> AtlasVoxels:
    """Return the voxels of an atlas, however it was opened.

    Raises
    ------
    TypeError
        It is no opened atlas.
    """
    from atlasdb.atlas import Atlas
    from atlasdb.voxels import AtlasVoxels

    opened = atlas.voxels if isinstance(atlas, Atlas) else atlas
    if not isinstance(opened, AtlasVoxels):
        raise TypeError(
            f"an atlas is what db.atlas(name) or db.voxels(name) opens, not {type(atlas).__name__}"
        )
    return opened


def several(structures: Structure | Sequence[Structure] | None) -> list[Structure] | None:
    """Return one structure or several as a list; None for none."""
    if structures is None:
        return None
    if isinstance(structures, str) or not isinstance(structures, Iterable):
        return [structures]
    named = list(structures)
    if not named:
        raise PictureError("no structure is named: leave structures out to show all")
    return named


def _outlined(regions: Regions) -> NDArray[np.int64]:
    """Return the region whose outline runs around each rank: what is none is one, in the brain."""
    size = regions.code.size
    outlined = np.where(regions.code > 0, regions.code, size)
    outlined[0] = 0
    return outlined


def _told(sheet: Sheet, regions: Regions) -> str:
    """Return how many structures are seen and named."""
    present: set[int] = set()
    for view in sheet.views:
        present |= set(np.unique(view.regions).tolist())
    seen = present & set(regions.names)
    structures = f"{len(seen)} structure{'' if len(seen) == 1 else 's'}"
    if not sheet.look.has_names:
        return structures
    return f"{structures}, {len(sheet.named & seen)} of them named"
