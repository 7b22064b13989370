"""``atlasdb query``: the named queries, listed or run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from atlasdb.cli.completion import named_queries, query_parameters
from atlasdb.cli.options import checked_text, format_option, home_option, output_option
from atlasdb.cli.output import write_table

if TYPE_CHECKING:
    import pyarrow as pa

    from atlasdb.api import Database


_RULE = "─"


@click.command(name="query")
@click.argument("name", required=False, shell_complete=named_queries)
@click.option(
    "-p",
    "--parameter",
    "given",
    metavar="KEY=VALUE",
    multiple=True,
    shell_complete=query_parameters,
    help="A parameter, such as atlas=allen_mouse_100um. Repeat it for several, or for a list.",
)
@click.option("--show", is_flag=True, help="Print the query's SQL instead of running it.")
@format_option
@output_option
@home_option
def command(
    db: Database,
    name: str | None,
    given: tuple[str, ...],
    show: bool,
    form: str | None,
    output: str | None,
) -> None:
    """Run the query NAME, or list all queries with their comments and parameters.

    \b
    atlasdb query largest_leaves -p atlas=allen_mouse_100um -p structure=CTX
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    from atlasdb.queries import find_query  # when the command runs

    if name is None:
        if given or show:
            raise click.UsageError("name the query")
        _list(form, output)
        return
    query = find_query(name)
    if show:
        click.echo(f"-- {query.description}\n{query.sql};")
        return
    lists = {p.name for p in query.parameters if p.kind == "structures"}
    structures = {p.name for p in query.parameters if p.kind in {"structure", "structures"}}
    write_table(db.query(name, **_parameters(given, lists, structures)), form, output)


def _parameters(given: tuple[str, ...], lists: set[str], structures: set[str]) -> dict[str, object]:
    """Return what ``-p`` gave, by name."""
    from atlasdb.database import TypedWord

    values: dict[str, list[object]] = {}
    for pair in given:
        key, equals, value = checked_text(pair).partition("=")
        if not equals:
            raise click.UsageError(f"-p {pair!r}: expected KEY=VALUE")
        values.setdefault(key, []).append(TypedWord(value) if key in structures else value)
    for key, several in values.items():
        if len(several) > 1 and key not in lists:
            raise click.UsageError(f"-p {key} is given {len(several)} times")
    return {key: several if key in lists else several[0] for key, several in values.items()}


def _list(form: str | None, output: str | None) -> None:
    """Print the queries: for people as text, for programs as a table."""
    from atlasdb.queries import queries

    if form is not None or output is not None:
        write_table(_table(), form, output)
        return
    topic = ""
    for query in queries():
        if query.topic != topic:
            topic = query.topic
            click.echo("\n" + topic + "\n" + _RULE * len(topic))
        click.echo(f"  {click.style(query.name, bold=True)}")
        click.echo(click.wrap_text(query.description, 90, "    ", "    "))
        for parameter in query.parameters:
            default = f" = {parameter.default}" if parameter.default else ""
            text = f"-p {parameter.name}={parameter.kind}{default}: {parameter.description}"
            click.echo(click.wrap_text(text, 90, "      ", "        "))


def _table() -> pa.Table:
    """Return the queries as a table, a row for each."""
    import pyarrow as pa

    from atlasdb.queries import queries

    found = queries()
    return pa.table(
        {
            "topic": [query.topic for query in found],
            "name": [query.name for query in found],
            "parameters": [[p.name for p in query.parameters] for query in found],
            "description": [query.description for query in found],
        }
    )
