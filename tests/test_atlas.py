"""The Atlas object: against slow loops, on odd atlases, and while its home changes."""

from __future__ import annotations

import copy
import dataclasses
import gc
import io
import math
import pickle
import re
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from small import SHAPE, TETRAHEDRON, SmallAtlas, labels, structure
from test_random_atlases import RandomAtlas, atlases

import atlasdb
from atlasdb import (
    AmbiguousAcronymError,
    BlobError,
    HomeError,
    LookupFailedError,
    NoMeshError,
    UnknownDepthError,
    UnknownLevelError,
    UnknownStructureError,
)
from atlasdb.atlas import Atlas
from atlasdb.atlas.opening import AtlasRecord
from atlasdb.atlas.surfaces import sides_of_points
from atlasdb.citations import AtlasCredits
from atlasdb.home import Home, Leases
from atlasdb.meshes import centres_of, read_mesh
from atlasdb.migrate import downgrade
from atlasdb.volumes import Blob


def atlas_of(random: RandomAtlas) -> Atlas:
    """Return the object on a random atlas in memory."""
    voxels = random.voxels
    data = voxels._data
    blob = Blob("annotation", Path("annotation.tiff"), "int64", voxels.grid.shape, 0, "")
    filled = dataclasses.replace(data, blobs={"annotation": blob})
    vars(filled).update(ranks=data.ranks, sides=data.sides)
    metadata = {"name": "random", "species": "none", "symmetric": data.symmetric}
    credit = AtlasCredits(data.name, "none", "", "", data.grid.resolution_um, False)
    record = AtlasRecord(Home(Path()), filled, {}, metadata, credit, "brainglobe-tiff", Leases([]))
    return Atlas(record)


@settings(deadline=None, max_examples=150)
@given(atlases(), st.data())
def test_points_levels_masks_and_relatives_against_slow_loops(
    random: RandomAtlas, data: st.DataObject
) -> None:
    atlas = atlas_of(random)
    paths = {i: random.path(i) for i in random.parents}
    height = max(map(len, paths.values())) - 1
    level = data.draw(st.none() | st.integers(-height - 2, height))
    chance = np.random.default_rng(data.draw(st.integers(0, 9_999)))
    shape, edges = np.array(atlas.shape), np.array(atlas.resolution)
    points = chance.uniform(-1, shape + 1, (40, 3))
    points[:20] = chance.integers(-1, shape + 2, (20, 3))

    def at(label: int) -> int:
        if label not in paths:
            return 0
        path = paths[label]
        if level is None:
            return label
        return path[min(level, len(path) - 1)] if level >= 0 else path[max(level, -len(path))]

    for microns in (False, True):
        given_points = points * edges if microns else points
        index = np.floor(given_points / edges) if microns else np.floor(points)
        inside: Any = np.asarray((index >= 0) & (index < shape)).all(axis=1)
        wanted = [
            at(int(random.annotation[tuple(voxel.astype(int))])) if is_in else 0
            for voxel, is_in in zip(index, inside.tolist(), strict=True)
        ]
        keywords: dict[str, Any] = {"microns": microns, "hierarchy_lev": level}
        assert atlas.structure_from_coords(given_points, **keywords).tolist() == wanted
        for point, structure_id, voxel, is_in in zip(
            given_points, wanted, index, inside.tolist(), strict=True
        ):
            assert atlas.structure_from_coords(point, **keywords) == structure_id
            name = atlas.structure_from_coords(tuple(point), as_acronym=True, **keywords)
            assert name == (f"S{structure_id}" if structure_id else "Outside atlas")
            side = int(random.sides[tuple(voxel.astype(int))]) if is_in else 0
            assert atlas.hemisphere_from_coords(point, microns) == side
            words = {0: "neither" if is_in else "outside", 1: "left", 2: "right"}
            assert atlas.hemisphere_from_coords(list(point), microns, True) == words[side]
    for structure_id, path in paths.items():
        below = [i for i in atlas.structures if structure_id in paths[i][:-1]]
        assert atlas.structures[structure_id]["structure_id_path"] == path
        assert atlas.get_structure_ancestors(structure_id) == [f"S{i}" for i in path[:-1]]
        assert atlas.get_structure_descendants(structure_id) == [f"S{i}" for i in below]
        mask = np.isin(random.annotation, [structure_id, *below])
        assert np.array_equal(atlas.get_structure_mask(structure_id), mask)
        with_ids = atlas.get_structure_mask(f"S{structure_id}", with_ids=True)
        assert np.array_equal(with_ids, mask * structure_id)
        whole = atlas.get_structures_at_hierarchy_level(structure_id)
        assert whole == path + sorted(below, key=lambda i: len(paths[i]))
        for depth in range(height + 2):
            there = [path[depth]] if depth < len(path) else []
            there = there or [i for i in below if len(paths[i]) == depth + 1]
            if there:
                found = atlas.get_structures_at_hierarchy_level(structure_id, depth)
                assert found == there
            else:
                with pytest.raises(UnknownLevelError, match=f"no descendants at .*{depth}"):
                    atlas.get_structures_at_hierarchy_level(structure_id, depth)


@pytest.fixture
def small(tmp_path: Path, db: atlasdb.Database) -> Atlas:
    """A small atlas: orphans, an all-digit acronym, ids of 33 bits, additional references."""
    strange = labels(3)
    strange[strange == 12] = 4_000_000_000
    rng = np.random.default_rng(0)
    packed = SmallAtlas(
        annotation=strange,
        symmetric=False,
        additional_references=["nissl"],
        volumes={
            "hemispheres": rng.integers(0, 3, SHAPE).astype(np.uint8),
            "nissl": rng.integers(0, 9_999, SHAPE).astype(np.uint16),
        },
        meshes={"997": TETRAHEDRON, "14": TETRAHEDRON},
    )
    db.ingest(str(packed.write(tmp_path)))
    return db.atlas("small_rat_50um")


def test_points_in_all_the_forms_that_people_have(small: Atlas) -> None:
    import pandas as pd

    one = np.array([3, 2, 6])
    wanted = small.structure_from_coords((3, 2, 6))
    frame = pd.DataFrame({"ap": [3, 0], "si": [2, 0], "rl": [6, 0]})
    forms: list[Any] = [
        one, one.tolist(), tuple(one), list(one), one.astype(np.float32), one.astype(np.uint8),
        frame.iloc[0], [3.99, np.float32(2.5), np.int8(6)], one[::-1][::-1],
    ]  # fmt: skip
    for form in forms:
        assert small.structure_from_coords(form) == wanted
        assert small.hemisphere_from_coords(form) == small.hemispheres[3, 2, 6]
    row = frame.assign(name="a cell").iloc[0][["ap", "si", "rl"]]
    more: list[Any] = [
        row, one.astype(object), [np.array(3), np.array(2), np.array(6)],
        (Decimal("3.5"), Fraction(5, 2), 6), (3, 2, np.float16(6.5)), (np.bool_(True) + 2, 2, 6),
        np.ma.array([3, 2, 6], mask=[False] * 3),
    ]  # fmt: skip
    for form in more:
        assert small.structure_from_coords(form) == wanted
    hidden = np.ma.array([3, 2, 6], mask=[False, False, True])
    assert small.structure_from_coords(hidden) == 0
    assert small.structure_from_coords(hidden[None]).tolist() == [0]
    assert small.hemisphere_from_coords(hidden, as_string=True) == "outside"
    both = small.structure_from_coords(frame)
    assert both.tolist() == [wanted, small.structure_from_coords((0, 0, 0))]
    assert both.dtype == np.int64
    assert small.structure_from_coords(np.empty((0, 3))).shape == (0,)
    huge = [10**400, -(10**400), 2**70, math.inf, -math.inf, math.nan, -1e-300, 1e300]
    for number in huge:
        for microns in (False, True):
            for axis in range(3):
                point: list[Any] = [0, 0, 0]
                point[axis] = number
                assert small.structure_from_coords(point, microns) == 0
                assert small.hemisphere_from_coords(point, microns, True) == "outside"
    wrongs: list[Any] = [
        (1, 2), (1, 2, 3, 4), "444", ("1", "2", "3"), [[1, 2]], None, (None, 1, 2), 5,
        [1, 2, [3]], ["1", 2, 3], (1j, 2, 3), np.array([1, 2, "3"], dtype=object), {1: 2},
    ]  # fmt: skip
    for wrong in wrongs:
        for ask in (small.structure_from_coords, small.hemisphere_from_coords):
            with pytest.raises(ValueError, match="points must|coordinates are three numbers or an"):
                ask(wrong)


def test_levels_that_are_none(small: Atlas) -> None:
    level: Any = np.int8(0)
    assert small.structure_from_coords((0, 0, 0), hierarchy_lev=level) in {0, 997}
    small.structure_from_coords((0, 0, 0), hierarchy_lev=1)
    levels: list[Any] = [4, 400, True, np.True_, "2", 2.0, -1.5, [1], math.nan]
    for wrong in levels:
        with pytest.raises(UnknownDepthError):
            small.structure_from_coords((0, 0, 0), hierarchy_lev=wrong)


def test_levels_above_the_root_are_the_root_s(small: Atlas) -> None:
    at: Any = np.array(2)
    inside = tuple(np.argwhere(small.annotation == 70_000)[0].tolist())
    assert small.structure_from_coords(inside, hierarchy_lev=at) == 70_000
    for level in range(-1, -3_000, -1):
        small.structure_from_coords(inside, hierarchy_lev=level)
    assert small.structure_from_coords(inside, hierarchy_lev=-9_999) == 997
    assert len(small._levels) < 10
    assert small.structure_from_coords((-1, 0, 0), as_acronym=True, key_error_string=0) == 0  # type: ignore[arg-type]
    many = small.structure_from_coords([(-1, 0, 0)], as_acronym=True, key_error_string=None)  # type: ignore[arg-type]
    assert many.tolist() == [None]


def test_faces_of_voxels_in_microns(home: atlasdb.Database) -> None:
    """Points on and beside every face, at resolutions that are no binary fractions."""
    atlas = home.atlas("small_rat_100um")
    assert atlas.resolution == (100.0, 33.3, 0.1)
    axes = [
        np.concatenate([np.nextafter(np.arange(n + 1) * r, side) for side in (-1e9, 0.5, 1e9)])
        for n, r in zip(atlas.shape, atlas.resolution, strict=True)
    ]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    index = np.floor(points / atlas.resolution).astype(int)
    inside = ((index >= 0) & (index < atlas.shape)).all(axis=1)
    wanted = np.zeros(len(points), np.int64)
    wanted[inside] = atlas.annotation[tuple(index[inside].T)]
    assert np.array_equal(atlas.structure_from_coords(points, microns=True), wanted)
    assert [atlas.structure_from_coords(p, microns=True) for p in points] == wanted.tolist()


def test_structures_are_a_mapping(small: Atlas) -> None:
    structures = small.structures
    assert list(structures) == [997, 8, 70_000, 5_000_000_000, 12, 13, 14]
    assert len(structures) == 7
    assert [entry["acronym"] for entry in structures.values()] == list(structures.acronym_to_id_map)
    assert dict(structures) == structures.data == structures.copy()
    assert structures.get("VISp2/3", structures[8])["id"] == 5_000_000_000
    assert structures.get("nope") is None
    assert set(structures | {1: 2}) == {1, *structures} == set({1: 2} | structures)
    assert structures.get("nope", 5) == 5
    for key in ("10", 14, "14", 14.0, np.uint8(14), np.float32(14), np.array(14)):
        assert structures[key]["acronym"] == "10"
        assert key in structures
    for key in ("nope", 15, "15", 14.5, math.nan, math.inf, "-14", "1" * 5_000, 2**70, -1):
        assert key not in structures
        with pytest.raises(UnknownStructureError, match="in small_rat_50um@1.0"):
            structures[key]
    wrongs: list[Any] = [None, True, [14], {}, (14,), 1j]
    for wrong in wrongs:
        assert wrong not in structures
        with pytest.raises(TypeError):
            structures[wrong]
    with pytest.raises(UnknownStructureError, match="did you mean VISp2/3"):
        structures["visp2"]
    with pytest.raises(UnknownStructureError, match=r"named so: grey \(the structure grey\)"):
        structures["Structure grey"]
    for change in (
        lambda: structures.pop(14),
        lambda: structures.update({14: structures[14]}),
        structures.clear,
        lambda: structures.__ior__({1: structures[14]}),
    ):
        with pytest.raises(TypeError, match="are the atlas's"):
            change()
    assert len(structures) == 7


def test_an_entry_is_a_dictionary(small: Atlas) -> None:
    entry = small.structures["10"]
    assert list(entry) == [
        "acronym", "id", "name", "structure_id_path", "rgb_triplet", "mesh_filename", "mesh",
    ]  # fmt: skip
    assert entry["structure_id_path"] == [997, 13, 14]
    assert (entry["parent_structure_id"], entry["annotation_value"]) == (13, 14)
    assert small.structures["root"]["parent_structure_id"] is None
    assert entry.data["mesh"] is None  # not read so far
    assert entry["mesh"] is entry["mesh"]
    assert entry["mesh"].points.shape == (4, 3)
    entry["rgb_triplet"] = [1, 2, 3]
    assert small.structures[14]["rgb_triplet"] == [1, 2, 3]
    assert small.structures_list[-1]["rgb_triplet"] == [14, 7, 255]
    for again in (copy.deepcopy(entry), pickle.loads(pickle.dumps(entry))):  # noqa: S301 (ours)
        assert again == {key: again[key] for key in entry}
        assert again["mesh_filename"] == entry["mesh_filename"]
        assert np.array_equal(again["mesh"].points, entry["mesh"].points)
    unread = copy.deepcopy(small.structures["root"])
    assert unread["mesh"].points.shape == (4, 3)
    sent = pickle.loads(pickle.dumps(small.structures))  # noqa: S301 (ours)
    assert sent["root"]["mesh"].points.shape == (4, 3)
    assert list(sent) == list(small.structures)
    assert small.structures["grey"]["mesh_filename"] is None
    with pytest.raises(NoMeshError, match=r"grey \(8\) has no mesh in small_rat_50um@1.0, which"):
        small.structures["grey"]["mesh"]


def test_an_acronym_of_several_structures(tmp_path: Path, db: atlasdb.Database) -> None:
    twins = [structure(997, "root", [997])]
    twins += [structure(i, "twin", [997, i]) for i in (8, 12)]
    db.ingest(str(SmallAtlas(structures=twins, annotation=labels()).write(tmp_path)))
    atlas = db.atlas("small_rat_50um")
    with pytest.raises(AmbiguousAcronymError, match="ids 8, 12"):
        atlas.structures["twin"]
    assert "twin" in atlas.structures
    with pytest.raises(AmbiguousAcronymError):
        atlas.structures.get("twin")
    assert atlas.structures.acronym_to_id_map["twin"] == 12
    assert atlas.get_structures_at_hierarchy_level("root", 1, as_acronym=True) == ["twin", "twin"]
    assert len(atlas.hierarchy) == 3


def test_mapped_volumes_are_the_arrays(small: Atlas) -> None:
    kinds = ["annotation", "hemispheres", "ranks", "reference", "nissl"]
    assert list(small.mapped) == kinds
    assert len(small.mapped) == 5
    mapped = small.mapped["annotation"]
    whole = small.annotation
    assert 4_000_000_000 in whole
    assert (mapped.shape, mapped.dtype, mapped.ndim, mapped.size, len(mapped)) == (
        whole.shape, whole.dtype, 3, whole.size, len(whole),
    )  # fmt: skip
    rows = np.array([3, 0, 0])
    indices: list[Any] = [
        0, -1, (1, 2, 3), (slice(None), 1), (..., 2), slice(None, None, 2), (rows, rows % 3, rows),
        whole == 8, np.zeros(4, bool), (None, 2), [1, 2], (np.int64(3), np.uint8(2), -1), ...,
    ]  # fmt: skip
    for index in indices:
        found = mapped[index]
        assert np.array_equal(found, whole[index])
        assert found.dtype == whole.dtype
    assert [np.array_equal(a, b) for a, b in zip(mapped, whole, strict=True)] == [True] * 4
    assert np.array_equal(np.asarray(mapped), whole)
    assert np.asarray(mapped, dtype=np.float32).dtype == np.float32
    assert np.array_equal(np.array(mapped, copy=True), whole)
    with pytest.raises(ValueError, match="uncopied"):
        np.array(mapped, copy=False)
    with pytest.raises(IndexError):
        mapped[4]
    for kind in kinds[1:]:
        array = small.mapped[kind]
        assert not array.flags.writeable
        assert array is small.mapped[kind]
        own = {"reference": small.reference, "nissl": small.additional_references["nissl"]}
        own["hemispheres"] = small.hemispheres
        if kind in own:
            assert np.array_equal(array, own[kind])
    with pytest.raises(LookupFailedError, match="no volume 'nisl'; did you mean nissl"):
        small.mapped["nisl"]
    with pytest.raises(LookupFailedError, match="no additional reference 'nisl'; did you mean"):
        small.additional_references["nisl"]
    with pytest.raises(LookupFailedError, match="no additional reference 'annotation'"):
        small.additional_references["annotation"]
    assert np.array_equal(mapped == 8, whole == 8)
    assert np.array_equal(mapped != 8, whole != 8)
    assert np.array_equal(mapped * 2 + mapped, whole * 3)
    assert np.array_equal(np.equal(mapped, whole), np.ones(SHAPE, bool))
    assert np.count_nonzero(mapped == 8) == (whole == 8).sum()
    assert 4_000_000_000 in mapped
    assert 15 not in mapped
    assert np.isin(mapped, [8]).sum() == (whole == 8).sum()
    assert "nissl" in repr(small.mapped)
    assert repr(mapped) == "<4 × 3 × 7 uint32 labels, mapped>"


def test_arrays_are_the_caller_s_own(small: Atlas) -> None:
    before = small.annotation.copy()
    found = small.structure_from_coords((0, 0, 0))
    for array in (small.annotation, small.reference, small.hemispheres):
        array[:] = 0
    assert small.template is small.reference
    assert small.structure_from_coords((0, 0, 0)) == found
    assert np.array_equal(small.mapped["annotation"], before)


@pytest.mark.parametrize(
    "dtype", ["uint8", ">u2", "int16", "float32", ">f8", "bool", "uint32", "int64"]
)
@pytest.mark.parametrize("orientation", ["asr", "lpi", "sla"])
def test_references_of_any_type_are_kept_as_they_are(
    dtype: str, orientation: str, tmp_path: Path, db: atlasdb.Database
) -> None:
    from atlasdb.space import Reorientation

    reference = np.random.default_rng(2).integers(0, 2, SHAPE).astype(dtype)
    package = SmallAtlas(orientation=orientation, resolution_um=(50.0, 50.0, 50.0))
    folder = package.write(tmp_path)
    with tifffile.TiffWriter(folder / "reference.tiff", byteorder=">") as file:
        file.write(reference, photometric="minisblack")
    db.ingest(str(folder))
    atlas = db.atlas("small_rat_50um")
    wanted = Reorientation.between(orientation).volume(reference)
    assert np.array_equal(atlas.reference, wanted)
    assert np.array_equal(atlas.mapped["reference"], wanted)
    assert np.array_equal(tifffile.imread(atlas.root_dir / "reference.tiff"), wanted)
    if dtype != "bool":
        assert isinstance(atlas.mapped["reference"].base, np.memmap)
    assert atlas.orientation == atlas.metadata["orientation"] == "asr"
    assert atlas.metadata["shape"] == list(wanted.shape) == list(atlas.shape)
    assert all(result.ok for result in db.check("small_rat_50um"))


def test_it_stays_as_it_is_when_the_home_changes(tmp_path: Path, db: atlasdb.Database) -> None:
    first = SmallAtlas(annotation=labels(1)).write(tmp_path / "first")
    db.ingest(str(first))
    atlas = db.atlas("small_rat_50um")
    before = tifffile.imread(first / "annotation.tiff")
    file = atlas.root_meshfile()
    changed = SmallAtlas(
        annotation=labels(2), meshes={"997": TETRAHEDRON.replace("v 10 0 0", "v 20 0 0")}
    )
    db.ingest(str(changed.write(tmp_path / "second")), force=True)
    db.remove("small_rat_50um")
    assert file.exists()
    assert np.array_equal(atlas.annotation, before)
    assert atlas.root_mesh().points.max() == 10
    assert atlas.mesh_from_structure("cm").points.shape == (4, 3)
    assert np.array_equal(atlas.reference, tifffile.imread(first / "reference.tiff"))
    with pytest.raises(LookupFailedError):
        db.atlas("small_rat_50um")
    del atlas
    gc.collect()
    db.ingest(str(first))
    assert not file.exists()  # swept when nobody held it any more


def test_it_is_sent_to_another_process(small: Atlas, db: atlasdb.Database, tmp_path: Path) -> None:
    sent = pickle.dumps(small)
    assert len(sent) < 2_000
    (tmp_path / "atlas.pickle").write_bytes(sent)
    code = (
        "import pickle, sys; atlas = pickle.load(open(sys.argv[1], 'rb'));"
        "print(atlas, atlas.get_structure_ancestors('10'), int(atlas.annotation.sum()))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "atlas.pickle")],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert f"['root', 'CUL4, 5'] {int(small.annotation.sum())}" in printed
    db.ingest(str(SmallAtlas().write(tmp_path / "again")), force=True)
    with pytest.raises(BlobError, match="replaced since the object was pickled: open it anew"):
        pickle.loads(sent)  # noqa: S301 (ours)


def test_copies_are_independent_and_need_no_database(small: Atlas, db: atlasdb.Database) -> None:
    small.metadata["species"] = "changed"
    before = small.annotation.copy()
    small.structures["10"]["rgb_triplet"] = [1, 1, 1]
    assert small.root_mesh().points.shape == (4, 3)
    assert pickle.loads(pickle.dumps(small)).species == "changed"  # noqa: S301 (ours)
    db.remove("small_rat_50um")
    shallow, deep = copy.copy(small), copy.deepcopy(small)
    for again in (shallow, deep):
        assert type(again) is Atlas
        assert again.species == "changed"
        assert again.structures["10"]["rgb_triplet"] == [1, 1, 1]
        assert np.array_equal(again.reference, small.reference)
        assert again.mesh_from_structure(14).points.shape == (4, 3)
        assert np.array_equal(again.mapped["annotation"], before)
        assert again.structure_from_coords((0, 0, 0)) == small.structure_from_coords((0, 0, 0))
    assert shallow.annotation is small.annotation
    deep.annotation[:] = 0
    deep.structures["10"]["rgb_triplet"][0] = 9
    deep.metadata["species"] = "other"
    assert np.array_equal(small.annotation, before)
    assert small.structures["10"]["rgb_triplet"] == [1, 1, 1]
    assert small.species == "changed"


def test_additional_references_are_in_the_source_s_order(
    tmp_path: Path, db: atlasdb.Database
) -> None:
    volume = np.ones(SHAPE, np.uint16)
    package = SmallAtlas(
        additional_references=["zz", "gone", "aa"], volumes={"zz": volume, "aa": volume * 2}
    )
    db.ingest(str(package.write(tmp_path)))
    atlas = db.atlas("small_rat_50um")
    assert list(atlas.additional_references) == ["zz", "aa"]
    assert list(atlas.mapped)[-2:] == ["zz", "aa"]
    assert atlas.metadata["additional_references"] == ["zz", "gone", "aa"]


def test_what_it_says_of_itself(small: Atlas, full: atlasdb.Database) -> None:
    from rich.console import Console
    from rich.panel import Panel

    assert repr(small) == "small rat atlas (res. 50um)"
    text = str(small)
    for fact in ("Small rat 50um", "small_rat (v1.0)", "Rattus norvegicus", "Someone 2020, doi:10.1/x",
                 "http://localhost", "asr", "False", "50 × 20 × 10 µm", "4 × 3 × 7 voxels",
                 "7, 2 with a mesh"):  # fmt: skip
        assert fact in text
    console = Console(record=True, width=60, file=io.StringIO())
    console.print(small)
    assert "Rattus norvegicus" in console.export_text()
    assert isinstance(next(iter(small.__rich_console__())), Panel)
    small.metadata["citation"] = "a\x1b[31m [bold] citation"
    assert "a [31m [bold] citation" in str(small)
    assert (small.species, small.symmetric, small.version) == ("Rattus norvegicus", False, "1.0")
    assert (small.atlas_link, small.local_version) == ("http://localhost", (1, 0))
    assert small.shape_um == (200.0, 60.0, 70.0)
    newest = full.atlas("small_rat_50um")
    assert newest.version == "1.10"
    assert full.atlas("small_rat_50um@1.2").version == "1.2"


# Meshes


@pytest.fixture(scope="module")
def phantoms(full: atlasdb.Database) -> dict[str, Atlas]:
    names = ("phantom_mouse_100um", "phantom_odd_mouse_100um", "phantom_asymmetric_mouse_100um",
             "phantom_anisotropic_mouse_200um")  # fmt: skip
    return {name: full.atlas(name) for name in names}


def test_halves_of_a_symmetric_atlas_meet_at_its_midline(phantoms: dict[str, Atlas]) -> None:
    for name, atlas in phantoms.items():
        if "asymmetric" in name:
            continue
        plane = atlas.shape[2] // 2 * atlas.resolution[2]
        left, right = (atlas.mesh_from_structure("root", hemisphere=s) for s in ("left", "right"))
        assert left.points[:, 2].min() == right.points[:, 2].max() == plane
        whole = atlas.root_mesh()
        assert left.points[:, 2].max() == whole.points[:, 2].max()
        sides = atlas.hemisphere_from_coords(left.points[left.points[:, 2] > plane], True)
        assert (sides == 1).all()


def test_halves_of_an_asymmetric_atlas_follow_its_hemispheres(phantoms: dict[str, Atlas]) -> None:
    atlas = phantoms["phantom_asymmetric_mouse_100um"]
    borders = {int((plane[40] == 2).sum()) for plane in atlas.hemispheres}
    assert len(borders) > 1  # no plane of the volume
    for name in ("root", "CP", "VISp"):
        total = 0
        whole = atlas.surface(name)
        for side, value in (("left", 1), ("right", 2)):
            half = atlas.surface(name, hemisphere=side)  # type: ignore[arg-type]
            found = atlas.hemisphere_from_coords(centres_of(half), microns=True)
            assert set(found.tolist()) <= {0, value}
            assert (found == value).mean() > 0.9
            total += len(half.triangles)
        assert total == len(whole.triangles)


def test_a_surface_beside_the_voxels_is_on_the_nearest_side(
    tmp_path: Path, db: atlasdb.Database
) -> None:
    """A box exactly round a brain whose hemispheres are 0 outside it, in uneven voxels."""
    shape = (8, 7, 9)
    annotation, sides = np.zeros(shape, np.uint32), np.zeros(shape, np.uint8)
    annotation[2:6, 2:5, 2:7] = 997
    sides[2:6, 2:5, 2:5], sides[2:6, 2:5, 5:7] = 2, 1
    corners = np.array([[ap, si, rl] for ap in (2, 6) for si in (2, 5) for rl in (2, 7)])
    box = "".join("v {} {} {}\n".format(*(corner * (50, 20, 10))) for corner in corners)
    quads = ((1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4))
    box += "".join("f {} {} {} {}\n".format(*quad) for quad in quads)
    package = SmallAtlas(
        annotation=annotation, symmetric=False, volumes={"hemispheres": sides}, meshes={"997": box}
    )
    db.ingest(str(package.write(tmp_path)))
    atlas = db.atlas("small_rat_50um")
    whole = atlas.surface("root")
    halves = [atlas.surface("root", hemisphere=side) for side in ("left", "right")]
    assert sum(len(half.triangles) for half in halves) == len(whole.triangles) == 12
    grid = atlas.voxels.grid
    points = np.random.default_rng(1).uniform(-2, 11, (500, 3))
    sided = np.argwhere(sides)
    away = (((points[:, None] - sided - 0.5) * grid.resolution_um) ** 2).sum(axis=2)
    own = np.floor(points).astype(int)
    is_in = ((own >= 0) & (own < shape)).all(axis=1)
    wanted = sides[tuple(sided[away.argmin(axis=1)].T)]
    wanted[is_in] = np.where(sides[tuple(own[is_in].T)], sides[tuple(own[is_in].T)], wanted[is_in])
    assert np.array_equal(sides_of_points(sides, points, grid), wanted)
    assert not sides_of_points(np.zeros_like(sides), points, grid).any()


def test_a_side_on_which_nothing_lies(tmp_path: Path, db: atlasdb.Database) -> None:
    right = {"997": TETRAHEDRON, "8": TETRAHEDRON.replace("10", "50")}
    db.ingest(str(SmallAtlas(meshes=right).write(tmp_path)))
    atlas = db.atlas("small_rat_50um")
    assert len(atlas.mesh_from_structure("grey", hemisphere="left").points) > 0
    with pytest.raises(NoMeshError, match="nothing of the mesh of root lies in the left"):
        atlas.mesh_from_structure("root", hemisphere="left")
    with pytest.raises(ValueError, match="hemisphere is 'left' or 'right', not 'both'"):
        atlas.mesh_from_structure("root", hemisphere="both")  # type: ignore[call-overload]
    whole = atlas.mesh_from_structure(["root", 8], hemisphere="right")
    assert len(whole[0].points) == 4


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "the mesh is missing"),
        (lambda path: path.write_text(TETRAHEDRON[:-1]), "has 66 bytes instead of 67"),
        (lambda path: path.write_text("x" * 67), "was altered: its SHA-256 differs"),
        (lambda path: path.write_text(TETRAHEDRON.replace("v 10", "v 11")), "was altered: its SHA"),
    ],
)
def test_a_damaged_mesh_is_named(damage: Any, reason: str, small: Atlas) -> None:
    damage(small.root_meshfile())
    with pytest.raises(BlobError, match=reason):
        small.root_mesh()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * 67, "is not as it was ingested: 997.obj"),
        (TETRAHEDRON[:-8] + "#" * 8, "was altered: it has 4 vert"),
    ],
)
def test_a_mesh_whose_digest_nobody_kept(
    text: str, reason: str, db: atlasdb.Database, tmp_path: Path
) -> None:
    """As homes of older schemas have them."""
    db.ingest(str(SmallAtlas().write(tmp_path)))
    downgrade(db.home, "0004")
    db.upgrade()
    atlas = db.atlas("small_rat_50um")
    assert len(atlas.root_mesh().points) == 4
    assert all(result.ok for result in db.check("small_rat_50um"))
    atlas.root_meshfile().write_text(text)
    with pytest.raises(BlobError, match=reason):
        db.atlas("small_rat_50um").root_mesh()
    (problem,) = [result.problem for result in db.check("small_rat_50um") if not result.ok]
    assert re.search(reason, problem)


def test_meshes_are_written_in_other_orientations(
    phantoms: dict[str, Atlas], tmp_path: Path
) -> None:
    atlas = phantoms["phantom_anisotropic_mouse_200um"]
    counts = atlas.write_mesh(tmp_path / "a.obj", ["CP", 672, "VISp"], orientation="lpi")
    written = read_mesh(tmp_path / "a.obj")
    assert counts == (len(written.vertices), len(written.triangles))
    assert (tmp_path / "a.obj").read_text().count("\no ") == 1  # CP once, then VISp
    turned = atlas.surface("CP", orientation="lpi")
    assert np.array_equal(written.vertices[: len(turned.vertices)], turned.vertices)
    ap = atlas.surface("CP").vertices[:, 0]
    assert np.allclose(turned.vertices[:, 1], atlas.shape_um[0] - ap)
    before = atlas.root_meshfile().read_bytes()
    for own in (atlas.root_meshfile(), phantoms["phantom_mouse_100um"].root_meshfile()):
        with pytest.raises(HomeError, match="is the database's own: write elsewhere than in"):
            atlas.write_mesh(own, "CP")
    assert atlas.root_meshfile().read_bytes() == before
    atlas.write_mesh(str(tmp_path / "b.ply"), "CP")
    again = (tmp_path / "b.ply").read_bytes()
    atlas.write_mesh(tmp_path / "b.ply", "CP")
    assert (tmp_path / "b.ply").read_bytes() == again
    with pytest.raises(ValueError, match="no structures, no mesh"):
        atlas.write_mesh(tmp_path / "c.obj", [])


def test_every_real_mesh_is_read_as_meshio_reads_it(real: atlasdb.Database) -> None:
    import meshio

    atlas = real.atlas("allen_mouse_100um")
    files = [e["mesh_filename"] for e in atlas.structures.values() if e["mesh_filename"]]
    assert len(files) == 397
    for file in sorted(files, key=lambda path: path.stat().st_size)[:-12:3]:
        theirs = meshio.obj.read(file)
        ours = read_mesh(file)
        assert np.array_equal(ours.vertices, theirs.points)
        assert np.array_equal(ours.triangles, theirs.cells[0].data)
