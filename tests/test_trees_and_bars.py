"""Trees and bars: lengths and angles are the figures of the database, and nothing overlaps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.patches import Circle, Rectangle, Wedge
from pictures import axes_called, boxes_of, check_texts
from test_heatmaps import cells

import atlasdb
from atlasdb.plots import Picture, plot_bars, plot_tree

ATLAS = "phantom_mouse_100um"


def parts_of(picture: Picture) -> dict[int, Any]:
    """Return the patches of a tree by rank."""
    (axes,) = axes_called(picture, "tree")
    found = {}
    for patch in axes.patches:
        if str(patch.get_gid()).startswith("structure-"):
            found[int(str(patch.get_gid()).removeprefix("structure-"))] = patch
    return found


def share_of(patch: Any) -> float:
    """Return which part of the whole a patch is."""
    if isinstance(patch, Circle):
        return 1.0
    if isinstance(patch, Wedge):
        return (patch.theta2 - patch.theta1) / 360
    assert isinstance(patch, Rectangle)
    return patch.get_height() / patch.axes.get_ylim()[0]  # type: ignore[union-attr]


@pytest.mark.parametrize("style", ["sunburst", "icicle"])
def test_parts_are_as_large_as_volumes(full: atlasdb.Database, style: Any) -> None:
    rows = full.sql(
        f"SELECT rank, parent_id, structure_id, volume_mm3, red, green, blue FROM {ATLAS}.region "
        "ORDER BY rank"
    ).to_pylist()
    whole = rows[0]["volume_mm3"]
    by_id = {row["structure_id"]: row for row in rows}
    parts = parts_of(plot_tree(full.voxels(ATLAS), style=style))
    assert set(parts) == {row["rank"] for row in rows if row["volume_mm3"]}
    for row in rows:
        if not row["volume_mm3"]:
            continue
        patch = parts[row["rank"]]
        assert share_of(patch) == pytest.approx(row["volume_mm3"] / whole, abs=1e-9)
        rgb = np.array(patch.get_facecolor()[:3]) * 255
        assert np.allclose(rgb, [row["red"], row["green"], row["blue"]])
        parent = parts.get(by_id[row["parent_id"]]["rank"]) if row["parent_id"] else None
        if isinstance(patch, Wedge) and isinstance(parent, Wedge):
            assert parent.theta1 - 1e-9 <= patch.theta1
            assert patch.theta2 <= parent.theta2 + 1e-9
            assert patch.r - (patch.width or 0) == pytest.approx(parent.r)
        if isinstance(patch, Rectangle) and isinstance(parent, Rectangle):
            assert patch.get_x() == pytest.approx(parent.get_x() + parent.get_width())
            assert patch.get_y() >= parent.get_y() - 1e-9


@pytest.mark.parametrize("style", ["sunburst", "icicle"])
def test_names_lie_inside_their_parts(full: atlasdb.Database, style: Any) -> None:
    picture = plot_tree(full.voxels(ATLAS), style=style, width_mm=183)
    (axes,) = axes_called(picture, "tree")
    parts = parts_of(picture)
    boxes_of(picture)  # draws, so that extents are known
    renderer = picture.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    names = [text for text in axes.texts if str(text.get_gid()).startswith("name-")]
    assert len(names) > 5
    for text in names:
        turn = text.get_rotation()
        text.set_rotation(0)
        box = text.get_window_extent(renderer)
        text.set_rotation(turn)
        x, y = axes.transData.transform(text.get_position())
        wide = box.width / 2
        radians = math.radians(turn)
        ends = [
            (x + s * wide * math.cos(radians), y + s * wide * math.sin(radians))
            for s in (-0.9, 0.9)
        ]
        patch = parts[int(str(text.get_gid()).removeprefix("name-"))]
        for end in ends:
            assert patch.contains_point(end, radius=1.5), text.get_text()


@pytest.mark.real
@pytest.mark.parametrize("style", ["sunburst", "icicle"])
def test_the_real_hierarchy(real: atlasdb.Database, style: Any) -> None:
    picture = plot_tree(real.voxels("allen_mouse_100um"), style=style, width_mm=183)
    assert "837 structures, 505.359 in all" in picture.caption
    check_texts(picture, tolerance=2.0)


def test_trees_of_counts(full: atlasdb.Database) -> None:
    table = full.count_cells(cells(), ATLAS)
    picture = plot_tree(full.voxels(ATLAS), table, structure="CTX", depth=3)
    counts: dict[str, int] = {}
    for row in table.to_pylist():
        if row["status"] == "inside":
            counts[row["acronym"]] = counts.get(row["acronym"], 0) + row["cells"]
    parts = parts_of(picture)
    acronyms = full.voxels(ATLAS).structures.acronyms
    assert acronyms[min(parts) - 1] == "CTX"
    for rank, patch in parts.items():
        assert share_of(patch) == pytest.approx(counts[acronyms[rank - 1]] / counts["CTX"])
    nowhere = sum(row["cells"] for row in table.to_pylist() if row["status"] != "inside")
    assert picture.caption.endswith(
        f"{counts['CTX']} in all; {nowhere} more in no structure of the table"
    )


def test_what_has_no_row_is_the_sum_of_its_parts(full: atlasdb.Database) -> None:
    picture = plot_tree(full.voxels(ATLAS), {"CP": 3, "VISp5": 1, "TH": 4.0})
    acronyms = full.voxels(ATLAS).structures.acronyms
    shares = {acronyms[rank - 1]: share_of(patch) for rank, patch in parts_of(picture).items()}
    assert shares["root"] == 1
    assert shares["CH"] == pytest.approx(0.5)
    assert shares["TH"] == pytest.approx(0.5)
    assert shares["VISp"] == pytest.approx(1 / 8)
    by_side = pa.table(
        {"acronym": ["CP", "CP", "TH"], "hemisphere": ["left", "right", "both"], "v": [1, 2, 3]}
    )
    assert ", 6 in all" in plot_tree(full.voxels(ATLAS), by_side).caption


@pytest.mark.parametrize(
    ("values", "wanted", "message"),
    [
        ({"CP": -1}, {}, "negative values"),
        ({"CNU": 1, "CP": 2}, {}, "structures in CNU sum to 2, which is more than its own 1"),
        ({"CP": 1}, {"structure": "TH"}, "TH of .* has nothing to be shown by value"),
        (None, {"structure": "THH"}, "no structure 'THH'"),
        (None, {"style": "pie"}, "drawn as sunburst or icicle, not 'pie'"),
        (None, {"depth": -1}, "no depth -1"),
        (None, {"column": "nope"}, "column is asked of values, and there are none"),
        ({"a": {"CP": 1}, "b": {"TH": 1}}, {}, "has the groups a, b"),
    ],
)
def test_trees_that_cannot_be_drawn(
    full: atlasdb.Database, values: Any, wanted: dict[str, Any], message: str
) -> None:
    with pytest.raises(atlasdb.AtlasDBError, match=message):
        plot_tree(full.voxels(ATLAS), values, **wanted)


def test_trees_are_of_what_adds_up(full: atlasdb.Database) -> None:
    table = full.count_cells(cells(), ATLAS, hemispheres="together")
    with pytest.raises(atlasdb.PictureError, match="density_per_atlas_mm3 of parts does not sum"):
        plot_tree(full.voxels(ATLAS), table, column="density_per_atlas_mm3")


def test_trees_are_no_taller_than_a_page(full: atlasdb.Database) -> None:
    styles: tuple[Any, ...] = ("sunburst", "icicle")
    for style in styles:
        picture = plot_tree(full.voxels(ATLAS), style=style, width_mm=400)
        assert picture.figure.get_size_inches()[1] * 25.4 <= 240 + 1e-6
        check_texts(picture)


# Bars.


def lengths(picture: Picture) -> dict[str, dict[str, float]]:
    """Return how long bars are, by hemisphere and by name from the top."""
    (axes,) = [axes for axes in picture.figure.axes if axes.get_xlabel()]
    names = [
        text.get_text()
        for text in sorted(picture.figure.texts, key=lambda text: -text.get_position()[1])
        if float(text.get_fontsize()) <= 7 and text.get_position()[0] < 0.1
    ]
    names = [name for name in names if "@" not in name]
    sides = {"1": "left", "2": "right", "-1": "both"}
    found: dict[str, dict[str, float]] = {}
    for bar in axes.patches:
        side = sides[str(bar.get_gid()).removeprefix("bars-")]
        of_side = found.setdefault(side, {})
        of_side[names[len(of_side)]] = bar.get_width()  # type: ignore[attr-defined]
    return found


def test_bars_of_volumes(full: atlasdb.Database) -> None:
    picture = plot_bars(full.voxels("phantom_asymmetric_mouse_100um"), depth=4, top=6)
    rows = full.sql(
        "SELECT acronym, volume_left_mm3, volume_right_mm3 FROM phantom_asymmetric_mouse_100um.region "
        "WHERE depth = 4 OR (depth < 4 AND is_leaf) "
        "ORDER BY volume_left_mm3 + volume_right_mm3 DESC LIMIT 6"
    ).to_pylist()
    found = lengths(picture)
    assert list(found["left"]) == [row["acronym"] for row in rows]
    for row in rows:
        assert found["left"][row["acronym"]] == pytest.approx(row["volume_left_mm3"])
        assert found["right"][row["acronym"]] == pytest.approx(row["volume_right_mm3"])
    check_texts(picture)


@pytest.mark.parametrize("aggregate", [None, "median", "sum"])
def test_bars_of_samples(full: atlasdb.Database, aggregate: Any) -> None:
    table = full.count_cells(cells(), ATLAS, by="animal")
    picture = plot_bars(full.voxels(ATLAS), table, by="animal", depth=4, top=8, aggregate=aggregate)
    # The same as a count at that depth has, with its rows of labels above it.
    frame = full.count_cells(cells(), ATLAS, by="animal", depth=4).to_pandas()
    frame = frame[frame.status == "inside"]
    fold = aggregate or "mean"
    means = frame.groupby(["acronym", "hemisphere"]).cells.agg(fold)
    found = lengths(picture)
    assert len(found["left"]) == 8
    for side in ("left", "right"):
        for acronym, length in found[side].items():
            assert length == pytest.approx(means[acronym, side])
    (axes,) = [axes for axes in picture.figure.axes if axes.get_xlabel()]
    for number, animal in enumerate(["m1", "m2", "m3", "m4"]):
        points = [line for line in axes.lines if line.get_gid() == f"sample-{number}"]
        for line, side in zip(points, ("left", "right"), strict=True):
            mine = frame[(frame.animal == animal) & (frame.hemisphere == side)].set_index("acronym")
            assert np.asarray(line.get_xdata()).tolist() == [
                mine.cells[name] for name in found[side]
            ]
    assert axes.get_xlabel() == f"cells ({fold} of 4)"
    assert f", {fold} of 4 samples; " in picture.caption
    check_texts(picture)


def test_rows_above_a_depth_have_bars_of_their_own(full: atlasdb.Database) -> None:
    table = full.count_cells(cells(), ATLAS, depth=3, hemispheres="together")
    picture = plot_bars(full.voxels(ATLAS), table, top=30)
    found = lengths(picture)["both"]
    expected = {
        row["acronym"]: row["cells"] for row in table.to_pylist() if row["status"] == "inside"
    }
    assert found == expected
    assert any("unassigned" in name for name in found)


def test_bars_stay_on_their_axis(full: atlasdb.Database) -> None:
    groups = {"a": {"CP": 5.0}, "b": {"CP": 11.0}}
    picture = plot_bars(full.voxels(ATLAS), groups, aggregate="sum")
    (axes,) = [axes for axes in picture.figure.axes if axes.get_xlabel()]
    assert lengths(picture)["both"]["CP"] == 16 <= axes.get_xlim()[1]


def test_means_say_of_how_many(full: atlasdb.Database) -> None:
    groups = {"a": {"CP": 5.0, "TH": 3.0}, "b": {"CP": 11.0}}
    picture = plot_bars(full.voxels(ATLAS), groups)
    assert lengths(picture)["both"] == {"CP": 8, "TH": 3}
    assert picture.caption.endswith(", mean of up to 2 samples")
    with pytest.raises(atlasdb.PictureError, match="no value of these structures"):
        plot_bars(full.voxels(ATLAS), {"CP": None})
    table = pa.table({"acronym": ["CP", "CP"], "v": [1.0, 2.0], "m": ["a", "a"]})
    with pytest.raises(atlasdb.PictureError, match="2 rows for CP.*; a sample has one row"):
        plot_bars(
            full.voxels(ATLAS),
            pa.concat_tables([table, pa.table({"acronym": ["CP"], "v": [1.0], "m": ["b"]})]),
            by="m", column="v",
        )  # fmt: skip


def test_volumes_of_voxels_in_neither_hemisphere(full: atlasdb.Database) -> None:
    table = full.sql(
        "SELECT sum(volume_mm3 - volume_left_mm3 - volume_right_mm3) AS neither "
        "FROM phantom_asymmetric_mouse_100um.region WHERE is_leaf"
    ).to_pylist()
    picture = plot_bars(full.voxels("phantom_asymmetric_mouse_100um"))
    sides = {str(bar.get_gid()) for axes in picture.figure.axes for bar in axes.patches}
    assert ("bars-0" in sides) == (table[0]["neither"] > 1e-9)
    assert " of 31 structures" in picture.caption or " structures of phantom_asy" in picture.caption


def test_narrow_bars(full: atlasdb.Database) -> None:
    table = full.count_cells(cells(), ATLAS, by="animal")
    for width_mm in (45.0, 60.0):
        picture = plot_bars(
            full.voxels(ATLAS), table, by="animal", depth=4, top=3, width_mm=width_mm,
            label="cells in each of the animals' structures",
        )  # fmt: skip
        check_texts(picture)


def test_missing_is_not_a_bar_of_nothing(full: atlasdb.Database) -> None:
    picture = plot_bars(full.voxels(ATLAS), {"CP": 1.0, "TH": None, "HY": 0.0, "MB": -2.0})
    (axes,) = [axes for axes in picture.figure.axes if axes.get_xlabel()]
    assert [text.get_text().strip() for text in axes.texts] == ["no value"]
    found = lengths(picture)["both"]
    assert list(found) == ["CP", "HY", "MB", "TH"]
    assert found["MB"] == -2
    check_texts(picture)


@pytest.mark.parametrize(
    ("values", "wanted", "message"),
    [
        ({"CH": 1, "CP": 1}, {}, "values of CH and of CP, which is a part of it: choose a depth"),
        ({"CP": 1}, {"depth": 2}, "no value of a structure at depth 2"),
        ({"CP": 1}, {"depth": 99}, "no depth 99"),
        ({"CP": 1}, {"structures": ["TH"]}, "no value of TH"),
        ({"CP": 1}, {"structures": ["CP"], "depth": 3}, "a depth or structures, not both"),
        ({"CP": 1}, {"top": 0}, "nothing to be seen of 0"),
        (
            {"a": {"CP": 1}, "b": {"CP": 1}},
            {"by": "groop"},
            "no column 'groop'; did you mean group",
        ),
        (None, {"depth": 8, "top": 500, "structures": None, "width_mm": 20}, "mm wide"),
    ],
)
def test_bars_that_cannot_be_drawn(
    full: atlasdb.Database, values: Any, wanted: dict[str, Any], message: str
) -> None:
    with pytest.raises(atlasdb.AtlasDBError, match=message):
        plot_bars(full.voxels(ATLAS), values, **wanted)


@pytest.mark.real
def test_bars_of_the_real_atlas(real: atlasdb.Database, packages: Path) -> None:
    file = packages.parent / "cells" / "cells_by_sample_um.csv.gz"
    table = real.count_cells(file, "allen_mouse_100um", by="animal", depth=6)
    picture = plot_bars(real.voxels("allen_mouse_100um"), table, by="animal", width_mm=89)
    check_texts(picture)
    with pytest.raises(atlasdb.PictureError, match="346 structures need .* show fewer"):
        plot_bars(real.voxels("allen_mouse_100um"), table, by="animal", top=1000)
