"""What an import pulls in, and that the rooms depend on each other one way only."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tracenet"


def loaded(code):
    done = subprocess.run(
        [sys.executable, "-c", code + "\nimport sys; print(*sys.modules)"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_import_is_light():
    assert not loaded("import tracenet") & {"numpy", "networkx", "graphviz", "click", "pygraphviz"}
    heavy = {"networkx", "graphviz", "click", "pygraphviz", "resvg_py"}
    unneeded = {"numpy.random", "numpy.fft", "tracenet.notation", "tracenet.diagram"}
    assert not loaded("from tracenet import tracer") & (heavy | unneeded)
    assert not loaded("import tracenet.commands") & {"numpy", "networkx", "graphviz", "pygraphviz"}


def test_what_all_promises_can_be_imported():
    import tracenet

    for name in tracenet.__all__:
        assert getattr(tracenet, name) is not None
    from tracenet import tracer

    for name in tracer.__all__:
        assert callable(getattr(tracer, name))


def modules():
    return {
        ".".join(("tracenet", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path
        for path in PACKAGE.rglob("*.py")
    }


def imported(name, path):
    """The modules of tracenet that a module imports at its top level."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    known = modules()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            start = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{start}.{alias.name}"
                yield inner if inner in known else start


def test_imports_have_no_cycles():
    import networkx

    graph = networkx.DiGraph()
    for name, path in modules().items():
        for other in imported(name, path):
            if other != name and not name.startswith(other + "."):
                graph.add_edge(name, other)
    assert list(networkx.simple_cycles(graph)) == []


def test_rooms_depend_one_way():
    order = [
        "errors",
        "words",
        "files",
        "strides",
        "ops",
        "diagram",
        "notation",
        "records",
        "recording",
        "backward",
        "build",
        "trace",
        "store",
        "tracer",
        "parts",
        "cutting",
        "gathering",
        "looping",
        "opening",
        "pairing",
        "views",
        "checking",
        "formulas",
        "figures",
        "collapsing",
        "repeating",
        "folding",
        "choosing",
        "drawing",
        "rows",
        "ends",
        "gates",
        "picture",
        "render",
        "commands",
    ]
    rank = {room: i for i, room in enumerate(order)}
    for name, path in modules().items():
        room = name.split(".")[1] if "." in name else ""
        if room not in rank:
            continue
        for other in imported(name, path):
            target = other.split(".")[1] if "." in other else ""
            if target in rank and target != room:
                assert rank[target] < rank[room], (name, other)
