"""The tables of an atlas database, as SQLAlchemy models.

The one idea: ids are the atlas's own and mean something in their atlas only, so every table is
keyed by ``atlas_id`` first. There are no foreign keys (DuckDB's forbid replacing an atlas in one
transaction): the ingest and ``atlasdb check`` prove the references instead. Comments are stored in
the database, so that any client can show them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Integer,
    MetaData,
    Sequence,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING: Final = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}

_ATLAS_ID = "the atlas, as in table atlas"


class Base(DeclarativeBase):
    """The declarative base of all models."""

    metadata = MetaData(naming_convention=NAMING)


atlas_id_seq = Sequence("atlas_id_seq", metadata=Base.metadata)
"""Numbers the atlases. The ingest draws from it, so that a removed atlas's number never returns."""


def _atlas_key() -> Mapped[int]:
    """Return a table's reference to its atlas, the first column of its key."""
    return mapped_column(Integer, primary_key=True, autoincrement=False, comment=_ATLAS_ID)


def _structure_key(comment: str = "the structure's id in its atlas") -> Mapped[int]:
    """Return a 64-bit structure id that is part of the key."""
    return mapped_column(BigInteger, primary_key=True, autoincrement=False, comment=comment)


class Atlas(Base):
    """One version of one atlas at one resolution."""

    __tablename__ = "atlas"
    __table_args__ = (
        UniqueConstraint("name", "version_major", "version_minor"),
        {"comment": "the atlases in this home, a row for each version"},
    )

    atlas_id: Mapped[int] = mapped_column(
        Integer,
        primary_key=True,
        autoincrement=False,
        comment="number of the atlas in this home, kept when it is replaced and never used again",
    )
    name: Mapped[str] = mapped_column(String, comment="with the resolution: allen_mouse_100um")
    version: Mapped[str] = mapped_column(String, comment="MAJOR.MINOR as text")
    version_major: Mapped[int] = mapped_column(Integer, comment="for ordering: 1.10 > 1.9")
    version_minor: Mapped[int] = mapped_column(Integer, comment="for ordering: 1.10 > 1.9")
    species: Mapped[str] = mapped_column(String, comment="Latin name")
    citation: Mapped[str] = mapped_column(String, comment="what to cite when using the atlas")
    atlas_link: Mapped[str] = mapped_column(String, comment="the atlas's own page")
    orientation: Mapped[str] = mapped_column(
        String, comment="where the volumes' axes start; always asr: anterior, superior, right"
    )
    source_orientation: Mapped[str] = mapped_column(String, comment="the source's orientation")
    symmetric: Mapped[bool] = mapped_column(
        Boolean, comment="whether the atlas declares its hemispheres to be mirror images"
    )
    resolution_ap_um: Mapped[float] = mapped_column(Double, comment="edge of a voxel, microns")
    resolution_si_um: Mapped[float] = mapped_column(Double, comment="edge of a voxel, microns")
    resolution_rl_um: Mapped[float] = mapped_column(Double, comment="edge of a voxel, microns")
    shape_ap: Mapped[int] = mapped_column(Integer, comment="voxels from anterior to posterior")
    shape_si: Mapped[int] = mapped_column(Integer, comment="voxels from superior to inferior")
    shape_rl: Mapped[int] = mapped_column(Integer, comment="voxels from right to left")
    root_id: Mapped[int] = mapped_column(BigInteger, comment="structure_id of the root")
    source_url: Mapped[str] = mapped_column(String, comment="where the atlas came from")
    source_format: Mapped[str] = mapped_column(String, comment="brainglobe-tiff")
    source_sha256: Mapped[str | None] = mapped_column(String, comment="digest of the archive")
    ingested_at: Mapped[datetime] = mapped_column(DateTime, comment="UTC")
    atlasdb_version: Mapped[str] = mapped_column(String, comment="the atlasdb that ingested it")
    extra: Mapped[dict[str, Any]] = mapped_column(JSON, comment="all metadata of the source")


class Structure(Base):
    """A named node of an atlas's hierarchy."""

    __tablename__ = "structure"
    __table_args__ = (
        UniqueConstraint("atlas_id", "rank"),
        CheckConstraint("last_rank >= rank", name="last_rank"),
        {"comment": "the structures; a subtree is rank BETWEEN its root's rank AND last_rank"},
    )

    atlas_id: Mapped[int] = _atlas_key()
    structure_id: Mapped[int] = _structure_key()
    acronym: Mapped[str] = mapped_column(
        String, comment="short code, case-sensitive; should be unique and is not in every atlas"
    )
    name: Mapped[str] = mapped_column(String, comment="full name")
    parent_id: Mapped[int | None] = mapped_column(
        BigInteger, comment="structure_id of the parent, NULL for the root"
    )
    depth: Mapped[int] = mapped_column(Integer, comment="steps from the root, which has 0")
    rank: Mapped[int] = mapped_column(Integer, comment="position in depth-first order, from 1")
    last_rank: Mapped[int] = mapped_column(Integer, comment="highest rank in the subtree")
    red: Mapped[int] = mapped_column(SmallInteger, comment="0 to 255")
    green: Mapped[int] = mapped_column(SmallInteger, comment="0 to 255")
    blue: Mapped[int] = mapped_column(SmallInteger, comment="0 to 255")


class StructureClosure(Base):
    """An ancestor and a descendant, any number of steps apart."""

    __tablename__ = "structure_closure"
    __table_args__ = {"comment": "every pair of an ancestor and a descendant, self included"}  # noqa: RUF012

    atlas_id: Mapped[int] = _atlas_key()
    ancestor_id: Mapped[int] = _structure_key("structure_id of the ancestor")
    descendant_id: Mapped[int] = _structure_key("structure_id of the descendant")
    distance: Mapped[int] = mapped_column(Integer, comment="steps between them; 0 = the same")


class StructureExtent(Base):
    """Where a structure is, in one hemisphere or both."""

    __tablename__ = "structure_extent"
    __table_args__ = (
        CheckConstraint("hemisphere IN ('left', 'right', 'both')", name="hemisphere"),
        {"comment": "voxels, volume, centroid and bounding box of each structure's subtree"},
    )

    atlas_id: Mapped[int] = _atlas_key()
    structure_id: Mapped[int] = _structure_key()
    hemisphere: Mapped[str] = mapped_column(
        String, primary_key=True, comment="'left', 'right' or 'both'"
    )
    direct_voxels: Mapped[int] = mapped_column(
        BigInteger, comment="voxels that bear the structure's own label"
    )
    voxels: Mapped[int] = mapped_column(BigInteger, comment="voxels of the subtree")
    volume_mm3: Mapped[float] = mapped_column(Double, comment="volume of the subtree")
    centroid_ap_um: Mapped[float | None] = mapped_column(Double, comment="NULL without voxels")
    centroid_si_um: Mapped[float | None] = mapped_column(Double, comment="NULL without voxels")
    centroid_rl_um: Mapped[float | None] = mapped_column(Double, comment="NULL without voxels")
    bbox_min_ap_um: Mapped[float | None] = mapped_column(Double, comment="NULL without voxels")
    bbox_min_si_um: Mapped[float | None] = mapped_column(Double, comment="NULL without voxels")
    bbox_min_rl_um: Mapped[float | None] = mapped_column(Double, comment="NULL without voxels")
    bbox_max_ap_um: Mapped[float | None] = mapped_column(
        Double, comment="far face of the last voxel; NULL without voxels"
    )
    bbox_max_si_um: Mapped[float | None] = mapped_column(
        Double, comment="far face of the last voxel; NULL without voxels"
    )
    bbox_max_rl_um: Mapped[float | None] = mapped_column(
        Double, comment="far face of the last voxel; NULL without voxels"
    )


class Label(Base):
    """A value that occurs in the annotation."""

    __tablename__ = "label"
    __table_args__ = (
        UniqueConstraint("atlas_id", "rank"),
        {"comment": "the label values that occur in the annotation, background (0) left out"},
    )

    atlas_id: Mapped[int] = _atlas_key()
    value: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False, comment="what the voxels hold"
    )
    rank: Mapped[int] = mapped_column(
        Integer, comment="the structure's rank; past all structures' where there is none"
    )
    structure_id: Mapped[int | None] = mapped_column(
        BigInteger, comment="NULL if the atlas names no such structure"
    )
    voxels: Mapped[int] = mapped_column(BigInteger, comment="voxels with this value")


class Volume(Base):
    """A volume's file."""

    __tablename__ = "volume"
    __table_args__ = {"comment": "the TIFF files beside the database; 'ranks' is memory-mappable"}  # noqa: RUF012

    atlas_id: Mapped[int] = _atlas_key()
    kind: Mapped[str] = mapped_column(
        String,
        primary_key=True,
        comment="annotation, ranks, reference, hemispheres or an additional reference's name",
    )
    path: Mapped[str] = mapped_column(String, comment="relative to the home folder")
    dtype: Mapped[str] = mapped_column(String, comment="numpy's name of the voxels' type")
    shape_ap: Mapped[int] = mapped_column(Integer, comment="voxels")
    shape_si: Mapped[int] = mapped_column(Integer, comment="voxels")
    shape_rl: Mapped[int] = mapped_column(Integer, comment="voxels")
    bytes: Mapped[int] = mapped_column(BigInteger, comment="size of the file")
    sha256: Mapped[str] = mapped_column(String, comment="digest of the file")


class Mesh(Base):
    """A structure's surface."""

    __tablename__ = "mesh"
    __table_args__ = {"comment": "the OBJ files beside the database: microns, axes AP, SI, RL"}  # noqa: RUF012

    atlas_id: Mapped[int] = _atlas_key()
    structure_id: Mapped[int] = _structure_key()
    path: Mapped[str] = mapped_column(String, comment="relative to the home folder")
    vertices: Mapped[int] = mapped_column(BigInteger, comment="number of vertices")
    triangles: Mapped[int] = mapped_column(BigInteger, comment="number of triangles")
    bytes: Mapped[int] = mapped_column(BigInteger, comment="size of the file")


class Finding(Base):
    """What the ingest check saw."""

    __tablename__ = "finding"
    __table_args__ = (
        CheckConstraint("severity IN ('warning', 'info')", name="severity"),
        {"comment": "what is odd about an atlas, as the ingest check saw it"},
    )

    atlas_id: Mapped[int] = _atlas_key()
    number: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=False, comment="1, 2, … in its atlas"
    )
    code: Mapped[str] = mapped_column(String, comment="the kind of finding")
    severity: Mapped[str] = mapped_column(String, comment="'warning' or 'info'")
    structure_id: Mapped[int | None] = mapped_column(
        BigInteger, comment="the structure concerned, if it is one"
    )
    detail: Mapped[str] = mapped_column(String, comment="a sentence with the figures")


class CellTable(Base):
    """A table of cells that was registered with an atlas."""

    __tablename__ = "cell_table"
    __table_args__ = {"comment": "registered tables of cells, each a Parquet file"}  # noqa: RUF012

    name: Mapped[str] = mapped_column(String, primary_key=True, comment="view cells.<name>")
    atlas_id: Mapped[int] = mapped_column(Integer, comment=_ATLAS_ID)
    path: Mapped[str] = mapped_column(String, comment="relative to the home folder")
    rows: Mapped[int] = mapped_column(BigInteger, comment="number of cells")
    unit: Mapped[str] = mapped_column(String, comment="unit of the coordinates as they were read")
    columns: Mapped[dict[str, Any]] = mapped_column(
        JSON, comment="which column became ap_um, si_um, rl_um"
    )
    inside: Mapped[int] = mapped_column(BigInteger, comment="cells in a structure")
    unlabelled: Mapped[int] = mapped_column(
        BigInteger, comment="cells in a label that has no structure"
    )
    background: Mapped[int] = mapped_column(BigInteger, comment="cells in label 0")
    outside: Mapped[int] = mapped_column(BigInteger, comment="cells outside the volume")


annotation_run = Table(
    "annotation_run",
    Base.metadata,
    Column("atlas_id", Integer, nullable=False, comment=_ATLAS_ID),
    Column(
        "line",
        BigInteger,
        nullable=False,
        comment="row along the right-left axis: index_ap * shape_si + index_si",
    ),
    Column("start", Integer, nullable=False, comment="index_rl of the run's first voxel"),
    Column("rank", Integer, nullable=False, comment="0 is background; see label and structure"),
    Column("hemisphere", String, comment="'left', 'right', NULL for neither"),
    comment="the annotation as runs of equal rank and hemisphere, in voxel order",
)
"""No key and no index: with one, replacing millions of runs takes forty times as long."""
