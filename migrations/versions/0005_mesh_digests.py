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

VIEWS = "4ba46ac192260c88f169bfde60e4b097c44f4017330925426ca223285dd9a5cf"
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
