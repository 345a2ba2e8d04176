"""`tracenet render`: runs a target and draws it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError, unknown
from .running import Target, kept, run, takes_target, with_backward
from .saying import fail, progress, warnings_said

if TYPE_CHECKING:
    from ..trace import Trace

VIEWS = ("blocks", "network", "cache", "ops", "circuit")
VALUES = ("full", "summary", "heatmap", "histogram", "shapes", "none")
FOLDS = ("ends", "one")
FORMATS = ("svg", "png", "pdf", "tex", "html", "md", "dot", "json")


@click.command()
@takes_target
@click.option("-o", "--output", metavar="FILE", help="Where to draw; - is standard output.")
@click.option(
    "--format", "format_", metavar="FORMAT", help=f"{', '.join(FORMATS)}; by default the suffix's."
)
@click.option(
    "--view",
    default="blocks",
    show_default=True,
    help="blocks: two rows. network: one box a layer. cache: what is kept, read, never read. "
    "ops: each operation over its mirror. circuit: gates, values over and gradients under wires.",
)
@click.option("--depth", type=int, metavar="N", help="How far blocks are opened, from 1.")
@click.option("--open", multiple=True, metavar="NAME", help="Open a block, or all of a function.")
@click.option("--close", multiple=True, metavar="NAME", help="Draw a block as one box.")
@click.option("--focus", multiple=True, metavar="NAME", help="Only this block and its neighbours.")
@click.option(
    "--fold/--unfold",
    default=None,
    help="Draw equal blocks in sequence as the first, the last and ×N; more than 12 always are.",
)
@click.option(
    "--fold-to",
    metavar="WHAT",
    help="ends: as --fold does. one: a single block in general form, ×N; with an arrow back to "
    "itself where all share their weights, as time steps do.",
)
@click.option(
    "--values",
    default="full",
    show_default=True,
    help="How much of the arrays: full, summary, heatmap, histogram, shapes, none.",
)
@click.option(
    "--digits",
    type=int,
    default=4,
    show_default=True,
    help="Significant digits of numbers; from 4 on the loss has five more.",
)
@click.option(
    "--backward/--forward-only",
    default=None,
    help="Replay and draw the backward pass, or leave it out.",
)
@click.option("--learning-rate", type=float, metavar="α", help="Add the update W := W - α dW.")
@click.option(
    "--theme", default="default", metavar="THEME", help="default, cs231n, ng, mono or FILE.toml."
)
@click.option(
    "--ground",
    default="light",
    show_default=True,
    help="light, dark, transparent, or both: as the reader's settings are (svg, html).",
)
@click.option(
    "--notation",
    default="ng",
    show_default=True,
    help="How names are written: ng dW[1], nielsen ∇W^1, partial ∂J/∂W[1], code dW1.",
)
@click.option("--dpi", type=float, metavar="N", help="png only: pixels an inch.")
@click.option("--width", type=int, metavar="PIXELS", help="png only: its width.")
@click.option("--ratio", metavar="W:H", help="Room around it for this shape, as 16:9 of a slide.")
@click.option("--legend", is_flag=True, help="Explain what is in the picture, under it.")
@click.option("--check", is_flag=True, help="Mark each backward block: right or wrong.")
@click.option("--steps", is_flag=True, help="tex only: boxes appear in the order of the run.")
@click.option("--partial", is_flag=True, help="Draw what was recorded when the code raises.")
def render(
    target: Target, output: str | None, format_: str | None, backward: bool | None,
    learning_rate: float | None, steps: bool, partial: bool, theme: str, ground: str,
    dpi: float | None, width: int | None, fold_to: str | None, **drawing: Any,
) -> None:  # fmt: skip
    """Draw the run of TARGET.

    TARGET is a script that uses the tracer, whose traces are drawn; any Python file, with --call;
    a flat script, with --iteration or --lines; FILE.py:function, for a function that needs no
    arguments; or a trace that was saved with trace.save("run.trace"). A notebook, FILE.ipynb, is a
    target like a file.

    \b
    tracenet render examples/mazur.py -o mazur.svg
    tracenet render net.py --call 'L_model_forward(X, parameters)' -o net.png
    tracenet render flat_script.py --iteration 3 -o third.png
    """
    check_options(**drawing)
    where, suffix = _destination(target.file, output, format_)
    if steps and suffix != "tex":
        raise UsageError(f"--steps is for slides, in .tex, and not for .{suffix}")
    look: dict[str, Any] = {"theme": theme, "ground": ground, "dpi": dpi, "width": width}
    _check_look(suffix, look, drawing["notation"])
    if backward is False:
        drawing["backward"] = False
    if fold_to is not None:
        drawing["fold"] = _folding(fold_to, drawing["fold"])
    drawing = {name: given for name, given in drawing.items() if given not in ((), None)}
    if "ratio" in drawing:
        from ..diagram import proportion

        proportion(drawing["ratio"])
    for flag in ("check", "legend"):
        if not drawing[flag]:
            del drawing[flag]
    with progress() as say:
        noting = "check" in drawing or drawing["view"] == "cache"
        with kept(target, suffix, noting, **drawing):
            traces, error = run(target, say, noting=noting)
        if error is not None and not (partial and traces):
            fail(error, 1)
        for number, trace in enumerate(traces):
            path = _numbered(where, number, len(traces))
            if backward is not False and error is None:
                with_backward(trace, target, backward, learning_rate)
            say(f"drawing {path or 'the diagram'}")
            _write(trace, drawing, path, suffix, {**look, "steps": steps})
    if error is not None:
        fail(error, 1)


def check_options(view: str, values: str, digits: int, depth: int | None, **_: Any) -> None:
    if view not in VIEWS:
        raise unknown("view", view, VIEWS)
    if values not in VALUES:
        raise unknown("amount of values", values, VALUES)
    if not 1 <= digits <= 17:
        raise UsageError(f"--digits must be from 1 to 17, got {digits}")
    if depth is not None and depth < 1:
        raise UsageError(f"--depth must be 1 or more, got {depth}")


def _folding(fold_to: str, fold: bool | None) -> str:
    if fold_to not in FOLDS:
        raise unknown("way to fold", fold_to, FOLDS)
    if fold is False:
        raise UsageError(f"--unfold draws every block, and --fold-to {fold_to} does not: give one")
    return fold_to


def _check_look(suffix: str, look: dict[str, Any], notation: str) -> None:
    """Raises UsageError before anything runs; what is usual loads nothing."""
    from ..notation import check

    check(notation)
    if look != {"theme": "default", "ground": "light", "dpi": None, "width": None}:
        from ..render import check_options

        with warnings_said():  # of a theme that is hard to read
            check_options(suffix, **look)


def _destination(target: str, output: str | None, format_: str | None) -> tuple[str | None, str]:
    """The file (None for standard output) and the format, checked before anything runs."""
    if format_ is not None and format_.lstrip(".") not in FORMATS:
        raise unknown("format", format_, FORMATS)
    if output == "-":
        if format_ is None:
            raise UsageError("-o - needs --format: " + ", ".join(FORMATS))
        return None, format_.lstrip(".")
    if output is None:
        stem = Path(target.rpartition(":")[0] if ":" in target else target).stem
        output = f"{stem}.{(format_ or 'svg').lstrip('.')}"
    suffix = (format_ or Path(output).suffix).lstrip(".").lower()
    if Path(output).is_dir():
        raise UsageError(f"{output!r} is a folder: give -o the name of a file in it")
    if suffix not in FORMATS:
        raise unknown("suffix", Path(output).suffix or output, ["." + f for f in FORMATS])
    folder = Path(output).parent
    if not folder.is_dir():
        raise UsageError(
            f"cannot write {output!r}: there is no folder {str(folder)!r}; make it first"
        )
    source = Path(target)
    if Path(output).suffix in (".py", ".ipynb") or _same(Path(output), source):
        raise UsageError(
            f"{output!r} is not written over: a picture is no program and not what it is drawn "
            f"from; give -o another name, for instance {source.with_suffix('.' + suffix).name!r}"
        )
    return output, suffix


def _same(a: Path, b: Path) -> bool:
    return a.exists() and b.exists() and a.samefile(b)


def _numbered(path: str | None, number: int, count: int) -> str | None:
    if path is None or count == 1:
        return path
    file = Path(path)
    return str(file.with_name(f"{file.stem}-{number + 1}{file.suffix}"))


def _write(
    trace: Trace, drawing: dict[str, Any], path: str | None, suffix: str, look: dict[str, Any]
) -> None:
    from ..render import encode, write_bytes

    with warnings_said():
        data = encode(trace.diagram(**drawing), suffix, **look)
    if path is None:
        click.echo(data, nl=False)
    else:
        write_bytes(path, data)
        click.echo(path, err=True)
