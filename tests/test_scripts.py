"""Notebooks, and flat scripts of which one turn or some lines are recorded."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tracenet import tracer
from tracenet.commands import main
from tracenet.errors import LoadError, UsageError
from tracenet.recording.array import Array
from tracenet.recording.load import read
from tracenet.recording.script import as_main, part_of

FLAT = Path(__file__).parent / "networks" / "script.py"


def run(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=False)


def written(folder, text, name="flat.py"):
    file = folder / name
    file.write_text(text)
    return file


def parameters(trace):
    return [v.name for v in trace.values.values() if v.role == "parameter"]


def plainly(turns):
    """The variables of the flat script after so many turns, without tracenet."""
    variables = {}
    text = FLAT.read_text()
    assert "range(200)" in text
    exec(text.replace("range(200)", f"range({turns})"), variables)
    return variables


# ---------------------------------------------------------------------- a turn


@pytest.mark.parametrize("turn", [1, 3, 200])
def test_a_turn_computes_what_the_script_computes(turn, capsys):
    trace = tracer.trace_script(FLAT, iteration=turn)
    before, after = plainly(turn - 1), plainly(turn)
    for name in ("w1", "b1", "w2", "b2", "dw1", "a2", "loss"):
        assert np.array_equal(trace.result[name], after[name]), name
        assert not isinstance(trace.result[name], Array)
    for name in ("w1", "b1", "w2", "b2"):
        assert np.array_equal(trace.data(trace.value(name).id), before[name])
        assert trace.value(name).role == "parameter"
        assert np.array_equal(trace.gradient(name), after["d" + name])
    assert trace.value("x").role == trace.value("y").role == "input"
    trace.check()


def test_a_turn_stands_in_its_rows():
    trace = tracer.trace_script(FLAT, iteration=3)
    assert [(step.block.name, step.block.phase) for step in trace.steps()] == [
        ("layer 1", "forward"),
        ("layer 2", "forward"),
        ("loss", "forward"),
        ("layer 2 backward", "backward"),
        ("layer 1 backward", "backward"),
        ("update", "update"),
    ]
    assert {Path(op.file).name for op in trace.ops} == {"script.py"}
    first = trace.ops[0]
    assert FLAT.read_text().splitlines()[first.line - 1].strip() == first.statement


def test_the_picture_of_a_turn(tmp_path):
    out = tmp_path / "net.json"
    result = run("render", FLAT, "--iteration", 3, "-o", out)
    assert result.exit_code == 0, result.output
    nodes = json.loads(out.read_text())["nodes"]
    updates = [node for node in nodes if node["kind"] == "update"]
    assert "w[1]:=w[1]−α·dw[1]" in json.dumps(updates, ensure_ascii=False).replace(" ", "")
    assert len([n for n in nodes if n["kind"] == "backward"]) == 2
    assert len([n for n in nodes if n["kind"] == "loss"]) == 1


def test_variables_hold_plain_arrays_afterwards(capsys):
    program = read(FLAT)
    recorder = part_of(program, 3, None)
    with as_main(FLAT) as variables:
        recorder.run(program, variables)
    assert recorder.began and recorder.turns == 3
    assert variables["np"] is np and "float" not in variables
    assert not [n for n in variables if n.startswith("__tracenet")]
    assert not [n for n, x in variables.items() if isinstance(x, Array)]
    assert len(variables["losses"]) == 3
    assert [type(loss) for loss in variables["losses"]] == [np.float64] * 3
    assert type(variables["lr"]) is float


def test_only_the_wanted_turn_is_traced_and_the_script_stops_there(tmp_path, capsys):
    file = written(
        tmp_path,
        """
import numpy as np
w = np.ones(2)
try:
    for i in range(5):
        w = w * 2.0
        print(i, type(w).__name__, type(np).__name__)
        if i == 2:
            continue
        w -= 1.0
except Exception:
    print("caught")
print("the end")
""",
    )
    trace = tracer.trace_script(file, iteration=3)
    assert capsys.readouterr().out.splitlines() == [
        "0 ndarray module",
        "1 ndarray module",
        "2 ndarray Namespace",
    ]
    assert trace.result["w"].tolist() == [2.0, 2.0]  # ((1*2-1)*2-1)*2: it was left by continue
    assert [op.rule for op in trace.ops] == ["multiply"]


def test_a_turn_that_is_not_reached_says_how_many_there_were(tmp_path):
    result = run("render", FLAT, "--iteration", 201, "-o", tmp_path / "a.svg")
    assert result.exit_code == 2
    line = "tracenet: there is no iteration 201: the loop at script.py, line 13 made 200 turns;"
    assert [x for x in result.stderr.splitlines() if x.startswith("tracenet")][-1].startswith(line)
    assert not (tmp_path / "a.svg").exists()


CHOICES = {
    "the loop with more arithmetic": """
import numpy as np
count = 0
for name in ("a", "b"):
    count += len(name)
w = np.ones(2)
while count < 9:
    g = 2 * w * count
    w -= 0.1 * g
    count += 1
""",
    "a loop that updates, not one that only computes": """
import numpy as np
x = np.ones(3)
for i in range(3):
    y = np.exp(np.sin(np.cos(x * 2) + 3) - x * x * x * x)
w = np.ones(2)
if __name__ == "__main__":
    for i in range(2):
        w = w - 0.1 * w
""",
    "the first of equals": """
import numpy as np
w = np.ones(2)
v = np.ones(2)
for i in range(3):
    w -= 0.1 * w
for i in range(3):
    v -= 0.1 * v
""",
    "the outer loop": """
import numpy as np
w = np.ones(2)
for epoch in range(3):
    for batch in range(2):
        w -= 0.1 * w
""",
    "a loop in train()": """
import numpy as np
def soften(v):
    for i in range(3):
        v = v - i * v * v * v
    return v
def train(w, *rates):
    global steps
    steps = [i for i in range(3)]
    rate, = rates
    for i in steps:
        assert sum([x for x in steps]) == 3 and x == "global"
        w -= rate * w
    return w
x = "global"
train(np.ones(2), 0.1)
""",
    "a loop in a method": """
import numpy as np
class Net:
    def __init__(self):
        self.w = np.ones(2)
    def fit(self, steps):
        for i in range(steps):
            self.w -= 0.1 * self.w
net = Net()
net.fit(2)
""",
}


@pytest.mark.parametrize("text", CHOICES.values(), ids=CHOICES)
def test_which_loop_is_the_training_loop(tmp_path, text):
    trace = tracer.trace_script(written(tmp_path, text), iteration=2)
    assert parameters(trace) == ["w"]
    assert [op.rule for op in trace.ops][-2:] == ["multiply", "subtract"]
    assert sum(op.rule == "subtract" for op in trace.ops) == (2 if "batch" in text else 1)


def test_lines_choose_the_loop(tmp_path):
    file = written(tmp_path, CHOICES["the outer loop"])
    trace = tracer.trace_script(file, iteration=6, lines=(5, 6))  # 3 epochs of 2 batches
    np.testing.assert_allclose(trace.result["w"], 0.9**6)
    assert len(trace.ops) == 2


def test_floats_are_parameters_where_there_are_no_arrays(tmp_path):
    file = written(
        tmp_path,
        "w, lr, total = 0.5, 0.1, 0.0\n"
        "for x, t in [(1.0, 2.0), (2.0, 3.0)]:\n"
        "    y = w * x\n    acc = y * 2\n    loss = (y - t) ** 2\n    dy = 2 * (y - t)\n"
        "    w -= lr * (dy * x)\n    total_loss = loss + total\n",
    )
    trace = tracer.trace_script(file, iteration=2)
    assert trace.value("w").role == "parameter" and trace.value("x").role == "input"
    assert [v.name for v in trace.outputs] == ["loss", "total_loss"]
    assert type(trace.result["w"]) is float


def test_an_array_that_is_stepped_from_is_a_parameter_whatever_its_name(tmp_path):
    file = written(
        tmp_path,
        "import numpy as np\nx = np.ones(2)\nsyn0 = np.ones(2)\nacc = np.float64(0)\n"
        "for i in range(3):\n    syn0 += 0.1 * x\n    acc += syn0.sum()\n",
    )
    trace = tracer.trace_script(file, iteration=2)
    assert parameters(trace) == ["syn0"]


def test_an_error_in_the_turn_is_the_users_own(tmp_path):
    file = written(
        tmp_path,
        "import numpy as np\nw = np.ones(2)\nfor i in range(3):\n    h = w * 2.0\n"
        "    w -= h @ np.ones((3 + i, 2))\n",
    )
    out = tmp_path / "a.svg"
    result = run("render", file, "--iteration", 1, "-o", out)
    assert result.exit_code == 1 and not out.exists()
    assert 'flat.py", line 5' in result.stderr and "ValueError" in result.stderr
    assert "in block turn 1 (line 4)" in result.stderr
    assert run("render", file, "--iteration", 1, "--partial", "-o", out).exit_code == 1
    assert out.exists()
    result = run("render", file, "--iteration", 2, "-o", out)
    assert result.exit_code == 1 and "tracenet:" not in result.stderr  # it was before the turn


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "no training loop in flat.py"),
        ("w = 1\nwhile w > 2:\n    w -= w\n", "line 2 never ran"),
        ("w = 1\nfor i in range(2):\n    w += i\n", "computed nothing with arrays"),
        ("for i in range(3):\n    i += i\n    exit()\n", "made 1 turn; choose from 1 to 1"),
    ],
)
def test_what_cannot_be_recorded_says_why(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        tracer.trace_script(written(tmp_path, text), iteration=2 if "exit" in text else 1)
    assert sys.modules["__main__"].__name__ == "__main__"
    assert getattr(sys.modules["__main__"], "__file__", "") != str(tmp_path / "flat.py")


# ---------------------------------------------------------------------- lines

STRAIGHT = """import numpy as np
x = np.array([1.0, 2.0])
W1 = np.array([[1.0, -1.0], [0.5, 2.0]])
if True:
    x = x + 1
    z1 = W1 @ x
    a1 = np.tanh(
        z1
    )
loss = np.sum(a1 ** 2)
print("after")
"""


def test_lines_are_recorded_and_nothing_after_them(tmp_path):
    result = run(
        "render", written(tmp_path, STRAIGHT), "--lines", "4:10", "-o", tmp_path / "a.json"
    )
    assert result.exit_code == 0, result.output
    assert "after" not in result.output
    names = [(n["kind"], n["name"]) for n in json.loads((tmp_path / "a.json").read_text())["nodes"]]
    assert ("loss", "loss") in names
    assert "backward" in {kind for kind, _ in names}  # replayed: the lines have none of their own


def test_lines_inside_an_if(tmp_path):
    trace = tracer.trace_script(written(tmp_path, STRAIGHT), lines=(6, 9))
    assert [op.rule for op in trace.ops] == ["matmul", "tanh"]
    assert trace.data(trace.value("x").id).tolist() == [2.0, 3.0]  # line 5 ran, untraced
    assert list(trace.result) == ["z1", "a1"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("8:10", "lines 8:10 cut the statement of lines 4:9: choose all of it or nothing"),
        ("6:8", "lines 6:8 cut the statement of lines 7:9"),
        ("20:30", "no statement at module level lies within lines 20:30 of flat.py"),
        ("1:1", "lines 1:1 of flat.py computed nothing with arrays"),
        ("9:3", "--lines must be the first and the last line, as in 12:30, got '9:3'"),
        ("x", "--lines must be the first and the last line"),
    ],
)
def test_lines_that_cannot_be_recorded(tmp_path, lines, message):
    result = run("render", written(tmp_path, STRAIGHT), "--lines", lines, "-o", tmp_path / "a.svg")
    assert result.exit_code == 2
    assert message in result.stderr and result.stderr.count("\n") == 1


def test_options_that_contradict_each_other(tmp_path):
    file = written(tmp_path, STRAIGHT)
    for options in (["--iteration", "1", "--call", "f()"], ["--iteration", "0"], ["--cells", "1"]):
        result = run("render", file, *options, "-o", tmp_path / "a.svg")
        assert result.exit_code == 2 and result.stderr.startswith("tracenet: "), options


# ---------------------------------------------------------------------- notebooks

CELLS = [
    "%matplotlib inline\nimport numpy as np\nimport matplotlib.pyplot as plt\n",
    "%%bash\nls | wc\n",
    ["!pip install numpy \\\n", "   more\n", "x = np.array([1.0, 2.0])\n", "?np.dot\n", "np.dot?\n",
     "if True:\n", "    %time\n", "W1 = np.array([[1.0, -1.0], [0.5, 2.0]])"],
    "%%time\ndef forward(x, W1):\n    z1 = W1 @ x\n    return np.tanh(z1)\n",
    "fig, ax = plt.subplots()\nax.plot(x)\nplotted = True\ntext = '''\n%d is no magic\n'''\n"
    "rest = (7\n% 4)\nfiles = !ls\ndisplay(x)\n",
    "for i in range(4):\n    a1 = forward(x, W1)\n    loss = np.sum(a1 ** 2)\n"
    "    W1 = W1 - 0.1 * W1\n",
]  # fmt: skip


@pytest.fixture
def nb(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as where it is not installed
    code = [{"cell_type": "code", "source": source, "outputs": []} for source in CELLS]
    text = {"cell_type": "markdown", "source": "# A net"}
    cells = [text, code[0], text, *code[1:]]
    file = tmp_path / "net_nb.ipynb"
    file.write_text(json.dumps({"cells": cells, "nbformat": 4, "metadata": {}}))
    return file


def test_a_notebook_is_loaded_without_what_only_plots(nb, capsys):
    module = tracer.load(nb)
    assert module.plotted is True and module.rest == 3
    assert module.text == "\n%d is no magic\n"
    assert not hasattr(module, "files") and not hasattr(module, "ax")
    said = capsys.readouterr().err
    assert said == (
        "tracenet: net_nb.ipynb: skipped the statements that need matplotlib, Jupyter, which cannot "
        "be imported here, in cells 1, 5\n"
    )


def test_a_cell_is_named_in_the_trace(nb, capsys):
    trace = tracer.trace_call(tracer.load(nb), "forward(x, W1)")
    assert [(Path(op.file).name, op.line) for op in trace.ops] == [
        ("net_nb.ipynb[cell 4]", 3),
        ("net_nb.ipynb[cell 4]", 4),
    ]
    assert trace.value("z1").op == 0 and trace.ops[0].statement == "z1 = W1 @ x"
    assert trace.value("W1").role == "parameter"


def test_a_notebook_is_a_target(nb, tmp_path):
    out = tmp_path / "a.json"
    result = run("render", nb, "--call", "np.sum(forward(x, W1))", "-o", out)
    assert result.exit_code == 0, result.output
    assert "backward" in out.read_text()
    result = run("render", nb, "--iteration", 3, "-o", out)
    assert result.exit_code == 0, result.output
    result = run("render", nb, "--iteration", 9, "-o", out)
    assert "the loop at net_nb.ipynb[cell 6], line 1 made 4 turns" in result.stderr
    result = run("render", nb, "-o", out)
    assert "made no trace" in result.stderr
    result = run("render", nb, "--lines", "1:4", "-o", out)
    assert "lines are those of a .py file" in result.stderr


def test_a_notebook_that_uses_the_tracer_is_a_script(tmp_path):
    source = "from tracenet import tracer\nimport numpy as np\nassert __name__ == '__main__'\n" \
        "trace = tracer.trace(lambda x: np.sum(x * 2.0), np.ones(3))"  # fmt: skip
    cells = [{"cell_type": "code", "source": source}]
    file = written(tmp_path, json.dumps({"cells": cells}), "s.ipynb")
    result = run("render", file, "-o", tmp_path / "a.svg")
    assert result.exit_code == 0, result.output


def test_cells_are_chosen_by_number(nb, capsys):
    module = tracer.load(nb, cells="1,3-4")
    assert module.forward(module.x, module.W1).shape == (2,)
    assert not hasattr(module, "plotted") and not hasattr(module, "loss")
    for cells, message in (("2-9", "6 code cells"), ("0", "6 code cells"), ("a", "as in '1-4,7'")):
        with pytest.raises(UsageError, match=message):
            tracer.load(nb, cells=cells)


def test_what_fails_in_a_notebook_names_cell_and_line(nb, tmp_path):
    result = run("render", nb, "--cells", "1,4", "--call", "forward(np.ones(2), 'a')")
    assert 'net_nb.ipynb[cell 4]", line 3' in result.stderr
    assert "z1 = W1 @ x" in result.stderr
    result = run("render", nb, "--cells", "4-6", "--call", "forward(x, W1)")
    assert result.exit_code == 1  # a name that no plotting library would have given
    assert "NameError: name 'plt'" in result.stderr


def test_files_that_are_no_notebooks(tmp_path):
    broken = json.dumps({"cells": [{"cell_type": "code", "source": "x = (\n"}]})
    for text, message in (
        ("no json", "cannot read"),
        ("[1]", "cannot read"),
        ('{"cells": [{}]}', "cannot read"),
        (broken, r"\[cell 1\]', line 1"),
    ):
        with pytest.raises(LoadError, match=message):
            tracer.load(written(tmp_path, text, "bad.ipynb"))


def test_a_missing_library_of_the_users_own_is_an_error(tmp_path):
    cells = [{"cell_type": "code", "source": "import no_such_library"}]
    file = written(tmp_path, json.dumps({"cells": cells}), "n.ipynb")
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        tracer.load(file)


PROGRAM = """
import argparse
import numpy as np

class Line:
    def __init__(self, n, seed):
        self.w = np.random.RandomState(seed).randn(n)

    def train_step(self, x, y):
        error = x @ self.w - y
        loss = 0.5 * np.sum(error**2)
        dw = x.T @ error
        self.w = self.w - 0.01 * dw
        return loss

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=1)
    given = parser.parse_args()
    x = np.arange(6.0).reshape(3, 2)
    line = Line(2, 0)
    for turn in range(given.turns):
        loss = line.train_step(x, x[:, 0])
        print("turn", turn, "of", given.turns)

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("how", [["--iteration", 2], ["--call", "main()"]])
def test_a_program_with_arguments_whose_steps_are_methods(how, tmp_path):
    file = written(tmp_path, PROGRAM, "program.py")
    done = run("check", file, *how, "--args", "--turns 3")
    assert done.exit_code == 0 and "All gradients are right" in done.stdout, done.output
    assert "of 3" in done.stderr
    done = run("render", file, *how, "--args", "'--turns 3", "-o", tmp_path / "a.svg")
    assert done.exit_code == 2 and "No closing quotation" in done.stderr
    assert not (tmp_path / "a.svg").exists()


@pytest.mark.skipif(os.name == "nt", reason="there a process is not interrupted so")
@pytest.mark.parametrize("partial", [False, True])
def test_an_interrupted_run_says_where_and_is_drawn_as_far_as_it_came(partial, tmp_path):
    text = """
import sys, time
import numpy as np

def forever(x):
    h = np.tanh(x)
    print("begun", file=sys.stderr, flush=True)
    while True:
        time.sleep(0.01)

x = np.ones(3)
"""
    file, out = written(tmp_path, text, "forever.py"), tmp_path / "far.svg"
    given = ["render", file, "--call", "forever(x)", "-o", out, *(["--partial"] if partial else [])]
    running = subprocess.Popen(
        [sys.executable, "-m", "tracenet", *map(str, given)], stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parent.parent, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert running.stderr.readline() == "begun\n"
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "KeyboardInterrupt" in said and "in forever" in said
    assert "the last recorded operation was tanh in block forever (line 6)" in said
    assert out.exists() == partial


def test_a_file_that_ends_itself_says_so(tmp_path):
    file = written(tmp_path, "import sys\n\ndef f():\n    return 1\n\nsys.exit(3)\n")
    done = run("render", file, "--call", "f()", "-o", tmp_path / "a.svg")
    assert (
        done.exit_code == 2 and "ended itself while it was loaded, with exit code 3" in done.stderr
    )


def test_a_rate_is_for_a_pass_that_is_replayed(tmp_path):
    file = Path(__file__).parent.parent / "examples" / "course_network.py"
    call = ["--call", "iteration(X, Y, parameters, 0.5)", "--learning-rate", "0.1"]
    done = run("render", file, *call, "-o", tmp_path / "a.svg")
    assert done.exit_code == 2 and "has one of its own" in done.stderr
