"""Views on axes: colours over the reference, the borders of regions, and their names.

The one idea: coordinates are the atlas's own, in mm. What is seen of a plane, and from which side,
is a matter of the axes' limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.plots.naming import POINT_MM, Lettering, place_names
from atlasdb.plots.outlines import Outlines, find_outlines
from atlasdb.plots.style import HATCH, HATCH_PT, ink_on, literal, text_extent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from atlasdb.plots.naming import Name
    from atlasdb.plots.style import Theme
    from atlasdb.plots.views import View

_FULL = 5.0  # millimetres on paper for one of the atlas, from which outlines have their full width


@dataclass(frozen=True)
class Drawing:
    """How views are drawn.

    Attributes
    ----------
    theme
        Colours and sizes.
    scale
        Millimetres on paper for one of the atlas.
    window_mm
        What is seen: first row and its end, first column and its end.
    is_mirrored
        Whether columns run from right to left.
    has_outlines, has_names, is_smooth
        Whether there are outlines and names, and whether stairs are smoothed.
    line
        The colour of outlines; by default the theme's.
    """

    theme: Theme
    scale: float
    window_mm: tuple[float, float, float, float]
    is_mirrored: bool = False
    has_outlines: bool = True
    has_names: bool = True
    is_smooth: bool = False
    line: str | None = None

    def draw(self, view: View, axes: Axes) -> list[Name]:
        """Draw a view on axes that have its size, and return the names that found a place."""
        axes.set_axis_off()
        image = view.image(self.theme)
        shapes = _Shapes(view, self)
        shapes.draw_surface(axes, image)
        if self.has_outlines:
            shapes.draw_lines(axes)
        if view.draw_over is not None:
            view.draw_over(axes)
        placed = self._places(view) if self.has_names else []
        self._write(view, placed, axes, image)
        return placed

    def _places(self, view: View) -> list[Name]:
        """Return the names that fit into what is seen of their regions."""
        lettering = Lettering(text_extent, self.theme.name_sizes_pt, self.scale)
        spacing = view.plane.spacing_mm
        seen = np.zeros_like(view.regions)
        rows, columns = self._pixels(view)
        seen[rows, columns] = view.regions[rows, columns]
        return place_names(seen, view.names, spacing, lettering, is_mirrored=self.is_mirrored)

    def _pixels(self, view: View) -> tuple[slice, slice]:
        """Return the pixels that are seen whole."""
        top, bottom, left, right = self.window_mm
        high, wide = view.plane.spacing_mm
        near = 1e-9  # a window's edge that is a pixel's
        rows = slice(int(np.ceil(top / high - near)), int(np.floor(bottom / high + near)))
        columns = slice(int(np.ceil(left / wide - near)), int(np.floor(right / wide + near)))
        return rows, columns

    def _write(
        self, view: View, placed: Iterable[Name], axes: Axes, image: NDArray[np.uint8]
    ) -> None:
        """Write names where they fit, in black or white, whichever is seen better there."""
        high, wide = view.plane.spacing_mm
        for name in placed:
            first_row, first_column = name.row - name.height / 2, name.column - name.width / 2
            rows = slice(int(first_row), int(first_row) + name.height)
            columns = slice(int(first_column), int(first_column) + name.width)
            _, height, descent = text_extent(name.text)
            # From the middle of the ink to the baseline, on which matplotlib puts texts.
            down = (height / 2 - descent) * name.size_pt * POINT_MM / self.scale
            x, y = name.column * wide, name.row * high
            if name.is_upright:
                x += -down if self.is_mirrored else down
            else:
                y += down
            colour = ink_on(image[rows, columns].reshape(-1, 3).mean(axis=0) / 255)
            text = axes.text(
                x,
                y,
                literal(name.text),
                fontsize=name.size_pt,
                color=colour,
                rotation=90 if name.is_upright else 0,
                rotation_mode="anchor",
                ha="center",
                va="baseline",
                gid=f"name-{name.code}",
                zorder=4,
            )
            if view.draw_over is not None:  # letters stay legible over whatever lies below
                from matplotlib.patheffects import withStroke

                around = "#ffffff" if colour == "#000000" else "#000000"
                text.set_path_effects([withStroke(linewidth=1.2, foreground=around, alpha=0.8)])


class _Shapes:
    """What is made of a view's borders.

    Parameters
    ----------
    view
        The view.
    drawing
        How it is drawn.
    """

    def __init__(self, view: View, drawing: Drawing) -> None:
        self._view = view
        self._drawing = drawing

    @cached_property
    def _outlines(self) -> Outlines:
        """The borders of the keys."""
        return self._as_drawn(find_outlines(self._view.keys))

    def _as_drawn(self, outlines: Outlines) -> Outlines:
        return outlines.smoothed() if self._drawing.is_smooth else outlines

    def draw_surface(self, axes: Axes, image: NDArray[np.uint8]) -> None:
        """Draw colours over the reference, and hatches."""
        height, width = self._view.plane.extent_mm
        is_smooth = self._drawing.is_smooth
        drawn = axes.imshow(
            self._view.grey_image() if is_smooth else image,
            extent=(0, width, height, 0),
            interpolation="nearest",
            aspect="auto",
            zorder=0,
        )
        top, bottom, left, right = self._drawing.window_mm
        axes.set_xlim((right, left) if self._drawing.is_mirrored else (left, right))
        axes.set_ylim(bottom, top)
        if is_smooth:
            everything = self._as_drawn(find_outlines((self._view.keys > 0).astype(np.int64)))
            drawn.set_clip_path(self._path(everything.loops(1)), axes.transData)
            self._draw_faces(axes)
        self._draw_hatches(axes)

    def _draw_faces(self, axes: Axes) -> None:
        """Draw each key as a surface with smooth borders."""
        from matplotlib.collections import PathCollection

        keys = [
            key
            for key in np.unique(self._outlines.loop_codes).tolist()
            if self._view.rgba[key, 3] > 0
        ]
        paths = [self._path(self._outlines.loops(key)) for key in keys]
        faces = PathCollection(paths, facecolors=self._view.rgba[keys], linewidths=0, zorder=1)
        axes.add_collection(faces, autolim=False)

    def _draw_hatches(self, axes: Axes) -> None:
        """Hatch what has no value."""
        hatched = self._view.is_hatched[self._view.keys].astype(np.int64)
        if not hatched.any():
            return
        from matplotlib.patches import PathPatch

        outlines = self._as_drawn(find_outlines(hatched))
        axes.add_artist(
            PathPatch(
                self._path(outlines.loops(1)),
                facecolor="none",
                edgecolor=self._drawing.theme.faint,
                hatch=HATCH,
                hatch_linewidth=HATCH_PT,
                linewidth=0,
                zorder=1,
            )
        )

    def draw_lines(self, axes: Axes) -> None:
        """Draw the borders between regions, each once."""
        from matplotlib.collections import LineCollection

        high, wide = self._view.plane.spacing_mm
        codes = np.append(self._view.codes, 0)  # the last, -1, is beyond the plane
        lines = [
            line[:, ::-1] * (wide, high)
            for line in self._outlines.lines(lambda own, other: codes[own] != codes[other])
        ]
        theme = self._drawing.theme
        axes.add_collection(
            LineCollection(
                lines,
                colors=self._drawing.line or theme.line,
                linewidths=theme.outline_pt * min(max(self._drawing.scale / _FULL, 0.3), 1.0),
                capstyle="round",
                joinstyle="round",
                zorder=2,
            ),
            autolim=False,
        )

    def _path(self, loops: list[NDArray[np.float64]]) -> Any:  # noqa: ANN401 (matplotlib's)
        """Return loops as one path, in mm."""
        from matplotlib.path import Path

        if not loops:
            return Path(np.empty((0, 2)))
        high, wide = self._view.plane.spacing_mm
        parts = [Path(_closed(loop)[:, ::-1] * (wide, high), closed=True) for loop in loops]
        return Path.make_compound_path(*parts)


def _closed(loop: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a loop that ends where it begins."""
    return np.concatenate([loop, loop[:1]])
