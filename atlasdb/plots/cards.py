"""What a notebook shows of an atlas: its facts, and a plane of it."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

from atlasdb.errors import BlobError, LookupFailedError, MissingPackageError
from atlasdb.plots.slices import plot_slice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atlasdb.voxels import AtlasVoxels

_WIDTH_MM, _DPI, _DEPTH = 75.0, 130.0, 5


def atlas_html(facts: Mapping[str, object], voxels: AtlasVoxels) -> str:
    """Return facts as a table in HTML, with the middle frontal plane beside it.

    Parameters
    ----------
    facts
        Names and values; None leaves a line free.
    voxels
        The atlas. Without matplotlib, or without its files, there is no plane.

    Returns
    -------
    str
        A ``div``; all texts are escaped, and the plane is a PNG within it.
    """
    rows = "".join(
        '<tr><td colspan="2">&nbsp;</td></tr>'
        if value is None
        else f'<tr><th style="text-align:right;vertical-align:top">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(str(value))}</td></tr>'
        for name, value in facts.items()
    )
    table = f"<table>{rows}</table>"
    return f'<div style="display:flex;gap:1em;align-items:center">{table}{_image(voxels)}</div>'


def _image(voxels: AtlasVoxels) -> str:
    """Return a plane as an image in HTML, empty if none can be drawn."""
    depth = min(_DEPTH, voxels.structures.hierarchy.height)
    try:
        picture = plot_slice(voxels, depth=depth, width_mm=_WIDTH_MM, names=False)
    except (MissingPackageError, BlobError, LookupFailedError):  # the facts are still true
        return ""
    data = b64encode(picture.to_bytes("png", dpi=_DPI)).decode()
    return f'<img alt="{escape(picture.caption)}" src="data:image/png;base64,{data}">'
