"""A backward block that was called with another cache, or other settings, than its forward block."""

from __future__ import annotations

from typing import Any

from ..recording import source
from ..recording.notes import Note, refs
from .case import Case
from .run import Run
from .verdict import Fault


def misfit(run: Run, case: Case) -> tuple[Fault, str] | None:
    """The call that handed a backward block another cache, or other settings, than its forward's."""
    note, there = run.note(case.backward), run.note(case.forward)
    if note is None or case.forward is None or case.whole or case.home is not None:
        return None
    other = _other_settings(note, there) or _other_arrays(run, note, there)
    result = run.result(case.forward)
    kept = set(refs(_cache(result))) - set(case.seeds)
    given = set(refs(note.args))
    if not other and (not kept or kept & given == kept or "self" in note.args):
        return None
    call = run.tape.calls[run.noted[case.backward.id]]
    place = source.where(run.tape, call.parent, call.lasti)
    function = run.trace.blocks[case.backward.parent or 0].function
    why = f"it was called with {other}" if other else "it was handed another cache than its own"
    return Fault(function, place.file, place.line, place.text), why


def _cache(result: Any) -> Any:
    """What of a forward block's results its backward needs: the containers among them, or all."""
    if not isinstance(result, (tuple, dict)):
        return None
    held = [x for x in result if isinstance(x, (tuple, dict, list))]
    return held if held and isinstance(result, tuple) else result


def _other_arrays(run: Run, note: Note, there: Note | None) -> str:
    """The argument that holds other arrays of the user's than that of the forward function."""
    for name, tree in note.args.items() if there is not None else ():
        mine, theirs = set(refs(tree)), set(refs(there.args.get(name)))  # type: ignore[union-attr]
        leaves = (mine | theirs) <= run.tape.leaves.keys()
        if name != "self" and mine and theirs and leaves and not mine & theirs:
            return f"another {name} than its forward"
    return ""


def _other_settings(note: Note, there: Note | None) -> str:
    """The settings that a forward function and its backward were given differently."""
    if there is None:
        return ""
    plain = lambda x: isinstance(x, (str, bool, int)) or x is None
    found = [
        f"{name}={x!r}, its forward with {there.args[name]!r}"
        for name, x in note.args.items()
        if plain(x) and name in there.args and plain(there.args[name]) and x != there.args[name]
    ]
    return ", ".join(found)
