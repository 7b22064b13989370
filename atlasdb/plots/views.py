"""A plane as it is seen, before it is drawn: regions in their colours.

The one idea: a plane is a picture of *keys*, and all that is drawn of it is a table over keys (a
colour, the region whose outline runs around it, whether it is hatched) and geometry made from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from atlasdb.plots.regions import blended
from atlasdb.plots.style import page_rgb

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from atlasdb.plots.sections import Plane
    from atlasdb.plots.style import Theme


@dataclass(frozen=True)
class View:
    """One plane, ready to be drawn.

    Attributes
    ----------
    plane
        The plane.
    keys
        (rows, columns) int64 from 0, 0 where the page is seen.
    rgba
        (K, 4) the colour of each key and its opacity, 0 to 1.
    codes
        (K,) int64, the region of each key: borders run where it changes.
    names
        What regions are called, by code.
    grey
        (rows, columns) the reference from 0 to 1.
    is_hatched
        (K,) bool, whether a key is hatched.
    draw_over
        Draws more on the axes, whose coordinates are the atlas's in mm.
    """

    plane: Plane
    keys: NDArray[np.int64]
    rgba: NDArray[np.float64]
    codes: NDArray[np.int64]
    names: dict[int, str]
    grey: NDArray[np.float64]
    is_hatched: NDArray[np.bool_]
    draw_over: Callable[[Axes], None] | None = None

    @classmethod
    def of(
        cls,
        plane: Plane,
        grey: NDArray[np.float64],
        keys: NDArray[np.int64],
        *,
        rgba: NDArray[np.float64],
        codes: NDArray[np.int64],
        names: dict[int, str],
        is_hatched: NDArray[np.bool_] | None = None,
        draw_over: Callable[[Axes], None] | None = None,
    ) -> View:
        """Return a view whose keys are no more than what is told apart in the plane.

        Parameters
        ----------
        keys
            (rows, columns) as of the class, where the plane has labels.
        plane, grey, rgba, codes, names, is_hatched, draw_over
            As of the class; entry 0 of tables is the page's.
        """
        hatched = np.zeros(codes.size, np.bool_) if is_hatched is None else is_hatched
        present, dense = np.unique(np.where(plane.ranks > 0, keys, 0), return_inverse=True)
        is_seen = present > 0
        region = np.where(is_seen, codes[present], 0)
        looks = np.column_stack([region, rgba[present], hatched[present] & is_seen, is_seen])
        distinct, merged = np.unique(looks[:, ::-1], axis=0, return_inverse=True)
        distinct = distinct[:, ::-1]  # the page, if it is seen, is the first
        if present[0] > 0:
            distinct = np.concatenate([np.zeros((1, distinct.shape[1])), distinct])
            merged = merged + 1
        return cls(
            plane=plane,
            keys=merged.ravel()[dense].reshape(plane.ranks.shape),
            rgba=distinct[:, 1:5],
            codes=distinct[:, 0].astype(np.int64),
            names=names,
            grey=grey,
            is_hatched=distinct[:, 5] > 0,
            draw_over=draw_over,
        )

    @cached_property
    def regions(self) -> NDArray[np.int64]:
        """(rows, columns) the code of each pixel's region."""
        return self.codes[self.keys]

    def image(self, theme: Theme) -> NDArray[np.uint8]:
        """Return the plane as (rows, columns, 3): colours over the reference, on the page."""
        rgba = self.rgba[self.keys]
        return blended(rgba[..., :3], rgba[..., 3], self.grey, page_rgb(theme), self.keys > 0)

    def grey_image(self) -> NDArray[np.uint8]:
        """Return the reference as (rows, columns, 3), gone on with beyond the brain's border."""
        from scipy.ndimage import distance_transform_edt

        if not (self.keys > 0).any():
            return np.zeros((*self.keys.shape, 3), dtype=np.uint8)
        nearest = distance_transform_edt(
            self.keys == 0, return_distances=False, return_indices=True
        )
        grey = np.rint(self.grey[tuple(nearest)] * 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
