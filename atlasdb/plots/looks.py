"""How pictures look: what callers may choose, as keywords and as values.

The one idea: a keyword is known by its name alone, the same in Python and on the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from atlasdb.errors import PictureError, listing
from atlasdb.plots.style import LIGHT, theme_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from atlasdb.plots.style import Theme

COLUMN_MM, PAGE_MM, TALLEST_MM = 89.0, 183.0, 240.0
"""The widths of one column and of two in most journals, and the height of a page."""

_WIDTHS_MM = (30.0, 1000.0)


@dataclass(frozen=True)
class PageLook:
    """How any picture looks.

    Attributes
    ----------
    theme
        Colours and sizes.
    width_mm
        The picture's width; its height follows, to 240 mm at most.
    title
        Its heading; by default what is seen.
    """

    theme: Theme = LIGHT
    width_mm: float = 120.0
    title: str | None = None

    def __post_init__(self) -> None:
        low, high = _WIDTHS_MM
        if not low <= self.width_mm <= high:
            raise PictureError(
                f"a picture is {low:g} to {high:g} mm wide, not {self.width_mm:g}: a column of a "
                f"journal is {COLUMN_MM:g}, a page {PAGE_MM:g}"
            )


class PageWords(TypedDict, total=False):
    """The keywords by which functions take a `PageLook`."""

    dark: bool
    width_mm: float
    title: str | None


def page_look(words: PageWords) -> PageLook:
    """Return the look that keywords describe."""
    refuse_others(words, PageWords.__annotations__)
    return PageLook(
        theme=theme_of(dark=words.get("dark", False)),
        width_mm=words.get("width_mm", PageLook.width_mm),
        title=words.get("title"),
    )


@dataclass(frozen=True)
class NamedLook(PageLook):
    """How a picture with acronyms looks.

    Attributes
    ----------
    has_names
        Whether they are written.
    """

    has_names: bool = True


class NamedWords(PageWords, total=False):
    """The keywords by which functions take a `NamedLook`."""

    names: bool


def named_look(words: NamedWords) -> NamedLook:
    """Return the look that keywords describe."""
    refuse_others(words, NamedWords.__annotations__)
    return NamedLook(
        theme=theme_of(dark=words.get("dark", False)),
        width_mm=words.get("width_mm", PageLook.width_mm),
        title=words.get("title"),
        has_names=words.get("names", True),
    )


def refuse_others(words: Iterable[str], known: Iterable[str]) -> None:
    """Refuse keywords that are none of those known."""
    unknown = set(words) - set(known)
    if unknown:
        raise TypeError(
            f"no keyword {listing(sorted(unknown))}: there are {listing(known, limit=20)}"
        )


@dataclass(frozen=True)
class Look(NamedLook):
    """How a picture of planes looks; every function that draws planes takes these.

    Attributes
    ----------
    has_outlines, has_inset
        Whether there are outlines, and the small picture of where the planes lie.
    is_smooth
        Whether the stairs of voxels are smoothed.
    is_mirrored
        Whether columns run from right to left.
    """

    has_outlines: bool = True
    has_inset: bool = True
    is_smooth: bool = False
    is_mirrored: bool = False


class LookWords(NamedWords, total=False):
    """The keywords by which functions take a `Look`."""

    outlines: bool
    inset: bool
    smooth: bool
    mirrored: bool


def look_of(words: LookWords) -> Look:
    """Return the look that keywords describe."""
    refuse_others(words, LookWords.__annotations__)
    return Look(
        theme=theme_of(dark=words.get("dark", False)),
        width_mm=words.get("width_mm", Look.width_mm),
        title=words.get("title"),
        has_names=words.get("names", True),
        has_outlines=words.get("outlines", True),
        has_inset=words.get("inset", True),
        is_smooth=words.get("smooth", False),
        is_mirrored=words.get("mirrored", False),
    )
