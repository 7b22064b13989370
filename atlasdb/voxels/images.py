"""Volumes and masks of an atlas as image files for other programs.

The one idea: annotations, cuts and masks are made plane by plane from the mapped rank volume while
they are written, so that no volume is in memory (`atlasdb.export` says what each format keeps).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.space import STANDARD, Reorientation
from atlasdb.voxels.masks import Masks
from atlasdb.voxels.orientations import Orientations
from atlasdb.voxels.ranks import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from atlasdb.voxels.masks import Hemisphere
    from atlasdb.voxels.ranks import Structure


class Images(Masks, Orientations):
    """The part of `atlasdb.voxels.AtlasVoxels` that writes image files.

    Parameters
    ----------
    data
        The atlas's volumes.

    Notes
    -----
    The format follows the path's ending: ``.tif`` or ``.tiff`` (with the voxel's size for ImageJ
    and Bio-Formats), ``.npy``, ``.nrrd``, ``.nii`` or ``.nii.gz``. ``orientation`` turns the axes;
    NRRD and NIfTI place every orientation alike in space.
    """

    def write_volume(
        self,
        path: Path,
        kind: str,
        *,
        depth: int | None = None,
        structures: Structure | Sequence[Structure] | None = None,
        orientation: str = STANDARD,
    ) -> None:
        """Write one of the atlas's volumes, or the annotation cut.

        Parameters
        ----------
        path
            Where to.
        kind
            'annotation', 'reference', 'hemispheres', 'ranks', or an additional reference's name.
        depth, structures
            Cut the annotation, as `annotation_cut`.
        orientation
            Where the axes of the image start.

        Raises
        ------
        LookupFailedError
            The atlas has no such volume.
        ValueError
            A cut of another volume than the annotation, another ending, or no orientation.
        """
        is_cut = depth is not None or structures is not None
        if is_cut and kind != "annotation":
            raise ValueError(f"the annotation alone can be cut, not the volume {kind!r}")
        if kind == "annotation":
            table = self.cut_ids(depth=depth, structures=structures)
            if not is_cut:
                table = self.label_values()
            planes = self._planes(table, None, orientation)
            self._write(path, planes, table.dtype, orientation, _cut_text(kind, depth, structures))
            return
        symmetric = kind == "hemispheres" and self._data.sides is None
        volume = self._data.hemispheres if symmetric else self._data.volume(kind)
        self._write(
            path, iter(self.volume_in(volume, orientation)), volume.dtype, orientation, kind
        )

    def write_mask(
        self,
        path: Path,
        structures: Structure | Sequence[Structure],
        *,
        direct_only: bool = False,
        hemisphere: Hemisphere | None = None,
        with_ids: bool = False,
        orientation: str = STANDARD,
    ) -> int:
        """Write where structures are: 1 and 0 as uint8, or ids, as `mask` and `id_mask`.

        Parameters
        ----------
        path
            Where to.
        structures, direct_only, hemisphere
            As for all masks.
        with_ids
            Write the structures' ids and not 1.
        orientation
            Where the axes of the image start.

        Returns
        -------
        int
            The number of voxels in the mask.
        """
        ids = self.mask_ids(structures, direct_only=direct_only)
        table = ids if with_ids else (ids != 0).astype(np.uint8)
        count = 0

        def counted() -> Iterator[NDArray[Any]]:
            nonlocal count
            for plane in self._planes(table, hemisphere, orientation):
                count += int(np.count_nonzero(plane))
                yield plane

        self._write(path, counted(), table.dtype, orientation, "mask")
        return count

    def _planes(
        self, table: NDArray[Any], hemisphere: Hemisphere | None, orientation: str
    ) -> Iterator[NDArray[Any]]:
        """Yield what ranks become, plane by plane along the first axis of an orientation."""
        sides = self._sides_of(hemisphere)
        turn = Reorientation.between(STANDARD, orientation)
        ranks = turn.volume(self._data.ranks)
        turned_sides = None if sides is None else turn.volume(sides[0])
        for index, plane in enumerate(ranks):
            refuse_unknown(plane, table.size - 1)
            values = table.take(plane, mode="wrap")
            if sides is not None and turned_sides is not None:
                values = values * (turned_sides[index] == sides[1])
            yield values

    def _write(
        self,
        path: Path,
        planes: Iterator[NDArray[Any]],
        dtype: np.dtype[Any],
        orientation: str,
        what: str,
    ) -> None:
        from atlasdb.export import write_image  # with tifffile and what it needs

        own = {blob.path.parent.resolve() for blob in self._data.blobs.values()}
        if path.resolve().parent in own:
            raise ValueError(f"{path} is among the atlas's own volumes: write it elsewhere")
        write_image(
            path,
            planes,
            grid=self.grid_in(orientation),
            orientation=orientation,
            dtype=dtype,
            description=f"{what} of {self._data.name}",
        )


def _cut_text(kind: str, depth: int | None, structures: object) -> str:
    """Say what is written, for the file's header."""
    if depth is not None:
        return f"{kind} cut at depth {depth}"
    return kind if structures is None else f"{kind} cut at structures"
