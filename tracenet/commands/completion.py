"""`tracenet completion`: the completion script for a shell."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    \b
    eval "$(tracenet completion bash)"
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is not None:
        click.echo(
            found(
                click.get_current_context().find_root().command,
                {},
                "tracenet",
                "_TRACENET_COMPLETE",
            ).source()
        )
