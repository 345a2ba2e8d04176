"""Recording one part of a script that knows nothing of tracenet: a turn of its loop, or lines.

The script runs as Python would run it, with real NumPy, until its part begins. Then the arrays in
its variables are wrapped as arguments are, the part is recorded, plain arrays are put back, and the
script is stopped. `loops` and `parts` say which part; here it is run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from ..errors import UsageError
from ..words import LOSS
from . import notebook, source
from .array import Array
from .entrance import Entrance, is_plain
from .loops import turn_of
from .notebook import Cell
from .parts import HOOK, Part, lines_of
from .roles import DATA
from .scope import program, swap, unswap
from .tape import Tape


class Stop(BaseException):
    """Ends a script whose part is recorded; no `except Exception` of its own catches it."""


class Recorder:
    """What an instrumented script calls around its part: `with HOOK: …`.

    turns: how often the part began. result: the traced arrays in the variables that it assigned.
    """

    def __init__(self, part: Part, wanted: int = 1) -> None:
        self.part, self.wanted, self.turns = part, wanted, 0
        self.tape = Tape()
        self.entrance = Entrance(self.tape)
        self.function: Any = None  # stands for the part: its name, and its module
        self.began = False
        self.result: dict[str, Any] = {}
        self.due = False  # whether the local variables of a function are to be entered
        self._base: Any = None
        self._swapped: Any = None

    # ------------------------------------------------------------------ called by the script

    def __enter__(self) -> None:
        self.turns += 1
        if self.turns == self.wanted and not self.began:
            self.due = True
            if sys._getframe(1).f_code.co_name == "<module>":
                self.begin()

    def enter(self, name: str, value: Any) -> Any:
        """A local variable's value with traced arrays in place of plain ones."""
        return self.entrance.value(name, value)

    def number(self, name: str, value: Any) -> Any:
        """A local variable's float, traced: a constant beside arrays, else what is trained."""
        return self._numbers({name: value}).get(name, value)

    def _numbers(self, variables: dict[str, Any]) -> dict[str, Array]:
        floats = {n: v for n, v in variables.items() if type(v) is float and n[:2] != "__"}
        found = {n: self.entrance.number(n, v) for n, v in floats.items()}
        self._set_roles(found)
        return found

    def begin(self) -> None:
        """Wraps what the module's variables hold, and records from here on."""
        self.due, self.began = False, True
        namespace = self.function.__globals__
        self.entrance.variables(namespace)
        namespace.update(self._numbers(namespace))
        variables = {**namespace, **sys._getframe(1).f_locals}
        self._set_roles(variables)
        self._swapped = swap(program(self.function, [*filter(is_plain, variables.values())]))
        self.tape.begin(self._base)

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if not self.began or not self.tape.open:
            return
        frame = sys._getframe(1)
        variables = {**frame.f_globals, **frame.f_locals}
        gone = self._end()
        values = {name: variables.get(name) for name in self.part.assigned}
        self.result = {n: x for n, x in values.items() if type(x) is Array and x.id not in gone}
        if kind is None:
            raise Stop

    # ------------------------------------------------------------------ around the script

    def run(self, cells: list[Cell], namespace: dict[str, Any]) -> None:
        """Runs the program until its part is over; variables hold plain arrays afterwards."""
        self.function = FunctionType(compile("0", "<part>", "eval"), namespace, self.part.title)
        self._base = sys._getframe()
        namespace[HOOK] = self
        try:
            execute(cells, namespace, lambda: self.began)
        except (Stop, SystemExit):
            pass
        finally:
            if self.tape.open:
                self._end()  # a generator of the script's was left half-way
            self._base = None
            del namespace[HOOK]
            self.entrance.restore()

    def check(self) -> None:
        """Raises UsageError where nothing was recorded; it says why."""
        if not self.turns:
            raise UsageError(f"{self.part.what} never ran: nothing was recorded")
        if not self.began:
            turns = f"{self.turns} turn" + "s" * (self.turns > 1)
            raise UsageError(
                f"there is no iteration {self.wanted}: {self.part.what} made {turns}; choose from "
                f"1 to {self.turns}"
            )
        if not self.tape.ops:
            raise UsageError(f"{self.part.what} computed nothing with arrays: choose another part")

    def outputs(self) -> dict[str, Array]:
        """What the part leads to: its loss, and what it assigned and did not read itself."""
        read = {i for op in self.tape.ops for i in op[2]}
        single = {n: x for n, x in self.result.items() if x.size == 1}
        losses = {n: x for n, x in single.items() if LOSS.fullmatch(n)}
        ends = {n: x for n, x in self.result.items() if x.id not in read}
        if losses:  # another single number, as an accuracy, is then no loss
            ends = {n: x for n, x in ends.items() if n not in single}
        return {**losses, **ends}

    def _end(self) -> set[int]:
        """Ends the trace, and takes out what came in but was not read: earlier turns made that."""
        self.tape.end()
        unswap(self._swapped)
        given = [i for i, leaf in self.tape.leaves.items() if leaf.call < 0]
        return self.tape.forget_unread(given)

    def _set_roles(self, variables: dict[str, Any]) -> None:
        """What the part takes a step from is a parameter, whatever it is called."""
        leaves, values = self.tape.leaves, self.tape.values
        scalars = not any(np.ndim(values[id]) for id in leaves)  # a network of single numbers
        for name in self.part.updated:
            array = variables.get(name)
            if type(array) is not Array or DATA.fullmatch(name) or LOSS.fullmatch(name):
                continue
            floating = np.asarray(array.data).dtype.kind == "f"
            if leaves[array.id].role == "input" and floating and (array.ndim or scalars):
                leaves[array.id] = leaves[array.id]._replace(role="parameter")


def part_of(program: list[Cell], iteration: int | None, lines: tuple[int, int] | None) -> Recorder:
    """What records a turn or some lines of a program, which is changed to call it there."""
    if iteration is None and lines is None:
        raise UsageError("say which part of the script is recorded: its iteration, or its lines")
    if lines is not None and any(cell.number for cell in program):
        raise UsageError("lines are those of a .py file: of a notebook choose cells and iteration")
    if iteration is None:
        return Recorder(lines_of(program, lines or (1, 1)))
    if iteration < 1:
        raise UsageError(f"iterations are counted from 1, got {iteration}")
    return Recorder(turn_of(program, iteration, lines), iteration)


def execute(
    program: list[Cell], namespace: dict[str, Any], strict: Callable[[], bool] = lambda: False
) -> None:
    """Runs a file or the cells of a notebook; strict: see `notebook.run`."""
    if program and program[0].number:
        notebook.run(program, namespace, strict)
        return
    for whole in program:
        exec(compile(whole.tree, whole.file, "exec", dont_inherit=True), namespace)


@contextmanager
def as_main(file: Path, arguments: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """The variables of a fresh `__main__` for a script, with its folder first on the path.

    arguments: what it finds in `sys.argv` after its name.
    """
    source.forget()
    module = ModuleType("__main__")
    module.__file__ = str(file)
    before = sys.modules["__main__"], list(sys.argv), list(sys.path)
    sys.modules["__main__"] = module
    sys.argv, sys.path[:0] = [str(file), *arguments], [str(file.parent)]
    try:
        yield vars(module)
    finally:
        sys.modules["__main__"], sys.argv, sys.path[:] = before
