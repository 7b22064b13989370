"""Where everything on a sheet of planes is, in millimetres from its upper left corner.

The one idea: it is known before anything is drawn. A millimetre of the atlas has the same length on
every plane, and as large a one as the page allows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from atlasdb.errors import PictureError
from atlasdb.plots.looks import TALLEST_MM

EDGE_MM, STRIP_MM = 6.0, 14.0
"""The margins, which hold the letters of directions; and what lies below the planes."""

HEADING_MM = 4.0
"""The room over each plane of several, for its position."""

_TITLE_MM, _GAP_MM = 10.5, 4.0
_SMALLEST_MM = 8.0
_MOST_OF_LEGEND = 0.4


@dataclass(frozen=True)
class Layout:
    """The places on a sheet; all in mm.

    Attributes
    ----------
    width, height
        The page's.
    plane
        The height and the width of each plane.
    corners
        The upper left corner of each plane: down, along.
    legend
        The legend's corner along, and the room that it has there.
    scale
        Millimetres on paper for one of the atlas.
    """

    width: float
    height: float
    plane: tuple[float, float]
    corners: list[tuple[float, float]]
    legend: tuple[float, float]
    scale: float

    @property
    def top(self) -> float:
        """Where the planes begin, down."""
        return self.corners[0][0]

    @property
    def left(self) -> float:
        """Where the planes begin, along."""
        return self.corners[0][1]

    @property
    def right(self) -> float:
        """Where the planes end, along."""
        return max(along for _, along in self.corners) + self.plane[1]

    @property
    def bottom(self) -> float:
        """Where the planes end, down."""
        return self.corners[-1][0] + self.plane[0]


def lay_out(
    number: int,
    seen_mm: tuple[float, float],
    width: float,
    *,
    legend: tuple[float, float],
    line: float,
) -> Layout:
    """Return where everything is on a sheet.

    Parameters
    ----------
    number
        How many planes there are.
    seen_mm
        The height and the width of what is seen of each, in the atlas.
    width
        The page's.
    legend
        The height and the width that the legend needs.
    line
        What is needed over the planes beside the heading.

    Raises
    ------
    PictureError
        There is no room for so many planes.
    """
    shape = seen_mm[0] / seen_mm[1]
    for_legend = min(legend[1], width * _MOST_OF_LEGEND)
    free = width - 2 * EDGE_MM - for_legend
    heading = 0.0 if number == 1 else HEADING_MM
    room = TALLEST_MM - _TITLE_MM - line - STRIP_MM - EDGE_MM
    columns, wide = _best_columns(number, free, room, shape, heading)
    high = wide * shape
    left = EDGE_MM + (free - columns * wide - (columns - 1) * _GAP_MM) / 2
    top = _TITLE_MM + line + heading
    corners = [
        (top + row * (high + heading + _GAP_MM), left + column * (wide + _GAP_MM))
        for row, column in (divmod(place, columns) for place in range(number))
    ]
    planes = corners[-1][0] + high + EDGE_MM + STRIP_MM
    return Layout(
        width=width,
        height=max(planes, top + legend[0] + EDGE_MM),
        plane=(high, wide),
        corners=corners,
        legend=(EDGE_MM + free + EDGE_MM, for_legend),
        scale=wide / seen_mm[1],
    )


def _best_columns(
    number: int, width: float, room: float, shape: float, heading: float
) -> tuple[int, float]:
    """Return the number of columns in which planes are largest, and how wide they are then."""
    best = (1, 0.0)
    for columns in range(1, number + 1):
        rows = math.ceil(number / columns)
        by_width = (width - (columns - 1) * _GAP_MM) / columns
        by_height = (room - (rows - 1) * _GAP_MM - rows * heading) / rows / shape
        fits = min(by_width, by_height)
        if fits > best[1] * (1 + 1e-9):
            best = (columns, fits)
    if best[1] < _SMALLEST_MM:
        raise PictureError(
            f"{number} planes do not fit on {width:.0f} × {room:.0f} mm: show fewer, or make the "
            "picture wider"
        )
    return best
