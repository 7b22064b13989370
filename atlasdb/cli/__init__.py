"""The command line: one module a command, imported when the command is used.

The one idea: a command parses, calls the library once, and prints. Results go to stdout, all else
to stderr. Errors are one line, ``error: …``, and exit status 1 (2 for wrong usage).
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from atlasdb.errors import AtlasDBError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS = (
    "ingest",
    "list",
    "info",
    "tree",
    "structures",
    "ancestors",
    "descendants",
    "lookup",
    "mask",
    "volume",
    "mesh",
    "cells",
    "plot",
    "cite",
    "query",
    "sql",
    "check",
    "update",
    "remove",
    "demo",
    "completion",
    "db",
)
"""The commands, in the order in which ``--help`` shows them."""

VARIABLE = "_ATLASDB_COMPLETE"
"""The environment's variable by which a shell asks for completions."""

_UNHEARD = logging.NullHandler()


class _LazyGroup(click.Group):
    """A group whose commands are modules of this package, imported one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"atlasdb.cli.{cmd_name}_command").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from atlasdb.errors import did_you_mean

        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            ctx.fail(f"no command {args[0]!r}{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


def _show_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # only for --version

        click.echo(f"atlasdb {version('atlasdb')}")
        ctx.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    metavar="FOLDER",
    help="The database's folder. [default: $ATLASDB_HOME, else your user data folder]",
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Print the version and exit.",
)
@click.option(
    "--limits",
    metavar="NAME=NUMBER…",
    help="Raise what bounds hostile files, when an error names it. [default: $ATLASDB_LIMITS]",
)
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Say on stderr what is read, asked and fetched, and where an error comes from.",
)
@click.pass_context
def group(ctx: click.Context, home: str | None, limits: str | None, verbose: bool) -> None:  # noqa: ARG001
    """Brain atlases as a database: ingest them, ask them anything in SQL.

    Results go to stdout, all else to stderr. The exit status is 0; 1 after an error or a failed
    check; 2 for wrong usage; 130 after Ctrl-C. NO_COLOR turns colours off.
    """
    if verbose:
        ctx.with_resource(_telling())
    if limits is not None:
        from atlasdb.limits import stated  # only for --limits

        ctx.with_resource(stated(limits))


@contextmanager
def _telling() -> Iterator[None]:
    """Write what this package and its connections log to stderr, and where errors come from."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(relativeCreated)6.0f ms  %(name)s: %(message)s"))
    loggers = [logging.getLogger(name) for name in ("atlasdb", "urllib3")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        yield
    except click.ClickException:  # says all there is to say
        raise
    except Exception:
        logging.getLogger(__name__).debug("where the error comes from:", exc_info=True)
        raise
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)


class _NoPandas:
    """A finder of modules that finds no pandas.

    DuckDB 1 and pyarrow import it for the first value that they are given, to ask whether that is
    one of pandas's. Commands have none, and need 0.25 s less without.
    """

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("commands use no pandas", name=name)


def main(args: list[str] | None = None) -> None:
    """Run the command line in a process of its own, and exit."""
    sys.meta_path.insert(0, _NoPandas())
    sys.exit(run(args))


def run(args: list[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    args
        The words after ``atlasdb``; by default the process's own.
    """
    if VARIABLE in os.environ:
        from atlasdb.cli.completion import register  # only when Tab was pressed

        register()
    for library in ("sqlalchemy", "tifffile"):  # what they log is told below, in one line
        logging.getLogger(library).addHandler(_UNHEARD)  # once: a logger keeps no handler twice
    try:
        status: Any = group.main(args, prog_name="atlasdb", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _interrupted()
    except (AtlasDBError, OSError) as error:
        click.echo(f"error: {printable(str(error))}", err=True)
        return 1
    except MemoryError:
        click.echo("error: there is not enough memory for this", err=True)
        return 1
    except RuntimeError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # as DuckDB passes it on
            return _interrupted()
        raise
    return status if isinstance(status, int) else 0


def _interrupted() -> int:
    """Say so, and return the exit status that shells expect after Ctrl-C."""
    click.echo("error: interrupted", err=True)
    return 130
