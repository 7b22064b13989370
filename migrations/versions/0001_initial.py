"""The first schema: atlases, structures with their closure, extents, labels, runs and files.

A revision is history: it never imports atlasdb, whose models go on changing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.execute(sa.schema.CreateSequence(sa.Sequence("atlas_id_seq")))
    op.create_table(
        "annotation_run",
        sa.Column("atlas_id", sa.Integer(), nullable=False, comment="the atlas, as in table atlas"),
        sa.Column(
            "line",
            sa.BigInteger(),
            nullable=False,
            comment="row along the right-left axis: index_ap * shape_si + index_si",
        ),
        sa.Column(
            "start", sa.Integer(), nullable=False, comment="index_rl of the run's first voxel"
        ),
        sa.Column(
            "rank", sa.Integer(), nullable=False, comment="0 is background; see label and structure"
        ),
        sa.Column(
            "hemisphere", sa.String(), nullable=True, comment="'left', 'right', NULL for neither"
        ),
        comment="the annotation as runs of equal rank and hemisphere, in voxel order",
    )
    op.create_table(
        "atlas",
        sa.Column(
            "atlas_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="number of the atlas in this home, kept when it is replaced and never used again",
        ),
        sa.Column(
            "name", sa.String(), nullable=False, comment="with the resolution: allen_mouse_100um"
        ),
        sa.Column("version", sa.String(), nullable=False, comment="MAJOR.MINOR as text"),
        sa.Column(
            "version_major", sa.Integer(), nullable=False, comment="for ordering: 1.10 > 1.9"
        ),
        sa.Column(
            "version_minor", sa.Integer(), nullable=False, comment="for ordering: 1.10 > 1.9"
        ),
        sa.Column("species", sa.String(), nullable=False, comment="Latin name"),
        sa.Column(
            "citation", sa.String(), nullable=False, comment="what to cite when using the atlas"
        ),
        sa.Column("atlas_link", sa.String(), nullable=False, comment="the atlas's own page"),
        sa.Column(
            "orientation",
            sa.String(),
            nullable=False,
            comment="where the volumes' axes start; always asr: anterior, superior, right",
        ),
        sa.Column(
            "source_orientation", sa.String(), nullable=False, comment="the source's orientation"
        ),
        sa.Column(
            "symmetric",
            sa.Boolean(),
            nullable=False,
            comment="whether the atlas declares its hemispheres to be mirror images",
        ),
        sa.Column(
            "resolution_ap_um", sa.Double(), nullable=False, comment="edge of a voxel, microns"
        ),
        sa.Column(
            "resolution_si_um", sa.Double(), nullable=False, comment="edge of a voxel, microns"
        ),
        sa.Column(
            "resolution_rl_um", sa.Double(), nullable=False, comment="edge of a voxel, microns"
        ),
        sa.Column(
            "shape_ap", sa.Integer(), nullable=False, comment="voxels from anterior to posterior"
        ),
        sa.Column(
            "shape_si", sa.Integer(), nullable=False, comment="voxels from superior to inferior"
        ),
        sa.Column("shape_rl", sa.Integer(), nullable=False, comment="voxels from right to left"),
        sa.Column("root_id", sa.BigInteger(), nullable=False, comment="structure_id of the root"),
        sa.Column("source_url", sa.String(), nullable=False, comment="where the atlas came from"),
        sa.Column("source_format", sa.String(), nullable=False, comment="brainglobe-tiff"),
        sa.Column("source_sha256", sa.String(), nullable=True, comment="digest of the archive"),
        sa.Column("ingested_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column(
            "atlasdb_version", sa.String(), nullable=False, comment="the atlasdb that ingested it"
        ),
        sa.Column("extra", sa.JSON(), nullable=False, comment="all metadata of the source"),
        sa.PrimaryKeyConstraint("atlas_id", name=op.f("pk_atlas")),
        sa.UniqueConstraint("name", "version_major", "version_minor", name=op.f("uq_atlas_name")),
        comment="the atlases in this home, a row for each version",
    )
    op.create_table(
        "cell_table",
        sa.Column("name", sa.String(), nullable=False, comment="view cells.<name>"),
        sa.Column("atlas_id", sa.Integer(), nullable=False, comment="the atlas, as in table atlas"),
        sa.Column("path", sa.String(), nullable=False, comment="relative to the home folder"),
        sa.Column("rows", sa.BigInteger(), nullable=False, comment="number of cells"),
        sa.Column(
            "unit", sa.String(), nullable=False, comment="unit of the coordinates as they were read"
        ),
        sa.Column(
            "columns", sa.JSON(), nullable=False, comment="which column became ap_um, si_um, rl_um"
        ),
        sa.Column("inside", sa.BigInteger(), nullable=False, comment="cells in a structure"),
        sa.Column(
            "unlabelled",
            sa.BigInteger(),
            nullable=False,
            comment="cells in a label that has no structure",
        ),
        sa.Column("background", sa.BigInteger(), nullable=False, comment="cells in label 0"),
        sa.Column("outside", sa.BigInteger(), nullable=False, comment="cells outside the volume"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cell_table")),
        comment="registered tables of cells, each a Parquet file",
    )
    op.create_table(
        "finding",
        sa.Column(
            "atlas_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="the atlas, as in table atlas",
        ),
        sa.Column(
            "number",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="1, 2, … in its atlas",
        ),
        sa.Column("code", sa.String(), nullable=False, comment="the kind of finding"),
        sa.Column("severity", sa.String(), nullable=False, comment="'warning' or 'info'"),
        sa.Column(
            "structure_id",
            sa.BigInteger(),
            nullable=True,
            comment="the structure concerned, if it is one",
        ),
        sa.Column("detail", sa.String(), nullable=False, comment="a sentence with the figures"),
        sa.CheckConstraint("severity IN ('warning', 'info')", name=op.f("ck_finding_severity")),
        sa.PrimaryKeyConstraint("atlas_id", "number", name=op.f("pk_finding")),
        comment="what is odd about an atlas, as the ingest check saw it",
    )
    op.create_table(
        "label",
        sa.Column(
            "atlas_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="the atlas, as in table atlas",
        ),
        sa.Column(
            "value",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="what the voxels hold",
        ),
        sa.Column(
            "rank",
            sa.Integer(),
            nullable=False,
            comment="the structure's rank; past all structures' where there is none",
        ),
        sa.Column(
            "structure_id",
            sa.BigInteger(),
            nullable=True,
            comment="NULL if the atlas names no such structure",
        ),
        sa.Column("voxels", sa.BigInteger(), nullable=False, comment="voxels with this value"),
        sa.PrimaryKeyConstraint("atlas_id", "value", name=op.f("pk_label")),
        sa.UniqueConstraint("atlas_id", "rank", name=op.f("uq_label_atlas_id")),
        comment="the label values that occur in the annotation, background (0) left out",
    )
    op.create_table(
        "mesh",
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
        sa.Column("path", sa.String(), nullable=False, comment="relative to the home folder"),
        sa.Column("vertices", sa.BigInteger(), nullable=False, comment="number of vertices"),
        sa.Column("triangles", sa.BigInteger(), nullable=False, comment="number of triangles"),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="size of the file"),
        sa.PrimaryKeyConstraint("atlas_id", "structure_id", name=op.f("pk_mesh")),
        comment="the OBJ files beside the database: microns, axes AP, SI, RL",
    )
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
        sa.CheckConstraint("last_rank >= rank", name=op.f("ck_structure_last_rank")),
        sa.PrimaryKeyConstraint("atlas_id", "structure_id", name=op.f("pk_structure")),
        sa.UniqueConstraint("atlas_id", "rank", name=op.f("uq_structure_atlas_id")),
        comment="the structures; a subtree is rank BETWEEN its root's rank AND last_rank",
    )
    op.create_table(
        "structure_closure",
        sa.Column(
            "atlas_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="the atlas, as in table atlas",
        ),
        sa.Column(
            "ancestor_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="structure_id of the ancestor",
        ),
        sa.Column(
            "descendant_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="structure_id of the descendant",
        ),
        sa.Column(
            "distance", sa.Integer(), nullable=False, comment="steps between them; 0 = the same"
        ),
        sa.PrimaryKeyConstraint(
            "atlas_id", "ancestor_id", "descendant_id", name=op.f("pk_structure_closure")
        ),
        comment="every pair of an ancestor and a descendant, self included",
    )
    op.create_table(
        "structure_extent",
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
        sa.Column("hemisphere", sa.String(), nullable=False, comment="'left', 'right' or 'both'"),
        sa.Column(
            "direct_voxels",
            sa.BigInteger(),
            nullable=False,
            comment="voxels that bear the structure's own label",
        ),
        sa.Column("voxels", sa.BigInteger(), nullable=False, comment="voxels of the subtree"),
        sa.Column("volume_mm3", sa.Double(), nullable=False, comment="volume of the subtree"),
        sa.Column("centroid_ap_um", sa.Double(), nullable=True, comment="NULL without voxels"),
        sa.Column("centroid_si_um", sa.Double(), nullable=True, comment="NULL without voxels"),
        sa.Column("centroid_rl_um", sa.Double(), nullable=True, comment="NULL without voxels"),
        sa.Column("bbox_min_ap_um", sa.Double(), nullable=True, comment="NULL without voxels"),
        sa.Column("bbox_min_si_um", sa.Double(), nullable=True, comment="NULL without voxels"),
        sa.Column("bbox_min_rl_um", sa.Double(), nullable=True, comment="NULL without voxels"),
        sa.Column(
            "bbox_max_ap_um",
            sa.Double(),
            nullable=True,
            comment="far face of the last voxel; NULL without voxels",
        ),
        sa.Column(
            "bbox_max_si_um",
            sa.Double(),
            nullable=True,
            comment="far face of the last voxel; NULL without voxels",
        ),
        sa.Column(
            "bbox_max_rl_um",
            sa.Double(),
            nullable=True,
            comment="far face of the last voxel; NULL without voxels",
        ),
        sa.CheckConstraint(
            "hemisphere IN ('left', 'right', 'both')", name=op.f("ck_structure_extent_hemisphere")
        ),
        sa.PrimaryKeyConstraint(
            "atlas_id", "structure_id", "hemisphere", name=op.f("pk_structure_extent")
        ),
        comment="voxels, volume, centroid and bounding box of each structure's subtree",
    )
    op.create_table(
        "volume",
        sa.Column(
            "atlas_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="the atlas, as in table atlas",
        ),
        sa.Column(
            "kind",
            sa.String(),
            nullable=False,
            comment="annotation, ranks, reference, hemispheres or an additional reference's name",
        ),
        sa.Column("path", sa.String(), nullable=False, comment="relative to the home folder"),
        sa.Column("dtype", sa.String(), nullable=False, comment="numpy's name of the voxels' type"),
        sa.Column("shape_ap", sa.Integer(), nullable=False, comment="voxels"),
        sa.Column("shape_si", sa.Integer(), nullable=False, comment="voxels"),
        sa.Column("shape_rl", sa.Integer(), nullable=False, comment="voxels"),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="size of the file"),
        sa.Column("sha256", sa.String(), nullable=False, comment="digest of the file"),
        sa.PrimaryKeyConstraint("atlas_id", "kind", name=op.f("pk_volume")),
        comment="the TIFF files beside the database; 'ranks' is memory-mappable",
    )


def downgrade() -> None:
    """Drop the tables with all that is in them."""
    op.drop_table("volume")
    op.drop_table("structure_extent")
    op.drop_table("structure_closure")
    op.drop_table("structure")
    op.drop_table("mesh")
    op.drop_table("label")
    op.drop_table("finding")
    op.drop_table("cell_table")
    op.drop_table("atlas")
    op.drop_table("annotation_run")
    op.execute(sa.schema.DropSequence(sa.Sequence("atlas_id_seq")))
