"""TeX, PDF, Markdown, HTML and notebooks: what they hold, and that others can read it."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tracenet import tracer
from tracenet.diagram import Run, plain
from tracenet.errors import EngineError, UsageError
from tracenet.render import cell, encode, markdown, page, sheet, steps, tex, tex_math, write
from tracenet.render.flows import flows
from tracenet.render.placement import Words

from . import sample

ROOT = Path(__file__).parents[2]
LATEX = next(filter(None, map(shutil.which, ("pdflatex", "lualatex", "tectonic"))), None)
compiles = pytest.mark.skipif(LATEX is None, reason="no TeX")


def written(diagram, format="tex", **options):
    return encode(diagram, format, **options).decode("utf-8")


# ---------------------------------------------------------------------- TeX


@pytest.mark.parametrize("name", sample.ALL)
def test_tex_is_balanced_and_has_every_node(name):
    diagram = sample.ALL[name]()
    text = written(diagram)
    bare = re.sub(r"(?<!\\)%.*", "", re.sub(r"\\[\\{}%]", "", text))
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == bare.count(r"\$") % 2
    assert text.count(r"\begin{tikzpicture}") == text.count(r"\end{tikzpicture}") == 1
    for node in diagram.nodes:
        assert f"({node.id}) at (" in text
    used = set(re.findall(r"(?:draw|fill|text)=(tracenet-[\w-]+)", text))
    assert used <= set(re.findall(r"\\providecolor\{(tracenet-[\w-]+)\}", text))


def test_tex_is_mathematics_and_keeps_the_places():
    text = written(sample.mazur())
    assert "$z^{[1]} = W^{[1]}" in text and r"\odot \sigma ^{\prime }(z^{[1]})" in text
    assert r"\textbf{layer 1}" in text and "{-}0.2171" in text
    for _, marks in sheet.sheet(sample.mazur()).groups:
        for mark in marks:
            if isinstance(mark, Words):
                assert f"{tex.rounded(mark.y)})" in text or mark.size < 9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ((Run("∂"), Run("z", "i")), r"$\partial z$"),
        ((Run("layer_1 & 50%", "b"),), r"\textbf{layer\_1 \& 50\%}"),
        ((Run("x", "i"), Run("i", "sub"), Run("2", "sup")), r"$x_{\mathrm{i}}^{2}$"),
        ((Run("θ", "i"), Run(" = my_f(x)")), r"$\theta = \mathrm{my\_f}(\mathrm{x})$"),
        ((Run("\\input{x} #$~^"),), r"\textbackslash{}input\{x\} \#\$\textasciitilde{}\textasciicircum{}"),
        ((Run("层"),), r"\tracenetletter{层}"),
    ],
)  # fmt: skip
def test_runs_as_tex(text, expected):
    assert tex_math.tex(text) == expected


def test_lines_are_read_back_as_they_were_written():
    diagram = sample.mazur()
    groups = dict(sheet.sheet(diagram).groups)
    for node in diagram.nodes:
        pieces = [mark for mark in groups[node.id] if isinstance(mark, Words)]
        found = [tex.text_of(line) for line in tex.lines_of(pieces)]
        for line in node.lines:
            assert plain(line) in [plain(text) for text in found]


def test_steps_follow_the_run():
    diagram = sample.mazur()
    order = steps.order(diagram)
    run = ["f1", "f2", "nl", "nb", "b2", "b1"]
    assert sorted(run, key=order.__getitem__) == run and order["f1"] == 1
    for edge in diagram.edges:
        assert order[edge.id] == max(order[edge.tail], order[edge.head])
    text = written(diagram, steps=True)
    assert set(re.findall(r"\\only<(\d+)->\{%", text)) == {
        str(step) for step in order.values() if step > 1
    }
    assert r"\only<2->" not in written(diagram)


def test_steps_are_for_tex_alone(tmp_path):
    with pytest.raises(UsageError, match="only .tex"):
        encode(sample.one(), "svg", steps=True)
    with pytest.raises(UsageError, match="only .tex"):
        write(sample.one(), tmp_path / "one.png", steps=True)
    assert not list(tmp_path.iterdir())


def test_a_picture_that_tex_cannot_measure(monkeypatch):
    monkeypatch.setattr(tex, "MOST", 100)
    with pytest.raises(EngineError, match="TeX counts to"):
        encode(sample.mazur(), "tex")


def compiled(folder, name, text):
    (folder / name).write_text(text, "utf-8")
    options = [] if LATEX.endswith("tectonic") else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run([LATEX, *options, name], cwd=folder, capture_output=True, timeout=300)
    said = done.stdout.decode("utf-8", "replace")
    if re.search(r"File `[^']*' not found", said):
        pytest.skip("this TeX has no TikZ, or not the class standalone")
    assert done.returncode == 0, said[-3000:]
    return (folder / name).with_suffix(".pdf")


@compiles
@pytest.mark.parametrize("name", sample.ALL)
def test_tex_compiles(name, tmp_path):
    assert compiled(tmp_path, "picture.tex", written(sample.ALL[name]())).stat().st_size


@compiles
@pytest.mark.parametrize("use", ["article", "beamer"])
def test_tex_is_put_into_a_document(use, tmp_path):
    (tmp_path / "net.tex").write_text(written(sample.mazur(), steps=True), "utf-8")
    inside = r"\resizebox{!}{.5\textheight}{\input{net.tex}}"
    if use == "beamer":
        inside = rf"\begin{{frame}}{inside}\end{{frame}}"
    start = rf"\documentclass{{{use}}}\usepackage{{tikz}}\begin{{document}}"
    pages = compiled(tmp_path, "paper.tex", rf"{start}{inside}\end{{document}}")
    count = max(steps.order(sample.mazur()).values()) if use == "beamer" else 1
    said = pages.with_suffix(".log").read_text("utf-8", "replace")
    assert f"({count} page" in said


# ---------------------------------------------------------------------- PDF


def objects(data):
    """The objects of a PDF by their numbers, found by its own table."""
    start = int(re.search(rb"startxref\n(\d+)", data)[1])
    places = [int(n) for n in re.findall(rb"(\d{10}) 00000 n", data[start:])]
    assert all(data[at:].startswith(b"%d 0 obj" % i) for i, at in enumerate(places, 1))
    return {i: data[at : data.index(b"endobj", at)] for i, at in enumerate(places, 1)}


def streams(data):
    for body in objects(data).values():
        if b"stream\n" in body:
            yield zlib.decompress(body[body.index(b"stream\n") + 7 : body.rindex(b"\nendstream")])


@pytest.mark.parametrize("name", sample.ALL)
def test_pdf_holds_what_the_placement_says(name):
    diagram = sample.ALL[name]()
    data, drawn = encode(diagram, "pdf"), sheet.sheet(diagram)
    content = next(part for part in streams(data) if b" cm\n" in part)
    marks = [mark for _, group in drawn.groups for mark in group if sheet.visible(mark)]
    assert content.count(b"BT") >= sum(isinstance(mark, Words) for mark in marks)
    size = f"{tex.rounded(drawn.width)} {tex.rounded(drawn.height)}"
    assert f"/MediaBox [0 0 {size}]".encode() in data


def test_pdf_text_can_be_searched():
    data = encode(sample.mazur(), "pdf")
    tables = b"".join(part for part in streams(data) if b"begincmap" in part)
    letters = {chr(int(code, 16)) for code in re.findall(rb"<\w{4}> <(\w{4})>", tables)}
    assert set("layer 1 backward W[]σ⊙") <= letters
    assert data.count(b"/FontFile2") == data.count(b"/ToUnicode") > 2


def test_pdf_fonts_hold_only_what_is_used():
    data = encode(sample.one(), "pdf")
    fonts = [part for part in streams(data) if part[:4] == b"\0\1\0\0"]
    assert fonts and all(len(font) < 60_000 for font in fonts) and len(data) < 30_000


def test_a_page_larger_than_pdf_counts(monkeypatch):
    from tracenet.render import pdf

    monkeypatch.setattr(pdf, "MOST", 100)
    box = re.search(rb"MediaBox \[0 0 ([\d.]+) ([\d.]+)\] /UserUnit", encode(sample.mazur(), "pdf"))
    assert max(float(box[1]), float(box[2])) == 100


# ---------------------------------------------------------------------- Markdown and HTML


def test_flows_of_a_layer():
    found = flows(sample.mazur())
    layer = found["Forward"][0]
    assert {item.key for item in layer.inputs} >= {"W1", "b1"}
    assert "a1" in {item.key for item in layer.outputs}
    assert next(flow.node.name for flow in found["Backward"]).startswith("loss")


@pytest.mark.parametrize("name", sample.ALL)
def test_markdown_tables_are_even(name):
    tables = re.findall(r"(?:^\|.*\n)+", written(sample.ALL[name](), "md"), flags=re.M)
    for table in tables:
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(counts) == 1


def test_markdown_is_mathematics_that_github_leaves_alone():
    text = written(sample.mazur(), "md")
    assert "$z^{[1]} = W^{[1]}" in text and "2 × 2" in text and "## Backward" in text
    for formula in re.findall(r"(?<!\\)\$(.+?)(?<!\\)\$", text):
        assert not re.search(r"\\[^A-Za-z]", formula), formula
    assert "<code>" in markdown.styled((Run("my_x"), Run(" = "), Run("a", "i")))


class Balanced(HTMLParser):
    """Fails at a tag that is closed by another one."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", sample.ALL)
def test_html_is_one_page_of_its_own(name):
    text = written(sample.ALL[name](), "html")
    parser = Balanced()
    parser.feed(text)
    assert not parser.open and parser.seen.count("svg") == 1
    assert not re.search(r"(src|href)=|url\(|<script|@import", text)


def test_html_table_and_styles():
    text = written(sample.mazur(), "html")
    assert "<i>W</i><sup>[1]</sup> <small>2 × 2</small>" in text and "<h2>Update" not in text
    assert page.styled((Run("<b>", "i"),)) == "<i>&lt;b&gt;</i>"
    assert ".tracenet-picture .node:hover" in text and "<style>text{" not in text


# ---------------------------------------------------------------------- notebooks


def loss(x, W1):
    z1 = W1 @ x
    total = np.sum(z1 * z1)
    return total


@pytest.fixture
def trace():
    found = tracer.trace(loss, np.array([[1.0], [2.0]]), np.array([[0.5, 0.25]]))
    found.backward()
    return found


def test_a_cell_gets_html_svg_and_text(trace):
    found = trace._repr_mimebundle_()
    assert set(found) == {cell.PLAIN, cell.HTML, cell.SVG}
    assert repr(trace) in found[cell.PLAIN] and "Forward:" in found[cell.PLAIN]
    ElementTree.fromstring(found[cell.SVG].encode())
    root = ElementTree.fromstring(found[cell.HTML])
    picture = root[0]
    assert picture.get("width") == "100%" and "max-width" in picture.get("style")
    assert picture.get("viewBox") and "height" not in picture.attrib
    assert "background:#fff" in root.get("style") and "border-radius" in root.get("style")


def test_the_values_are_under_the_mouse(trace):
    titles = re.findall(r"<title>([^<]*)</title>", trace._repr_mimebundle_()[cell.HTML])
    assert any("0.5  0.25" in title and "1 × 2" in title for title in titles)


def test_a_cell_gets_what_it_asks_for(trace):
    assert trace._repr_mimebundle_(include={cell.PNG})[cell.PNG].startswith(b"\x89PNG")
    assert set(trace._repr_mimebundle_(exclude={cell.HTML, cell.PLAIN})) == {cell.SVG}
    assert set(trace._repr_mimebundle_(include=[], exclude=[cell.SVG])) == {cell.PLAIN, cell.HTML}


def test_a_display_like_that_of_ipython(trace):
    """It calls the method, and takes data, or data with metadata, of any MIME type."""
    shown = []

    def display(value):
        bundle = type(value)._repr_mimebundle_(value, include=None, exclude=None)
        shown.append(bundle[0] if isinstance(bundle, tuple) else bundle)

    display(trace)
    assert all(isinstance(data, str) for data in shown[0].values())


def test_a_trace_that_cannot_be_drawn_is_text(trace, monkeypatch):
    monkeypatch.setenv("TRACENET_ENGINE", "neato")
    assert "not drawn: unknown TRACENET_ENGINE" in trace._repr_mimebundle_()[cell.PLAIN]


def test_ipython_is_not_needed():
    code = (
        "import sys; sys.modules['IPython'] = None\n"
        "import numpy as np; from tracenet import tracer\n"
        "t = tracer.trace(lambda x: np.sum(x * x), np.ones((2, 1)))\n"
        "print('text/html' in t._repr_mimebundle_())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"


def test_tex_has_signs_for_all_that_is_drawn_and_blanks_between_words():
    drawn = "✓✗⋯⌊⌋⌈⌉⟨⟩‖∛₀₁₂⁰¹²³⁴⁵⁶⁷⁸⁹⊙−…ᵀ×σΣ·α√′≤∂÷∞⁻δΠ∇λεγ≥≠≈ωφτρπμθηβ"
    for letter in drawn:
        assert "tracenetletter" not in tex_math.tex((Run(letter), Run("x = "), Run(letter))), letter
    assert tex_math.tex((Run("4 kept, 1 never read", "i"),)) == r"\textit{4 kept, 1 never read}"
    named = (Run("W", "i"), Run("[1]", "sup"), Run(" 4 × 3"))
    assert re.fullmatch(r"\$W\^\{\[1\]\}~ ?4 \\times 3\$", tex_math.tex(named))


EXAMPLES = {
    "mazur": ("mazur.py", None, {}),
    "ops": ("mazur.py", None, {"view": "ops"}),
    "circuit": ("circuit.py", None, {"view": "circuit"}),
    "deep": ("deep_network.py", None, {}),
    "course": ("course_network.py", "iteration(X, Y, parameters, 0.5)", {}),
    "cache": ("course_network.py", "iteration(X, Y, parameters, 0.5)", {"view": "cache"}),
    "network": ("course_network.py", "iteration(X, Y, parameters, 0.5)", {"view": "network"}),
    "wrong": ("wrong_gradient.py", "iteration(x, y, parameters)", {"check": True}),
}


@compiles
@pytest.mark.parametrize("name", EXAMPLES)
def test_tex_of_each_example_compiles_alone_in_a_paper_and_on_slides(name, tmp_path, monkeypatch):
    file, call, options = EXAMPLES[name]
    monkeypatch.chdir(tmp_path)
    path = Path(__file__).parent.parent.parent / "examples" / file
    if call is None:
        trace = runpy.run_path(str(path))["trace"]
    else:
        trace = tracer.trace_call(tracer.load(path), call, noting=True)
    text = written(trace.diagram(**options), steps=True)
    assert "tracenetletter{" not in text
    compiled(tmp_path, "net.tex", text)
    for use, frame in (("article", "{}"), ("beamer", r"\begin{{frame}}{}\end{{frame}}")):
        inside = frame.format(r"\resizebox{.5\textwidth}{!}{\input{net.tex}}")
        start = rf"\documentclass{{{use}}}\usepackage{{tikz}}\begin{{document}}"
        assert compiled(tmp_path, f"{use}.tex", rf"{start}{inside}\end{{document}}").exists()
