"""A picture: a figure of matplotlib's that notebooks show, and that files hold byte for byte alike.

The one idea: nothing in a file depends on when, where or by whom it was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from atlasdb.errors import PictureError, listing
from atlasdb.plots.style import own_settings
from atlasdb.wholefile import writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
"""What pictures can be written as."""

DPI = 300
"""Dots per inch of pictures that hold dots: what journals ask for."""

DPI_LIMITS = (10.0, 2400.0)

_NOTEBOOK_DPI = 150

_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": "atlasdb"},
    "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": "atlasdb"},
}


@dataclass(frozen=True)
class Picture:
    """A picture of an atlas or of what is known of it.

    Attributes
    ----------
    figure
        A `matplotlib.figure.Figure`, to be changed at will; no window shows it.
    caption
        What is seen, in a sentence: the plane, the atlas and its version, what is left out.

    Examples
    --------
    >>> import atlasdb, tempfile
    >>> from atlasdb.plots import plot_slice
    >>> db = atlasdb.connect(tempfile.mkdtemp())
    >>> _ = db.ingest("phantom_mouse_100um")
    >>> picture = plot_slice(db.voxels("phantom_mouse_100um"), "frontal", at_um=5000)
    >>> picture.caption
    'frontal plane at AP 5 mm of phantom_mouse_100um@1.0: 3 structures, 3 of them named'
    >>> picture.save(f"{tempfile.mkdtemp()}/cp.png")
    """

    figure: Figure
    caption: str

    def save(self, file: str | Path, *, dpi: float = DPI) -> None:
        """Write the picture to a file, which appears whole or not at all.

        Parameters
        ----------
        file
            Its name ends in .png, .svg or .pdf.
        dpi
            Dots per inch; of an SVG or PDF, those of the planes in it.

        Raises
        ------
        PictureError
            Another ending, or a resolution from 10 to 2400 that it is not.
        OSError
            The file cannot be written.
        """
        form = format_of(Path(file))
        with writing(Path(file).resolve()) as stream:
            self.write(stream, form, dpi=dpi)

    def write(self, stream: BinaryIO, form: str = "png", *, dpi: float = DPI) -> None:
        """Write the picture to a stream, as one of `FORMATS`; errors are those of `save`."""
        if form not in FORMATS:
            raise PictureError(f"pictures are written as {listing(FORMATS)}, not as {form!r}")
        low, high = DPI_LIMITS
        if not low <= dpi <= high:
            raise PictureError(f"{dpi:g} dots per inch: pictures have {low:g} to {high:g}")
        with own_settings():
            self.figure.savefig(
                stream,
                format=form,
                dpi=dpi,
                metadata=_METADATA[form],
                facecolor=self.figure.get_facecolor(),
            )

    def to_bytes(self, form: str = "png", *, dpi: float = DPI) -> bytes:
        """Return the picture as one of `FORMATS`."""
        stream = BytesIO()
        self.write(stream, form, dpi=dpi)
        return stream.getvalue()

    def _repr_png_(self) -> bytes:
        return self.to_bytes("png", dpi=_NOTEBOOK_DPI)

    def __repr__(self) -> str:
        return f"<atlasdb.plots.Picture: {self.caption}>"


def format_of(file: Path) -> str:
    """Return which of `FORMATS` a file's name ends in.

    Raises
    ------
    PictureError
        None of them.
    """
    form = file.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise PictureError(
            f"cannot tell how to write {file}: pictures end in "
            f"{listing(f'.{known}' for known in FORMATS)}"
        )
    return form
