"""Names of regions: inside the region they name, in its largest piece, never over another."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.ndimage import label

from atlasdb.plots.naming import POINT_MM, Lettering, Name, place_names
from atlasdb.plots.style import text_extent

SPACING_MM = (0.1, 0.2)
NAMES = {1: "A", 2: "CA1", 3: "VISp2/3"}


def lettering(scale: float = 10.0) -> Lettering:
    return Lettering(text_extent, (8.0, 6.0, 5.0), scale)


def pixels_of(name: Name) -> tuple[slice, slice]:
    top, left = name.row - name.height / 2, name.column - name.width / 2
    assert top == int(top)
    assert left == int(left)
    return slice(int(top), int(top) + name.height), slice(int(left), int(left) + name.width)


BLOTS = hnp.arrays(
    np.int64, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3)
).map(lambda small: small.repeat(3, axis=0).repeat(3, axis=1))


@given(BLOTS, st.booleans(), st.sampled_from([3.0, 10.0, 30.0]))
@settings(max_examples=60)
def test_names_lie_in_the_largest_piece(
    codes: NDArray[np.int64], is_mirrored: bool, scale: float
) -> None:
    placed = place_names(codes, NAMES, SPACING_MM, lettering(scale), is_mirrored=is_mirrored)
    taken = np.zeros(codes.shape, dtype=int)
    for name in placed:
        window = pixels_of(name)
        assert (codes[window] == name.code).all()
        pieces, _ = label(codes == name.code)
        (piece,) = np.unique(pieces[window])
        sizes = np.bincount(pieces.ravel())[1:]
        assert sizes[piece - 1] >= 0.9 * sizes.max()
        taken[window] += 1
    assert taken.max(initial=0) <= 1
    assert [name.code for name in placed] == sorted({name.code for name in placed})


def fits_somewhere(piece: NDArray[np.bool_], height: int, width: int) -> bool:
    """Try every place, one by one."""
    return any(
        piece[row : row + height, column : column + width].all()
        for row in range(piece.shape[0] - height + 1)
        for column in range(piece.shape[1] - width + 1)
    )


@given(BLOTS)
@settings(max_examples=30)
def test_what_is_left_out_fits_nowhere(codes: NDArray[np.int64]) -> None:
    letters = lettering()
    placed = {name.code for name in place_names(codes, NAMES, SPACING_MM, letters)}
    for code in set(np.unique(codes).tolist()) & set(NAMES) - placed:
        pieces, count = label(codes == code)
        sizes = np.bincount(pieces.ravel())[1:]
        if (sizes >= 0.9 * sizes.max()).sum() > 1:
            continue  # one of several that are as large
        piece = pieces == 1 + int(sizes.argmax())
        for is_upright in (False, True):
            size = letters.pixels(NAMES[code], 5.0, SPACING_MM, is_upright=is_upright)
            assert not fits_somewhere(piece, *size), (count, code)


def test_the_largest_letters_that_fit_far_from_the_border() -> None:
    codes = np.zeros((40, 30), dtype=np.int64)
    codes[5:35, 3:27] = 2
    (name,) = place_names(codes, NAMES, SPACING_MM, lettering())
    assert name.size_pt == 8
    assert not name.is_upright
    assert abs(name.row - 20) <= name.height / 2 + 5
    assert abs(name.column - 15) <= 1


def test_a_narrow_column_has_an_upright_name() -> None:
    codes = np.zeros((60, 30), dtype=np.int64)
    codes[5:55, 10:13] = 3
    (name,) = place_names(codes, NAMES, SPACING_MM, lettering())
    assert name.is_upright
    assert name.height * SPACING_MM[0] > name.width * SPACING_MM[1]


@pytest.mark.parametrize(("is_mirrored", "side"), [(False, slice(0, 10)), (True, slice(20, 30))])
def test_of_a_pair_the_left_one_in_the_picture_is_named(is_mirrored: bool, side: slice) -> None:
    codes = np.zeros((20, 30), dtype=np.int64)
    codes[5:15, 2:9] = 1
    codes[5:15, 21:28] = 1
    codes[14, 2 if is_mirrored else 27] = 0  # nearly as large
    (name,) = place_names(codes, NAMES, SPACING_MM, lettering(), is_mirrored=is_mirrored)
    assert side.start <= name.column < side.stop


def test_rooms_are_as_large_as_the_letters() -> None:
    letters = lettering(scale=8.0)
    width, height, descent = text_extent("VISp2/3")
    rows, columns = letters.pixels("VISp2/3", 6.0, (0.01, 0.01), is_upright=False)
    em_mm = 6.0 * POINT_MM / 8.0
    assert rows * 0.01 >= height * em_mm
    assert columns * 0.01 >= width * em_mm
    assert letters.pixels("VISp2/3", 6.0, (0.01, 0.01), is_upright=True) == (columns, rows)
    assert 0 < descent < height < width


def test_names_in_rooms_never_overlap_on_the_page() -> None:
    """The ink of matplotlib's own renderer lies in the room that was kept for it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), dpi=300)
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    for text, size in (("VISp2/3", 5), ("CUL4, 5", 8), ("fiber tracts", 6), ("Pgq", 7)):
        drawn = figure.text(0.5, 0.5, text, fontsize=size, family="DejaVu Sans")
        width, _, _ = text_extent(text)
        inked = drawn.get_window_extent(renderer).width / 300 * 72
        assert inked == pytest.approx(width * size, rel=0.06, abs=0.6)


def test_no_two_rooms_meet() -> None:
    codes = np.kron(np.arange(1, 10).reshape(3, 3), np.ones((12, 12), dtype=np.int64))
    names = {code: f"N{code}" for code in range(1, 10)}
    placed = place_names(codes, names, (0.1, 0.1), lettering())
    assert len(placed) == 9
    for a, b in combinations(placed, 2):
        apart_in_rows = abs(a.row - b.row) >= (a.height + b.height) / 2
        apart_in_columns = abs(a.column - b.column) >= (a.width + b.width) / 2
        assert apart_in_rows or apart_in_columns
