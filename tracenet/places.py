"""The mirrors of reads and writes at places of an array, done in place where nobody else looks.

Read one by one, the elements of an array each give its gradient one element; written one by one,
each takes one away. A gradient of the full size for each of them would take the square of the size
of the array. So there is one, which the replay itself made and alone holds; what stands on the tape
for what it was before is a `Placed`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .ops import AtPlaces
from .ops.writing import written
from .recording.absent import ADDED, KEPT, READ, Absent, Later, Placed, add, clear, phantom
from .records import MIRROR, SUM


class Places:
    """What one replay does at places.

    fit: brings a gradient to the shape and dtype of its value. meet: adds a gradient to those that
    a value has.
    """

    def __init__(
        self, tape: Any, result: Any, leads: bytearray, fit: Callable[[Any, Any], Any],
        meet: Callable[[int, int], None],
    ) -> None:  # fmt: skip
        self.tape, self.result, self.leads = tape, result, leads
        self.fit, self.meet = fit, meet
        self._own: dict[int, Placed] = {}  # gradients held by nobody else: what made them
        self._likes: dict[Any, Later] = {}

    def mirror(self, k: int, gradient: int) -> bool:
        """Mirrors the operation `k`, from the gradient of its output, if it is one of these."""
        rule, _, ins, settings = self.tape.ops[k][:4]
        if type(rule.backward) is not AtPlaces:
            return False
        if rule.name == "getitem":
            return self._read(k, gradient, ins[0], settings)
        return self._write(k, gradient, ins, settings)

    def _like(self, x: Any) -> Later:
        """One stand-in for all arrays of a shape and dtype."""
        key = x.shape, x.dtype
        found = self._likes.get(key)
        if found is None:
            found = self._likes[key] = Later(*key)
        return found

    def _read(self, k: int, gradient: int, x: int, settings: Any) -> bool:
        """Adds the gradient of what was read to the gradient of the array."""
        values, gradients, events = self.tape.values, self.result.gradients, self.result.events
        whole = values[x]
        if not isinstance(whole, (np.ndarray, Absent)) or whole.dtype.kind != "f":
            return False
        if not self.leads[x]:
            return True
        like, g = self._like(whole), values[gradient]
        piece = Placed(like, READ, -1, gradient, settings)
        place = len(values)
        events.append((MIRROR, k, gradient, (x,), place))
        before = gradients.get(x)
        if before is None:
            data, step, now = np.zeros(whole.shape, whole.dtype), piece, place
        else:
            values.append(piece)
            data = self._taken(before)
            step, now = Placed(like, ADDED, before, gradient, settings), place + 1
            events.append((SUM, x, (before, place), now))
        add(data, g, **settings)
        values.append(data)
        self._own[now] = step
        gradients[x] = now
        return True

    def _taken(self, gradient: int) -> Any:
        """The data of a gradient, to be written to: itself, and a `Placed` is left, or a copy."""
        values = self.tape.values
        data = values[gradient]
        step = self._own.pop(gradient, None)
        if step is None:
            return data.copy()
        values[gradient] = step
        return data

    def _write(self, k: int, gradient: int, ins: tuple[int, ...], settings: Any) -> bool:
        """What was written gets the gradient at its places, and the array before it the rest."""
        values, leads = self.tape.values, self.leads
        g, (x, v) = values[gradient], ins[:2]
        if type(g) is not np.ndarray or g.dtype.kind != "f":
            return False
        targets, first = [], len(values)
        if leads[v]:
            what = phantom(values[v]) if isinstance(values[v], Absent) else values[v]
            piece = written(g, None, None, what, **settings)
            piece = self.fit(piece, what)
            if leads[x] and type(piece) is np.ndarray and np.may_share_memory(piece, g):
                piece = piece.copy()
        if leads[x]:
            like, own = self._like(g), len(values)
            data = self._taken(gradient)
            clear(data, **settings)
            values.append(data)
            self._own[own] = Placed(like, KEPT, gradient, -1, settings)
            targets.append(x)
        if leads[v]:
            targets.append(v)
            values.append(piece)
        if targets:
            self.result.events.append((MIRROR, k, gradient, tuple(targets), first))
        for id, target in enumerate(targets, first):
            self.meet(target, id)
        return True
