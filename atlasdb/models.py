"""The tables of an atlas database, as SQLAlchemy models.

The one idea: ids are the atlas's own and mean something in their atlas only, so every table is
keyed by ``atlas_id`` first. There are no foreign keys (DuckDB's forbid replacing an atlas in one
transaction): the ingest and ``atlasdb check`` prove the references instead. Comments are stored in
the database, so that any client can show them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from numbers import Integral
from typing import Any, Final, Literal, get_args

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    DateTime,
    Double,
    Integer,
    MetaData,
    ScalarSelect,
    Sequence,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    and_,
    case,
    event,
    func,
    or_,
    select,
)
from sqlalchemy.ext.hybrid import hybrid_method, hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Mapper,
    Relationship,
    aliased,
    foreign,
    mapped_column,
    relationship,
    remote,
)

from atlasdb.errors import UnknownDepthError

Ragged = Literal["omit", "leaf"]
"""Branches that end above a depth: left out, or represented by their leaf."""

NAMING: Final = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}

_ATLAS_ID = "the atlas, as in table atlas"
_CENTROID = "mean of the voxels' centres, microns; NULL without voxels"
_NEAR_FACE = "near face of the first voxel, microns; NULL without voxels"
_FAR_FACE = "far face of the last voxel, microns; NULL without voxels"


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


def _to_one(primaryjoin: Callable[[], Any]) -> Relationship[Any]:
    """Return a relationship to one row or none."""
    return relationship(primaryjoin=primaryjoin, viewonly=True, uselist=False)


def _to_many(primaryjoin: Callable[[], Any], *, order_by: Callable[[], Any]) -> Relationship[Any]:
    """Return a relationship to any number of rows, in order."""
    return relationship(primaryjoin=primaryjoin, viewonly=True, order_by=order_by)


def _by_closure(
    primaryjoin: Callable[[], Any], secondaryjoin: Callable[[], Any]
) -> Relationship[Any]:
    """Return a relationship to structures by way of the closure, in depth-first order."""
    return relationship(
        "Structure",
        secondary=lambda: StructureClosure.__table__,
        primaryjoin=primaryjoin,
        secondaryjoin=secondaryjoin,
        viewonly=True,
        order_by=lambda: Structure.rank,
    )


def _is_ancestor() -> ColumnElement[bool]:
    return and_(
        StructureClosure.atlas_id == Structure.atlas_id,
        StructureClosure.ancestor_id == Structure.structure_id,
    )


def _is_descendant() -> ColumnElement[bool]:
    return and_(
        StructureClosure.atlas_id == Structure.atlas_id,
        StructureClosure.descendant_id == Structure.structure_id,
    )


_to_ancestor, _to_descendant = _is_ancestor, _is_descendant
"""The same conditions, on the far side of the closure."""


def _atlas_of(model: type[Any]) -> ColumnElement[bool]:
    """Return the join of a row to its atlas."""
    return and_(foreign(model.atlas_id) == remote(Atlas.atlas_id))


def _of_atlas(model: type[Any]) -> ColumnElement[bool]:
    """Return the join of an atlas to its rows in another table."""
    return and_(foreign(remote(model.atlas_id)) == Atlas.atlas_id)


def _same_structure(model: type[Any]) -> ColumnElement[bool]:
    """Return the join of a structure to the rows of another table about it."""
    return and_(
        foreign(remote(model.atlas_id)) == Structure.atlas_id,
        foreign(remote(model.structure_id)) == Structure.structure_id,
    )


def _extent_of(hemisphere: str) -> ColumnElement[bool]:
    """Return the join of a structure to one of its extents."""
    return and_(_same_structure(StructureExtent), StructureExtent.hemisphere == hemisphere)


def _structure_of(model: type[Any], column: str = "structure_id") -> ColumnElement[bool]:
    """Return the join of a row to the structure that it is about."""
    return and_(
        foreign(model.atlas_id) == remote(Structure.atlas_id),
        foreign(getattr(model, column)) == remote(Structure.structure_id),
    )


def _check_structure(other: object) -> None:
    """Refuse an acronym or an id where a structure is needed."""
    if isinstance(other, str | int):
        raise TypeError(
            f"expected a Structure or an alias of it, not {other!r}: session.structure({other!r}) "
            "gives one"
        )


def _checked_level(depth: object, ragged: Ragged) -> int:
    """Return a depth, and refuse what is none, or no way to treat branches that end above it."""
    if isinstance(depth, bool) or not isinstance(depth, Integral) or depth < 0:
        raise UnknownDepthError(f"no depth {depth!r}: depths are integers, and the root has 0")
    if ragged not in get_args(Ragged):
        raise ValueError(f"ragged is 'omit' or 'leaf', not {ragged!r}")
    return int(depth)


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
    source_format: Mapped[str] = mapped_column(
        String, comment="brainglobe-tiff or brainglobe-ome-zarr"
    )
    source_sha256: Mapped[str | None] = mapped_column(
        String, comment="digest of the archive; NULL for folders and components"
    )
    ingested_at: Mapped[datetime] = mapped_column(DateTime, comment="UTC")
    atlasdb_version: Mapped[str] = mapped_column(String, comment="the atlasdb that ingested it")
    extra: Mapped[dict[str, Any]] = mapped_column(JSON, comment="all metadata of the source")
    left_out: Mapped[list[str] | None] = mapped_column(
        ARRAY(String), comment="what the ingest left out: meshes, references; NULL for nothing"
    )

    structures: Mapped[list[Structure]] = _to_many(
        lambda: _of_atlas(Structure), order_by=lambda: Structure.rank
    )
    volumes: Mapped[list[Volume]] = _to_many(
        lambda: _of_atlas(Volume), order_by=lambda: Volume.kind
    )
    findings: Mapped[list[Finding]] = _to_many(
        lambda: _of_atlas(Finding), order_by=lambda: Finding.number
    )

    def __repr__(self) -> str:
        return f"<Atlas {self.name}@{self.version}>"


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
    path: Mapped[list[str]] = mapped_column(
        ARRAY(String), comment="acronyms from the root to the structure, both included"
    )
    label_value: Mapped[int | None] = mapped_column(
        BigInteger, comment="its value in the annotation, usually its id; NULL if it has none"
    )

    atlas: Mapped[Atlas] = _to_one(lambda: _atlas_of(Structure))
    parent: Mapped[Structure | None] = _to_one(
        lambda: and_(
            remote(Structure.atlas_id) == foreign(Structure.atlas_id),
            remote(Structure.structure_id) == foreign(Structure.parent_id),
        )
    )
    children: Mapped[list[Structure]] = _to_many(
        lambda: and_(
            foreign(remote(Structure.atlas_id)) == Structure.atlas_id,
            foreign(remote(Structure.parent_id)) == Structure.structure_id,
        ),
        order_by=lambda: Structure.rank,
    )
    siblings: Mapped[list[Structure]] = _to_many(
        lambda: and_(
            foreign(remote(Structure.atlas_id)) == Structure.atlas_id,
            foreign(remote(Structure.parent_id)) == Structure.parent_id,
            remote(Structure.structure_id) != Structure.structure_id,
        ),
        order_by=lambda: Structure.rank,
    )
    ancestors: Mapped[list[Structure]] = _by_closure(
        lambda: and_(_is_descendant(), StructureClosure.distance > 0), _to_ancestor
    )
    descendants: Mapped[list[Structure]] = _by_closure(
        lambda: and_(_is_ancestor(), StructureClosure.distance > 0), _to_descendant
    )
    leaves: Mapped[list[Structure]] = _by_closure(
        _is_ancestor, lambda: and_(_to_descendant(), Structure.rank == Structure.last_rank)
    )
    extents: Mapped[list[StructureExtent]] = _to_many(
        lambda: _same_structure(StructureExtent), order_by=lambda: StructureExtent.hemisphere
    )
    extent: Mapped[StructureExtent] = _to_one(lambda: _extent_of("both"))
    left_extent: Mapped[StructureExtent] = _to_one(lambda: _extent_of("left"))
    right_extent: Mapped[StructureExtent] = _to_one(lambda: _extent_of("right"))
    label: Mapped[Label | None] = _to_one(lambda: _same_structure(Label))
    mesh: Mapped[Mesh | None] = _to_one(lambda: _same_structure(Mesh))
    findings: Mapped[list[Finding]] = _to_many(
        lambda: _same_structure(Finding), order_by=lambda: Finding.number
    )

    def __repr__(self) -> str:
        return f"<Structure {self.structure_id} {self.acronym}>"

    @hybrid_property
    def is_leaf(self) -> bool:
        """Whether it has no children."""
        return self.rank == self.last_rank

    @hybrid_property
    def path_text(self) -> str:
        """Its path as text, 'root > grey > CH'."""
        return " > ".join(self.path)

    @path_text.inplace.expression
    @classmethod
    def _path_text(cls) -> ColumnElement[str]:
        return func.array_to_string(cls.path, " > ")

    @hybrid_method
    def descends_from(self, other: Any) -> bool:  # noqa: ANN401 (a structure or an alias)
        """Whether it is below another structure; none is below itself.

        Parameters
        ----------
        other
            A structure; in a query also an alias of the class, or the class itself.

        Examples
        --------
        ``select(Structure).where(Structure.descends_from(ctx))``
        """
        _check_structure(other)
        is_same: bool = self.atlas_id == other.atlas_id
        return is_same and bool(other.rank < self.rank <= other.last_rank)

    @descends_from.expression
    @classmethod
    def _descends_from(cls, other: Any) -> ColumnElement[bool]:  # noqa: ANN401 (likewise)
        _check_structure(other)
        return and_(
            cls.atlas_id == other.atlas_id, cls.rank > other.rank, cls.rank <= other.last_rank
        )

    @hybrid_method
    def at_depth(self, depth: int, ragged: Ragged = "omit") -> bool:
        """Whether it is at a depth, the root's being 0.

        Parameters
        ----------
        depth
            Steps from the root.
        ragged
            'leaf' takes in the leaves of branches that end above the depth, 'omit' does not.

        Raises
        ------
        UnknownDepthError
            It is negative or no integer. (One that is deeper than the atlas simply finds nothing;
            `atlasdb.session.AtlasSession.structures_at_depth` refuses it.)
        """
        depth = _checked_level(depth, ragged)
        return self.depth == depth or (ragged == "leaf" and self.depth < depth and self.is_leaf)

    @at_depth.expression
    @classmethod
    def _at_depth(cls, depth: int, ragged: Ragged = "omit") -> ColumnElement[bool]:
        depth = _checked_level(depth, ragged)
        there = cls.depth == depth
        return or_(there, and_(cls.depth < depth, cls.is_leaf)) if ragged == "leaf" else there

    @hybrid_method
    def ancestor_at(self, depth: int) -> Structure:
        """Return its ancestor at a depth; a structure that ends above it gives itself.

        In a query, ``Structure.ancestor_at(depth)`` is that ancestor's ``structure_id``; selected
        alone, it needs ``.select_from(Structure)``.

        Parameters
        ----------
        depth
            Steps from the root.

        Raises
        ------
        UnknownDepthError
            It is negative or no integer.
        """
        depth = _checked_level(depth, "omit")
        return self if depth >= self.depth else self.ancestors[depth]

    @ancestor_at.expression  # type: ignore[arg-type]  # in SQL it is the id
    @classmethod
    def _ancestor_at(cls, depth: int) -> ScalarSelect[int]:
        depth = _checked_level(depth, "omit")
        above = aliased(StructureClosure)
        return (
            select(above.ancestor_id)
            .where(
                above.atlas_id == cls.atlas_id,
                above.descendant_id == cls.structure_id,
                above.distance == case((cls.depth > depth, cls.depth - depth), else_=0),
            )
            .correlate(cls)
            .scalar_subquery()
        )


class StructureClosure(Base):
    """An ancestor and a descendant, any number of steps apart."""

    __tablename__ = "structure_closure"
    __table_args__ = {"comment": "every pair of an ancestor and a descendant, self included"}  # noqa: RUF012

    atlas_id: Mapped[int] = _atlas_key()
    ancestor_id: Mapped[int] = _structure_key("structure_id of the ancestor")
    descendant_id: Mapped[int] = _structure_key("structure_id of the descendant")
    distance: Mapped[int] = mapped_column(Integer, comment="steps between them; 0 = the same")

    ancestor: Mapped[Structure] = _to_one(lambda: _structure_of(StructureClosure, "ancestor_id"))
    descendant: Mapped[Structure] = _to_one(
        lambda: _structure_of(StructureClosure, "descendant_id")
    )


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
    centroid_ap_um: Mapped[float | None] = mapped_column(Double, comment=_CENTROID)
    centroid_si_um: Mapped[float | None] = mapped_column(Double, comment=_CENTROID)
    centroid_rl_um: Mapped[float | None] = mapped_column(Double, comment=_CENTROID)
    bbox_min_ap_um: Mapped[float | None] = mapped_column(Double, comment=_NEAR_FACE)
    bbox_min_si_um: Mapped[float | None] = mapped_column(Double, comment=_NEAR_FACE)
    bbox_min_rl_um: Mapped[float | None] = mapped_column(Double, comment=_NEAR_FACE)
    bbox_max_ap_um: Mapped[float | None] = mapped_column(Double, comment=_FAR_FACE)
    bbox_max_si_um: Mapped[float | None] = mapped_column(Double, comment=_FAR_FACE)
    bbox_max_rl_um: Mapped[float | None] = mapped_column(Double, comment=_FAR_FACE)

    structure: Mapped[Structure] = _to_one(lambda: _structure_of(StructureExtent))


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

    structure: Mapped[Structure | None] = _to_one(lambda: _structure_of(Label))


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

    atlas: Mapped[Atlas] = _to_one(lambda: _atlas_of(Volume))


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
    sha256: Mapped[str | None] = mapped_column(
        String, comment="digest of the file; NULL where an atlasdb that kept none ingested it"
    )

    structure: Mapped[Structure] = _to_one(lambda: _structure_of(Mesh))


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

    atlas: Mapped[Atlas] = _to_one(lambda: _atlas_of(Finding))
    structure: Mapped[Structure | None] = _to_one(lambda: _structure_of(Finding))


class CellTable(Base):
    """A table of cells that was registered with an atlas."""

    __tablename__ = "cell_table"
    __table_args__ = {"comment": "registered tables of cells, each a Parquet file"}  # noqa: RUF012

    name: Mapped[str] = mapped_column(String, primary_key=True, comment="view cells.<name>")
    atlas_id: Mapped[int] = mapped_column(Integer, comment=_ATLAS_ID)
    path: Mapped[str] = mapped_column(String, comment="Parquet file, relative to the home folder")
    location: Mapped[str] = mapped_column(String, comment="the home folder that the view reads")
    source: Mapped[str] = mapped_column(String, comment="what it was read from")
    added_at: Mapped[datetime] = mapped_column(DateTime, comment="when it was annotated, UTC")
    rows: Mapped[int] = mapped_column(BigInteger, comment="number of cells")
    bytes: Mapped[int] = mapped_column(BigInteger, comment="size of the file")
    sha256: Mapped[str] = mapped_column(String, comment="digest of the file")
    unit: Mapped[str] = mapped_column(String, comment="unit of the coordinates as they were read")
    orientation: Mapped[str] = mapped_column(
        String, comment="where the coordinates as they were read count from"
    )
    columns: Mapped[dict[str, Any]] = mapped_column(
        JSON, comment="which column became ap_um, si_um, rl_um"
    )
    added: Mapped[list[str]] = mapped_column(
        ARRAY(String), comment="the columns that were added to those of the source"
    )
    fingerprint: Mapped[str] = mapped_column(
        String, comment="digest of what the atlas's answers follow from"
    )
    outdated: Mapped[bool] = mapped_column(
        Boolean, comment="whether the atlas was replaced by one that answers otherwise"
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


def _refuse_assignment(target: Base, value: object, *_: object) -> None:
    """Refuse to assign what follows from other columns: SQLAlchemy would drop it silently."""
    raise TypeError(
        f"relationships of {type(target).__name__} follow from its columns: change parent_id, rank "
        f"and the like instead of assigning {value!r}"
    )


@event.listens_for(Mapper, "after_configured", once=True)
def _guard_relationships() -> None:
    """Listen to all relationships, when the models are used first."""
    for mapper in Base.registry.mappers:
        for found in mapper.relationships:
            attribute = getattr(mapper.class_, found.key)
            for change in ("append", "remove") if found.uselist else ("set",):
                event.listen(attribute, change, _refuse_assignment)
