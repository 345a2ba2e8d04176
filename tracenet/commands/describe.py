"""`tracenet describe`: the story of a run in words."""

from __future__ import annotations

from typing import Any

import click

from .render import check_options, render
from .running import Target, run, takes_target, with_backward
from .saying import fail, progress

SHARED = (
    "view", "depth", "open", "close", "focus", "fold", "values", "digits", "backward",
    "learning_rate", "notation", "check", "partial",
)  # fmt: skip
"""The options of render that say what is drawn, and not how it looks."""


@click.command(params=[option for option in render.params if option.name in SHARED])
@takes_target
def describe(
    target: Target,
    backward: bool | None,
    learning_rate: float | None,
    partial: bool,
    **drawing: Any,
) -> None:
    """Tell the run of TARGET in words.

    What goes in, each forward block with its formulas, arrays and cache, the loss, the backward
    blocks in the order in which they ran, and the updates; equal blocks in sequence are told once.
    TARGET is what it is for render, and so are the options that are not about the look.

    \b
    tracenet describe examples/mazur.py
    tracenet describe net.py --call 'train_step(X, Y, parameters)' --values shapes
    """
    from ..notation import check as check_notation

    check_options(**drawing)
    check_notation(drawing["notation"])
    if backward is False:
        drawing["backward"] = False
    drawing = {name: given for name, given in drawing.items() if given not in ((), None)}
    if not drawing["check"]:
        del drawing["check"]
    with progress() as say:
        traces, error = run(target, say, noting="check" in drawing or drawing["view"] == "cache")
        if error is not None and not (partial and traces):
            fail(error, 1)
        for number, trace in enumerate(traces):
            if backward is not False and error is None:
                with_backward(trace, target, backward, learning_rate)
            say(f"describing {target.file}")
            click.echo(("\n" if number else "") + trace.describe(**drawing), nl=False)
    if error is not None:
        fail(error, 1)
