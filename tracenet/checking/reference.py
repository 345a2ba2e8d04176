"""What the gradients of one case must be, and the verdict on each: every block alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import TracenetError
from ..recording.notes import UNKNOWN
from . import ties
from .case import Case
from .excerpt import Excerpt
from .run import Run
from .target import Target
from .verdict import EXACT, MISSING, SHAPE, UNCHECKED, Fault, Verdict, compare, largest

SLIGHT = 1e-5
"""The largest deviation that an ε of the forward block (`log(p + 1e-7)`) may explain."""


@dataclass(slots=True)
class Judged:
    """One backward block with the verdict on each of its gradients.

    passed_on: whether what is wrong comes from the blocks inside it. fault: where its own is.
    note: what else there is to say.
    """

    case: Case
    outputs: list[tuple[Target, Verdict]]
    excerpt: Excerpt | None = None
    fault: Fault | None = None
    passed_on: bool = False
    note: str = ""
    reference: dict[int, Any] = field(default_factory=dict)

    @property
    def bad(self) -> bool:
        """Whether some gradient of it is wrong."""
        return any(verdict.bad for _, verdict in self.outputs)


def alone(run: Run, case: Case) -> Judged:
    if case.why or not case.targets:
        why = case.why or "it returned nothing that is known to be a gradient"
        return Judged(case, [(t, Verdict(UNCHECKED, reason=why)) for t in case.targets], note=why)
    home = case.home or run
    excerpt = Excerpt(home.trace, case.ops)
    excerpt.values = excerpt.rerun(case.given)
    try:
        reference = reference_of(run, case, excerpt)
    except (TracenetError, ValueError, TypeError, IndexError, KeyError) as error:
        why = str(error).split(":")[0]
        return Judged(case, [(t, Verdict(UNCHECKED, reason=why)) for t in case.targets], note=why)
    got = {t.got: run.trace.data(t.got) for t in case.targets if t.got is not None}
    around = max((largest(g) for g in reference.values()), default=0.0)
    verdicts = [(t, _verdict(run, case, t, got, reference, excerpt, around)) for t in case.targets]
    note = case.note
    if excerpt.numerical:
        note = f"numerical derivatives of {', '.join(sorted(excerpt.numerical))}, which has no rule"
    return Judged(case, verdicts, excerpt, note=note, reference=reference)


def reference_of(
    run: Run, case: Case, excerpt: Excerpt, own: Mapping[int, Any] | None = None,
    values: Mapping[int, Any] | None = None,
) -> dict[int, Any]:  # fmt: skip
    """What each forward value's gradient must be. own: values of the run that were put right."""
    home = case.home or run
    seeds = {}
    for of, gradient in case.seeds.items():
        if gradient is None:
            seeds[of] = np.ones(home.shape(of))
        else:
            seeds[of] = (own or {}).get(gradient, run.trace.data(gradient))
    for of, seed in seeds.items():
        if not np.all(np.isfinite(seed)):
            raise ValueError("the gradient it was given is not finite")
        if np.shape(seed) != home.shape(of) and np.size(seed) != 1:
            raise ValueError(
                f"the gradient it was given has shape {np.shape(seed)}, and what it is the "
                f"gradient of has shape {home.shape(of)}"
            )
    wanted = [t.of for t in case.targets if t.of is not None]
    wanted += [x for x in excerpt.inputs if x < 0 or home.floating(x)]
    return excerpt.pull(seeds, wanted, values)


def _verdict(
    run: Run, case: Case, target: Target, got: Mapping[int, Any], reference: Mapping[int, Any],
    excerpt: Excerpt | None, around: float,
) -> Verdict:  # fmt: skip
    if target.of is None or (target.got is None and target.raw is UNKNOWN):
        return Verdict(UNCHECKED, reason=target.why)
    expected = reference.get(target.of)
    if expected is None:
        expected = np.zeros((case.home or run).shape(target.of))
    if target.got is None:
        return _no_array(run, target, expected)
    coarse = 1e-4 if excerpt is not None and excerpt.numerical else 0.0
    verdict = compare(got[target.got], expected, factors_of(run, case), coarse, around)
    if verdict.kind == EXACT and target.why:
        verdict = replace(verdict, reason=target.why)
    if (
        verdict.bad
        and verdict.deviation <= SLIGHT
        and excerpt is not None
        and excerpt.has_epsilon()
    ):
        reason = f"but for {verdict.deviation:.0e}, as of the ε in the forward block"
        return replace(verdict, kind=EXACT, reason=reason)
    if verdict.bad and excerpt is not None:
        return ties.forgiven(run, case, target, verdict, excerpt, reference_of)
    return verdict


def _no_array(run: Run, target: Target, expected: Any) -> Verdict:
    """The verdict where something else than a traced array stands in a gradient's place."""
    if target.raw is None:
        if not np.any(expected):
            return Verdict(UNCHECKED, reason="not computed, and nothing depends on it")
        if not target.parameter and target.of is not None and not run.trained_before(target.of):
            return Verdict(UNCHECKED, reason="not computed, and no parameter is before it")
        return Verdict(MISSING, None, 1.0, expected=expected)
    if isinstance(target.raw, (int, float, np.ndarray, np.number)):
        return compare(target.raw, expected)
    reason = f"a {type(target.raw).__name__} in its place"
    return Verdict(SHAPE, None, float("inf"), reason=reason, expected=expected)


def factors_of(run: Run, case: Case) -> dict[str, float]:
    """The factors that teaching code leaves out or puts elsewhere: m, the number of examples."""
    home = case.home or run
    shapes = [home.shape(of) for of, g in case.seeds.items() if g is not None]
    if case.whole:
        leaves = run.tape.leaves.values()
        shapes = [run.shape(x.id) for x in leaves if x.role == "input" and x.name]
    else:
        shapes += [home.shape(t.of) for t in case.targets if t.of is not None and not t.parameter]
    shapes = [s for s in shapes if s]
    common = set(shapes[0]).intersection(*shapes[1:]) if shapes else set()
    if not common and case.whole:
        common = {n for s in shapes for n in s}
    return {("m" if len(common) == 1 else f"m = {n}"): float(n) for n in sorted(common) if n > 1}
