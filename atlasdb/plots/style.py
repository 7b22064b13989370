"""How pictures look: colours, sizes of letters, widths of lines, and one font for all machines.

The one idea: everything that is drawn takes its looks from here and none from the user's own
settings of matplotlib, so that the same command makes the same picture everywhere. Colours that
carry a meaning are told apart with every kind of colour vision: the maps are matplotlib's viridis
and its like, and the palette is that of Okabe and Ito (2008), https://jfly.uni-koeln.de/color/.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import LookupFailedError, MissingPackageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MM = 1 / 25.4
"""Inches in a millimetre."""

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#999999")
"""Okabe and Ito's colours; the last is grey, which shows on dark pages as black would not."""

LEFT_COLOUR, RIGHT_COLOUR = PALETTE[0], PALETTE[1]

SEQUENTIAL, DIVERGING = "viridis", "PuOr_r"

HATCH, HATCH_PT = "/////", 0.3
"""How what has no value is hatched: the pattern and the lines' width."""

_EM = 100
_STRAIGHT = 0.04045  # below, sRGB is a straight line

SMALLEST_PT = 5.0
"""The smallest letters that journals take."""


@dataclass(frozen=True)
class Theme:
    """The looks of a page.

    Attributes
    ----------
    page
        The background's colour.
    ink
        The colour of letters and axes.
    line
        The colour of outlines.
    faint
        The colour of what is there for orientation only.
    missing
        The colour of structures without a value.
    flat
        The level of grey where there is no reference, 0 to 1.
    name_sizes_pt
        Sizes that acronyms may have, largest first.
    title_pt, text_pt, small_pt
        The sizes of headings, of other texts, and of numbers.
    outline_pt
        The width of outlines.
    """

    page: str = "#ffffff"
    ink: str = "#1a1a1a"
    line: str = "#1a1a1a"
    faint: str = "#8c8c8c"
    missing: str = "#e3e3e3"
    flat: float = 0.85
    name_sizes_pt: tuple[float, ...] = (8.0, 7.0, 6.0, SMALLEST_PT)
    title_pt: float = 8.0
    text_pt: float = 7.0
    small_pt: float = 6.0
    outline_pt: float = 0.4


LIGHT = Theme()
DARK = Theme(
    page="#000000", ink="#f2f2f2", line="#c8c8c8", faint="#9a9a9a", missing="#3c3c3c", flat=0.3
)


def theme_of(*, dark: bool) -> Theme:
    """Return the light or the dark theme."""
    return DARK if dark else LIGHT


def need_matplotlib() -> None:
    """Refuse to go on without matplotlib.

    Raises
    ------
    MissingPackageError
        It is not installed.
    """
    try:
        import matplotlib as mpl  # noqa: F401 (an extra)
    except ImportError as error:
        raise MissingPackageError(
            "pictures need matplotlib, which is not installed: pip install 'atlasdb[plots]'"
        ) from error


@contextmanager
def own_settings() -> Iterator[None]:
    """Draw with matplotlib's defaults and its own font, whatever the user has set."""
    need_matplotlib()
    import matplotlib as mpl

    settings: Any = {
        **{
            name: value
            for name, value in mpl.rcParamsDefault.items()
            if not name.startswith(("backend", "webagg", "toolbar", "interactive"))
        },
        "font.family": "DejaVu Sans",
        "svg.hashsalt": "atlasdb",
        "pdf.fonttype": 42,  # letters that can be edited
        "path.simplify": False,
        "axes.linewidth": 0.6,
    }
    with mpl.rc_context(settings):
        yield


@cache
def _font() -> Any:  # noqa: ANN401 (matplotlib's own)
    import matplotlib as mpl
    from matplotlib.ft2font import FT2Font

    font = FT2Font(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"))
    font.set_size(_EM, 72)
    return font


@cache
def text_extent(text: str) -> tuple[float, float, float]:
    """Return a text's width, its height and how far it hangs below its baseline.

    In units of the font's size, of the ink itself.
    """
    font = _font()
    font.set_text(text, 0.0)
    width, height = font.get_width_height()
    unit = 64 * _EM
    return width / unit, height / unit, font.get_descent() / unit


def colour_map(name: str) -> Any:  # noqa: ANN401 (a matplotlib colour map)
    """Return a colour map by its name.

    Raises
    ------
    LookupFailedError
        matplotlib has none of this name.
    """
    import matplotlib as mpl

    if name not in mpl.colormaps:
        raise LookupFailedError(f"no colour map {name!r}{did_you_mean(name, mpl.colormaps)}")
    return mpl.colormaps[name]


def luminance(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """Return how light colours look, 0 to 1: the relative luminance of WCAG 2.2.

    Parameters
    ----------
    rgb
        (..., 3) from 0 to 1.
    """
    given = np.asarray(rgb, dtype=np.float64)
    linear = np.where(given <= _STRAIGHT, given / 12.92, ((given + 0.055) / 1.055) ** 2.4)
    weighted: NDArray[np.float64] = linear @ np.array([0.2126, 0.7152, 0.0722])
    return weighted


def ink_on(rgb: NDArray[Any]) -> str:
    """Return black or white, whichever has the higher contrast on a colour."""
    lightness = float(luminance(rgb))
    return "#000000" if (lightness + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"


def literal(text: str) -> str:
    r"""Return a text that matplotlib takes as it is: a dollar would begin mathematics.

    Examples
    --------
    >>> literal("a$b")
    'a\\$b'
    """
    return text.replace("$", r"\$")


def page_rgb(theme: Theme) -> NDArray[np.float64]:
    """Return the page's colour, (3,) from 0 to 1."""
    from matplotlib.colors import to_rgb

    return np.array(to_rgb(theme.page))
