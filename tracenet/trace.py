"""The trace: what one run did, block by block, forwards and backwards, with its values.

A `Trace` holds the tape and builds the records (`values`, `ops`, `blocks`) when somebody asks. The
backward pass and the update are replayed on demand and become part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .backward import Replay, recall, replay
from .errors import GradientError, RecordError, UsageError
from .recording.absent import Absent, Dropped, Later, Placed, restored
from .recording.compiled import speedups
from .recording.memory import makers, rebuild
from .recording.tape import Left, Tape
from .records import BACKWARD, FORWARD, UPDATE, Block, Op, Value

if TYPE_CHECKING:
    import networkx

    from .build import Tables
    from .diagram import Diagram
    from .render.cell import Cell


@dataclass(frozen=True, slots=True)
class Step:
    """One visit to a block, in the order of the run: its own ops, and what flowed in and out."""

    block: Block
    ops: tuple[Op, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


class Trace:
    """What one run did. Made by `tracer.trace`.

    result: what the traced function returned, with plain arrays. title: the function's name.
    failed: None, or the user's error that ended the run. left: where values left the trace.
    """

    def __init__(
        self, tape: Tape, title: str, outputs: list[tuple[str, int]], failed: str | None = None
    ) -> None:
        self._tape = tape
        self._outputs = outputs
        self._recorded = len(tape.ops)
        self._sizes = len(tape.values), self._recorded, len(tape.calls)
        self._replays: list[Replay] = []
        self._updates: list[tuple[int, int, int, int, int]] = []
        self.title = title
        self.result: Any = None
        self.failed = failed
        self.failed_at: tuple[str, int] | None = None

    def __repr__(self) -> str:
        passes = "forward and backward" if self._replays else "forward"
        return f"<trace of {self.title}: {len(self._tape.ops)} ops, {passes}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """What a notebook shows where a cell ends in a trace: see `render/cell.py`."""
        from .render.cell import bundle

        return bundle(repr(self), self.diagram, include, exclude)

    # ------------------------------------------------------------------ records

    @cached_property
    def _tables(self) -> Tables:
        from .build import tables  # not for those who only want a gradient

        return tables(
            self._tape, self.title, self._recorded, self._replays, self._updates, self._outputs
        )

    def _changed(self) -> None:
        if "_tables" in self.__dict__:  # what the others are made of
            for name in ("_tables", "ops", "blocks", "readers", "names", "gradient_names"):
                self.__dict__.pop(name, None)

    @property
    def values(self) -> Mapping[int, Value]:
        """The values by their numbers."""
        return self._tables.values

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """The operations, in the order in which they ran."""
        return tuple(self._tables.ops)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks; the first one is the traced function."""
        return tuple(self._tables.blocks)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that values have."""
        return frozenset(value.name for value in self.values.values())

    @cached_property
    def gradient_names(self) -> frozenset[str]:
        """The names of values that are gradients, computed by the run itself."""
        from .gradient_names import gradient_names

        return gradient_names(self)

    @cached_property
    def readers(self) -> Mapping[int, list[int]]:
        """For each value that is read, the numbers of the operations that read it."""
        found: dict[int, list[int]] = {}
        for op in self.ops:
            for i in op.ins:
                found.setdefault(i, []).append(op.id)
        return found

    @property
    def left(self) -> tuple[Left, ...]:
        """The places where values left the trace."""
        return tuple(self._tape.left_at.values())

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The values that the traced function returned."""
        return tuple(self.values[id] for _, id in self._outputs)

    def value(self, name: str) -> Value:
        """The value of that name. Raises UsageError with the names there are."""
        id = self._tables.keys.get(name)
        if id is None:
            raise UsageError(
                f"no value is called {name!r} in this trace; there are {self._names()}"
            )
        return self.values[id]

    def __getitem__(self, name: str) -> Any:
        """The data of the value of that name, as it was then."""
        return self.data(self.value(name).id)

    def __contains__(self, name: str) -> bool:
        return name in self._tables.keys

    def _names(self, roles: Iterable[str] = ()) -> str:
        wanted = set(roles)
        found = [v.key for v in self.values.values() if v.name and (not wanted or v.role in wanted)]
        shown = ", ".join(found[:30])
        return (shown or "none with a name") + (
            f", … ({len(found)} in all)" if len(found) > 30 else ""
        )

    def data(self, id: int) -> Any:
        """The data of a value by its number, as it was when the run used it.

        Raises RecordError where it was changed since, or let go (see `tracer.keeping`).
        """
        data = self.found(id)
        if isinstance(data, Absent):
            name = self._tables.values[id].name if "_tables" in self.__dict__ else ""
            raise RecordError(
                f"{name or 'an array'} of shape {data.shape} was not kept: this run kept only what "
                "the gradients of its parameters need; run it without tracer.keeping, or with "
                "tracer.keeping('full')"
            )
        return data

    def found(self, id: int) -> Any:
        """Like `data`, but what stands in its place (`recording.keeping.Gone`) where it was let go."""
        tape = self._tape
        data = tape.values[id]
        if isinstance(data, Absent):
            data = self._restored(id)
            if type(data) is Dropped:
                for given in tape.probes:
                    self.found(given)  # raises where it was changed
                recall(tape, self.data, self._replays[-1])
                data = self._restored(id)
            return data
        probe = tape.probes.get(id)
        if probe is not None and not _same(data.flat[:: probe[0]], probe[1]):
            leaf = tape.leaves.get(id)
            raise RecordError(
                f"{leaf.name if leaf else 'an array'} of shape {data.shape} was changed after the "
                "run, so what it was then is gone: draw or replay a trace before its large arrays "
                "are written to, or trace with a copy"
            )
        return data

    def _restored(self, id: int) -> Any:
        tape = self._tape
        data = tape.values[id]
        if type(data) is Placed:
            return restored(tape.values, id)
        return rebuild(tape.ops, makers(tape), tape.values, id) if type(data) is Later else data

    # ------------------------------------------------------------------ backward

    def backward(
        self,
        gradients: Mapping[str, Any] | None = None,
        *,
        loss: str | None = None,
        wrt: Iterable[str] | None = None,
    ) -> Trace:
        """Replays the backward blocks in reverse topological order, from the loss.

        gradients: gradients of outputs to begin with, by name, each of its output's shape, for a
        run that ends in no loss. loss: the name of the loss, where several scalars are returned.
        wrt: the names of the values to go back to; by default the parameters, or all floating
        point inputs where there are no parameters.

        Returns the trace itself. Raises GradientError where there is no scalar to begin with, or
        an operation on the way has no rule.
        """
        if len(self._tape.values) > self._sizes[0]:  # an earlier one, even if it broke off
            self._forget_backward()
        seeds = self._seeds(gradients, loss)
        wanted = self._wanted(wrt)
        self._replays = [replay(self._tape, self.data, seeds, wanted, lean=True)]
        self._changed()
        return self

    def _forget_backward(self) -> None:
        """Takes an earlier backward pass, and the update after it, off the tape."""
        tape, (values, ops, calls) = self._tape, self._sizes
        del tape.values[values:], tape.ops[ops:], tape.calls[calls:]
        if tape.notes is not None:
            tape.notes.forget_after(calls)
        self._replays, self._updates = [], []

    def _seeds(self, gradients: Mapping[str, Any] | None, loss: str | None) -> dict[int, Any]:
        if gradients is not None:
            return dict(self._seed(name, g) for name, g in gradients.items())
        id = self._find(loss) if loss is not None else self.loss()
        if type(self._tape.values[id]) is np.float64:
            return {id: _ONE}
        data = self.data(id)
        if isinstance(data, np.ndarray) and data.size != 1:
            raise GradientError(
                f"the loss {loss!r} is not a scalar: it has shape {np.shape(data)}. Give the "
                "gradient to begin with: trace.backward({" + repr(loss) + ": gradient})"
            )
        return {
            id: np.ones(data.shape, data.dtype) if isinstance(data, np.ndarray) else type(data)(1)
        }

    def _seed(self, name: str, gradient: Any) -> tuple[int, Any]:
        id = self._find(name)
        data = self.data(id)
        if np.shape(gradient) != np.shape(data):
            raise GradientError(
                f"the gradient given for {name} has shape {np.shape(gradient)}, and {name} has "
                f"shape {np.shape(data)}: they must be equal"
            )
        if isinstance(data, np.ndarray):
            return id, np.array(gradient, dtype=data.dtype)
        return id, type(data)(gradient)

    def _find(self, name: str) -> int:
        for path, id in self._outputs:
            if path == name:
                return id
        return self.value(name).id

    def loss(self) -> int:
        """The number of the loss: the one scalar that was computed and returned.

        Raises GradientError where there is none, or more than one.
        """
        leaves, values = self._tape.leaves, self._tape.values
        found = [id for _, id in self._outputs if _is_scalar(values[id]) and id not in leaves]
        if len(found) == 1 or (found and self._outputs[0][1] == found[0]):
            return found[0]
        shapes = [
            f"{p or 'the result'} of shape {np.shape(self.data(i))}" for p, i in self._outputs
        ]
        what = ", ".join(shapes[:6]) or "nothing that was traced"
        if found:
            raise GradientError(
                f"more than one scalar was returned ({what}): say which is the loss, with "
                "trace.backward(loss='name')"
            )
        raise GradientError(
            f"there is no scalar loss to begin with: the run returned {what}. Return the loss, or "
            "give the gradients of the outputs: trace.backward({'name': gradient})"
        )

    def _wanted(self, wrt: Iterable[str] | None) -> list[int]:
        tape = self._tape
        if wrt is not None:
            return [self._differentiable(name) for name in wrt]
        parameters, inputs, arrays = _floating_leaves(tape)
        if arrays and parameters and not (tape.reached and tape.reached.issuperset(parameters)):
            return parameters
        # of single numbers every gradient is wanted, and what was only reached may be data as well
        return sorted(parameters + inputs)

    def _differentiable(self, name: str) -> int:
        found = self.value(name)
        if np.asarray(self.data(found.id)).dtype.kind != "f":
            raise GradientError(
                f"{name} is an array of {found.dtype}: only floating point values have gradients"
            )
        return found.id

    def gradient(self, name: str) -> Any:
        """The gradient of the value of that name: an array of its shape.

        After `backward` it is the one that the replay computed, before it the one that the run's own
        backward code did, right or wrong.

        Raises GradientError where the backward pass has not run, or did not compute it.
        """
        found = self.value(name)
        id = self.gradients().get(found.id)
        if id is not None:
            return self.data(id)
        if not self._replays:
            raise GradientError("there are no gradients yet: call trace.backward() first")
        self._differentiable(name)
        if found.id in self._replays[-1].wanted:
            return np.zeros_like(
                self.data(found.id)
            )  # asked for, and the loss does not depend on it
        computed = [self.values[i].key for i in self._replays[-1].gradients if self.values[i].name]
        raise GradientError(
            f"the gradient of {name} was not computed, since it is {_a(found.role)}: ask for it "
            f"with trace.backward(wrt=[{name!r}]). Computed: {', '.join(computed[:30])}"
        )

    def gradient_of(self, id: int) -> int | None:
        """The number of the gradient of a value, where it was computed."""
        return self.gradients().get(id)

    def gradients(self) -> Mapping[int, int]:
        """For each value that got one, the number of its gradient, both as in `values`."""
        return self._replays[-1].gradients if self._replays else self._tables.by_hand

    def seeds(self) -> set[int]:
        """The gradients of 1 that a backward pass from a loss began with."""
        if not self._replays:
            return set()
        return {g for g in self._replays[-1].seeds.values() if np.all(self.data(g) == 1)}

    def loss_values(self) -> set[int]:
        """The values that the backward pass began with; before it, the loss that it would."""
        if self._replays:
            return set(self._replays[-1].seeds)
        return {id for _, id in self._outputs if _is_scalar(self._tape.values[id])}

    def update(
        self, learning_rate: float, parameters: Iterable[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Records one step of gradient descent, W := W - α dW, for every parameter.

        learning_rate: α. parameters: the names of those to change; by default all that have a
        gradient. Returns the new arrays by name; the user's own are left alone.
        """
        if not self._replays:
            raise GradientError(
                "there are no gradients to descend yet: call trace.backward() first"
            )
        tape = self._tape
        tape.values.append(learning_rate)
        rate = len(tape.values) - 1
        names = list(parameters) if parameters is not None else self._descending()
        pairs = [(name, self.value(name).id) for name in names]
        new: dict[str, np.ndarray] = {}
        for name, id in pairs:
            gradient = self._replays[-1].gradients.get(id)
            if gradient is None:
                self.gradient(name)  # explains itself
                continue
            tape.values.append(learning_rate * self.data(gradient))
            tape.values.append(self.data(id) - tape.values[-1])
            count = len(tape.values)
            self._updates.append((id, gradient, rate, count - 2, count - 1))
            new[name] = tape.values[-1]
        self._changed()
        return new

    def _descending(self) -> list[str]:
        wanted = self._replays[-1].wanted
        computed = self._replays[-1].gradients
        found = [v for v in self.values.values() if v.id in wanted and v.id in computed]
        return [v.key for v in found]

    # ------------------------------------------------------------------ reading it

    def steps(self, depth: int | None = None) -> Iterator[Step]:
        """Both passes, block by block, in the order in which they ran.

        depth: how far blocks are opened; None is the depth at which the trace is drawn.
        """
        from .views import steps

        return steps(self, depth)

    def graph(self, level: str = "blocks", depth: int | None = None) -> networkx.MultiDiGraph:
        """The trace as a networkx graph, of `"blocks"` or of `"ops"`."""
        from .graph import graph

        return graph(self, level, depth)

    def diagram(self, view: str = "blocks", **options: Any) -> Diagram:
        """What is drawn: see `render` for the options."""
        from .views import diagram

        check = options.pop("check", False)
        made = diagram(self, view, **options)
        if check:
            from .checking import report
            from .checking.marks import marked

            made = marked(self, made, report(self), options.get("depth"))
        return made

    def describe(self, **options: Any) -> str:
        """The story of the run in words, block by block, for those who do not see the picture.

        options: those of `render` that say what is drawn: view, depth, values, digits, …. Equal
        blocks are told once whether or not they are folded; with fold=True without their formulas.
        """
        from .render.story import story

        return story(self.diagram(**{"fold": False, **options}))

    def render(
        self,
        path: str | Path,
        *,
        view: str = "blocks",
        steps: bool = False,
        theme: str | Path = "default",
        ground: str = "light",
        dpi: float | None = None,
        width: int | None = None,
        **options: Any,
    ) -> Path:
        """Draws the trace into a file: .svg, .png, .pdf, .tex, .html, .md, .dot or .json.

        view: `"blocks"`, the two rows; `"network"`, `"cache"`, `"circuit"`; or `"ops"`, each
        operation over its mirror. open, close, focus: names of blocks. fold: True or `"ends"` draws
        equal blocks as the first, the last and ×N; `"one"` as one, with a loop where weights are
        shared; False draws each; by default more than 12 are folded.
        check: True marks each hand-written backward block: right, scaled or wrong.
        depth: how far blocks are opened, from 1. values: `"full"`, `"summary"`, `"heatmap"`,
        `"histogram"`, `"shapes"` or `"none"`. digits: how many significant digits. backward: False leaves the backward pass out.
        notation: `"ng"`, `"nielsen"`, `"partial"` or `"code"`: how names are written.
        legend: True explains the boxes, arrows and values that are in the picture, under it.
        ratio: `"16:9"` leaves room around the picture so that it has the shape of a slide.
        steps: .tex only, boxes appear in the order of the run, on slides of beamer.
        theme: `"default"`, `"cs231n"`, `"ng"`, `"mono"` or a TOML file. ground: `"light"`,
        `"dark"`, `"both"` (the reader's own, .svg and .html) or `"transparent"`.
        dpi, width: .png only, pixels an inch, or the width in pixels.

        Returns the path. The file is written whole or not at all.
        """
        from .render import check_options, write

        look = {"theme": theme, "ground": ground, "dpi": dpi, "width": width}
        check_options(Path(path).suffix.lower().removeprefix("."), steps=steps, **look)  # type: ignore[arg-type]
        return write(self.diagram(view, **options), path, steps, **look)

    def show(self, *, theme: str = "default", ground: str = "light", **options: Any) -> Cell:
        """What a notebook shows where a cell ends in it, with the options of `render`."""
        from .render.cell import Cell
        from .render.theme import paint

        paint(theme, ground, "html")  # what does not exist is said here
        return Cell(repr(self), lambda: self.diagram(**options), theme, ground)

    def save(self, path: str | Path, progress: Callable[[str], object] | None = None) -> Path:
        """Writes the trace into a file, conventionally `.trace`, for `tracenet.load_trace`.

        progress: called with a few words before each part of the work.

        Returns the path. The file is written whole or not at all.
        """
        from .store import save

        return save(self, path, progress)

    # ------------------------------------------------------------------ checks

    def check(self) -> None:
        """Raises RecordError where the records contradict each other."""
        from .graph import check

        check(self)

    def last_steps(self) -> list[str]:
        """Where a run ended: the innermost block and the last shapes, in words."""
        if not self.ops:
            return ["tracenet: the run ended before its first recorded operation"]
        last = self.ops[-1]
        path = " / ".join(block.name for block in self.around(last.block))
        shapes = [_described(self.values[i]) for i in (*last.ins, *last.outs)]
        return [
            f"tracenet: the last recorded operation was {last.rule} in block {path} "
            f"(line {last.line}): " + ", ".join(shapes[:-1]) + f" -> {shapes[-1]}"
        ]

    def around(self, block: int) -> list[Block]:
        """A block and those around it, from the outside."""
        found: list[Block] = []
        at: int | None = block
        while at is not None:
            found.append(self.blocks[at])
            at = self.blocks[at].parent
        return found[::-1]


_ONE = np.float64(1)  # to make one takes NumPy as long as an operation


def _is_scalar(data: Any) -> bool:
    if type(data) is not np.ndarray:
        return isinstance(data, (float, np.floating))
    return data.size == 1 and data.dtype.kind == "f"


def _floating_leaves(tape: Tape) -> tuple[list[int], list[int], bool]:
    """The named parameters and inputs that are floating point; whether one of them is an array."""
    leaves, values = tape.leaves, tape.values
    if speedups is not None and type(values) is list:
        return speedups.floating_leaves(leaves, values)  # type: ignore[no-any-return]
    parameters, inputs, arrays = [], [], False
    for id, leaf in leaves.items():
        data, role = values[id], leaf[1]
        is_array = type(data) is np.ndarray
        if leaf[2] is None or not (
            data.dtype.kind == "f" if is_array else isinstance(data, (float, np.floating))
        ):
            continue
        arrays = arrays or is_array
        if role == "parameter":
            parameters.append(id)
        elif role == "input":
            inputs.append(id)
    return parameters, inputs, arrays


def _described(value: Value) -> str:
    if not value.shape:
        return f"{value.name} (a number)" if value.name else "a number"
    return f"{value.name or 'a value'} {value.shape}"


def _a(role: str) -> str:
    return f"an {role}" if role[0] in "aeiou" else f"a {role}"


def _same(now: Any, then: Any) -> bool:
    return bool(np.array_equal(now, then, equal_nan=then.dtype.kind in "fc"))


__all__ = ["BACKWARD", "FORWARD", "UPDATE", "Step", "Trace"]
