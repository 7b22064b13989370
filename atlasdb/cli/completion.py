"""What the Tab key offers: atlases, structures, tables of cells, named queries, files.

The one idea: a completion reads the same home as the command would, and where that fails offers
nothing, since an error has no place in a line that is being typed.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
from typing import TYPE_CHECKING, Any

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    split_arg_string,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import click

    from atlasdb.api import Database

Offered = list["CompletionItem[str]"]

_MOST = 500
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' line
    COMPREPLY=()
    local shell=bash_complete
    for line in $(COMP_LINE="$COMP_LINE" COMP_POINT=$COMP_POINT %(complete_var)s=$shell $1); do
        case $line in
            dir,*) compopt -o dirnames ;;
            file,*) compopt -o default ;;
            plain,*=) compopt -o nospace; COMPREPLY+=("${line#plain,}") ;;
            plain,*) COMPREPLY+=("${line#plain,}") ;;
        esac
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


def _quietly(offer: Callable[[click.Context, str], Offered]) -> Any:  # noqa: ANN401 (a completer)
    """Make a function that offers words a completer, which never fails."""

    @functools.wraps(offer)
    def complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> Offered:
        try:
            return offer(ctx, incomplete)
        except Exception:  # noqa: BLE001 (whatever it is, nobody asked for it)
            return []

    return complete


@_quietly
def files(_ctx: click.Context, incomplete: str) -> Offered:
    """Leave it to the shell, which knows files."""
    return [CompletionItem(incomplete, type="file")]


@_quietly
def atlases(ctx: click.Context, incomplete: str) -> Offered:
    """Offer the atlases of the home: names, and after ``@`` their versions."""
    from atlasdb.catalogue import ingested_atlases  # duckdb

    known = ingested_atlases(_database(ctx).home)
    if "@" in incomplete:
        words = [f"{name}@{found.version}" for name, all_ in known.items() for found in all_]
        return _beginning((word, None) for word in words if word.startswith(incomplete))
    return _beginning((name, None) for name in known if name.startswith(incomplete))


@_quietly
def sources(_ctx: click.Context, incomplete: str) -> Offered:
    """Offer what can be ingested: what is built in, what servers said they have, and files."""
    if re.match(r"[./~]|https?:", incomplete):
        return [CompletionItem(incomplete, type="file")]
    from atlasdb.sources import built_in
    from atlasdb.sources.listings import remembered

    names = sorted({*built_in(), *remembered()})
    offered = _beginning((name, None) for name in names if name.startswith(incomplete))
    return offered or [CompletionItem(incomplete, type="file")]


@_quietly
def structures(ctx: click.Context, incomplete: str) -> Offered:
    """Offer the acronyms of the atlas that was named before; in any case if none begins so."""
    atlas = _named(ctx, "atlas")
    rows = _database(ctx).query("tree", atlas=atlas).to_pylist()
    named = [(row["acronym"], row["name"]) for row in rows]
    exact = [pair for pair in named if pair[0].startswith(incomplete)]
    folded = incomplete.casefold()
    return _beginning(exact or [pair for pair in named if pair[0].casefold().startswith(folded)])


@_quietly
def kinds(ctx: click.Context, incomplete: str) -> Offered:
    """Offer the kinds of the volumes of the atlas that was named before."""
    (row,) = _database(ctx).query("atlas", atlas=_named(ctx, "atlas")).to_pylist()
    return _beginning((kind, None) for kind in row["volumes"] if kind.startswith(incomplete))


@_quietly
def cell_tables(ctx: click.Context, incomplete: str) -> Offered:
    """Offer the registered tables of cells."""
    rows = _database(ctx).cell_tables().to_pylist()
    named = [(row["name"].removeprefix("cells."), row["atlas"]) for row in rows]
    return _beginning(pair for pair in named if pair[0].startswith(incomplete))


@_quietly
def named_queries(_ctx: click.Context, incomplete: str) -> Offered:
    """Offer the names of the named queries."""
    from atlasdb.queries import queries

    return _beginning((q.name, q.description) for q in queries() if q.name.startswith(incomplete))


@_quietly
def query_parameters(ctx: click.Context, incomplete: str) -> Offered:
    """Offer ``KEY=``, and after ``atlas=`` and ``structure=`` their values."""
    from atlasdb.queries import find_query

    key, equals, begun = incomplete.partition("=")
    parameters = {p.name: p for p in find_query(_named(ctx, "name")).parameters}
    if not equals:
        named = [(f"{name}=", p.description) for name, p in parameters.items()]
        return _beginning(pair for pair in named if pair[0].startswith(key))
    if parameters[key].kind == "atlas":
        found = atlases(ctx, None, begun)
    elif parameters[key].kind in {"structure", "structures"}:
        given = dict(pair.partition("=")[::2] for pair in ctx.params.get("given") or ())
        ctx.params.setdefault("atlas", given.get("atlas"))
        found = structures(ctx, None, begun)
    else:
        return []
    return [CompletionItem(f"{key}={item.value}", help=item.help) for item in found]


class Bash(BashComplete):
    """Completion for bash, which breaks words at ``=``, ``@`` and ``:``, and inserts them as is."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the one that is being typed, unbroken."""
        line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
        words = split_arg_string(line)
        begun = "" if line[-1:].isspace() or len(words) < 2 else words.pop()  # noqa: PLR2004
        typed = line[len(line.rstrip()) :] if not begun else _last_word(line)
        self._quote = typed[:1] if typed[:1] in {"'", '"'} else ""
        self._kept = "" if self._quote else re.sub(r"[^=@:]*$", "", begun)
        return words[1:], begun

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Return what replaces the part of the word that bash takes for the word."""
        if item.type != "plain":
            return f"{item.type},{item.value}"
        value = item.value.removeprefix(self._kept)
        return f"plain,{value if self._quote else shlex.quote(value)}"


def register() -> None:
    """Let click use our completion for bash."""
    add_completion_class(Bash)


def _last_word(line: str) -> str:
    """Return the end of a line from where its last word begins, quotes included."""
    for start in range(len(line)):
        if (start == 0 or line[start - 1].isspace()) and len(split_arg_string(line[start:])) == 1:
            return line[start:]
    return line


def _named(ctx: click.Context, parameter: str) -> str:
    """Return an argument's value; the first word, where the line is not parsed to its end yet."""
    return str(ctx.params.get(parameter) or next(w for w in ctx.args if not w.startswith("-")))


def _database(ctx: click.Context) -> Database:
    """Return the home that the line names, or the default one."""
    from atlasdb.api import connect

    return ctx.params.get("db") or connect(ctx.find_root().params.get("home"))


def _beginning(pairs: Iterable[tuple[str, str | None]]) -> Offered:
    """Return words with what they mean, as many as anybody reads."""
    return [
        CompletionItem(word, help=meaning)
        for word, meaning in list(pairs)[:_MOST]
        if word.isprintable()
    ]
