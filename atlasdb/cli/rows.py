"""Tables of structures as the command line shows them.

The one idea: ranks serve SQL and arrays; people are shown the names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_FOR_SQL = {"rank", "last_rank", "parent_id"}


def plain(table: pa.Table) -> pa.Table:
    """Return a table of structures without the columns that serve SQL only."""
    return table.select([name for name in table.column_names if name not in _FOR_SQL])
