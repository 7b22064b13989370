"""What commands say of what they did, beside the rows that were asked for.

The one idea: names come from atlases, files and servers, and a terminal obeys what it is told; so
every line goes through here, where control characters become what people can read.
"""

from __future__ import annotations

import click

from atlasdb.errors import printable


def say(text: str, *, err: bool = False) -> None:
    """Print a line, or several.

    Parameters
    ----------
    text
        The text; characters that a terminal would obey are shown escaped.
    err
        To stderr.
    """
    click.echo("\n".join(map(printable, text.split("\n"))), err=err)
