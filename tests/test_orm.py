"""Relationships, hybrids and sessions of the ORM, against slow loops over rows."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, event, func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.orm import (
    InstrumentedAttribute,
    Session,
    aliased,
    contains_eager,
    joinedload,
    raiseload,
    selectinload,
    subqueryload,
)
from trees import Tree

import atlasdb
from atlasdb.models import (
    Atlas,
    Finding,
    Label,
    Mesh,
    Structure,
    StructureClosure,
    StructureExtent,
    Volume,
    annotation_run,
)

PHANTOM = "phantom_asymmetric_mouse_100um"


def tree_of(db: atlasdb.Database, atlas: str) -> Tree:
    """Return an atlas's hierarchy, from ids and parents alone."""
    rows = db.sql(
        f'SELECT structure_id, parent_id FROM "{atlas}".structure ORDER BY rank'
    ).to_pylist()
    return Tree([r["structure_id"] for r in rows], [r["parent_id"] for r in rows])


def ids(structures: list[Structure]) -> list[int]:
    return [structure.structure_id for structure in structures]


@pytest.mark.parametrize("atlas", [PHANTOM, "small_rat_50um", "small_rat_50um@1.2"])
def test_relationships(full: atlasdb.Database, atlas: str) -> None:
    tree = tree_of(full, atlas)
    with full.session(atlas=atlas) as session:
        structures = session.scalars(select(Structure).order_by(Structure.rank)).all()
        assert ids(list(structures)) == tree.subtree(tree.root)
        acronym = {s.structure_id: s.acronym for s in structures}
        for s in structures:
            node = s.structure_id
            assert (s.parent.structure_id if s.parent else None) == tree.parent_of[node]
            assert ids(s.children) == tree.children(node)
            assert ids(s.siblings) == tree.siblings(node)
            assert ids(s.ancestors) == tree.path(node)[:-1]
            assert ids(s.descendants) == tree.subtree(node)[1:]
            assert ids(s.leaves) == tree.leaves(node)
            assert s.path == [acronym[i] for i in tree.path(node)]
            assert s.path_text == " > ".join(s.path)
            assert s.is_leaf == (not tree.children(node))
            assert [e.hemisphere for e in s.extents] == ["both", "left", "right"]
            assert [s.extent, s.left_extent, s.right_extent] == s.extents
            assert s.extent.structure is s
            assert s.mesh is None or s.mesh.structure is s
            assert s.label is None or s.label.structure is s
            assert all(finding.structure is s for finding in s.findings)
            for depth in range(tree.height + 2):
                at = s.ancestor_at(depth).structure_id
                assert at == tree.path(node)[: depth + 1][-1]
                assert s.at_depth(depth) == (tree.depth(node) == depth)
                ended = s.is_leaf and tree.depth(node) < depth
                assert s.at_depth(depth, "leaf") == (tree.depth(node) == depth or ended)
            for other in structures:
                assert s.descends_from(other) == (other.structure_id in tree.path(node)[:-1])
        (one,) = session.scalars(select(Atlas))
        assert one.structures == list(structures)
        assert all(s.atlas is one for s in structures)
        assert {v.kind for v in one.volumes} >= {"annotation", "ranks", "reference"}
        assert all(volume.atlas is one for volume in one.volumes)
        assert all(finding.atlas is one for finding in one.findings)
        pair = session.scalars(
            select(StructureClosure).order_by(StructureClosure.distance.desc()).limit(1)
        ).one()
        assert pair.descendant.depth - pair.ancestor.depth == pair.distance == tree.height


def test_hybrids_in_queries(full: atlasdb.Database) -> None:
    tree = tree_of(full, PHANTOM)
    with full.session(atlas=PHANTOM) as session:
        ordered = select(Structure.structure_id).order_by(Structure.rank)
        ctx = session.structure("CTX")
        below = session.scalars(ordered.where(Structure.descends_from(ctx))).all()
        assert below == tree.subtree(ctx.structure_id)[1:]
        above = aliased(Structure)
        pairs = session.execute(
            select(above.structure_id, Structure.structure_id).where(Structure.descends_from(above))
        ).all()
        assert sorted(map(tuple, pairs)) == sorted(
            (a, node) for node in tree.ids for a in tree.path(node)[:-1]
        )
        for depth in range(tree.height + 1):
            found = session.scalars(ordered.where(Structure.at_depth(depth))).all()
            assert found == [i for i in tree.subtree(tree.root) if tree.depth(i) == depth]
            assert ids(session.structures_at_depth(depth)) == found
            ragged = session.scalars(ordered.where(Structure.at_depth(depth, "leaf"))).all()
            assert ids(session.structures_at_depth(depth, ragged="leaf")) == ragged
            assert ids(session.structures_at_depth(depth, under="CTX", ragged="leaf")) == [
                i for i in ragged if ctx.structure_id in tree.path(i)
            ]
            cut = session.execute(select(Structure.structure_id, Structure.ancestor_at(depth)))
            places: list[Any] = list(cut)
            assert {row[0]: row[1] for row in places} == {
                i: tree.path(i)[: depth + 1][-1] for i in tree.ids
            }
        leaves = session.scalars(ordered.where(Structure.is_leaf)).all()
        assert leaves == tree.leaves(tree.root)
        text = select(Structure.path_text).where(Structure.acronym == "VISp")
        assert session.scalar(text) == session.structure("VISp").path_text
        assert session.scalar(select(Structure.path).where(Structure.rank == 1)) == ["root"]
        renamed = aliased(Structure)
        assert session.scalars(
            select(renamed.acronym).where(renamed.at_depth(0), ~renamed.is_leaf)
        ).all() == ["root"]


def test_relationships_in_queries(full: atlasdb.Database) -> None:
    tree = tree_of(full, PHANTOM)
    with full.session(atlas=PHANTOM) as session:
        visp = session.structure("VISp").structure_id
        holding = select(Structure.structure_id).where(
            Structure.descendants.any(Structure.acronym == "VISp")
        )
        assert session.scalars(holding.order_by(Structure.rank)).all() == tree.path(visp)[:-1]
        other = aliased(Structure)
        inside = (
            select(Structure.structure_id)
            .join(Structure.ancestors.of_type(other))
            .where(other.acronym == "VIS")
            .order_by(Structure.rank)
        )
        vis = session.structure("VIS").structure_id
        assert session.scalars(inside).all() == tree.subtree(vis)[1:]
        largest = session.scalars(
            select(Structure)
            .join(Structure.extent)
            .options(contains_eager(Structure.extent))
            .where(Structure.is_leaf)
            .order_by(StructureExtent.volume_mm3.desc())
        ).first()
        assert largest is not None
        assert largest.acronym == "CP"
        without = session.scalars(select(Structure).where(~Structure.mesh.has())).all()
        meshes = session.scalar(select(func.count()).select_from(Mesh))
        assert len(without) == len(tree.ids) - (meshes or 0)


LOADED = (
    "atlas",
    "parent",
    "children",
    "siblings",
    "ancestors",
    "descendants",
    "leaves",
    "extents",
    "extent",
    "left_extent",
    "right_extent",
    "label",
    "mesh",
    "findings",
)


def key(found: Any) -> Any:
    return [repr(i) for i in found] if isinstance(found, list) else repr(found)


def count_statements(session: Session) -> list[str]:
    """Return a list that grows by each statement that the session sends."""
    sent: list[str] = []

    def note(*arguments: Any) -> None:
        sent.append(arguments[2])

    event.listen(session.get_bind(), "before_cursor_execute", note)
    return sent


@pytest.mark.parametrize("option", [joinedload, subqueryload, selectinload])
@pytest.mark.parametrize("name", LOADED)
def test_every_relationship_is_a_loading_option(
    full: atlasdb.Database, option: Callable[..., Any], name: str
) -> None:
    """One statement, or two, for all structures; what is loaded is what lazy loading gives."""
    attribute: InstrumentedAttribute[Any] = getattr(Structure, name)
    with full.session(atlas="small_rat_50um") as session:
        lazy = {
            s.structure_id: key(getattr(s, name))
            if name in {"children", "siblings", "ancestors", "descendants", "leaves", "parent"}
            else None
            for s in session.scalars(select(Structure))
        }
    with full.session(atlas="small_rat_50um") as session:
        sent = count_statements(session)
        query = select(Structure).options(option(attribute), raiseload("*"))
        structures = session.scalars(query).unique().all()
        for s in structures:
            found = getattr(s, name)
            if lazy[s.structure_id] is not None:
                assert key(found) == lazy[s.structure_id]
        assert len(sent) <= 2
        assert len(structures) == 7
        with pytest.raises(InvalidRequestError, match="raise"):
            _ = structures[0].children if name != "children" else structures[0].parent


@pytest.mark.real
@pytest.mark.parametrize(
    ("option", "most"), [(subqueryload, 4), (joinedload, 1), (selectinload, 7)]
)
def test_no_statement_per_row(
    real: atlasdb.Database, option: Callable[..., Any], most: int
) -> None:
    """All 839 structures with parent, children and extents (selectinload asks by 500)."""
    with real.session(atlas="allen_mouse_100um") as session:
        sent = count_statements(session)
        structures = (
            session.scalars(
                select(Structure).options(
                    option(Structure.parent),
                    option(Structure.children),
                    option(Structure.extents),
                    raiseload("*"),
                )
            )
            .unique()
            .all()
        )
        assert len(structures) == 839
        assert sum(len(s.children) for s in structures) == 838
        assert sum(s.parent is None for s in structures) == 1
        assert all(len(s.extents) == 3 for s in structures)
        assert len(sent) <= most


def test_sessions_without_a_scope_keep_atlases_apart(full: atlasdb.Database) -> None:
    """Relationships join on the atlas: eight roots, each with the descendants of its own atlas."""
    with full.session() as session:
        roots = session.scalars(select(Structure).where(Structure.acronym == "root")).all()
        assert len(roots) == 8
        for root in roots:
            assert len(root.descendants) == root.last_rank - 1
            assert {s.atlas_id for s in root.descendants} <= {root.atlas_id}
            assert root.extent.atlas_id == root.atlas.atlas_id == root.atlas_id
        first, second = roots[:2]
        assert not second.children[0].descends_from(first)
        with pytest.raises(atlasdb.AtlasDBError, match=r"name one, db.session\(atlas=…\)"):
            session.structure("root")


def test_acronyms_are_unique_within_a_scope(full: atlasdb.Database) -> None:
    with full.session(atlas="small_rat_50um@1.9") as session:
        cm = session.scalars(select(Structure).where(Structure.acronym == "CM")).one()
        assert cm is session.structure("CM") is session.structure(70_000)
        assert str(session.atlas) == "small_rat_50um@1.9"
        assert session.structure("10").structure_id == 14
        for model in (StructureExtent, StructureClosure, Label, Volume, Mesh, Finding):
            rows: list[Any] = list(session.scalars(select(model)))
            assert {row.atlas_id for row in rows} == {cm.atlas_id}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Cm2", "no structure Cm2 in small_rat_50um@1.10; did you mean CM or cm?"),
        (10, "no structure 10 in small_rat_50um@1.10"),
        ("14", "no structure 14 in .*; an id is a number, without quotes"),
    ],
)
def test_unknown_structures_in_a_session(
    full: atlasdb.Database, name: str | int, message: str
) -> None:
    with (
        full.session(atlas="small_rat_50um") as session,
        pytest.raises(atlasdb.UnknownStructureError, match=message.replace("?", r"\?")),
    ):
        session.structure(name)


def test_depths_that_are_none(full: atlasdb.Database) -> None:
    with full.session(atlas="small_rat_50um") as session:
        with pytest.raises(atlasdb.UnknownDepthError, match="the deepest structures 3"):
            session.structures_at_depth(4)
        for depth in (-1, 1.5, "1"):
            with pytest.raises(atlasdb.UnknownDepthError, match="no depth"):
                session.structures_at_depth(depth)  # type: ignore[arg-type]
            with pytest.raises(atlasdb.UnknownDepthError, match="no depth"):
                Structure.ancestor_at(depth)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="'omit' or 'leaf', not 'x'"):
            Structure.at_depth(1, "x")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"session.structure\('CTX'\) gives one"):
            Structure.descends_from("CTX")


def test_macros_in_orm_queries(full: atlasdb.Database) -> None:
    with full.session(atlas="small_rat_50um") as session:
        rows = session.execute(
            select(
                Structure.acronym,
                func.acronym_of(
                    "small_rat_50um",
                    func.ancestor_at_depth("small_rat_50um", Structure.structure_id, 1),
                ),
            ).order_by(Structure.rank)
        ).all()
        assert list(map(tuple, rows)) == [
            ("root", "root"),
            ("grey", "grey"),
            ("CM", "grey"),
            ("VISp2/3", "grey"),
            ("cm", "grey"),
            ("CUL4, 5", "CUL4, 5"),
            ("10", "CUL4, 5"),
        ]


@pytest.fixture
def mine(db: atlasdb.Database) -> atlasdb.Database:
    """A home with two atlases that may be changed."""
    db.ingest("phantom_mouse_100um")
    db.ingest("phantom_odd_mouse_100um")
    return db


def test_a_writing_session_is_taken_over_whole(mine: atlasdb.Database) -> None:
    before = mine.sql("SELECT * FROM phantom_mouse_100um.region").to_pylist()
    with mine.session(atlas="phantom_odd_mouse_100um", write=True) as session:
        visp = session.structure("VISp")
        visp.name, visp.red = "renamed", 9
        session.execute(update(Structure).values(green=77))
        session.add(
            Finding(
                atlas_id=visp.atlas_id,
                number=99,
                code="note",
                severity="info",
                structure_id=visp.structure_id,
                detail="seen",
            )
        )
        assert mine.structure("phantom_odd_mouse_100um", "VISp")["red"] != 9, "not yet published"
    assert visp.name == "renamed", "objects outlive their session"
    row = mine.structure("phantom_odd_mouse_100um", "VISp")
    assert (row["name"], row["red"], row["green"]) == ("renamed", 9, 77)
    with mine.session(atlas="phantom_odd_mouse_100um") as session:
        assert [f.detail for f in session.structure("VISp").findings] == ["seen"]
    after = mine.sql("SELECT * FROM phantom_mouse_100um.region").to_pylist()
    assert after == before, "the bulk update was scoped"
    assert [r.problem for r in mine.check("phantom_odd_mouse_100um") if not r.ok] == []


def changed(session: Any) -> None:
    session.structure("VISp").red = 1
    session.flush()


def raising(session: Any) -> None:
    changed(session)
    raise KeyError("mine")


def raising_after_commit(session: Any) -> None:
    changed(session)
    session.commit()
    raise KeyError("mine")


def duplicated(session: Any) -> None:
    rows = session.scalars(select(Mesh).limit(1)).one()
    session.expunge(rows)
    session.add(Mesh(**{c.key: getattr(rows, c.key) for c in Mesh.__table__.columns}))


def other_finding(session: Any) -> Finding:
    return Finding(atlas_id=2, number=99, code="x", severity="info", detail="y")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (raising, KeyError, "mine"),
        (raising_after_commit, KeyError, "mine"),
        (duplicated, atlasdb.WriteError, "Duplicate key"),
        (
            lambda s: setattr(s.structure("VISp"), "acronym", "X"),
            atlasdb.WriteError,
            "path is its ancestors' acronyms and its own",
        ),
        (
            lambda s: setattr(s.structure("VISp"), "parent_id", 997),
            atlasdb.WriteError,
            "one step below its parent",
        ),
        (
            lambda s: setattr(s.structure("VISp"), "last_rank", 45),
            atlasdb.WriteError,
            "below its parent|without gaps",
        ),
        (
            lambda s: s.execute(delete(StructureClosure).where(StructureClosure.distance == 2)),
            atlasdb.WriteError,
            "Ranks are 1, 2, …",
        ),
        (
            lambda s: s.execute(update(StructureClosure).values(distance=1)),
            atlasdb.WriteError,
            "The closure holds the pairs",
        ),
        (
            lambda s: s.execute(
                update(StructureExtent)
                .where(StructureExtent.hemisphere == "left")
                .values(voxels=StructureExtent.voxels + 1)
            ),
            atlasdb.WriteError,
            "whose voxels are its subtree's",
        ),
        (
            lambda s: s.execute(delete(Structure).where(Structure.acronym == "VISp1")),
            atlasdb.WriteError,
            "about a structure is about one that is there",
        ),
        (
            lambda s: s.delete(s.scalars(select(Atlas)).one()),
            atlasdb.WriteError,
            "belongs to an atlas that is there",
        ),
        (lambda s: s.add(other_finding(s)), atlasdb.WriteError, "is not its to write"),
        (
            lambda s: s.execute(
                update(Structure), [{"atlas_id": 2, "structure_id": 997, "red": 7}]
            ),
            atlasdb.WriteError,
            "is not its to write",
        ),
        (
            lambda s: s.execute(update(Label).values(rank=Label.rank + 100)),
            atlasdb.WriteError,
            "A label that a structure has bears its rank",
        ),
        (
            lambda s: s.execute(update(Label).values(voxels=1)),
            atlasdb.WriteError,
            "A label that a structure has bears its rank",
        ),
        (lambda s: s.execute(delete(Label)), atlasdb.WriteError, "has a label"),
        (
            lambda s: s.execute(
                update(Structure).where(Structure.acronym == "CP").values(label_value=None)
            ),
            atlasdb.WriteError,
            "A label belongs to the structure whose value it is",
        ),
        (
            lambda s: s.execute(update(Structure).values(label_value=0)),
            atlasdb.WriteError,
            "A label belongs to|No two structures",
        ),
        (
            lambda s: s.execute(delete(annotation_run).where(annotation_run.c.rank > 3)),
            atlasdb.WriteError,
            "runs of an atlas bear the ranks of its labels",
        ),
        (
            lambda s: s.execute(update(StructureExtent).values(volume_mm3=0.0)),
            atlasdb.WriteError,
            "volumes are voxels times",
        ),
        (
            lambda s: s.execute(update(Atlas).values(resolution_ap_um=7.0)),
            atlasdb.WriteError,
            "volumes are voxels times",
        ),
        (
            lambda s: s.execute(delete(Volume).where(Volume.kind == "ranks")),
            atlasdb.WriteError,
            "an annotation and its ranks",
        ),
        (
            lambda s: s.execute(update(Structure).values(red=999)),
            atlasdb.WriteError,
            "from 0 to 255",
        ),
        (
            lambda s: s.execute(update(Atlas).values(name="phantom mouse")),
            atlasdb.WriteError,
            "a name with its resolution",
        ),
        (
            lambda s: s.execute(update(Atlas).values(version="1.7")),
            atlasdb.WriteError,
            "a name with its resolution",
        ),
        (
            lambda s: s.execute(text("UPDATE alembic_version SET version_num = '9999'")),
            atlasdb.SchemaVersionError,
            "newer than this",
        ),
        (
            lambda s: setattr(s.scalars(select(Atlas)).one(), "root_id", 1),
            atlasdb.WriteError,
            "about a structure|one structure without a parent",
        ),
    ],
)
def test_a_writing_session_that_fails_changes_nothing(
    mine: atlasdb.Database,
    change: Callable[[Any], object],
    error: type[Exception],
    message: str,
) -> None:
    before = mine.home.database.read_bytes()
    with (
        pytest.raises(error, match=message),
        mine.session(atlas="phantom_mouse_100um", write=True) as session,
    ):
        change(session)
    assert mine.home.database.read_bytes() == before
    changes = sorted(path.name for path in mine.home.folder.iterdir())
    assert (
        changes == sorted([".lock", "atlas.duckdb", "meshes", "volumes"]) or "downloads" in changes
    )


def test_a_statement_s_own_error_can_be_caught_in_the_block(mine: atlasdb.Database) -> None:
    with mine.session(atlas="phantom_mouse_100um", write=True) as session:
        duplicated(session)
        with pytest.raises(IntegrityError):
            session.flush()
        session.rollback()
        changed(session)
    assert mine.structure("phantom_mouse_100um", "VISp")["red"] == 1


def test_a_name_that_is_not_there_costs_no_changes(mine: atlasdb.Database) -> None:
    """The lookup must not abort the session's transaction, whose end would then be a silent loss."""
    with mine.session(atlas="phantom_mouse_100um", write=True) as session:
        changed(session)
        for name in ("CTXX", 123456789):
            with pytest.raises(atlasdb.UnknownStructureError):
                session.structure(name)
        assert session.structure("VISp").red == 1
    assert mine.structure("phantom_mouse_100um", "VISp")["red"] == 1


def test_an_aborted_transaction_is_never_a_success(mine: atlasdb.Database) -> None:
    before = mine.home.database.read_bytes()

    def failing(session: Any) -> None:
        changed(session)
        with pytest.raises(DBAPIError):
            session.execute(text("SELECT error('mine')"))

    with (
        pytest.raises(atlasdb.WriteError, match="aborted|rolled back"),
        mine.session(atlas="phantom_mouse_100um", write=True) as session,
    ):
        failing(session)
    assert mine.home.database.read_bytes() == before


def test_views_and_macros_that_a_session_dropped_are_made_again(mine: atlasdb.Database) -> None:
    with mine.session(write=True) as session:
        session.execute(text("DROP MACRO main.atlas_id"))
        session.execute(text("DROP SCHEMA phantom_mouse_100um CASCADE"))
    assert mine.sql("SELECT acronym_of('phantom_mouse_100um', 385) AS x").to_pylist() == [
        {"x": "VISp"}
    ]
    assert mine.sql("FROM phantom_mouse_100um.region").num_rows == 45


def test_blobs_that_are_not_there_are_refused(mine: atlasdb.Database) -> None:
    """Else the sweep would take the real ones, which no row names any more."""
    with (
        pytest.raises(atlasdb.WriteError, match="no file nowhere/a.tiff in the home"),
        mine.session(atlas="phantom_mouse_100um", write=True) as session,
    ):
        session.execute(update(Volume).values(path="nowhere/a.tiff"))
    assert [r.problem for r in mine.check("phantom_mouse_100um") if not r.ok] == []


def test_a_writing_session_that_has_ended(mine: atlasdb.Database) -> None:
    with mine.session(atlas="phantom_mouse_100um", write=True) as session:
        changed(session)
    before = sorted(mine.home.folder.iterdir())
    with pytest.raises(atlasdb.WriteError, match="has ended"):
        session.structure("VISp")
    assert sorted(mine.home.folder.iterdir()) == before


def test_a_writing_session_makes_no_home(tmp_path: Path) -> None:
    """A misspelt folder is an error, and stays a folder that is not there."""
    db = atlasdb.connect(tmp_path / "typo")
    with (
        pytest.raises(atlasdb.HomeNotFoundError, match="there is no atlas database in"),
        db.session(write=True),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_relationships_are_not_assigned(mine: atlasdb.Database) -> None:
    with mine.session(atlas="phantom_mouse_100um") as session:
        visp = session.structure("VISp")
        with pytest.raises(TypeError, match="follow from its columns"):
            visp.parent = session.structure("CTX")
        with pytest.raises(TypeError, match="follow from its columns"):
            visp.children.append(session.structure("CTX"))


def test_objects_of_a_scoped_session_can_be_pickled(full: atlasdb.Database) -> None:
    with full.session(atlas="small_rat_50um") as session:
        grey = session.structure("grey")
        assert [child.acronym for child in grey.children] == ["CM", "cm"]
        copy = pickle.loads(pickle.dumps(grey))  # noqa: S301 (our own)
    assert [child.acronym for child in copy.children] == ["CM", "cm"]


def test_lazy_steps_do_not_pile_up_conditions(full: atlasdb.Database) -> None:
    with full.session(atlas="small_rat_50um") as session:
        sent = count_statements(session)
        node: Structure | None = session.structure("VISp2/3")
        lengths = []
        while node is not None:
            before = len(sent)
            assert isinstance(node.siblings, list)
            lengths += [len(statement) for statement in sent[before:]]
            node = node.parent
        assert len(lengths) == 4
        assert len(set(lengths)) == 1


def test_grouping_by_an_ancestor(full: atlasdb.Database) -> None:
    """What a cut is made for: a sum of the leaves for each structure at a depth."""
    tree = tree_of(full, PHANTOM)
    own = {
        row["structure_id"]: row["direct_voxels"]
        for row in full.sql(f"FROM {PHANTOM}.region").to_pylist()
    }
    expected: dict[int, int] = {}
    for node in tree.ids:
        place = tree.path(node)[:3][-1]
        expected[place] = expected.get(place, 0) + own[node]
    with full.session(atlas=PHANTOM) as session:
        above: Any = Structure.ancestor_at(np.int64(2))  # type: ignore[arg-type]
        placed = (
            select(above.label("place"), StructureExtent.direct_voxels)
            .join(Structure.extent)
            .subquery()
        )
        rows = session.execute(
            select(placed.c.place, func.sum(placed.c.direct_voxels)).group_by(placed.c.place)
        ).all()
        assert {row[0]: int(row[1]) for row in rows} == expected
        places = session.scalars(select(above).select_from(Structure).distinct()).all()
        assert set(places) == set(expected)
        assert session.scalar(
            select(func.count()).where(Structure.at_depth(np.uint8(2)))  # type: ignore[arg-type]
        ) == sum(tree.depth(i) == 2 for i in tree.ids)


def test_a_structure_of_another_atlas_is_no_place_to_look_under(full: atlasdb.Database) -> None:
    with full.session(atlas="small_rat_50um") as session:
        foreign = session.structure("root")
    with (
        full.session(atlas=PHANTOM) as session,
        pytest.raises(atlasdb.UnknownStructureError, match="is no structure of phantom_asym"),
    ):
        session.structures_at_depth(1, under=foreign)


def test_renaming_an_atlas_renames_its_views(mine: atlasdb.Database) -> None:
    with mine.session(write=True) as session:
        atlas = session.scalars(select(Atlas).where(Atlas.name == "phantom_mouse_100um")).one()
        atlas.name = "other_mouse_100um"
    assert mine.sql("SELECT count(*) AS n FROM other_mouse_100um.structure").to_pylist() == [
        {"n": 45}
    ]
    with pytest.raises(atlasdb.QueryError):
        mine.sql("FROM phantom_mouse_100um.structure")


def test_a_reading_session_cannot_write(full: atlasdb.Database) -> None:
    with full.session(atlas="small_rat_50um") as session:
        session.structure("CM").red = 3
        with pytest.raises(Exception, match="read-only"):
            session.flush()
        session.rollback()


def test_sessions_side_by_side(mine: atlasdb.Database) -> None:
    """A reader keeps its state while a writer publishes; writers take turns; threads read."""
    with mine.session(atlas="phantom_mouse_100um") as reader:
        old = reader.structure("VISp").red
        with mine.session(atlas="phantom_mouse_100um", write=True) as writer:
            changed(writer)
        reader.expire_all()
        assert reader.structure("VISp").red == old
    assert mine.structure("phantom_mouse_100um", "VISp")["red"] == 1

    found: list[int] = []

    def read() -> None:
        for _ in range(5):
            with mine.session(atlas="phantom_mouse_100um") as session:
                found.append(len(session.structure("CTX").descendants))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len(set(found)) == 1
