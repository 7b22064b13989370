"""Which columns of a table are coordinates, in which unit, counted from where, and in which space.

The one idea: nothing is guessed. A name that leaves no doubt (``ap_um``) is believed, whatever else
is for the caller to state; and what programs write in the space of the raw sample (cellfinder's
markers) is refused, since it would give an answer, and a wrong one.

Sources of the conventions: brainmapper's ``all_points.csv`` has ``coordinate_atlas_axis_0`` to 2,
voxels of the atlas in the order of its array; cellfinder's ``cells_to_csv``, XML and YAML have x, y
and z, voxels of the sample in the reverse order of the array; the Allen Institute's tools, its ABC
atlas and IBL count from anterior, superior and left ('asl').
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from atlasdb.errors import PointsError, listing
from atlasdb.limits import current
from atlasdb.space import STANDARD, is_orientation
from atlasdb.voxels.grid import AXES, UNITS

if TYPE_CHECKING:
    from collections.abc import Sequence

AXIS_NAMES = ("ap", "si", "rl")

SIDES = {
    "a": "anterior",
    "p": "posterior",
    "s": "superior",
    "i": "inferior",
    "r": "right",
    "l": "left",
}

_TOWARDS = {"a": "ap", "p": "pa", "s": "si", "i": "is", "r": "rl", "l": "lr"}
"""What an axis is called that begins at a side."""

_BRAINMAPPER = tuple(f"coordinate_atlas_axis_{axis}" for axis in range(AXES))
_BRAINMAPPER_RAW = "coordinate_raw_axis_"
_BARE = frozenset("xyz")

_OTHER_AXES = "x, y and z mean other axes in every program"


@dataclass(frozen=True)
class Stated:
    """What the caller says of a table of points; None where nothing is said.

    Attributes
    ----------
    columns
        The names of the coordinates along the orientation's axes.
    unit
        'um', 'mm', 'm' or 'voxel'.
    orientation
        Where the coordinates count from: 'asr' (anterior, superior, right) by default.
    space
        'atlas' where a table that looks like one of the raw sample is in the atlas's space.
    default_unit
        The unit of columns whose names carry none, if there is one.
    """

    columns: Sequence[str] | None = None
    unit: str | None = None
    orientation: str | None = None
    space: Literal["atlas"] | None = None
    default_unit: str | None = None

    def __post_init__(self) -> None:
        if self.unit is not None and self.unit not in UNITS:
            raise PointsError(f"no unit {self.unit!r}: coordinates are in {listing(UNITS)}")
        if self.orientation is not None and not is_orientation(self.orientation):
            raise PointsError(
                f"{self.orientation!r} is no orientation: expected three letters, one of a p, s i "
                "and r l each, such as 'asr' or 'asl'"
            )
        if self.space not in {None, "atlas"}:
            raise PointsError(f"no space {self.space!r}: only 'atlas' can be joined with an atlas")
        if self.columns is not None and len(set(self.columns)) != AXES:
            raise PointsError(f"the coordinates are three columns, not {listing(self.columns)}")


NOTHING_STATED = Stated()


@dataclass(frozen=True)
class Coordinates:
    """Which columns are coordinates, and what they mean.

    Attributes
    ----------
    columns
        Along axis 0, 1 and 2 of the orientation.
    unit
        'um', 'mm', 'm' or 'voxel'.
    orientation
        Where they count from, in lower case.
    """

    columns: tuple[str, str, str]
    unit: str
    orientation: str = STANDARD

    def __str__(self) -> str:
        unit = {"um": "µm", "voxel": "voxels"}.get(self.unit, self.unit)
        sides = listing(SIDES[letter] for letter in self.orientation)
        return f"{listing(self.columns)} in {unit} from {sides}"


def refuse_columns(number: int, where: str) -> None:
    """Refuse more columns than a table of cells has.

    Raises
    ------
    PointsError
        There are more than the limit.
    """
    if number > current().columns:
        raise PointsError(f"{where} has {number:,} columns, {current().over('columns')}")


def find_coordinates(names: Sequence[str], stated: Stated, where: str) -> Coordinates:
    """Return which columns of a table are its coordinates, and what they mean.

    Parameters
    ----------
    names
        The table's columns.
    stated
        What the caller says.
    where
        The table, for messages.

    Raises
    ------
    PointsError
        There is none, or more than one possibility, or the unit is not known, or the coordinates
        are, as it seems, of the raw sample.

    Examples
    --------
    >>> find_coordinates(["id", "ap_mm", "si_mm", "rl_mm"], Stated(), "a table")
    Coordinates(columns=('ap_mm', 'si_mm', 'rl_mm'), unit='mm', orientation='asr')
    """
    refuse_columns(len(names), where)
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise PointsError(f"{where} has several columns called {listing(twice)}: rename them")
    orientation = (stated.orientation or STANDARD).lower()
    if stated.columns is not None:
        columns, unit = _chosen(names, stated, where)
    else:
        columns, unit = _found(names, stated, orientation, where)
    if unit is None:
        raise PointsError(
            f"{where} does not say what its coordinates {listing(columns)} are in: add --unit "
            f"{'|'.join(UNITS)}"
        )
    if stated.orientation is None:
        _refuse_other_sides(columns, where)
    coordinates = Coordinates(columns, unit, orientation)
    _refuse_raw(names, coordinates, stated, where)
    return coordinates


def _refuse_other_sides(columns: Sequence[str], where: str) -> None:
    """Refuse columns whose names say that they count from other sides than they would be read."""
    for column, axis in zip(columns, AXIS_NAMES, strict=True):
        said = next((part for part in column.lower().split("_") if part in _TOWARDS.values()), axis)
        if said != axis:
            side = next(SIDES[letter] for letter, name in _TOWARDS.items() if name == said)
            raise PointsError(
                f"{column} of {where} counts from {side} by its name: say where the three columns "
                "count from with --orientation, such as asl"
            )


def _chosen(
    names: Sequence[str], stated: Stated, where: str
) -> tuple[tuple[str, str, str], str | None]:
    """Return the columns that were named, and their unit."""
    columns = list(stated.columns or ())
    missing = [name for name in columns if name not in names]
    if missing:
        raise PointsError(f"{where} has no column {listing(missing)}; it has {listing(names)}")
    units = {u for u in map(unit_of, columns) if u}
    if len(units | ({stated.unit} if stated.unit else set())) > 1:
        raise PointsError(
            f"the columns {listing(columns)} say that they are in {listing(sorted(units))}"
            f"{f', not in {stated.unit}' if stated.unit else ''}: name three in one unit"
        )
    first, second, third = columns
    return (first, second, third), stated.unit or next(iter(units), None) or stated.default_unit


def _found(
    names: Sequence[str], stated: Stated, orientation: str, where: str
) -> tuple[tuple[str, str, str], str | None]:
    """Return the columns whose names leave no doubt, and their unit."""
    known = set(names)
    axes = [tuple(_TOWARDS[letter] for letter in orientation)]
    if _is_in_order(orientation) and AXIS_NAMES not in axes:
        axes.append(AXIS_NAMES)
    for of_axes in axes:
        found = [
            (triple, unit)
            for unit in UNITS
            for triple in (names_in(unit, of_axes), names_in(unit, of_axes, numbered=True))
            if stated.unit in {None, unit} and set(triple) <= known
        ]
        if len(found) > 1:
            several = " and in ".join(listing(triple) for triple, _ in found)
            raise PointsError(f"{where} has coordinates in {several}: {_name_them(orientation)}")
        if found:
            return found[0]
    if set(_BRAINMAPPER) <= known and _is_in_order(orientation):
        ap, si, rl = _BRAINMAPPER
        return (ap, si, rl), stated.unit or "voxel"
    for of_axes in axes:
        if set(of_axes) <= known:
            ap, si, rl = of_axes
            return (ap, si, rl), stated.unit or stated.default_unit
    raise PointsError(f"{where} {_reason(names, stated, orientation)}")


def _is_in_order(orientation: str) -> bool:
    """Whether the axes of an orientation are AP, SI and RL in this order, whichever way."""
    return all(letter in axis for letter, axis in zip(orientation, AXIS_NAMES, strict=True))


def _reason(names: Sequence[str], stated: Stated, orientation: str) -> str:
    """Return why no coordinates are found, and what to do."""
    known = set(names)
    if stated.orientation is None:
        for unit in UNITS:
            for numbered in (False, True):
                triple = names_in(unit, ("ap", "si", "lr"), numbered=numbered)
                if set(triple) <= known:
                    return (
                        f"has {triple[2]}, which counts from the left (as the Allen Institute's "
                        "tools and IBL do): add --orientation asl"
                    )
    if any(name.startswith(_BRAINMAPPER_RAW) for name in names):
        return (
            "has coordinates of the raw sample only (coordinate_raw_axis_…), which are nowhere in "
            f"an atlas: take brainmapper's all_points.csv, which has {_BRAINMAPPER[0]}"
        )
    if known >= _BARE and "type" in known:
        return (
            "looks like a table of cellfinder's: its x, y, z are voxels of the raw sample, in "
            "reverse order; take brainmapper's all_points.csv; or, if they are in the atlas's "
            "space, add --columns z y x --space atlas and their --unit"
        )
    return f"has the columns {listing(names)}: {_name_them(orientation)}"


def _name_them(orientation: str) -> str:
    """Return the advice to name the columns."""
    first, second, third = (SIDES[letter] for letter in orientation)
    axes = " ".join(_TOWARDS[letter].upper() for letter in orientation)
    return (
        f"name those that count from {first}, from {second} and from {third} with --columns {axes},"
        f" and their --unit ({_OTHER_AXES})"
    )


def _refuse_raw(names: Sequence[str], coordinates: Coordinates, stated: Stated, where: str) -> None:
    """Refuse coordinates that are, as it seems, of the raw sample."""
    if stated.space == "atlas":
        return
    columns = coordinates.columns
    if any(name.startswith(_BRAINMAPPER_RAW) for name in columns):
        raise PointsError(
            f"{listing(columns)} of {where} are coordinates of the raw sample, not of the atlas: "
            f"take {_BRAINMAPPER[0]} and its siblings, or say --space atlas if they are"
        )
    is_bare = set(columns) == _BARE
    if is_bare and (coordinates.unit == "voxel" or "type" in names):
        raise PointsError(
            f"x, y, z of {where} are, as it seems, voxels of the raw sample (as cellfinder writes "
            "them), not of the atlas: take brainmapper's all_points.csv, or say --space atlas if "
            "they are in the atlas's space"
        )


def names_in(
    unit: str, axes: Sequence[str] = AXIS_NAMES, *, numbered: bool = False
) -> tuple[str, str, str]:
    """Return what coordinates in a unit are called.

    Examples
    --------
    >>> names_in("um"), names_in("mm", numbered=True)[0]
    (('ap_um', 'si_um', 'rl_um'), 'axis0_ap_mm')
    """
    prefixes = [f"axis{axis}_" if numbered else "" for axis in range(AXES)]
    ap, si, rl = (f"{p}{axis}_{unit}" for p, axis in zip(prefixes, axes, strict=True))
    return ap, si, rl


def unit_of(column: str) -> str | None:
    """Return the unit in which a column's name ends.

    Examples
    --------
    >>> unit_of("ap_um"), unit_of("x")
    ('um', None)
    """
    ending = column.rpartition("_")[2]
    return ending if ending in UNITS and ending != column else None
