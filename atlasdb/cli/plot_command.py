"""``atlasdb plot``: pictures of an atlas, of its structures and of the data on it."""

from __future__ import annotations

from atlasdb.cli.lazy import lazy_group

SUBCOMMANDS = ("slice", "heatmap", "cells", "tree", "bars")
"""The commands, in the order in which ``--help`` shows them."""


@lazy_group("plot", SUBCOMMANDS)
def command() -> None:
    """Draw the atlas, its structures and the data on it, as PNG, SVG or PDF.

    Pictures need matplotlib: pip install 'atlasdb[plots]'.
    """
