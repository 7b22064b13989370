"""How large what strangers made may be before it is taken for an attack or an accident.

The one idea: every limit has a name; an error that refuses something says the limit and its name,
and whoever trusts the file raises it by that name, in one variable of the environment that the
command line, Python and the workers of a cluster see alike, or for one command::

    ATLASDB_LIMITS="ratio=5000 columns=100000" atlasdb ingest …
    atlasdb --limits "ratio=5000 columns=100000" ingest …
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING

from atlasdb.errors import AtlasDBError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "ATLASDB_LIMITS"
"""The variable of the environment."""


@dataclass(frozen=True)
class Limits:
    """The limits.

    Attributes
    ----------
    members
        Files and folders of an archive.
    bytes
        Size of all members of an archive, unpacked.
    ratio
        Bytes unpacked for each byte packed, once past `free_bytes`: of an archive, of a volume, and
        of a row group. (Label volumes reach a hundred; deflate's own limit is 1,032.)
    free_bytes
        Unpacked bytes up to which the ratio does not matter.
    header_bytes
        Size of an extended header in an archive (a long name, say), which is read into memory
        whole.
    text_bytes
        Size of metadata and of lists of structures.
    mesh_bytes
        Size of a mesh's file.
    labels
        Different values in an annotation.
    columns
        Columns of a table of cells.
    rows
        Rows of a piece of a table of cells that a few bytes can stand for.
    row_bytes
        Size of a row of a table of cells.
    values
        Values (rows by columns) of a table of structures' values.
    """

    members: int = 200_000
    bytes: int = 1 << 36
    ratio: int = 500
    free_bytes: int = 1 << 30
    header_bytes: int = 1 << 20
    text_bytes: int = 1 << 26
    mesh_bytes: int = 1 << 29
    labels: int = 1_000_000
    columns: int = 20_000
    rows: int = 10**11
    row_bytes: int = 1 << 26
    values: int = 10_000_000

    def over(self, name: str) -> str:
        """Return the end of an error: which limit was met, and how it is raised.

        Examples
        --------
        >>> Limits().over("columns")
        'over the limit of 20,000 (if it is to be trusted: ATLASDB_LIMITS="columns=NUMBER")'
        """
        return (
            f"over the limit of {getattr(self, name):,} (if it is to be trusted: "
            f'{VARIABLE}="{name}=NUMBER")'
        )

    def unpacked(self, packed: int) -> int:
        """Return how many bytes so many packed ones may become."""
        return self.free_bytes + self.ratio * packed


def current() -> Limits:
    """Return the limits that the environment states, the usual ones where it states none.

    Raises
    ------
    AtlasDBError
        The variable cannot be read.
    """
    return _parsed(os.environ.get(VARIABLE, ""))


@contextmanager
def stated(text: str) -> Iterator[None]:
    """State limits for a block, for this process and those that it starts.

    Raises
    ------
    AtlasDBError
        The text cannot be read.

    Examples
    --------
    >>> with stated("columns=30000"):
    ...     current().columns
    30000
    """
    _parsed(text)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = text
    try:
        yield
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


@lru_cache(maxsize=8)
def _parsed(text: str) -> Limits:
    """Return what a text such as ``ratio=5000 columns=100000`` states.

    Examples
    --------
    >>> _parsed("ratio=5000, rows=7").ratio
    5000
    """
    known = [field.name for field in fields(Limits)]
    numbers = {}
    for word in text.replace(",", " ").split():
        name, _, number = word.partition("=")
        if name not in known:
            raise AtlasDBError(
                f"--limits or {VARIABLE}: no limit is called {name!r:.40}"
                f"{did_you_mean(name, known)}; there are {', '.join(known)}"
            )
        if not number.isdecimal() or len(number) > 18:  # noqa: PLR2004 (of 63 bits)
            raise AtlasDBError(
                f"--limits or {VARIABLE}: {name} is a whole number, not {number!r:.40}"
            )
        numbers[name] = int(number)
    return Limits(**numbers)
