"""``atlasdb lookup``: the structure at a point, or at every point of a table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from atlasdb.cli.completion import files
from atlasdb.cli.options import (
    atlas_argument,
    depth_option,
    format_option,
    home_option,
    output_option,
    quiet_option,
    unit_option,
    voxels_option,
)
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from atlasdb.api import Database
    from atlasdb.voxels import AtlasVoxels

_AXES = 3


@click.command(
    "lookup",
    # -150 is a number; what begins with a dash and is none is refused in `_point`.
    context_settings={"ignore_unknown_options": True},
)
@atlas_argument
@click.argument(
    "points", nargs=-1, required=True, metavar="AP SI RL | FILE | -", shell_complete=files
)
@unit_option
@voxels_option
@depth_option
@click.option(
    "--columns",
    nargs=_AXES,
    metavar="AP SI RL",
    help="The columns of FILE with the coordinates. [default: ap_um si_um rl_um, or ap_mm …]",
)
@format_option
@output_option
@quiet_option
@home_option
def command(
    atlas: str,
    points: tuple[str, ...],
    unit: str | None,
    depth: int | None,
    columns: tuple[str, str, str] | None,
    form: str | None,
    output: str | None,
    quiet: bool,
    db: Database,
) -> None:
    """Say what is at a point, or at every point of a table.

    A point is three numbers along the axes of the volumes: from anterior, from superior and from
    right. FILE is a table of points (.csv, .parquet, .npy and others), and - is text on standard
    input;
    all rows and columns are kept, in order, and points outside the brain are told apart by their
    status: inside, unlabelled, background or outside. On a terminal they are a table, elsewhere CSV
    that is written while points are read.
    """
    _refuse_options(points)
    if len(points) not in {1, _AXES}:
        raise click.UsageError(f"give three numbers or one file, not {len(points)} words")
    if columns and len(points) == _AXES:
        raise click.UsageError("--columns is for files of points")
    voxels = db.voxels(atlas)
    if len(points) == _AXES:
        _write_point(voxels, points, unit or "um", depth, form, output)
    else:
        _write_table(voxels, points[0], unit, depth, columns, form, output, quiet=quiet)


def _refuse_options(words: tuple[str, ...]) -> None:
    """Refuse what looks like an option and is neither that nor a number."""
    for word in words:
        if word.startswith("-") and word != "-" and _number(word) is None:
            raise click.NoSuchOption(word, ctx=click.get_current_context())


def _point(words: tuple[str, ...]) -> list[float]:
    """Return the numbers that were typed."""
    numbers = [number for word in words if (number := _number(word)) is not None]
    if len(numbers) < len(words):
        wrong = next(word for word in words if _number(word) is None)
        raise click.UsageError(f"{wrong!r} is no number: a point is three numbers, AP SI RL")
    return numbers


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _write_point(
    voxels: AtlasVoxels,
    words: tuple[str, ...],
    unit: str,
    depth: int | None,
    form: str | None,
    output: str | None,
) -> None:
    """Print what is at one point, and which voxel was looked at."""
    import pyarrow as pa  # takes 50 ms

    from atlasdb.cli.output import form_of, write_table
    from atlasdb.voxels.ranks import STATUSES

    point = _point(words)
    found = voxels.lookup([point], unit=unit, depth=depth)
    voxel: list[Any] = voxels.voxels_at([point], unit=unit)[0].tolist()
    is_outside = voxel[0] < 0
    rank = int(found.cut.rank[found.ranks][0])
    structure = _structure(voxels, rank)
    side = {1: "left", 2: "right"}.get(int(found.hemispheres[0]))
    status = STATUSES[found.statuses[0]]
    label = None if is_outside else int(found.labels[0])
    row = {**structure, "hemisphere": side, "status": status, "label": label}
    if (form or form_of(output)) == "table":
        where = "outside the volume" if is_outside else "voxel " + " ".join(map(str, voxel))
        sign = {"um": " µm", "mm": " mm", "m": " m"}.get(unit, " in voxels")
        say(f"{' '.join(words)}{sign} = {where}", err=output is not None)
    else:
        names = [f"{axis}_{unit}" for axis in ("ap", "si", "rl")]
        indices = [None] * _AXES if is_outside else voxel
        places = dict(zip(("voxel_ap", "voxel_si", "voxel_rl"), indices, strict=True))
        row = {**dict(zip(names, point, strict=True)), **places, **row}
    table = pa.table({name: _column(name, value) for name, value in row.items()})
    named = table.replace_schema_metadata({"atlas": str(voxels.name)})
    write_table(named, form, output)


def _structure(voxels: AtlasVoxels, rank: int) -> dict[str, Any]:
    """Return what a structure is called; nothing of a rank that is none."""
    structures = voxels.structures
    if not 1 <= rank <= len(structures):
        return {"structure_id": None, "acronym": None, "name": None}
    return {
        "structure_id": int(structures.hierarchy.ids[rank - 1]),
        "acronym": structures.acronyms[rank - 1],
        "name": structures.names[rank - 1],
    }


def _column(name: str, value: object) -> pa.Array:
    """Return a column of one value, typed also if that is NULL."""
    import pyarrow as pa  # imported before

    is_integer = name in {"structure_id", "label"} or name.startswith("voxel_")
    is_text = name in {"acronym", "name", "hemisphere", "status"}
    return pa.array([value], pa.int64() if is_integer else pa.string() if is_text else pa.float64())


def _write_table(
    voxels: AtlasVoxels,
    source: str,
    unit: str | None,
    depth: int | None,
    columns: tuple[str, str, str] | None,
    form: str | None,
    output: str | None,
    *,
    quiet: bool,
) -> None:
    """Write a table of points with what is at each, a block at a time."""
    from atlasdb.cells.annotating import Annotator, Tally, Wanted, annotate
    from atlasdb.cells.columns import Stated
    from atlasdb.cells.reading import open_points
    from atlasdb.cli.output import write_batches

    tally = Tally()
    stdin = None if sys.stdin is None else sys.stdin.buffer
    stated = Stated(columns, unit, default_unit="um")
    points = open_points(source, stated, stdin=stdin)
    wanted = Wanted(cut=depth, voxels=True, plain=True)

    def batches() -> Iterator[pa.RecordBatch]:
        for annotated in annotate(points, Annotator(voxels, points.coordinates, wanted)):
            tally.add(annotated.counts)
            yield annotated.rows

    write_batches(batches(), form, output)
    if not quiet:
        unit = points.coordinates.unit
        say(f"{tally} ({voxels.name}, coordinates in {unit})", err=True)
