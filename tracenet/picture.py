"""The two-row picture: forward blocks left to right, their backward blocks under them.

Each forward part is a column: its parameters above it, its cache below, then the backward part
that reads the cache, the gradients that come out, and the update. Data enter at the left. What is
drawn is decided here; how it looks is decided in `render`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from . import notation
from .diagram import (
    BACKWARD_LANE,
    CACHE_LANE,
    FORWARD_LANE,
    PARAMETER_LANE,
    Diagram,
    Run,
    Shown,
    numbered,
    plain,
)
from .drawing import checked
from .ends import Ends
from .figures import dimensions
from .parts import Part
from .records import BACKWARD, FORWARD, Value
from .trace import Trace
from .views import parts


def draw(
    trace: Trace,
    *,
    depth: int | None = None,
    values: str = "full",
    digits: int = 4,
    backward: bool = True,
    open: Collection[str] = (),
    close: Collection[str] = (),
) -> Diagram:
    """The block-level picture of a trace."""
    checked(values, digits)
    cut = parts(trace, depth, open, close)
    return Picture(trace, cut, values, digits, backward).made()


class Picture(Ends):
    """The picture while it is made; other views in rows draw some of its boxes in another way."""

    view = "blocks"

    def made(self) -> Diagram:
        for i in self.forward:
            self._forward(i)
        for i, part in enumerate(self.parts):
            if part.phase == BACKWARD:
                self._backward(i, part)
        self._flow(FORWARD, "data")
        if self.both:
            self._flow(BACKWARD, "gradient")
            self._leaving_gradients()
        self._updates()
        self._unused()
        self._failure()
        return numbered(self.done(self.view))

    # ------------------------------------------------------------------ forward

    def _forward(self, i: int) -> None:
        part, column = self.parts[i], self.column[i]
        parameters, data = self._read_from_outside(part)
        kind = "loss" if part.loss else "forward"
        lines = self._lines(part)
        arrays = () if lines and self.mode == "none" else self._result(part)
        self.box[i] = self.node(
            kind, FORWARD_LANE, column, part.name, title=(Run(part.name, "b"),), lines=lines,
            block=self.path(part.block), shown=arrays, **self.left.get(i, {}),
        )  # fmt: skip
        if parameters:
            self._above(i, "parameter", parameters)
        self._entering(i, data)

    def _entering(self, i: int, data: list[int]) -> None:
        """Data at the left of what comes first; what later parts and turns of a loop take, above."""
        first = self.column[i] == 1 or not self._fed(self.parts[i])
        whole = [v for v in data if first and self.trace.values[v].op is None]
        if whole:
            self._at_the_left(i, whole)
        if above := [v for v in data if v not in whole]:
            self._above(i, "input", above)

    def _above(self, i: int, kind: str, ids: list[int]) -> None:
        name = ", ".join(self.trace.values[v].name or plain(self.formulas.label(v)) for v in ids)
        node = self.node(
            kind, PARAMETER_LANE, self.column[i], name, shown=self.arrays(ids),
            block=self.path(self.parts[i].block),
        )  # fmt: skip
        self.edge(node, self.box[i], "data")

    def _at_the_left(self, i: int, ids: list[int]) -> None:
        new = [v for v in ids if v not in self.enters]
        if new:
            name = ", ".join(self.trace.values[v].name for v in new)
            node = self.node("input", FORWARD_LANE, 0, name, shown=self.arrays(new))
            self.enters.update(dict.fromkeys(new, node))
        for node in dict.fromkeys(self.enters[v] for v in ids):
            self.edge(node, self.box[i], "data")

    def _result(self, part: Part) -> tuple[Shown, ...]:
        """The loss in its box; for a part whose result nobody reads, the result."""
        if not part.loss:
            made = {out for k in part.ops for out in self.trace.ops[k].outs}
            ends = [v.id for v in self.trace.outputs if v.id in made and not self._is_read(v.id)]
            return self.arrays(dict.fromkeys(ends))
        seeds = self.trace.loss_values()
        outs = [out for k in part.ops for out in self.trace.ops[k].outs]
        last = [out for out in outs if out in seeds] or outs[-1:]  # the one, or one only printed
        more = 5 if self.digits >= 4 else 0  # it is compared, not read, unless fewer were asked for
        return (self.array(last[0], digits=min(17, self.digits + more)),)

    def _is_read(self, id: int) -> bool:
        own = self.home.get(self.trace.values[id].op)  # type: ignore[arg-type]
        return any(
            self.home[k] != own
            for k in self.trace.readers.get(id, ())
            if k in self.home and self.trace.ops[k].phase == FORWARD
        )

    # ------------------------------------------------------------------ backward

    def _backward(self, i: int, part: Part) -> None:
        column = self._column_of(i, part)
        of = self.box.get(part.of) if part.of is not None else None
        lines = self._lines(part)
        self.box[i] = self.node(
            "backward", BACKWARD_LANE, column, part.name, title=(Run(part.name, "b"),),
            lines=lines, block=self.path(part.block), of=of, **self.left.get(i, {}),
        )  # fmt: skip
        if part.of is not None:
            self.back.setdefault(part.of, []).append(i)
        self._kept(i, part, of)
        self._gradients(i, part, column)

    def _kept(self, i: int, part: Part, of: str | None) -> None:
        """The cache between a forward box and the backward box that reads it."""
        fields = self._cache_fields(part)
        if fields:
            name = f"cache of {self.parts[part.of].name if part.of is not None else part.name}"
            cache = self.node(
                "cache", CACHE_LANE, self._column_of(i, part), name, title=(Run("cache"),),
                block=self.path(part.block), of=of, **fields,
            )  # fmt: skip
            if of is not None:
                self.edge(of, cache, "cache")
            self.edge(cache, self.box[i], "cache")
        elif of is not None:
            self.edge(of, self.box[i], "cache")

    def _cache_fields(self, part: Part) -> dict[str, Any]:
        """What is written in the cache; nothing where there is none."""
        kept = self._cache(part)
        return {"shown": self.arrays(kept)} if kept else {}

    # ------------------------------------------------------------------ unusual runs

    def _unused(self) -> None:
        """What went in and is in no operation; in a run without any, that nothing was recorded."""
        returned = {value.id for value in self.trace.outputs}
        for role in ("input", "parameter"):
            ids = [v.id for v in self._unread() if v.role == role]
            if ids:
                name = ", ".join(self.trace.values[id].name for id in ids)
                cells = [
                    s if id in returned else _greyed(s) for id, s in zip(ids, self.arrays(ids))
                ]
                cells += self.arrays(ids)[len(ids) :]
                self.node(role, PARAMETER_LANE, 0, name, shown=tuple(cells))
        if not (self.forward or self.trace.failed or self.trace.ops):
            title = "nothing was recorded"
            self.node("value", FORWARD_LANE, 1, title, title=(Run(title, "b"),))

    def _unread(self) -> list[Value]:
        readers = self.trace.readers
        return [
            value for value in self.trace.values.values()
            if value.op is None and value.of is None and value.name and value.id not in readers
        ]  # fmt: skip

    def _failure(self) -> None:
        """Marks the place where the user's code raised."""
        if not self.trace.failed:
            return
        at = f", line {self.trace.failed_at[1]}" if self.trace.failed_at else ""
        last = self.forward[-1] if self.forward else None
        column = self.column[last] + 1 if last is not None else 1
        remark = f"{self.trace.failed}"[:120]
        node = self.node(
            "value", FORWARD_LANE, column, f"failed{at}", title=(Run(f"failed here{at}", "b"),),
            remark=remark, mark="wrong",
        )  # fmt: skip
        if last is not None:
            self.edge(self.box[last], node, "data")


def _greyed(shown: Shown) -> Shown:
    """An array that is in no operation: its name and its shape."""
    size = (dimensions(shown.shape),) if shown.dtype else ()
    return replace(shown, grid=(), summary=size, heat=(), state="unused")


class Shapes(Picture):
    """A picture in rows without numbers: of arrays only their names and shapes."""

    def array(self, id: int, name: str | None = None, digits: int = 0) -> Shown:
        """A value as its name and its shape."""
        value = self.trace.values[id]
        text = self.formulas.label(id) if name is None else notation.text(name)
        size = dimensions(value.shape)
        return Shown(text, value.key, value.shape, value.dtype, summary=(size,))

    def _result(self, part: Part) -> tuple[Shown, ...]:
        return ()
