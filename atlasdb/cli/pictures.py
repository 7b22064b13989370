"""Pictures on the command line: the options that they share, and how they are written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlasdb.cli.completion import files, structures
from atlasdb.cli.options import checked_text
from atlasdb.cli.output import saving
from atlasdb.cli.telling import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from atlasdb.plots import Picture

_OUTPUT = (
    click.option("--dark", is_flag=True, help="Light on a black page."),
    click.option(
        "--width",
        "width_mm",
        metavar="MM",
        type=float,
        default=120.0,
        show_default=True,
        help="The picture's width in mm; a journal's column is 89, its page 183.",
    ),
    click.option("--title", metavar="TEXT", help="The heading. [default: what is seen]"),
    click.option(
        "-o",
        "--output",
        metavar="FILE",
        shell_complete=files,
        required=True,
        help="The picture: .png, .svg or .pdf.",
    ),
    click.option(
        "--dpi",
        metavar="N",
        type=click.FloatRange(10, 2400),
        default=300,
        show_default=True,
        help="Dots per inch.",
    ),
)

_PLANES = (
    click.option(
        "--frontal",
        "section",
        flag_value="frontal",
        default="frontal",
        help="Look along AP: superior above, right at the left. [default]",
    ),
    click.option(
        "--horizontal",
        "section",
        flag_value="horizontal",
        help="Look along SI: anterior above, right at the left.",
    ),
    click.option(
        "--sagittal",
        "section",
        flag_value="sagittal",
        help="Look along RL: superior above, anterior at the left.",
    ),
    click.option(
        "--at",
        "at_um",
        metavar="MICRONS",
        type=float,
        multiple=True,
        help="Where the plane lies, in microns from the volume's corner. Repeat it for a sheet of "
        "several. [default: where most of --structure is seen, else the middle]",
    ),
    click.option(
        "--planes",
        metavar="N",
        type=click.IntRange(1),
        help="A sheet of N planes, evenly through the brain, or through --structure.",
    ),
    click.option("--zoom", is_flag=True, help="Show no more than --structure and a margin."),
    click.option(
        "--reference",
        metavar="NAME",
        help="The grey volume: reference, an additional reference, or none. [default: reference]",
    ),
    click.option("--no-outlines", "outlines", flag_value=False, default=True, help="No borders."),
    click.option("--no-names", "names", flag_value=False, default=True, help="No acronyms."),
    click.option(
        "--no-inset", "inset", flag_value=False, default=True, help="No small map of the planes."
    ),
    click.option("--smooth", is_flag=True, help="Smooth the stairs of voxels."),
    click.option(
        "--mirror",
        "mirrored",
        is_flag=True,
        help="Turn the picture round: left at the left (sagittal: anterior at the right).",
    ),
)

_VALUES = (
    click.option("--column", metavar="NAME", help="The column with the values. [default: cells]"),
    click.option(
        "--where",
        metavar="COLUMN=VALUE",
        multiple=True,
        help="Take rows with this value only. Repeat it for several columns.",
    ),
    click.option(
        "--aggregate",
        type=click.Choice(["mean", "median", "sum"]),
        help="What is made of several rows of one structure, such as those of several samples.",
    ),
    click.option(
        "--label", metavar="TEXT", help="What values are, with their unit. [default: the column]"
    ),
)

_COLOURS = (
    click.option("--cmap", metavar="NAME", help="A colour map of matplotlib's. [default: viridis]"),
    click.option("--vmin", metavar="X", type=float, help="The value at the map's lower end."),
    click.option("--vmax", metavar="X", type=float, help="The value at its upper end."),
    click.option("--log", is_flag=True, help="Colours by the logarithm; 0 is told apart."),
)


def structures_option(what: str) -> Callable[..., Any]:
    """Return the option that names structures, which every command does something else with."""
    return click.option(
        "-s",
        "--structure",
        "--structures",
        "structures",
        multiple=True,
        metavar="STRUCTURE",
        shell_complete=structures,
        help=f"{what}: an acronym or an id. Repeat it for several.",
    )


def cut_option(what: str) -> Callable[..., Any]:
    """Return the option that cuts the atlas at a depth."""
    return click.option(
        "--depth",
        type=int,
        metavar="N",
        help=f"{what} (steps from the root, which has 0).",
    )


def _adding(options: tuple[Any, ...]) -> Callable[..., Any]:
    """Return a decorator that adds options in their order."""

    def decorator(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorator


picture_options = _adding(_OUTPUT)
plane_options = _adding(_PLANES)
value_options = _adding(_VALUES)
colour_options = _adding(_COLOURS)


def conditions(words: tuple[str, ...]) -> dict[str, str]:
    """Return what --where asks for: values by column."""
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = checked_text(word).partition("=")
        if not sign or not name:
            raise click.UsageError(f"--where {word}: expected COLUMN=VALUE")
        if name in found:
            raise click.UsageError(f"--where names {name} twice")
        found[name] = value
    return found


def positions(at_um: tuple[float, ...], planes: int | None) -> dict[str, Any]:
    """Return where planes are wanted, as functions of `atlasdb.plots` take it."""
    if at_um and planes is not None:
        raise click.UsageError("choose --at or --planes, not both")
    return {"at_um": list(at_um) or None, "planes": planes}


def checked_form(output: str) -> str:
    """Return the format that a file's name asks for, before anything is drawn."""
    from atlasdb.plots.picture import format_of

    return format_of(Path(output))


def write_picture(picture: Picture, output: str, dpi: float) -> None:
    """Write a picture, and say what is seen."""
    form = checked_form(output)
    with saving(output) as stream:
        picture.write(stream, form, dpi=dpi)
    say(f"wrote {output}: {picture.caption}")
