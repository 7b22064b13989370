"""The digest of each mesh's file.

A revision is history: it never imports atlasdb, whose models go on changing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

VIEWS = "c350ee86f823fd832bc7201f0c89e1f15cc45b58a10a9acbbc0cb6155cd290f2"
"""Digest of the views and macros that this schema has: they change with a revision only."""


def upgrade() -> None:
    """Meshes that are there keep none: a digest of now would say nothing of then."""
    op.add_column(
        "mesh",
        sa.Column(
            "sha256",
            sa.String(),
            nullable=True,
            comment="digest of the file; NULL where an atlasdb that kept none ingested it",
        ),
    )


def downgrade() -> None:
    """Forget the digests."""
    op.drop_column("mesh", "sha256")
