"""What `tracenet check` finds: mutants of correct backward functions, detected and located.

    python benchmarks/mutants.py [--show] [NETWORK ...]

Every backward function of the networks in tests/networks is changed in one place at a time. A
mutant that cannot be run, or that returns the same arrays, is set aside. The others are checked, and
beside that one end-to-end gradient check is made, as courses do it: the relative difference of all
parameters' gradients from central differences, with a threshold of 1e-7.
"""

from __future__ import annotations

import contextlib
import copy
import io
import linecache
import sys
import types
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from mutation import Mutant, mutants

from tracenet import tracer
from tracenet.checking import check
from tracenet.errors import TracenetError
from tracenet.recording import source as sources

HERE = Path(__file__).resolve().parent.parent / "tests" / "networks"
NETWORKS = {
    "course_net": ("course", ["relu_backward", "sigmoid_backward", "linear_backward",
                              "linear_activation_backward", "L_model_backward"]),
    "norm_net": ("modular", ["affine_backward", "relu_backward", "batchnorm_backward",
                             "dropout_backward"]),
    "conv_net": ("modular", ["conv_backward", "max_pool_backward"]),
    "rnn_net": ("sequence", ["rnn_step_backward", "rnn_backward"]),
    "lstm_net": ("sequence", ["lstm_step_backward", "lstm_backward"]),
    "head_net": ("heads", ["softmax_backward", "attention_backward", "layernorm_backward",
                           "block_backward"]),
    "layer_net": ("layers", ["Linear.backward", "Tanh.backward", "Network.backward"]),
}  # fmt: skip


class Stop(Exception):
    """A mutant that is set aside."""


def module(text: str, name: str) -> types.ModuleType:
    """The source as a module whose lines tracenet can read."""
    file = str(HERE / f"{name}_mutant.py")
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    sources.forget()
    made = types.ModuleType(f"{name}_mutant")
    made.__file__ = file
    sys.modules[made.__name__] = made
    exec(compile(text, file, "exec"), vars(made))
    return made


def returns(made: types.ModuleType, network: str, names: set[str]) -> list[Any]:
    """What the run, and each backward call in it, returns; and the objects that it was given."""
    found: list[Any] = []

    def watch(frame: Any, event: str, value: Any) -> None:
        if event == "return" and frame.f_code.co_filename == made.__file__:
            if frame.f_code.co_name in names:
                found.append(copy.deepcopy(value))

    args = getattr(made, f"{network}_example")()
    sys.setprofile(watch)
    try:
        found.append(getattr(made, network)(*args))
    finally:
        sys.setprofile(None)
    found.append([vars(layer) for a in args for layer in getattr(a, "layers", ())])
    return found


def shapes(made: types.ModuleType, network: str, names: set[str]) -> dict[str, Any]:
    """The shapes of the arrays among the variables of each backward function, as it returns."""
    found: dict[str, Any] = {}

    def watch(frame: Any, event: str, value: Any) -> None:
        if event == "return" and frame.f_code.co_name in names:
            arrays = {k: v.shape for k, v in frame.f_locals.items() if isinstance(v, np.ndarray)}
            found.setdefault(frame.f_code.co_name, arrays)

    args = getattr(made, f"{network}_example")()
    sys.setprofile(watch)
    try:
        getattr(made, network)(*args)
    finally:
        sys.setprofile(None)
    return found


def same(a: Any, b: Any) -> bool:
    """Whether two results are equal, arrays in them included."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (np.ndarray, float)) and isinstance(b, (np.ndarray, float)):
        return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-9, atol=1e-12)
    return bool(np.all(a == b)) if not hasattr(a, "__dict__") else True


def judged(mutant: Mutant, name: str, network: str, right: list[Any], names: set[str]) -> Any:
    """The report on a mutant. Raises Stop where it does not run, or does the same."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            made = module(mutant.source, name)
            results = returns(made, network, names)
        except Exception as error:
            raise Stop("does not run") from error
        if same(results, right):
            raise Stop("equivalent")
        args = getattr(made, f"{network}_example")()
        trace = tracer.trace(getattr(made, network), *args)
        return check(trace), results


def end_to_end(results: list[Any], right: list[Any], threshold: float = 1e-7) -> bool:
    """Whether one check of all parameters' gradients finds it; `right` stands for differences.

    The correct gradients are those of central differences to 1e-9, held by tests/test_check.py.
    """
    ours = _flatten(results[-2:])
    theirs = _flatten(right[-2:])
    if ours.shape != theirs.shape:
        return True
    apart = np.linalg.norm(ours - theirs)
    return not apart / (np.linalg.norm(ours) + np.linalg.norm(theirs)) <= threshold


def _flatten(tree: Any) -> np.ndarray:
    """All gradients of a run's result as one vector."""
    if isinstance(tree, dict):
        tree = [v for k, v in tree.items() if k not in ("x", "out", "W", "b")]
    if isinstance(tree, (list, tuple)):
        parts = [_flatten(item) for item in tree]
        return np.concatenate([p for p in parts if p.size] or [np.zeros(0)])
    return (
        np.ravel(np.asarray(tree, dtype=float))
        if isinstance(tree, (np.ndarray, float))
        else np.zeros(0)
    )


def run(network: str, show: bool) -> Counter[str]:
    """Counts what happens to the mutants of one network."""
    name, functions = NETWORKS[network]
    text = (HERE / f"{name}.py").read_text()
    count: Counter[str] = Counter()
    names = {f.rpartition(".")[2] for f in functions}
    original = module(text, name)
    right = returns(original, network, names)
    trace = tracer.trace(getattr(original, network), *getattr(original, f"{network}_example")())
    count["false alarms"] += sum(block.bad for block in check(trace).blocks)
    for mutant in mutants(text, set(functions), shapes(original, network, names)):
        try:
            report, results = judged(mutant, name, network, right, names)
        except Stop as stop:
            count[str(stop)] += 1
            continue
        except (TracenetError, Exception) as error:
            count["crashed"] += 1
            if show:
                print(f"CRASH {mutant.function}:{mutant.first} {mutant.what}: {error!r}")
            continue
        _tally(count, mutant, report, show)
        count["end to end"] += end_to_end(results, right)
    return count


def _tally(count: Counter[str], mutant: Mutant, report: Any, show: bool) -> None:
    found = [b for b in report.blocks if b.bad]
    functions = {fault.function for fault in report.faults}
    lines = {fault.line for fault in report.faults if fault.function == mutant.function}
    located = functions == {mutant.function}
    statement = located and any(mutant.first <= line <= mutant.last for line in lines)
    count["mutants"] += 1
    count["detected"] += bool(found)
    count["function"] += located
    count["statement"] += statement
    if show and not (located and statement):
        what = "MISSED" if not found else "FUNCTION" if not located else "statement"
        line = mutant.source.splitlines()[mutant.first - 1].strip()
        print(
            f"{what} {mutant.function}:{mutant.first} {mutant.what} | {line} | {sorted(functions)} {sorted(lines)}"
        )


def main(arguments: list[str]) -> None:
    """Prints a row for each network, and the sums."""
    show = "--show" in arguments
    chosen = [a for a in arguments if a != "--show"] or list(NETWORKS)
    total: Counter[str] = Counter()
    columns = ("mutants", "detected", "function", "statement", "end to end", "false alarms",
               "equivalent", "does not run", "crashed")  # fmt: skip
    print("network".ljust(12) + "".join(c.rjust(14) for c in columns))
    for network in chosen:
        with contextlib.redirect_stderr(io.StringIO()):
            count = run(network, show)
        total.update(count)
        print(network.ljust(12) + "".join(str(count[c]).rjust(14) for c in columns), flush=True)
    share = lambda c: f"{100 * total[c] / max(1, total['mutants']):.1f} %"
    print("all".ljust(12) + "".join(str(total[c]).rjust(14) for c in columns))
    print("share".ljust(12) + "".join(share(c).rjust(14) for c in columns[:5]))


if __name__ == "__main__":
    main(sys.argv[1:])
