"""Each structure's label value, and what an ingest left out.

A revision is history: it never imports atlasdb, whose models go on changing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

VIEWS = "81e71c0646268d215b1cc0deb629701d3dda3cb44bc951da460553407dd926d7"
"""Digest of the views and macros that this schema has: they change with a revision only."""

COMMENTS = {
    "source_format": ("brainglobe-tiff or brainglobe-ome-zarr", "brainglobe-tiff"),
    "source_sha256": (
        "digest of the archive; NULL for folders and components",
        "digest of the archive",
    ),
}
"""What columns of atlas are said to be, from now on and before."""


def upgrade() -> None:
    """Fill in what labels say; a structure without voxels had its id for a value."""
    op.add_column(
        "atlas",
        sa.Column(
            "left_out",
            sa.ARRAY(sa.String()),
            nullable=True,
            comment="what the ingest left out: meshes, references; NULL for nothing",
        ),
    )
    op.add_column(
        "structure",
        sa.Column(
            "label_value",
            sa.BigInteger(),
            nullable=True,
            comment="its value in the annotation, usually its id; NULL if it has none",
        ),
    )
    op.execute(
        """
        UPDATE structure AS s SET label_value = coalesce(
            (
                SELECT l.value FROM label AS l
                WHERE l.atlas_id = s.atlas_id AND l.structure_id = s.structure_id
            ),
            CASE WHEN NOT EXISTS (
                SELECT 1 FROM label AS l
                WHERE l.atlas_id = s.atlas_id AND l.value = s.structure_id
            ) THEN s.structure_id END
        )
        """
    )
    for column, (comment, _) in COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN atlas.{column} IS '{comment}'")


def downgrade() -> None:
    """Drop both columns."""
    op.drop_column("structure", "label_value")
    op.drop_column("atlas", "left_out")
    for column, (_, comment) in COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN atlas.{column} IS '{comment}'")
