"""How pictures look: what callers may choose, as keywords and as values.

The one idea: a keyword is known by its name alone, the same in Python and on the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from atlasdb.errors import PictureError, listing
from atlasdb.plots.style import LIGHT, theme_of

if TYPE_CHECKING:
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


_FIELDS = {
    "dark": "theme",
    "width_mm": "width_mm",
    "title": "title",
    "names": "has_names",
    "outlines": "has_outlines",
    "inset": "has_inset",
    "smooth": "is_smooth",
    "mirrored": "is_mirrored",
}
"""What each keyword says of a look."""


def page_look(words: PageWords) -> PageLook:
    """Return the look that keywords describe.

    Raises
    ------
    TypeError
        There is no such keyword.
    PictureError
        A width that no picture has.
    """
    return PageLook(**_described(words, PageWords))


def named_look(words: NamedWords) -> NamedLook:
    """Return the look that keywords describe; errors are those of `page_look`."""
    return NamedLook(**_described(words, NamedWords))


def look_of(words: LookWords) -> Look:
    """Return the look that keywords describe; errors are those of `page_look`."""
    return Look(**_described(words, LookWords))


def _described(words: Any, kind: Any) -> dict[str, Any]:  # noqa: ANN401 (typed dictionaries)
    """Return the fields that keywords of a kind describe."""
    known = kind.__annotations__
    unknown = set(words) - set(known)
    if unknown:
        raise TypeError(
            f"no keyword {listing(sorted(unknown))}: there are {listing(known, limit=20)}"
        )
    fields = {_FIELDS[word]: value for word, value in words.items()}
    return fields | {"theme": theme_of(dark=bool(words.get("dark", False)))}
