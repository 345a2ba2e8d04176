"""How wide text is: read from the font files that pictures are drawn with.

Only the tables that give a letter its width are read (`cmap`, `hhea`, `hmtx`), each file once and
when the first letter in it is asked for. Letters that no file has get the width that fonts
usually give them; the width is written beside the text in the picture, so it fits all the same.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

from .fonts import TEXT_FONTS, font_files

USUAL, WIDE = 0.55, 1.0
"""Widths of letters that no font has, in ems: of most scripts, of Chinese, Japanese, Korean."""


@lru_cache(maxsize=1 << 16)
def width(text: str, size: float, bold: bool = False, italic: bool = False) -> float:
    """The width of a piece of text, in points."""
    letters = _letters(TEXT_FONTS[2 * bold + italic])
    return round(size * sum(map(letters.__getitem__, text)), 2)


class Face:
    """A TrueType file: which glyph a letter has, and how wide that is."""

    def __init__(self, path: str) -> None:
        self.data = Path(path).read_bytes()
        self.tables = dict(self._directory())
        self.units: int = self._read(">H", self.tables["head"] + 18)[0]
        self.glyphs = dict(self._glyphs(self._best_subtable()))
        count: int = self._read(">H", self.tables["hhea"] + 34)[0]
        self.advances = self._read(f">{2 * count}H", self.tables["hmtx"])[::2]

    def advance(self, letter: str) -> float | None:
        """The width of a letter in ems; None if the font does not have it."""
        glyph = self.glyphs.get(ord(letter))
        if glyph is None:
            return None
        return float(self.advances[min(glyph, len(self.advances) - 1)] / self.units)

    def _read(self, form: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(form, self.data, at)

    def _directory(self) -> Iterator[tuple[str, int]]:
        for i in range(self._read(">H", 4)[0]):
            tag, _, start, _ = struct.unpack_from(">4sIII", self.data, 12 + 16 * i)
            yield tag.decode("ascii"), start

    def _best_subtable(self) -> int:
        """The Unicode table that covers most: format 12 before format 4."""
        start = self.tables["cmap"]
        found = {}
        for i in range(self._read(">H", start + 2)[0]):
            _, _, offset = struct.unpack_from(">HHI", self.data, start + 4 + 8 * i)
            found[self._read(">H", start + offset)[0]] = start + offset
        return found[12] if 12 in found else found[4]

    def _glyphs(self, at: int) -> Iterator[tuple[int, int]]:
        if self._read(">H", at)[0] == 4:
            yield from self._short_ranges(at)
            return
        for i in range(self._read(">I", at + 12)[0]):
            first, last, glyph = self._read(">III", at + 16 + 12 * i)
            for code in range(first, last + 1):
                yield code, glyph + code - first

    def _short_ranges(self, at: int) -> Iterator[tuple[int, int]]:
        """Format 4: ranges with an offset to add, or with a list of glyphs."""
        count = self._read(">H", at + 6)[0] // 2
        ends = self._read(f">{count}H", at + 14)
        starts, deltas, offsets = (
            self._read(f">{count}H", at + 16 + 2 * count * part) for part in (1, 2, 3)
        )
        lists = at + 16 + 6 * count
        for i, (start, end, delta, offset) in enumerate(zip(starts, ends, deltas, offsets)):
            for code in range(start, end + 1):
                glyph = code
                if offset:
                    glyph = self._read(">H", lists + 2 * i + offset + 2 * (code - start))[0]
                if glyph:
                    yield code, (glyph + delta) & 0xFFFF


class _Letters(dict[str, float]):
    """The widths of the letters of one face in ems, looked up when they are first asked for."""

    def __init__(self, face: Face | None) -> None:
        self.face = face

    def __missing__(self, letter: str) -> float:
        for face in (self.face, _fallback()):
            found = face.advance(letter) if face is not None else None
            if found is not None:
                break
        else:
            found = _guess(letter)
        self[letter] = found
        return found


def _guess(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0.0
    return WIDE if unicodedata.east_asian_width(letter) in "WF" else USUAL


@cache
def _letters(name: str) -> _Letters:
    return _Letters(face(f"SourceSansPro-{name}.ttf"))


@cache
def face(name: str) -> Face | None:
    """An installed font by the name of its file."""
    found = [file for file in font_files() if Path(file).name == name]
    return Face(found[0]) if found else None


def _fallback() -> Face | None:
    return face("DejaVuSans.ttf")
