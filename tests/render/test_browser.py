"""The pictures in a real browser, headless: where Chromium itself says that boxes and texts are."""

from __future__ import annotations

import html
import itertools
import json
import re
import shutil
import subprocess
from functools import cache

import pytest

from tests.test_cli import ROOT
from tests.test_picture import mazur
from tracenet import tracer
from tracenet.render import encode

from . import sample

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=10000",
)  # fmt: skip

MEASURE = """
<script>
const box = (e) => { const b = e.getBBox(); return [b.x, b.y, b.x + b.width, b.y + b.height]; };
const found = [...document.querySelectorAll("svg")].map((svg) =>
  [...svg.querySelectorAll("g.node")].map((g) => ({
    id: g.id, title: g.querySelector("title").textContent,
    box: box(g.querySelector("path")), struck: g.querySelector("path").getAttribute("d").includes("H"),
    texts: [...g.querySelectorAll("text")].map((t) => ({
      words: t.textContent, box: box(t), size: parseFloat(t.getAttribute("font-size")),
      y: parseFloat(t.getAttribute("y")), x: parseFloat(t.getAttribute("x")),
      lowered: getComputedStyle(t).baselineShift || "0px", spans: t.children.length,
    })),
  })));
const pre = document.createElement("pre");
pre.id = "measured"; pre.textContent = JSON.stringify(found); document.body.append(pre);
</script>
"""


def opened(folder, name, text):
    """The page as Chromium has it once its scripts have run."""
    (folder / name).write_text(text, "utf-8")
    done = subprocess.run(
        [BROWSER, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom",
         (folder / name).as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0 and "<body" in done.stdout, done.stderr[-2000:]
    return done.stdout


@cache
def course():
    module = tracer.load(ROOT / "examples" / "course_network.py")
    return tracer.trace_call(module, "iteration(X, Y, parameters, 0.5)")


DRAWN = {
    "mazur": lambda: mazur().diagram(),
    "mazur, ops": lambda: mazur().diagram("ops"),
    "mazur, network": lambda: mazur().diagram("network"),
    "course": lambda: course().diagram(),
    "course, cache": lambda: course().diagram("cache"),
    "course, ops": lambda: course().diagram("ops", values="shapes"),
    "figures": lambda: sample.ALL["figures"](),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """For each picture its boxes, as the browser measures them."""
    pictures = [encode(make(), "svg").decode().partition("?>")[2] for make in DRAWN.values()]
    page = f'<!DOCTYPE html><meta charset="utf-8"><body>{"".join(pictures)}{MEASURE}</body>'
    dom = opened(tmp_path_factory.mktemp("browser"), "all.html", page)
    found = re.search(r'<pre id="measured">(.*?)</pre>', dom, re.DOTALL)
    return dict(zip(DRAWN, json.loads(html.unescape(found[1])), strict=True))


@pytest.mark.parametrize("name", DRAWN)
def test_texts_stay_in_their_boxes(measured, name):
    assert measured[name]
    for node in measured[name]:
        left, top, right, bottom = node["box"]
        for text in node["texts"]:
            if node["struck"] or not text["words"].strip():
                continue
            a, b, c, d = text["box"]
            air = 0.35 * text["size"]  # a letter's box holds room for accents that it does not have
            assert left - 0.6 <= a and c <= right + 0.6, (node["id"], text)
            assert top - air <= b and d <= bottom + air, (node["id"], text)


@pytest.mark.parametrize("name", DRAWN)
def test_scripts_need_nothing_that_browsers_differ_in(measured, name):
    """Raised and lowered text is text of its own, smaller and shifted."""
    texts = [text for node in measured[name] for text in node["texts"]]
    assert all(text["lowered"] in ("0px", "baseline") and not text["spans"] for text in texts)
    for letter, raised in itertools.pairwise(texts):
        if raised["words"] == "[1]" and letter["words"] in ("W", "a", "z", "b", "A", "Z"):
            assert raised["size"] < letter["size"] and raised["y"] < letter["y"]
            assert abs(raised["box"][0] - letter["box"][2]) < 1.5, "away from its letter"


@pytest.mark.parametrize("name", DRAWN)
def test_texts_do_not_lie_on_each_other(measured, name):
    for node in measured[name]:
        rows: dict[float, list] = {}
        for text in node["texts"]:
            if text["words"].strip():
                rows.setdefault(text["y"], []).append(text["box"])
        for boxes in rows.values():
            boxes.sort()
            assert all(a[2] <= b[0] + 1.5 for a, b in itertools.pairwise(boxes)), (
                node["id"],
                boxes,
            )


def test_page_opens_by_itself(tmp_path):
    page = encode(mazur().diagram(), "html").decode()
    links = re.findall(r'(?:src|href|url\()\s*=?\s*["\']?([^"\'\s>)]+)', page)
    assert links == [] and "<script" not in page
    dom = opened(tmp_path, "page.html", page.replace("</body>", f"{MEASURE}</body>"))
    found = json.loads(html.unescape(re.search(r'<pre id="measured">(.*?)</pre>', dom, re.S)[1]))
    assert len(found) == 1 and len(found[0]) == len(mazur().diagram().nodes)
    assert "<summary>The run in words</summary>" in dom
