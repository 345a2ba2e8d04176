"""A diagram as PDF, written by ourselves from the same placement as the SVG.

One page as large as the picture, in vectors, with the letters that it uses inside, in the fonts
that came with the installation. Nothing is taken from the system and nothing tells the time, so
the picture is the same everywhere. A letter that these fonts do not have is drawn as an empty box;
it can still be searched and copied.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import groupby

from ..diagram import Diagram
from ..errors import EngineError
from . import label, metrics, palette
from .fonts import TEXT_FONTS
from .pdf_fonts import Subset
from .placement import CLEAR, Box, Mark, Shape, Words
from .sheet import Sheet, sheet, visible
from .svg import rounded
from .theme import Paint

FALLBACK = "DejaVuSans"
MOST = 14_400
"""The longest side of a page in its own units; those of a larger one are longer than a point."""
CURVE = 2 / 3
"""How far the handles of the SVG's corners reach: those are parabolas, and so are these."""


def encode(diagram: Diagram, paint: Paint | None = None) -> bytes:
    """The diagram as PDF."""
    page = sheet(diagram, paint)
    fonts: dict[str, Subset] = {}
    marks = (mark for _, group in page.groups for mark in group if visible(mark))
    if paint is not None:
        marks = (paint.mark(mark) for mark in marks)
    drawn = "\n".join(line for mark in marks for line in _drawn(mark, fonts))
    return _File().written(page, drawn.encode("ascii"), fonts, label.clean(diagram.title))


# ---------------------------------------------------------------------- marks


def _drawn(mark: Mark, fonts: dict[str, Subset]) -> Iterator[str]:
    if isinstance(mark, Words):
        yield from _text(mark, fonts)
        return
    path = _box(mark) if isinstance(mark, Box) else _path(mark)
    fill, line = mark.fill != CLEAR, mark.stroke != CLEAR
    setup = [f"{_colour(mark.fill)} rg"] if fill else []
    if line:
        width = mark.width if isinstance(mark, Shape) else 1.0
        setup.append(f"{_colour(mark.stroke)} RG {rounded(width)} w [{mark.dash}] 0 d")
    yield " ".join([*setup, path, "B" if fill and line else "f" if fill else "S"])


def _colour(colour: str) -> str:
    return " ".join(f"{channel / 255:.4g}" for channel in palette.channels(colour))


def _box(box: Box) -> str:
    x, y, a, b = box.x, box.y, box.x + box.width, box.y + box.height
    if not box.corner:
        return f"{_numbers(x, y, box.width, box.height)} re"
    r = min(box.corner, box.width / 2, box.height / 2)
    k = r * (1 - CURVE)
    return "\n".join([
        f"{_numbers(x + r, y)} m {_numbers(a - r, y)} l {_numbers(a - k, y, a, y + k, a, y + r)} c",
        f"{_numbers(a, b - r)} l {_numbers(a, b - k, a - k, b, a - r, b)} c",
        f"{_numbers(x + r, b)} l {_numbers(x + k, b, x, b - k, x, b - r)} c",
        f"{_numbers(x, y + r)} l {_numbers(x, y + k, x + k, y, x + r, y)} c h",
    ])  # fmt: skip


def _path(shape: Shape) -> str:
    points, steps = iter(shape.points), []
    y = 0.0
    for code in shape.code:
        if code == "Z":
            steps.append("h")
            continue
        taken = [next(points) for _ in range(3 if code == "C" else 1)]
        if code == "H":
            taken = [(taken[0][0], y)]
        y = taken[-1][1]
        steps.append(f"{_numbers(*(n for point in taken for n in point))} {OPERATORS[code]}")
    return " ".join(steps)


OPERATORS = {"M": "m", "L": "l", "H": "l", "C": "c"}


def _numbers(*numbers: float) -> str:
    return " ".join(map(rounded, numbers))


# ---------------------------------------------------------------------- text


def _text(words: Words, fonts: dict[str, Subset]) -> Iterator[str]:
    """A piece of text as wide as its place, each run of letters in the first face that has it."""
    measured = metrics.width(words.text, words.size, words.bold, words.italic)
    stretch = words.width / measured if measured else 1.0
    x, main = words.x, f"SourceSansPro-{TEXT_FONTS[2 * words.bold + words.italic]}"
    for name, group in groupby(words.text, key=lambda letter: _face_of(letter, main)):
        run = "".join(group)
        font = _font(name, fonts)
        yield (
            f"BT {_colour(words.colour)} rg /{_key(name)} {words.size:.4g} Tf"
            f" {stretch * 100:.5g} Tz 1 0 0 -1 {_numbers(x, words.y)} Tm"
            f" <{font.coded(run).hex()}> Tj ET"
        )
        x += stretch * metrics.width(run, words.size, words.bold, words.italic)


def _face_of(letter: str, main: str) -> str:
    face = metrics.face(main + ".ttf")
    return main if face is not None and ord(letter) in face.glyphs else FALLBACK


def _key(name: str) -> str:
    return name.replace("-", "")


def _font(name: str, fonts: dict[str, Subset]) -> Subset:
    if name not in fonts:
        face = metrics.face(name + ".ttf")
        if face is None:
            raise EngineError(f"the font {name} is not installed: pip install {PACKAGES}")
        fonts[name] = Subset(face, name)
    return fonts[name]


PACKAGES = "font-source-sans-pro ziafont"


# ---------------------------------------------------------------------- the file


class _File:
    """Numbered objects and, at the end, the table of where each begins."""

    def __init__(self) -> None:
        self.objects: list[bytes] = []

    def added(self, text: str, data: bytes | None = None) -> str:
        """Adds a dictionary, and with it a stream if there is one; how others refer to it."""
        body = f"<< {text} >>".encode("ascii")
        if data is not None:
            packed = zlib.compress(data, 9)
            head = f"<< {text} /Filter /FlateDecode /Length {len(packed)} >>\nstream\n"
            body = head.encode("ascii") + packed + b"\nendstream"
        self.objects.append(body)
        return f"{len(self.objects)} 0 R"

    def written(self, page: Sheet, drawn: bytes, fonts: dict[str, Subset], title: str) -> bytes:
        used = " ".join(f"/{_key(name)} {self._font(fonts[name])}" for name in sorted(fonts))
        scale = max(1.0, page.width / MOST, page.height / MOST)
        width, height = page.width / scale, page.height / scale
        turned = f"{1 / scale:.6g} 0 0 {-1 / scale:.6g} 0 {rounded(height)} cm\n"
        content = self.added("", turned.encode("ascii") + drawn)
        pages = f"{len(self.objects) + 2} 0 R"
        unit = f" /UserUnit {scale:.6g}" if scale > 1 else ""
        sheet = self.added(
            f"/Type /Page /Parent {pages} /MediaBox [0 0 {_numbers(width, height)}]{unit}"
            f" /Contents {content} /Resources << /Font << {used} >> >>"
        )
        self.added(f"/Type /Pages /Kids [{sheet}] /Count 1")
        root = self.added(f"/Type /Catalog /Pages {pages} /ViewerPreferences {SHOWN}")
        info = self.added(f"/Title <FEFF{title.encode('utf-16-be').hex()}> /Producer (tracenet)")
        return self._joined(root, info)

    def _font(self, font: Subset) -> str:
        """A font: its file, what is said about it, and which glyph is which letter."""
        name, file = font.tagged(), font.file()
        body = self.added(f"/Length1 {len(file)}", file)
        italic = font.name.endswith("It")
        box = _numbers(*(font.metric("head", at) for at in (36, 38, 40, 42)))
        about = self.added(
            f"/Type /FontDescriptor /FontName /{name} /Flags {68 if italic else 4}"
            f" /FontBBox [{box}] /ItalicAngle {-11 if italic else 0} /StemV 80 /CapHeight 660"
            f" /Ascent {rounded(font.metric('hhea', 4))}"
            f" /Descent {rounded(font.metric('hhea', 6))} /FontFile2 {body}"
        )
        widths = " ".join(f"{g} [{rounded(font.width(g))}]" for g in sorted(font.used))
        inner = self.added(
            f"/Type /Font /Subtype /CIDFontType2 /BaseFont /{name} /CIDToGIDMap /Identity"
            " /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
            f" /FontDescriptor {about} /DW 1000 /W [{widths}]"
        )
        letters = self.added("", font.unicode())
        return self.added(
            f"/Type /Font /Subtype /Type0 /BaseFont /{name} /Encoding /Identity-H"
            f" /DescendantFonts [{inner}] /ToUnicode {letters}"
        )

    def _joined(self, root: str, info: str) -> bytes:
        file, places = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), []
        for number, body in enumerate(self.objects, 1):
            places.append(len(file))
            file += b"%d 0 obj\n%b\nendobj\n" % (number, body)
        table = "".join(f"{place:010} 00000 n \n" for place in places)
        count = len(places) + 1
        end = (
            f"xref\n0 {count}\n0000000000 65535 f \n{table}"
            f"trailer\n<< /Size {count} /Root {root} /Info {info} >>\n"
            f"startxref\n{len(file)}\n%%EOF\n"
        )
        return bytes(file) + end.encode("ascii")


SHOWN = "<< /DisplayDocTitle true >>"
