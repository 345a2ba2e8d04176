"""The command `tracenet`: everything is imported only when a command needs it."""

from __future__ import annotations

from typing import Any

import click

from .. import __version__
from ..errors import TracenetError
from .check import check
from .completion import completion
from .describe import describe
from .render import render


class _Group(click.Group):
    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except TracenetError as error:
            click.echo(f"tracenet: {error}", err=True)
            context.exit(2)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="tracenet %(version)s")
def main() -> None:
    """Runs hand-written NumPy networks as they stand and draws what they did."""


for command in (render, describe, check, completion):
    main.add_command(command)
