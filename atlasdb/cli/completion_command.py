"""``atlasdb completion``: what makes the Tab key complete commands, atlases and structures."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command(name="completion")
@click.argument("shell", type=click.Choice(_SHELLS))
def command(shell: str) -> None:
    """Print what makes a shell complete commands, atlases, acronyms and files.

    \b
    bash (4.4 or newer), in ~/.bashrc:  eval "$(atlasdb completion bash)"
    zsh, in ~/.zshrc after compinit:    eval "$(atlasdb completion zsh)"
    fish, once:  atlasdb completion fish > ~/.config/fish/completions/atlasdb.fish
    """  # noqa: D301 (click's mark for a block that is not rewrapped)
    from atlasdb.cli import VARIABLE, group  # the group imports this module
    from atlasdb.cli.completion import register

    register()
    kind = get_completion_class(shell)
    if kind is None:  # click knows these three
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(group, {}, "atlasdb", VARIABLE).source())
