"""Planes of an atlas: where they lie, what is in them, and that nothing else is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small import SmallAtlas, labels

import atlasdb
from atlasdb.plots import plot_slice
from atlasdb.plots.regions import find_regions, grey_levels
from atlasdb.plots.sections import (
    SECTIONS,
    chosen_positions,
    index_at,
    read_plane,
    section_named,
)

ANISOTROPIC = "phantom_anisotropic_mouse_200um"
SIDES_OF = {"frontal": "SR", "horizontal": "AR", "sagittal": "SA"}


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("atlas", [ANISOTROPIC, "phantom_asymmetric_mouse_100um"])
def test_a_plane_is_the_volume_s(full: atlasdb.Database, atlas: str, name: str) -> None:
    opened = full.atlas(atlas)
    section = SECTIONS[name]
    edge = opened.resolution[section.axis]
    index = opened.shape[section.axis] // 3
    reference = opened.voxels.volume("reference")
    plane = read_plane(opened.voxels, section, (index + 0.5) * edge, reference=reference)
    rest = [axis for axis in range(3) if axis != section.axis]
    order = sorted(rest, key=[section.rows, section.columns].index)
    for kind, found in (
        ("ranks", plane.ranks),
        ("hemispheres", plane.sides),
        ("reference", plane.grey),
    ):
        expected = np.take(opened.mapped[kind][:], index, axis=section.axis)
        assert found is not None
        assert np.array_equal(found, expected if order == rest else expected.T)
    assert plane.index == index
    height, width = plane.extent_mm
    assert (height, width) == pytest.approx(
        [opened.shape_um[section.rows] / 1e3, opened.shape_um[section.columns] / 1e3]
    )


@pytest.mark.parametrize("name", SECTIONS)
def test_rows_and_columns_begin_where_the_letters_say(name: str) -> None:
    from atlasdb.plots.sections import SIDES

    section = SECTIONS[name]
    assert SIDES[section.rows][0] + SIDES[section.columns][0] == SIDES_OF[name]
    assert {section.axis, section.rows, section.columns} == {0, 1, 2}


def test_positions_are_floored(full: atlasdb.Database) -> None:
    voxels = full.voxels(ANISOTROPIC)
    for name, section in SECTIONS.items():
        edge, n = voxels.grid.resolution_um[section.axis], voxels.grid.shape[section.axis]
        assert index_at(voxels, section, 0) == 0, name
        assert index_at(voxels, section, edge) == 1
        assert index_at(voxels, section, np.nextafter(edge, 0)) == 0
        assert index_at(voxels, section, np.nextafter(n * edge, 0)) == n - 1
        for outside in (n * edge, -1e-9, np.nan, np.inf, -np.inf):
            with pytest.raises(
                atlasdb.OutsideError, match=rf"no {name} plane at .* from 0 to {n * edge:g} µm"
            ):
                index_at(voxels, section, outside)


def test_which_planes_are_shown(full: atlasdb.Database) -> None:
    voxels = full.voxels("phantom_mouse_100um")
    frontal, sagittal = SECTIONS["frontal"], SECTIONS["sagittal"]
    assert chosen_positions(voxels, frontal) == [6650.0]
    assert chosen_positions(voxels, frontal, at_um=[5000, 1.5]) == [5000.0, 1.5]
    assert chosen_positions(voxels, frontal, at_um=7) == [7.0]
    # CP is an ellipsoid from 3.6 to 6.4 mm, symmetric around 5; the last plane with most of it.
    (most,) = chosen_positions(voxels, frontal, structures=["CP"])
    assert abs(most - 5000) <= 100
    crop = voxels.mask("CP")
    assert crop[int(most / 100)].sum() == crop.sum(axis=(1, 2)).max()
    # Twelve through CP: each in the middle of a twelfth, at a voxel's centre.
    twelve = chosen_positions(voxels, frontal, planes=12, structures=["CP"])
    ends = np.linspace(3600, 6400, 13)
    assert all(a <= at < b for a, at, b in zip(ends, twelve, ends[1:], strict=False))
    assert all(at % 100 == 50 for at in twelve)
    brain = chosen_positions(voxels, sagittal, planes=3)
    assert brain[1] in {5650.0, 5750.0}
    assert brain[0] == 11400 - brain[2]


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ({"at_um": [1], "planes": 2}, "positions or a number"),
        ({"at_um": []}, "name a position"),
        ({"planes": 0}, "0 frontal planes: there are 1 to"),
        ({"planes": 1000}, "1000 frontal planes: there are 1 to"),
        ({"at_um": [5000, 20_000]}, "no frontal plane at 20000 µm"),
        ({"structures": ["nope"]}, "no structure 'nope'"),
    ],
)
def test_planes_that_there_are_not(
    full: atlasdb.Database, wanted: dict[str, Any], error: str
) -> None:
    with pytest.raises(atlasdb.AtlasDBError, match=error):
        chosen_positions(full.voxels("phantom_mouse_100um"), SECTIONS["frontal"], **wanted)


def test_a_section_that_there_is_not() -> None:
    with pytest.raises(atlasdb.LookupFailedError, match="did you mean frontal"):
        section_named("frontall")


class Recorded(np.ndarray):
    """A volume that remembers which parts of it were taken."""

    taken: list[int]

    def __array_finalize__(self, parent: NDArray[Any] | None) -> None:
        self.taken = getattr(parent, "taken", [])

    def __getitem__(self, item: Any) -> Any:
        found = super().__getitem__(item)
        self.taken.append(found.size)
        return found.view(np.ndarray)


@pytest.mark.parametrize("name", SECTIONS)
def test_nothing_but_planes_is_read(
    full: atlasdb.Database, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the ranks: the plane itself and the one of the inset."""
    voxels = full.voxels(ANISOTROPIC)
    read: dict[str, Recorded] = {}

    def recorded(kind: str) -> Recorded:
        volume = original(kind).view(Recorded)
        volume.taken = []
        read[kind] = volume
        return volume

    original = voxels._data.volume
    monkeypatch.setattr(type(voxels._data), "volume", lambda _self, kind: recorded(kind))
    plot_slice(voxels, name, depth=4).to_bytes("png", dpi=50)
    section = SECTIONS[name]
    plane = voxels.grid.size // voxels.grid.shape[section.axis]
    other = SECTIONS["frontal" if name == "horizontal" else "horizontal"]
    assert set(read) == {"ranks", "reference"}
    assert read["ranks"].taken == [plane, voxels.grid.size // voxels.grid.shape[other.axis]]
    assert read["reference"].taken == [plane]


def test_grey_levels_share_one_range() -> None:
    planes = [np.array([[0, 10], [20, 30]]), np.array([[10, 110], [10, 10]])]
    inside = [np.array([[False, True], [True, True]]), np.array([[True, True], [True, True]])]
    first, second = grey_levels(planes, inside, 0.85)
    low, high = 10, np.percentile([10, 20, 30, 10, 110, 10, 10], 99.5)
    assert first[1, 0] == pytest.approx((20 - low) / (high - low))
    assert second[0, 1] == 1.0
    assert first[0, 0] == 0.0
    assert (grey_levels([None], inside[:1], 0.85)[0] == 0.85).all()
    assert (grey_levels([np.full((2, 2), 7)], inside[:1], 0.85)[0] == 0.85).all()


def oracle_codes(atlas: atlasdb.Atlas, structures: list[str], depth: int | None) -> dict[int, str]:
    """Return what each structure is shown as, one by one, climbing."""
    shown = {}
    for entry in atlas.structures_list:
        path = [atlas.structures[i]["acronym"] for i in entry["structure_id_path"]]
        chosen = [a for a in path if a in structures] if structures else path
        if not chosen:
            shown[entry["id"]] = ""
        elif depth is None:
            shown[entry["id"]] = chosen[-1] if structures else path[-1]
        else:
            at_depth = path[min(depth, len(path) - 1)]
            deepest = max(path.index(at_depth), path.index(chosen[-1]) if structures else 0)
            shown[entry["id"]] = path[deepest]
    return shown


@pytest.mark.parametrize("structures", [[], ["CTX"], ["CNU", "CP", "TH"], ["root", "VISp"]])
@pytest.mark.parametrize("depth", [None, 0, 2, 4, 7, 8])
def test_regions_by_climbing(
    full: atlasdb.Database, structures: list[str], depth: int | None
) -> None:
    atlas = full.atlas("phantom_mouse_100um")
    regions = find_regions(atlas.voxels, structures=structures or None, depth=depth)
    acronyms = ["", *atlas.voxels.structures.acronyms]
    shown = oracle_codes(atlas, structures, depth)
    for rank, structure_id in enumerate(atlas.voxels.structures.hierarchy.ids.tolist(), start=1):
        assert acronyms[regions.code[rank]] == shown[structure_id], acronyms[rank]
    assert regions.code[0] == 0
    rgb = [atlas.structures[name]["rgb_triplet"] for name in acronyms[1:]]
    assert np.allclose(regions.rgb[1 : len(acronyms)] * 255, rgb)
    assert regions.is_coloured[1] == (bool(structures) or depth == 0)


def test_structures_that_cannot_be_shown(full: atlasdb.Database) -> None:
    voxels = full.voxels("small_rat_50um@1.2")
    with pytest.raises(atlasdb.NoVoxelsError, match="VISp2/3 of small_rat_50um@1.2 has no voxels"):
        find_regions(voxels, structures=["VISp2/3"])
    with pytest.raises(atlasdb.UnknownDepthError, match="no depth 9"):
        find_regions(voxels, depth=9)


def test_labels_without_structure_are_outlined_only(db: atlasdb.Database, tmp_path: Path) -> None:
    strange = labels(5)
    strange[strange == 12] = 4_000_000_000
    db.ingest(str(SmallAtlas(annotation=strange).write(tmp_path)))
    voxels = db.voxels("small_rat_50um")
    regions = find_regions(voxels, depth=1)
    orphan = voxels.rank_table.size - 1
    assert regions.code[orphan] == orphan
    assert not regions.is_coloured[orphan]
    assert orphan not in regions.names
    assert chosen_positions(voxels, SECTIONS["frontal"], planes=4) == [25.0, 75.0, 125.0, 175.0]
    picture = plot_slice(voxels, at_um=25)
    assert "small_rat_50um@1.0" in picture.caption
