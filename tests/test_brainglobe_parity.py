"""Every public member of brainglobe-atlasapi 2.3.1, asked of both: equal, or a listed difference.

Both are opened on the same packages: the real Allen and example atlases, and a small one that is
asymmetric, anisotropic and has additional references. What is not equal is in
``docs/brainglobe-differences.md``, whose tables are evaluated here on both as well.
"""

from __future__ import annotations

import inspect
import math
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import tifffile
from small import SHAPE, SmallAtlas, labels

import atlasdb
from atlasdb.errors import OutsideError, UnknownStructureError

PAGE = Path(__file__).parents[1] / "docs" / "brainglobe-differences.md"

NAMES = ("allen_mouse_100um", "example_mouse_100um", "small_rat_50um")


class Both(NamedTuple):
    """One atlas, opened by both."""

    ours: Any
    theirs: Any


@pytest.fixture(scope="module")
def unpacked(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of unpacked packages, which is BrainGlobe's own and our source."""
    import tarfile

    folder = tmp_path_factory.mktemp("brainglobe")
    for name in NAMES[:2]:
        with tarfile.open(packages / f"{name}_v1.2.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    rng = np.random.default_rng(4)
    SmallAtlas(
        symmetric=False,
        annotation=labels(11),
        additional_references=["nissl", "mri"],
        volumes={
            "nissl": rng.integers(0, 900, SHAPE).astype(np.uint16),
            "mri": rng.integers(0, 900, SHAPE).astype(np.uint16),
            "hemispheres": rng.integers(1, 3, SHAPE).astype(np.uint8),
        },
    ).write(folder)
    (folder / "bg_config.conf").write_text(
        f"[default_dirs]\nbrainglobe_dir = {folder}\ninterm_download_dir = {folder}\n"
    )
    return folder


@pytest.fixture(scope="module", params=NAMES)
def both(request: pytest.FixtureRequest, unpacked: Path) -> Both:
    return opened(request.param, unpacked)


@pytest.fixture(scope="module")
def allen(unpacked: Path) -> Both:
    return opened(NAMES[0], unpacked)


def opened(name: str, unpacked: Path) -> Both:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what BrainGlobe's imports say
        from brainglobe_atlasapi import BrainGlobeAtlas as Theirs

    arguments: dict[str, Any] = {"check_latest": False, "config_dir": unpacked / "bg_config.conf"}
    return Both(atlasdb.BrainGlobeAtlas(name, **arguments), Theirs(name, **arguments))


def same(ours: Any, theirs: Any) -> None:
    """Equal, and of the same types all the way down."""
    if isinstance(theirs, np.ndarray):
        assert isinstance(ours, np.ndarray)
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)
    elif isinstance(theirs, pd.DataFrame):
        pd.testing.assert_frame_equal(ours, theirs)
    elif isinstance(theirs, list | tuple):
        assert type(ours) is type(theirs)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            same(one, other)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            same(ours[key], theirs[key])
    else:
        assert type(ours) is type(theirs)
        assert ours == theirs


def same_mesh(ours: Any, theirs: Any) -> None:
    """The same surface; what meshio calls groups is left out."""
    assert type(ours) is type(theirs)
    same(ours.points, theirs.points)
    assert [block.type for block in ours.cells] == [block.type for block in theirs.cells]
    for block, other in zip(ours.cells, theirs.cells, strict=True):
        same(block.data, other.data)
    assert set(theirs.cell_data) == {"obj:group_ids"}
    assert not ours.cell_data


def value(member: str) -> Callable[[Both], None]:
    return lambda both: same(getattr(both.ours, member), getattr(both.theirs, member))


def every_structure(both: Both) -> Iterator[tuple[int, str]]:
    for entry in both.theirs.structures_list:
        yield entry["id"], entry["acronym"]


def named(both: Both, member: str, *, digits: bool = True) -> None:
    """A method of one structure: of each, by id and by acronym."""
    for number, (structure_id, acronym) in enumerate(every_structure(both)):
        if number % 5 == 0 or len(both.theirs.structures) < 20:
            ours = getattr(both.ours, member)
            theirs = getattr(both.theirs, member)(structure_id)
            same(ours(structure_id), theirs)
            same(ours(np.uint64(structure_id)), theirs)
            same(ours(acronym), theirs)


def structures(both: Both) -> None:
    ours, theirs = both.ours.structures, both.theirs.structures
    same(list(ours), list(theirs))
    same(list(ours.keys()), list(theirs.keys()))
    assert len(ours) == len(theirs)
    same(ours.acronym_to_id_map, theirs.acronym_to_id_map)
    for structure_id, acronym in every_structure(both):
        wanted = dict(theirs.data[structure_id].data)
        file = Path(wanted.pop("mesh_filename"))
        entry = dict(ours.data[structure_id].data)
        path = entry.pop("mesh_filename")
        assert list(entry)[-1] == list(wanted)[-1] == "mesh"  # read, or None so far
        del entry["mesh"], wanted["mesh"]
        assert (path is not None) == file.exists()
        assert path is None or path.read_bytes() == file.read_bytes()
        same(entry, wanted)
        for key in (structure_id, float(structure_id), str(structure_id), np.int64(structure_id)):
            if not (isinstance(key, str) and key in theirs.acronym_to_id_map):
                assert ours[key]["id"] == theirs[key]["id"] == structure_id
        assert ours[acronym]["id"] == structure_id
        assert acronym in ours
        assert structure_id in ours
        assert structure_id in theirs


def structures_list(both: Both) -> None:
    ours = [{k: v for k, v in e.items() if k != "mesh_filename"} for e in both.ours.structures_list]
    wanted = [
        {k: v for k, v in e.items() if k != "mesh_filename"} for e in both.theirs.structures_list
    ]
    same(ours, wanted)


def hierarchy(both: Both) -> None:
    ours, theirs = both.ours.hierarchy, both.theirs.hierarchy
    assert ours is both.ours.structures.tree
    assert type(ours) is type(theirs)
    assert ours.show(stdout=False) == theirs.show(stdout=False)
    assert repr(both.ours.structures) == repr(both.theirs.structures)
    assert ours.root == theirs.root
    for structure_id in theirs.nodes:
        assert ours[structure_id].tag == theirs[structure_id].tag
        children = [node.identifier for node in ours.children(structure_id)]
        assert children == [node.identifier for node in theirs.children(structure_id)]
    some = next(iter(theirs.nodes))
    assert ours.subtree(some).show(stdout=False) == theirs.subtree(some).show(stdout=False)


def space(both: Both) -> None:
    ours, theirs = both.ours.space, both.theirs.space
    assert repr(ours) == repr(theirs)
    for name in ("origin", "shape", "resolution", "sections", "axes_order", "axis_labels"):
        assert getattr(ours, name) == getattr(theirs, name)
    same(
        ours.map_stack_to("lpi", both.ours.annotation),
        theirs.map_stack_to("lpi", both.theirs.annotation),
    )


def triples(both: Both, number: int) -> list[Any]:
    """Voxels in the volume, in the forms that a user has them in."""
    points = np.random.default_rng(6).integers(0, both.theirs.shape, (number, 3))
    rows: list[Any] = []
    for n, row in enumerate(points):
        rows.append([row, tuple(row), list(row.tolist()), row.astype(float) + 0.5][n % 4])
    return rows


def structure_from_coords(both: Both) -> None:
    edges = np.array(both.theirs.resolution)
    paths = {e["id"]: e["structure_id_path"] for e in both.theirs.structures_list}
    for number, triple in enumerate(triples(both, 20_000)):
        for microns in (False, True):
            point = np.array(triple) * edges + 0.3 if microns else triple
            found = both.theirs.structure_from_coords(point, microns=microns)
            if found not in paths:  # BrainGlobe gives the label even if no structure has it
                found = np.uint32(0)
            same(both.ours.structure_from_coords(point, microns=microns), found)
            same(
                both.ours.structure_from_coords(point, microns, True),
                both.theirs.structure_from_coords(point, microns, True),
            )
            if number % 4 == 0 and found:
                for level in (0, 1, len(paths[found]) - 1, -1):
                    if level < len(paths[found]):
                        at_level = {"microns": microns, "hierarchy_lev": level}
                        for as_acronym in (False, True):
                            same(
                                both.ours.structure_from_coords(
                                    point, as_acronym=as_acronym, **at_level
                                ),
                                both.theirs.structure_from_coords(
                                    point, as_acronym=as_acronym, **at_level
                                ),
                            )
    background = np.argwhere(both.theirs.annotation == 0)[0]
    for keywords in ({}, {"key_error_string": "nowhere"}):
        same(
            both.ours.structure_from_coords(background, as_acronym=True, **keywords),
            both.theirs.structure_from_coords(background, as_acronym=True, **keywords),
        )


def hemisphere_from_coords(both: Both) -> None:
    edges = np.array(both.theirs.resolution)
    for triple in triples(both, 10_000):
        for as_string in (False, True):
            same(
                both.ours.hemisphere_from_coords(triple, as_string=as_string),
                both.theirs.hemisphere_from_coords(triple, as_string=as_string),
            )
            point = np.array(triple) * edges
            same(
                both.ours.hemisphere_from_coords(point, True, as_string),
                both.theirs.hemisphere_from_coords(point, True, as_string),
            )


def get_structures_at_hierarchy_level(both: Both) -> None:
    """As sets, since BrainGlobe's lists have no order; and where it does not raise."""
    depth = max(len(entry["structure_id_path"]) for entry in both.theirs.structures_list)
    compared = 0
    for structure_id, acronym in list(every_structure(both))[::7]:
        ours = both.ours.get_structures_at_hierarchy_level
        theirs = both.theirs.get_structures_at_hierarchy_level
        same(ours(structure_id), theirs(structure_id))
        same(ours(acronym, as_acronym=True), theirs(structure_id, as_acronym=True))
        for level in range(depth):
            try:
                wanted = theirs(structure_id, level)
            except ValueError:
                continue
            compared += 1
            found = ours(acronym, level)
            assert sorted(found) == sorted(wanted)
            assert all(type(one) is int for one in found)
            assert sorted(ours(structure_id, level, True)) == sorted(
                theirs(structure_id, level, as_acronym=True)
            )
    assert compared
    for wrong in (1.0, "2", True):
        for atlas in both:
            with pytest.raises(ValueError, match="hierarchy_level must be an int or None, got"):
                atlas.get_structures_at_hierarchy_level("root", wrong)
    for atlas in both:
        with pytest.raises(ValueError, match="hierarchy_level must be non-negative"):
            atlas.get_structures_at_hierarchy_level("root", -1)
        with pytest.raises(KeyError):
            atlas.get_structures_at_hierarchy_level("nope", 1)


def get_structure_mask(both: Both) -> None:
    """1 where BrainGlobe 2 has the id, and the id itself on request."""
    chosen = list(every_structure(both))[:: max(1, len(both.theirs.structures) // 12)]
    for structure_id, acronym in chosen:
        within = [acronym, *both.theirs.get_structure_descendants(structure_id)]
        if structure_id >= 2**32 or any(one.isdigit() for one in within):
            continue  # BrainGlobe: no uint32, or a descendant's acronym is taken for an id
        wanted = both.theirs.get_structure_mask(structure_id)
        same(both.ours.get_structure_mask(acronym, with_ids=True), wanted)
        same(both.ours.get_structure_mask(structure_id), (wanted != 0).astype(np.uint8))


def mesh_from_structure(both: Both) -> None:
    there = [i for i, _ in every_structure(both) if both.ours.structures[i]["mesh_filename"]]
    chosen = there if len(there) < 20 else there[1::20]
    for structure_id in chosen:
        same_mesh(
            both.ours.mesh_from_structure(structure_id),
            both.theirs.mesh_from_structure(structure_id),
        )
        mesh = both.ours.structures[structure_id]["mesh"]
        assert mesh is both.ours.mesh_from_structure(structure_id)
    for found in (both.ours.mesh_from_structure(chosen), both.ours.mesh_from_structure((*chosen,))):
        assert isinstance(found, list)
        assert len(found) == len(chosen)


def meshfile_from_structure(both: Both) -> None:
    for structure_id, acronym in every_structure(both):
        file = both.theirs.meshfile_from_structure(structure_id)
        if file.exists():
            ours = both.ours.meshfile_from_structure(acronym)
            assert type(ours) is type(file)
            assert ours.name == file.name
            assert ours.read_bytes() == file.read_bytes()
    root = both.theirs.hierarchy.root
    assert both.ours.meshfile_from_structure([root, "root"]) == [both.ours.root_meshfile()] * 2


def root_mesh(both: Both) -> None:
    same_mesh(both.ours.root_mesh(), both.theirs.root_mesh())
    assert both.ours.root_meshfile().read_bytes() == both.theirs.root_meshfile().read_bytes()


def additional_references(both: Both) -> None:
    ours, theirs = both.ours.additional_references, both.theirs.additional_references
    assert sorted(ours) == sorted(theirs)
    assert sorted(ours.references_list) == sorted(theirs.references_list)
    for name in theirs:
        same(ours[name], theirs[name])
        assert ours[name] is ours[name]
        assert name in ours


def folders(both: Both) -> None:
    """Where the database is; the volumes are in `root_dir`, under BrainGlobe's names."""
    assert both.ours.brainglobe_dir == both.theirs.brainglobe_dir
    assert both.ours.interm_download_dir == both.theirs.interm_download_dir
    assert isinstance(both.ours.root_dir, Path)
    for kind in ("annotation", "reference"):
        same(
            tifffile.imread(both.ours.root_dir / f"{kind}.tiff"),
            tifffile.imread(both.theirs.root_dir / f"{kind}.tiff"),
        )


def read_once(member: str) -> Callable[[Both], None]:
    def compare(both: Both) -> None:
        ours = getattr(both.ours, member)
        same(ours, getattr(both.theirs, member))
        assert ours is getattr(both.ours, member)
        assert ours.flags.writeable
        assert not isinstance(ours.base, np.memmap)

    return compare


COMPARED: dict[str, Callable[[Both], None]] = {
    "additional_references": additional_references,
    "annotation": read_once("annotation"),
    "atlas_name": value("atlas_name"),
    "brainglobe_dir": folders,
    "fn_update": value("fn_update"),
    "get_structure_ancestors": lambda both: named(both, "get_structure_ancestors"),
    "get_structure_descendants": lambda both: named(both, "get_structure_descendants"),
    "get_structure_mask": get_structure_mask,
    "get_structures_at_hierarchy_level": get_structures_at_hierarchy_level,
    "hemisphere_from_coords": hemisphere_from_coords,
    "hemispheres": read_once("hemispheres"),
    "hierarchy": hierarchy,
    "interm_download_dir": folders,
    "left_hemisphere_value": value("left_hemisphere_value"),
    "local_full_name": value("local_full_name"),
    "local_version": value("local_version"),
    "lookup_df": value("lookup_df"),
    "mesh_from_structure": mesh_from_structure,
    "meshfile_from_structure": meshfile_from_structure,
    "metadata": value("metadata"),
    "orientation": value("orientation"),
    "reference": read_once("reference"),
    "resolution": value("resolution"),
    "right_hemisphere_value": value("right_hemisphere_value"),
    "root_dir": folders,
    "root_mesh": root_mesh,
    "root_meshfile": root_mesh,
    "shape": value("shape"),
    "shape_um": value("shape_um"),
    "space": space,
    "structure_from_coords": structure_from_coords,
    "structures": structures,
    "structures_list": structures_list,
}

ON_A_SERVER = {"check_latest_version", "remote_url", "remote_version"}
"""Members that ask a server: `test_versions_on_a_server`."""

ABSENT = {"download_extract_file"}
"""Members that we do not have; the page says what to do instead."""


@pytest.mark.real
@pytest.mark.parametrize("member", COMPARED)
def test_a_member_is_as_brainglobe_s(member: str, both: Both) -> None:
    COMPARED[member](both)


@pytest.mark.real
def test_no_member_is_forgotten(allen: Both) -> None:
    theirs = {name for name in dir(allen.theirs) if not name.startswith("_")}
    assert theirs == COMPARED.keys() | ON_A_SERVER | ABSENT
    assert not [
        name
        for name in theirs - ABSENT
        if not hasattr(type(allen.ours), name) and not hasattr(allen.ours, name)
    ]
    assert not [name for name in ABSENT if hasattr(allen.ours, name)]
    page = PAGE.read_text("utf-8")
    assert all(f"`{name}`" in page for name in ABSENT)


@pytest.mark.real
def test_signatures_take_what_brainglobe_s_take(allen: Both) -> None:
    """Each of BrainGlobe's parameters, in its place and with its default."""
    pairs = [(type(allen.ours), type(allen.theirs))]
    pairs += [
        (getattr(allen.ours, name), getattr(allen.theirs, name))
        for name in COMPARED.keys() | ON_A_SERVER - {"remote_url", "remote_version"}
        if inspect.ismethod(getattr(allen.theirs, name))
    ]
    assert len(pairs) == 12
    for ours, theirs in pairs:
        wanted = list(inspect.signature(theirs).parameters.values())
        found = list(inspect.signature(ours).parameters.values())[: len(wanted)]
        assert [p.name for p in found] == [p.name for p in wanted]
        assert [p.default for p in found] == [p.default for p in wanted]
        assert [p.kind for p in found] == [p.kind for p in wanted]


@pytest.mark.real
def test_the_tutorial_s_answers(allen: Both) -> None:
    """The figures that BrainGlobe's own tutorial prints."""
    for atlas in allen:
        assert atlas.structure_from_coords((50, 40, 30)) == 672
        assert atlas.structure_from_coords((50, 40, 30), as_acronym=True) == "CP"
        microns = (5000, 4000, 3000)
        assert atlas.structure_from_coords(microns, as_acronym=True, microns=True) == "CP"
        at_level = {"as_acronym": True, "microns": True, "hierarchy_lev": 2}
        assert atlas.structure_from_coords(microns, **at_level) == "CH"
        assert atlas.hemisphere_from_coords((50, 40, 30), as_string=True) == "right"
        assert repr(atlas) == "allen mouse atlas (res. 100um)"


class Row(NamedTuple):
    """A row of the page's tables."""

    asked: str
    theirs: str
    ours: str


def rows() -> list[Row]:
    """The rows of the page whose first three cells are code."""
    found = []
    for line in PAGE.read_text("utf-8").splitlines():
        cells = re.fullmatch(r"\| `(.+?)` \| `(.+?)` \| `(.+?)` \|.*", line)
        if cells:
            found.append(Row(*cells.groups()))
    return found


def outcome(expression: str, atlas: Any) -> str:
    """What an expression gives, or the name of what it raises."""
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        try:
            return repr(eval(expression, {"atlas": atlas, "np": np, "nan": math.nan}))  # noqa: S307 (ours)
        except Exception as error:  # noqa: BLE001 (any is an outcome)
            return type(error).__name__


@pytest.mark.real
@pytest.mark.parametrize("row", rows(), ids=lambda row: row.asked)
def test_a_listed_difference_is_one(row: Row, allen: Both) -> None:
    assert outcome(row.asked, allen.theirs) == row.theirs
    assert outcome(row.asked, allen.ours) == row.ours
    assert row.theirs != row.ours


def test_the_page_has_its_tables() -> None:
    assert len(rows()) >= 25


@pytest.mark.real
def test_arrays_of_points_give_what_single_points_give(both: Both) -> None:
    """Inside, at every face, in the background, far outside, and no number at all."""
    ours = both.ours
    extent = np.array(ours.shape)
    rng = np.random.default_rng(9)
    points = rng.uniform(-2, extent + 2, (3_000, 3))
    points[:500] = rng.integers(-1, extent + 1, (500, 3))
    points[500:503] = [[math.nan, 1, 1], [1, math.inf, 1], [1, 1, -math.inf]]
    for scale, microns in ((1.0, False), (np.array(ours.resolution), True)):
        given = points * scale
        for keywords in (
            {},
            {"hierarchy_lev": 1},
            {"hierarchy_lev": -2},
            {"as_acronym": True},
            {"as_acronym": True, "hierarchy_lev": 2, "key_error_string": "a longer text than any"},
        ):
            many = ours.structure_from_coords(given, microns=microns, **keywords)
            assert many.shape == (3_000,)
            one_by_one = [
                ours.structure_from_coords(point, microns=microns, **keywords) for point in given
            ]
            assert many.tolist() == [
                getattr(one, "item", lambda one=one: one)() for one in one_by_one
            ]
        for as_string in (False, True):
            many = ours.hemisphere_from_coords(given, microns, as_string)
            one_by_one = [ours.hemisphere_from_coords(p, microns, as_string) for p in given]
            assert many.tolist() == [
                getattr(one, "item", lambda one=one: one)() for one in one_by_one
            ]
    outside = ~((points >= 0) & (points < extent)).all(axis=1)
    assert outside.sum() > 100
    assert not ours.structure_from_coords(points[outside]).any()
    assert set(ours.structure_from_coords(points[outside], as_acronym=True)) == {"Outside atlas"}
    assert set(ours.hemisphere_from_coords(points[outside], as_string=True)) == {"outside"}
    with pytest.raises(OutsideError):
        ours.voxels.structure_ids_at(points[outside], unit="voxel")


@pytest.mark.real
def test_versions_on_a_server(
    packages: Path,
    unpacked: Path,
    server: tuple[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The newest version and its address, as the same server tells both; and its silence."""
    url, folder = server
    monkeypatch.setenv("ATLASDB_SOURCE", url)
    both = opened(NAMES[0], unpacked)
    monkeypatch.setattr(type(both.theirs), "_remote_url_base", url + "{}")
    for listed, latest in (("1.2", True), ("1.10", False), (None, None)):
        text = "[atlases]\n" + (f"{NAMES[0]} = {listed}\n" if listed else "other_1um = 1.0\n")
        (folder / "last_versions.conf").write_text(text)
        same(both.ours.remote_version, both.theirs.remote_version)
        same(both.ours.remote_url, both.theirs.remote_url)
        assert both.theirs.check_latest_version(print_warning=False) is latest
        assert both.ours.check_latest_version(print_warning=False) is latest
    (folder / "last_versions.conf").write_text(f"[atlases]\n{NAMES[0]} = 1.10\n")
    capsys.readouterr()
    assert both.ours.check_latest_version() is False
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "allen_mouse_100um@1.2 is not the latest version: "
        "`atlasdb ingest allen_mouse_100um@1.10` fetches allen_mouse_100um@1.10\n"
    )
    (folder / "last_versions.conf").write_text("<html>")
    assert both.ours.check_latest_version() is None
    monkeypatch.setenv("ATLASDB_SOURCE", "http://127.0.0.1:9/")
    assert both.ours.check_latest_version() is None
    assert both.ours.remote_url is None


@pytest.mark.real
def test_digits_that_are_an_acronym_and_an_id(unpacked: Path) -> None:
    """BrainGlobe cannot reach the structure whose acronym is '10'."""
    ours, theirs = opened(NAMES[2], unpacked)
    with pytest.raises(KeyError):
        theirs.structures["10"]
    assert ours.structures["10"]["id"] == 14
    assert ours.structures["14"]["acronym"] == theirs.structures["14"]["acronym"] == "10"
    assert ours.get_structure_ancestors("10") == ["root", "CUL4, 5"]
    with pytest.raises(UnknownStructureError, match="no structure '99' in small_rat_50um@1.0"):
        ours.structures["99"]
