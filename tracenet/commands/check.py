"""`tracenet check`: says which hand-written backward block is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .running import Target, run, takes_target
from .saying import fail, progress

if TYPE_CHECKING:
    from ..checking import Report


@click.command()
@takes_target
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def check(target: Target, as_json: bool) -> None:
    """Say which hand-written backward block of TARGET is wrong.

    TARGET is what it is for render. EXPR runs forward and backward, or a backward function alone,
    on a cache made by hand. Each backward block is held against its forward block, and the whole
    against the loss.

    \b
    tracenet check net.py --call 'train_step(X, Y, parameters)'
    tracenet check net.py --call 'linear_backward(dZ, cache)'

    The exit code is 0 when all is right, or scaled by convention; 1 when something is wrong; 2 when
    nothing could be checked, as where the code itself fails.
    """
    from ..checking import report, run_backward

    with progress() as say:
        traces, error = run(target, say, noting=True)
        if error is not None:
            fail(error, 2)
        say("checking " + target.file)
        reports = []
        for trace in traces:
            run_backward(trace)
            reports.append(report(trace))
    _print_reports(reports, as_json)
    if any(block.bad for found in reports for block in found.blocks):
        raise SystemExit(1)
    if not any(found.checked for found in reports):
        raise SystemExit(2)


def _print_reports(reports: list[Report], as_json: bool) -> None:
    if as_json:
        import json

        found = [one.to_json() for one in reports]
        click.echo(json.dumps(found[0] if len(found) == 1 else found, indent=1))
        return
    for number, one in enumerate(reports):
        click.echo(("\n" if number else "") + str(one))
