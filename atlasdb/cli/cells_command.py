"""``atlasdb cells``: tables of cells joined with an atlas."""

from __future__ import annotations

from importlib import import_module

import click

SUBCOMMANDS = ("count", "annotate", "points", "add", "list", "refresh", "remove", "merge")
"""The commands, in the order in which ``--help`` shows them."""


class _LazyGroup(click.Group):
    """A group whose commands are modules beside this one, imported one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            from atlasdb.errors import did_you_mean

            ctx.fail(f"no command {cmd_name!r}{did_you_mean(cmd_name, SUBCOMMANDS)}")
        command: click.Command = import_module(f"atlasdb.cli.cells_{cmd_name}_command").command
        return command


@click.group(name="cells", cls=_LazyGroup)
def command() -> None:
    """Count cells per structure, annotate them, and keep them to be asked in SQL.

    FILE is a table of points: .csv, .tsv (also .gz), .parquet, .feather, .npy, .npz, brainmapper's
    all_points.csv and .points, cellfinder's .xml and .yml; a folder or a glob of them; an address
    such as s3://bucket/cells.parquet; - for text on standard input. Points are in atlas space.
    """
