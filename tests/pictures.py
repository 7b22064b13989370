"""What a picture holds, read back from its figure and from its pixels."""

from __future__ import annotations

from io import BytesIO
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text
    from matplotlib.transforms import BboxBase
    from numpy.typing import NDArray

    from atlasdb.plots import Picture

DPI = 200


def axes_called(picture: Picture, start: str) -> list[Axes]:
    """Return the axes whose id begins so."""
    return [axes for axes in picture.figure.axes if str(axes.get_gid()).startswith(start)]


def plane_axes(picture: Picture) -> list[Axes]:
    return axes_called(picture, "plane-")


def image_of(axes: Axes) -> NDArray[np.uint8]:
    """Return the picture of the plane itself, before anything is drawn over it."""
    array: Any = axes.images[0].get_array()
    return np.asarray(array)


def names_in(axes: Axes) -> dict[str, Text]:
    return {
        text.get_text().replace(r"\$", "$"): text
        for text in axes.texts
        if str(text.get_gid()).startswith("name-")
    }


def lines_of(axes: Axes) -> list[NDArray[np.float64]]:
    """Return outlines as (k, 2) along and down, mm."""
    from matplotlib.collections import LineCollection

    (found,) = [c for c in axes.collections if isinstance(c, LineCollection)]
    return [np.asarray(segment) for segment in found.get_segments()]


def pixels_of(picture: Picture, dpi: float = DPI) -> NDArray[np.uint8]:
    """Return the picture as (rows, columns, 3)."""
    with Image.open(BytesIO(picture.to_bytes("png", dpi=dpi))) as image:
        return np.asarray(image.convert("RGB"))


def boxes_of(picture: Picture) -> list[tuple[str, BboxBase]]:
    """Return every level or upright text that is seen, and where its ink lies, in dots."""
    figure = picture.figure
    renderer: Any = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    figure.draw(renderer)
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axes.axison and axis.get_visible():
                low, high = sorted(axis.get_view_interval())
                ticks = [t for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
                texts += [axis.label, *(t.label1 for t in ticks), *(t.label2 for t in ticks)]
    return [
        (text.get_text(), text.get_window_extent(renderer))
        for text in texts
        if text.get_visible() and text.get_text().strip() and text.get_rotation() % 90 == 0
    ]


def check_texts(picture: Picture, tolerance: float = 1.0) -> None:
    """Demand that no text is cut off at the page's edge or lies on another."""
    figure = picture.figure
    width, height = figure.bbox.width, figure.bbox.height
    boxes = boxes_of(picture)
    assert boxes
    for text, box in boxes:
        assert box.x0 >= -tolerance, text
        assert box.y0 >= -tolerance, text
        assert box.x1 <= width + tolerance, text
        assert box.y1 <= height + tolerance, text
    for (one, a), (other, b) in combinations(boxes, 2):
        wide = min(a.x1, b.x1) - max(a.x0, b.x0)
        high = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide <= tolerance or high <= tolerance, (one, other)


def check_axes(picture: Picture) -> None:
    """Demand that no two axes overlap, and none leaves the page."""
    boxes = [axes.get_position() for axes in picture.figure.axes]
    for box in boxes:
        assert box.x0 >= -1e-9
        assert box.y0 >= -1e-9
        assert box.x1 <= 1 + 1e-9
        assert box.y1 <= 1 + 1e-9
    for a, b in combinations(boxes, 2):
        wide = min(a.x1, b.x1) - max(a.x0, b.x0)
        high = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide <= 1e-9 or high <= 1e-9
