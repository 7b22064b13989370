"""``atlasdb remove``: take an atlas out of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atlasdb.cli.options import atlas_argument, home_option
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from atlasdb.api import Database


@click.command(name="remove")
@atlas_argument
@home_option
def command(db: Database, atlas: str) -> None:
    """Remove one version of an atlas, its volumes and meshes included.

    ATLAS is NAME (the highest version in the database) or NAME@VERSION.
    """
    say(f"removed {db.remove(atlas)}")
