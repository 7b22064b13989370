"""Tables of cells: where they are from, what they were annotated with, where the home is.

A revision is history: it never imports atlasdb, whose models go on changing.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

VIEWS = "4ba46ac192260c88f169bfde60e4b097c44f4017330925426ca223285dd9a5cf"
"""Digest of the views and macros that this schema has: they change with a revision only."""

KEPT = "name, atlas_id, path, rows, unit, columns, inside, unlabelled, background, outside"
"""The columns that both schemas have."""


def column(name: str, kind: type[sa.types.TypeEngine[Any]], comment: str) -> sa.Column[Any]:
    return sa.Column(name, kind(), nullable=False, comment=comment)


def counts() -> list[sa.Column[Any]]:
    return [
        column("inside", sa.BigInteger, "cells in a structure"),
        column("unlabelled", sa.BigInteger, "cells in a label that has no structure"),
        column("background", sa.BigInteger, "cells in label 0"),
        column("outside", sa.BigInteger, "cells outside the volume"),
    ]


def create(*columns: sa.Column[Any]) -> None:
    op.create_table(
        "cell_table",
        *columns,
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cell_table")),
        comment="registered tables of cells, each a Parquet file",
    )


def upgrade() -> None:
    """Make the table anew; what no command can have put there has to be annotated again."""
    op.rename_table("cell_table", "cell_table_0003")
    create(
        column("name", sa.String, "view cells.<name>"),
        column("atlas_id", sa.Integer, "the atlas, as in table atlas"),
        column("path", sa.String, "Parquet file, relative to the home folder"),
        column("location", sa.String, "the home folder that the view reads"),
        column("source", sa.String, "what it was read from"),
        column("added_at", sa.DateTime, "when it was annotated, UTC"),
        column("rows", sa.BigInteger, "number of cells"),
        column("bytes", sa.BigInteger, "size of the file"),
        column("sha256", sa.String, "digest of the file"),
        column("unit", sa.String, "unit of the coordinates as they were read"),
        column("orientation", sa.String, "where the coordinates as they were read count from"),
        column("columns", sa.JSON, "which column became ap_um, si_um, rl_um"),
        sa.Column(
            "added",
            sa.ARRAY(sa.String()),
            nullable=False,
            comment="the columns that were added to those of the source",
        ),
        column("fingerprint", sa.String, "digest of what the atlas's answers follow from"),
        column(
            "outdated",
            sa.Boolean,
            "whether the atlas was replaced by one that answers otherwise",
        ),
        *counts(),
    )
    op.execute(
        f"""
        INSERT INTO cell_table BY NAME
        SELECT {KEPT}, '' AS location, '' AS source, TIMESTAMP '1970-01-01' AS added_at,
            0 AS bytes, '' AS sha256, 'asr' AS orientation, [] AS added, '' AS fingerprint, true AS outdated
        FROM cell_table_0003
        """  # noqa: S608 (our own words)
    )
    op.drop_table("cell_table_0003")


def downgrade() -> None:
    """Keep what the older schema knows."""
    op.rename_table("cell_table", "cell_table_0004")
    create(
        column("name", sa.String, "view cells.<name>"),
        column("atlas_id", sa.Integer, "the atlas, as in table atlas"),
        column("path", sa.String, "relative to the home folder"),
        column("rows", sa.BigInteger, "number of cells"),
        column("unit", sa.String, "unit of the coordinates as they were read"),
        column("columns", sa.JSON, "which column became ap_um, si_um, rl_um"),
        *counts(),
    )
    op.execute(f"INSERT INTO cell_table BY NAME SELECT {KEPT} FROM cell_table_0004")  # noqa: S608
    op.drop_table("cell_table_0004")
