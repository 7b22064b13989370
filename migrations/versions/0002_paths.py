"""Each structure's path in its row, and views and macros that rest on it.

A revision is history: it never imports atlasdb, whose models go on changing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

VIEWS = "81e71c0646268d215b1cc0deb629701d3dda3cb44bc951da460553407dd926d7"
"""Digest of the views and macros that this schema has: they change with a revision only."""

COMMENTS = {
    "centroid": "mean of the voxels'' centres, microns; NULL without voxels",
    "bbox_min": "near face of the first voxel, microns; NULL without voxels",
    "bbox_max": "far face of the last voxel, microns; NULL without voxels",
}


def upgrade() -> None:
    """Make the table anew: a column that is NOT NULL cannot be filled within one transaction."""
    op.execute("CREATE TABLE structure_0001 AS FROM structure")
    op.drop_table("structure")
    op.create_table(
        "structure",
        sa.Column(
            "atlas_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="the atlas, as in table atlas",
        ),
        sa.Column(
            "structure_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="the structure's id in its atlas",
        ),
        sa.Column(
            "acronym",
            sa.String(),
            nullable=False,
            comment="short code, case-sensitive; should be unique and is not in every atlas",
        ),
        sa.Column("name", sa.String(), nullable=False, comment="full name"),
        sa.Column(
            "parent_id",
            sa.BigInteger(),
            nullable=True,
            comment="structure_id of the parent, NULL for the root",
        ),
        sa.Column(
            "depth", sa.Integer(), nullable=False, comment="steps from the root, which has 0"
        ),
        sa.Column(
            "rank", sa.Integer(), nullable=False, comment="position in depth-first order, from 1"
        ),
        sa.Column("last_rank", sa.Integer(), nullable=False, comment="highest rank in the subtree"),
        sa.Column("red", sa.SmallInteger(), nullable=False, comment="0 to 255"),
        sa.Column("green", sa.SmallInteger(), nullable=False, comment="0 to 255"),
        sa.Column("blue", sa.SmallInteger(), nullable=False, comment="0 to 255"),
        sa.Column(
            "path",
            sa.ARRAY(sa.String()),
            nullable=False,
            comment="acronyms from the root to the structure, both included",
        ),
        sa.CheckConstraint("last_rank >= rank", name=op.f("ck_structure_last_rank")),
        sa.PrimaryKeyConstraint("atlas_id", "structure_id", name=op.f("pk_structure")),
        sa.UniqueConstraint("atlas_id", "rank", name=op.f("uq_structure_atlas_id")),
        comment="the structures; a subtree is rank BETWEEN its root's rank AND last_rank",
    )
    op.execute(
        """
        INSERT INTO structure BY NAME
        SELECT s.*, line.path
        FROM structure_0001 AS s
        INNER JOIN (
            SELECT
                c.atlas_id,
                c.descendant_id AS structure_id,
                list(a.acronym ORDER BY c.distance DESC) AS path
            FROM structure_closure AS c
            INNER JOIN structure_0001 AS a
                ON a.atlas_id = c.atlas_id AND a.structure_id = c.ancestor_id
            GROUP BY c.atlas_id, c.descendant_id
        ) AS line ON line.atlas_id = s.atlas_id AND line.structure_id = s.structure_id
        ORDER BY s.atlas_id, s.rank
        """
    )
    op.drop_table("structure_0001")
    for figure, comment in COMMENTS.items():
        for axis in ("ap", "si", "rl"):
            op.execute(f"COMMENT ON COLUMN structure_extent.{figure}_{axis}_um IS '{comment}'")


def downgrade() -> None:
    """Drop the paths."""
    op.drop_column("structure", "path")
