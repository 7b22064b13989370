"""Groups whose commands are modules, imported one by one when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def lazy_group(name: str, subcommands: Sequence[str]) -> Callable[..., click.Group]:
    """Return a decorator that makes a group of the commands ``NAME_SUBCOMMAND_command``.

    Parameters
    ----------
    name
        The group's name.
    subcommands
        Its commands, in the order in which ``--help`` shows them.
    """

    class LazyGroup(click.Group):
        def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's)
            return list(subcommands)

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            if cmd_name not in subcommands:
                from atlasdb.errors import did_you_mean

                ctx.fail(f"no command {cmd_name!r}{did_you_mean(cmd_name, subcommands)}")
            module: Any = import_module(f"atlasdb.cli.{name}_{cmd_name}_command")
            command: click.Command = module.command
            return command

    return click.group(name=name, cls=LazyGroup)
