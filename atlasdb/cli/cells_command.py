"""``atlasdb cells``: tables of cells joined with an atlas."""

from __future__ import annotations

from atlasdb.cli.lazy import lazy_group

SUBCOMMANDS = ("count", "annotate", "points", "add", "list", "refresh", "remove", "merge")
"""The commands, in the order in which ``--help`` shows them."""


@lazy_group("cells", SUBCOMMANDS)
def command() -> None:
    """Count cells per structure, annotate them, and keep them to be asked in SQL.

    FILE is a table of points: .csv, .tsv (also .gz), .parquet, .feather, .npy, .npz, brainmapper's
    all_points.csv and .points, cellfinder's .xml and .yml; a folder or a glob of them; an address
    such as s3://bucket/cells.parquet; - for text on standard input. Points are in atlas space.
    """
