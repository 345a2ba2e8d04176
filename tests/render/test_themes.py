"""Themes: every role has a colour that can be read, and every format wears what was asked for."""

from __future__ import annotations

import re
import warnings
import zlib

import numpy as np
import pytest

from tracenet.errors import UsageError
from tracenet.figures import shown
from tracenet.render import encode, palette, png, svg, write
from tracenet.render.cell import Cell
from tracenet.render.theme import (
    DASHED,
    GROUNDS,
    ROLES,
    Theme,
    faults,
    named,
    paint,
)  # fmt: skip
from tracenet.render.themes import THEMES

from . import geometry, sample

LOOKS = [(theme, ground) for theme in THEMES for ground in ("light", "dark")]
PATH = re.compile(r'<path d="([^"]*)" fill="(#[0-9a-f]{6})"')
TEXT = re.compile(r'<text x="([\d.]+)" y="([\d.]+)" font-size="[^"]*" fill="(#[0-9a-f]{6})"')


def drawn(theme, ground, diagram=None):
    return encode(diagram or sample.mazur(), "svg", theme=theme, ground=ground).decode()


def colours(text):
    return set(re.findall(r'(?:fill|stroke)="(#[0-9a-fA-F]{6})"', text))


# ---------------------------------------------------------------------- contrast


@pytest.mark.parametrize("theme", THEMES)
def test_themes_have_every_role_and_can_be_read(theme):
    made = THEMES[theme]
    assert set(made.light) == set(made.dark) == set(ROLES)
    assert not list(faults(made))


def test_faults_are_found():
    pale = Theme("pale", {**THEMES["default"].light, "text": "#bbbbbb"}, THEMES["default"].dark)
    assert ("light", "text", "paper") in {fault[:3] for fault in faults(pale)}


@pytest.mark.parametrize(("theme", "ground"), LOOKS)
def test_text_can_be_read_on_what_it_stands_on(theme, ground):
    """As it is drawn: each text against the last area that was drawn under its beginning."""
    for diagram in (sample.mazur(), sample.operations(), sample.hostile()):
        text, areas = drawn(theme, ground, diagram), []
        paper = re.search(r'<rect width="[^"]*" height="[^"]*" fill="([^"]*)"', text)
        count = 0
        for line in text.splitlines():
            if (path := PATH.match(line)) and path[1].endswith("Z"):
                numbers = list(map(float, re.findall(r"-?[\d.]+(?:e-?\d+)?", path[1])))
                areas.append((min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2]), path[2]))  # fmt: skip
            elif words := TEXT.match(line):
                x, y, count = float(words[1]), float(words[2]), count + 1
                under = [a[4] for a in areas if a[0] <= x <= a[2] and a[1] <= y <= a[3]]
                behind = under[-1] if under else paper[1]
                assert palette.contrast(words[3], behind) >= 4.5, (words[3], behind, line)
        assert count > 20


@pytest.mark.parametrize(("theme", "ground"), LOOKS)
def test_passes_are_told_apart_without_colour(theme, ground):
    """By dashes in print, and by the d of gradients and the word backward in every theme."""
    text = drawn(theme, ground)
    groups = geometry.groups(text.encode(), "node")
    assert "backward" in geometry.words(groups["b1"])
    dashes = [
        p.get("stroke-dasharray") for p in groups["b1"].findall(f"{geometry.NS}path[@stroke]")
    ]
    forward = [
        p.get("stroke-dasharray") for p in groups["f1"].findall(f"{geometry.NS}path[@stroke]")
    ]
    assert forward == [None]
    assert dashes == (["7 3"] if theme == "mono" else [None])


def test_print_has_no_colour():
    for ground in ("light", "dark"):
        for colour in colours(drawn("mono", ground, sample.operations())):
            assert len(set(palette.channels(colour))) == 1


# ---------------------------------------------------------------------- grounds


def test_the_default_is_the_palette_and_transparent_has_no_paper():
    assert encode(sample.mazur(), "svg") == svg.encode(sample.mazur())
    light = svg.encode(sample.mazur(), paint("default", "light")).decode()
    assert encode(sample.mazur(), "svg").decode().lower() == light.lower()
    assert "<rect" not in drawn("default", "transparent")


@pytest.mark.parametrize("theme", THEMES)
def test_both_is_light_and_in_the_dark_dark(theme):
    both, look = drawn(theme, "both"), paint(theme, "both")
    rules = dict(re.findall(r'\[fill="(#\w{6})"\]\{fill:(#\w{6})\}', both))
    rules |= dict(re.findall(r'\[stroke="(#\w{6})"\]\{stroke:(#\w{6})\}', both))
    assert rules.items() <= look.night.items()
    bare = re.sub(r"@media.*?\}\}", "", both)
    night = re.sub(r'(fill|stroke)="(#\w{6})"', lambda m: f'{m[1]}="{rules[m[2]]}"', bare)
    assert night == drawn(theme, "dark")
    for one, other in zip(sorted(paint(theme, "both").colours.items()), sorted(paint(theme).colours.items())):  # fmt: skip
        pairs = zip(palette.channels(one[1]), palette.channels(other[1]))
        assert all(abs(a - b) <= 8 for a, b in pairs), "moved so far that one sees it"


def test_resvg_draws_both_as_light():
    assert png.drawn(drawn("default", "both"), 1) == png.drawn(drawn("default", "light"), 1)
    assert png.drawn(drawn("default", "both"), 1) != png.drawn(drawn("default", "dark"), 1)


def test_roles_are_told_apart():
    assert len(set(ROLES.values())) == len(ROLES)
    assert colours(drawn("default", "light", sample.operations()).lower()) <= set(paint().colours)


# ---------------------------------------------------------------------- formats


def test_pdf_has_the_theme_and_its_paper():
    def content(**look):
        data = encode(sample.mazur(), "pdf", **look)
        streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.S)
        found = [s if b" rg" in s else _inflated(s) for s in streams]
        return next(s.decode("latin-1") for s in found if b" rg" in s)

    light, dark = content(), content(theme="ng", ground="dark")
    red, paper = "1 0.4196 0.4196 RG", "0.05098 0.06667 0.09020 rg"
    assert red in dark and red not in light
    assert [float(x) for x in dark.split(" rg")[0].split()[-3:]] == pytest.approx(
        [float(x) for x in paper.split()[:3]], abs=1e-3
    )
    assert "[7 3] 0 d" in content(theme="mono") and "[7 3] 0 d" not in light


def _inflated(stream):
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return b""


def test_tex_defines_the_theme_under_the_same_names():
    def defined(**look):
        text = encode(sample.mazur(), "tex", **look).decode()
        used = set(re.findall(r"(?:draw|fill|text)=(tracenet-[\w-]+)", text))
        found = dict(re.findall(r"\\providecolor\{(tracenet-[\w-]+)\}\{HTML\}\{(\w+)\}", text))
        assert used <= set(found)
        return found, text

    (light, _), (red, _), (_, mono) = defined(), defined(theme="cs231n"), defined(theme="mono")
    assert light["tracenet-backward"] == "D55E00" and red["tracenet-backward"] == "CC0000"
    assert "dash pattern=on 7bp off 3bp" in mono
    assert "tracenet-paper" in defined(ground="dark")[0]


def test_html_has_its_style_within_the_picture():
    page = encode(sample.mazur(), "html", theme="ng", ground="both").decode()
    assert ".tracenet-picture [fill=" in page
    assert not re.search(r"[{}]\s*\[fill=", page), "a rule for the whole page"
    assert page.count(".backward{--ink:") == 2 and page.count(".paper{--paper:") == 2


def test_dot_has_the_theme():
    text = encode(sample.mazur(), "dot", theme="cs231n", ground="dark").decode()
    assert 'bgcolor="#0d1117"' in text and "#ff7070" in text and "#D55E00" not in text


@pytest.mark.parametrize("format", ["json", "md"])
def test_formats_without_colours_are_the_same_in_every_theme(format):
    assert encode(sample.mazur(), format, theme="mono") == encode(sample.mazur(), format)


def test_cells_follow_the_theme():
    dark = Cell("a trace", sample.mazur, ground="dark")._repr_mimebundle_()
    assert 'style="background:#0d1117' in dark["text/html"]
    assert dark["image/svg+xml"] == drawn("default", "dark")


# ---------------------------------------------------------------------- files


def test_a_theme_of_ones_own(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('extends = "ng"\n[light]\nbackward = "#B00020"\n[dash]\nbackward = "4 2"\n')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theme = named(file)
    assert theme.light["forward"] == "#000000" and theme.dark == THEMES["ng"].dark
    text = write(sample.mazur(), tmp_path / "m.svg", theme=file).read_text()
    assert "#b00020" in text and 'stroke-dasharray="4 2"' in text


def test_a_theme_that_is_hard_to_read_gives_one_warning(tmp_path):
    file = tmp_path / "pale.toml"
    file.write_text('[light]\ntext = "#b0b0b0"\n')
    with pytest.warns(UserWarning, match=r"light\.text on .* below 4\.5.*, and \d+ more") as found:
        named(file)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[light]\nforwards = '#000000'", r"unknown key light\.forwards: there are paper, text"),
        ("colour = '#000000'", "unknown key colour: there are extends, light, dark, dash"),
        ("[dark]\ntext = 'white'", r"dark\.text must be a colour, '#1f2328', got 'white'"),
        ("[dash]\nbackward = 'dotted'", r"dash\.backward must be points"),
        ("[dash]\nquiet = '2 2'", f"there are {', '.join(DASHED)}"),
        ("light = 3", r"light must be a table, \[light\], got 3"),
        ("extends = 'dracula'", "unknown theme 'dracula': choose one of 'default'"),
        ("extends = 'other.toml'", "extends must name a theme that is built in"),
        ("[light", "is no TOML"),
    ],
)
def test_mistakes_in_a_theme_are_named(tmp_path, text, message):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        named(file)


def test_options_that_mean_nothing():
    one = sample.one()
    for format, options, message in [
        ("svg", {"theme": "solarized"}, "unknown theme 'solarized': .*'mono', 'FILE.toml'"),
        ("svg", {"theme": "no.toml"}, "cannot be read: No such file"),
        ("svg", {"ground": "black"}, f"unknown ground 'black': .*{GROUNDS[0]}"),
        ("png", {"ground": "both"}, "'both' is for .svg and .html"),
        ("svg", {"dpi": 300}, "dpi is for .png, and .svg has no pixels"),
        ("png", {"dpi": 300, "width": 10}, "give one"),
        ("png", {"width": 0}, "width must be more than 0, got 0"),
        ("png", {"width": 10**6}, "million are drawn: ask for at most"),
    ]:
        with pytest.raises(UsageError, match=message):
            encode(one, format, **options)


# ---------------------------------------------------------------------- sizes and values


@pytest.mark.parametrize("width", [333, 500, 1800, 2001])
def test_a_png_is_as_wide_as_was_asked(width):
    for diagram in (sample.mazur(), sample.one(), sample.operations()):
        data = encode(diagram, "png", width=width)
        assert int.from_bytes(data[16:20], "big") == width


def test_dots_an_inch():
    one = int.from_bytes(encode(sample.mazur(), "png", dpi=100)[16:20], "big")
    other = int.from_bytes(encode(sample.mazur(), "png", dpi=300)[16:20], "big")
    inches = float(geometry.root(svg.encode(sample.mazur())).attrib["viewBox"].split()[2]) / 72
    assert abs(one - 100 * inches) <= 1 and abs(other - 300 * inches) <= 1


def test_hovering_tells_all_numbers_of_what_is_drawn_as_a_summary():
    from tracenet.render.hover import told

    item = shown((), "W", np.arange(12.0).reshape(2, 6) / 8)
    text = told("layer", [item])
    assert "W, 2 × 6, float64" in text and "0.125  0.25" in text and "1.375" in text
    assert "1.375" not in told("layer", [shown((), "W", np.arange(12.0) / 8, values="shapes")])


def test_share_of_zeros():
    relu = np.maximum(np.linspace(-1, 1, 100), 0)
    assert "zeros 50%" in shown((), "a", relu).summary
    assert not any("zeros" in line for line in shown((), "a", np.zeros(100)).summary)
