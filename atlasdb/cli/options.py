"""Options that several commands share, each defined once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlasdb.cli.completion import atlases, files, structures

if TYPE_CHECKING:
    from atlasdb.api import Database
    from atlasdb.database import TypedWord

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

HOME = "atlasdb.home"
"""Under which a command's home is found in click's context."""

FORMATS = ("table", "csv", "json", "parquet")


def _database(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> Database:
    """Turn ``--home``, given to the command or before it, into the database."""
    from atlasdb.api import connect  # duckdb and numpy, when a command runs

    db = connect(value or ctx.find_root().params.get("home"))
    ctx.meta[HOME] = db.home  # what no output may overwrite
    return db


home_option: Decorator = click.option(
    "--home",
    "db",
    metavar="FOLDER",
    callback=_database,
    help="The database's folder. [default: $ATLASDB_HOME, else your user data folder]",
)

format_option: Decorator = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="How to print. [default: by the ending of -o, else table]",
)

output_option: Decorator = click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write to FILE instead of the terminal.",
    shell_complete=files,
)

source_option: Decorator = click.option(
    "--source",
    metavar="auto|gin|s3|FOLDER|URL",
    help="Where atlases are taken from by name: BrainGlobe's archives (gin), its components (s3), "
    "or a folder or address laid out like either. auto asks ~/.brainglobe, gin and s3. "
    "[default: $ATLASDB_SOURCE, else auto]",
)

quiet_option: Decorator = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")

atlas_argument: Decorator = click.argument("atlas", metavar="ATLAS", shell_complete=atlases)


def checked_text(value: str) -> str:
    """Return a word, and refuse one that is no UTF-8, which no database can look for."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise click.UsageError(f"{value!r} is no UTF-8 text") from error
    return value


def _structure(
    _ctx: click.Context, _parameter: click.Parameter, value: str | None
) -> TypedWord | None:
    """Mark a word as one that was typed: an acronym, or an id."""
    from atlasdb.database import TypedWord  # duckdb, when a command runs

    return None if value is None else TypedWord(checked_text(value))


structure_argument: Decorator = click.argument(
    "structure", metavar="STRUCTURE", callback=_structure, shell_complete=structures
)


def _structures(
    _ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[TypedWord, ...]:
    """Mark words as ones that were typed."""
    from atlasdb.database import TypedWord  # duckdb, when a command runs

    return tuple(TypedWord(checked_text(value)) for value in values)


structures_argument: Decorator = click.argument(
    "structures",
    metavar="STRUCTURE…",
    nargs=-1,
    required=True,
    callback=_structures,
    shell_complete=structures,
)

image_option: Decorator = click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="The image: .tif or .tiff, .npy, .nrrd, .nii or .nii.gz.",
)

orientation_option: Decorator = click.option(
    "--orientation",
    metavar="LETTERS",
    default="asr",
    show_default=True,
    help="Where the axes start (BrainGlobe's letters: 'asr' is anterior, superior, right).",
)

hemisphere_option: Decorator = click.option(
    "--hemisphere", type=click.Choice(["left", "right"]), help="On this side only."
)

optional_structure_argument: Decorator = click.argument(
    "structure",
    metavar="[STRUCTURE]",
    required=False,
    callback=_structure,
    shell_complete=structures,
)

unit_option: Decorator = click.option(
    "--unit",
    type=click.Choice(["um", "mm", "m", "voxel"]),
    help="What coordinates are in. [default: what the columns' names say, else um]",
)

voxels_option: Decorator = click.option(
    "--voxels", "unit", flag_value="voxel", help="Short for --unit voxel."
)

under_option: Decorator = click.option(
    "--under",
    metavar="STRUCTURE",
    callback=_structure,
    help="Within this structure only.",
    shell_complete=structures,
)

depth_option: Decorator = click.option(
    "--depth", type=int, metavar="N", help="Steps from the root, which has 0."
)

ragged_option: Decorator = click.option(
    "--ragged",
    type=click.Choice(["omit", "leaf"]),
    default="omit",
    show_default=True,
    help="Of branches that end above --depth, take their leaf or nothing.",
)

needed_atlas_option: Decorator = click.option(
    "--atlas",
    required=True,
    metavar="ATLAS",
    help="The atlas: NAME or NAME@VERSION.",
    shell_complete=atlases,
)

files_argument: Decorator = click.argument(
    "files", nargs=-1, required=True, metavar="FILE…", shell_complete=files
)

columns_option: Decorator = click.option(
    "--columns",
    nargs=3,
    metavar="AP SI RL",
    help="The columns with the coordinates, along the axes of --orientation. [default: those whose "
    "names leave no doubt, such as ap_um si_um rl_um]",
)

stated_unit_option: Decorator = click.option(
    "--unit",
    type=click.Choice(["um", "mm", "m", "voxel"]),
    help="What coordinates are in. [default: what the columns' names say]",
)

counted_from_option: Decorator = click.option(
    "--orientation",
    metavar="LETTERS",
    help="Where coordinates count from. BrainGlobe's count from anterior, superior, right (asr); "
    "those of the Allen Institute, the ABC atlas and IBL from the left (asl). [default: asr]",
)

space_option: Decorator = click.option(
    "--space",
    type=click.Choice(["atlas"]),
    help="Say that a table that looks like one of the raw sample is in the atlas's space.",
)

scheduler_option: Decorator = click.option(
    "--scheduler", metavar="ADDRESS", help="Work on a Dask cluster, such as tcp://host:8786."
)


def point_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of all commands that read tables of points."""
    for option in (
        space_option,
        counted_from_option,
        voxels_option,
        stated_unit_option,
        columns_option,
        needed_atlas_option,
        files_argument,
    ):
        command = option(command)
    return command
