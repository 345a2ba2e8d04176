"""Fonts inside a PDF: a TrueType file with the letters that are used and no others.

Glyphs keep their numbers, and those that no letter asks for are emptied, so that nothing that refers
to a glyph has to be rewritten. Text is written as glyph numbers; a table says which letters they
are, so that it can be searched and copied.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from hashlib import sha256

from .metrics import Face

KEPT = ("cvt ", "fpgm", "glyf", "head", "hhea", "hmtx", "loca", "maxp", "prep")
"""The tables that a PDF asks for; all others say what the PDF says itself."""
MISSING = 0
"""The glyph that stands for a letter which the font does not have."""
MORE, WORDS, SCALE, TWO_SCALES, MATRIX = 0x20, 0x01, 0x08, 0x40, 0x80
"""Flags of the parts that a composed glyph is made of."""


class Subset:
    """A face, with the glyphs that a document has used of it so far."""

    def __init__(self, face: Face, name: str) -> None:
        self.face = face
        self.name = name
        self.used: dict[int, str] = {MISSING: ""}
        self.tables = dict(_tables(face.data))
        count = struct.unpack_from(">H", self.tables["maxp"], 4)[0]
        long = struct.unpack_from(">h", self.tables["head"], 50)[0]
        self.starts = struct.unpack_from(f">{count + 1}{'IH'[not long]}", self.tables["loca"])
        if not long:
            self.starts = tuple(2 * start for start in self.starts)

    def coded(self, text: str) -> bytes:
        """Text as the numbers of its glyphs, which are noted as used."""
        glyphs = [self.face.glyphs.get(ord(letter), MISSING) for letter in text]
        for glyph, letter in zip(glyphs, text):
            self.used.setdefault(glyph, letter)
        return struct.pack(f">{len(glyphs)}H", *glyphs)

    def width(self, glyph: int) -> float:
        """The width of a glyph in thousandths of the size."""
        advances = self.face.advances
        return advances[min(glyph, len(advances) - 1)] * 1000 / self.face.units

    def file(self) -> bytes:
        """The font as a file."""
        return _joined({**self.tables, **self._outlines()})

    def tagged(self) -> str:
        """The name with six letters before it that differ with the glyphs, as PDF asks for."""
        digest = sha256(repr(sorted(self.used)).encode()).digest()
        return "".join(chr(65 + byte % 26) for byte in digest[:6]) + "+" + self.name

    def unicode(self) -> bytes:
        """The table from glyphs to letters."""
        return letters_of({glyph: letter for glyph, letter in self.used.items() if letter})

    def metric(self, table: str, at: int, form: str = "h") -> float:
        """A number of the font's own, in thousandths of the size."""
        return struct.unpack_from(">" + form, self.tables[table], at)[0] * 1000 / self.face.units

    # ------------------------------------------------------------------ outlines

    def _outlines(self) -> dict[str, bytes]:
        """The outlines of what is used, and where each begins; in `head`, that these are long."""
        wanted, glyphs, starts = self._with_parts(), bytearray(), [0]
        for glyph in range(len(self.starts) - 1):
            if glyph in wanted:
                outline = self._outline(glyph)
                glyphs += outline + b"\0" * (-len(outline) % 4)
            starts.append(len(glyphs))
        head = bytearray(self.tables["head"])
        struct.pack_into(">h", head, 50, 1)
        offsets = struct.pack(f">{len(starts)}I", *starts)
        return {"glyf": bytes(glyphs), "loca": offsets, "head": bytes(head)}

    def _outline(self, glyph: int) -> bytes:
        return self.tables["glyf"][self.starts[glyph] : self.starts[glyph + 1]]

    def _with_parts(self) -> set[int]:
        """The used glyphs and those that they are composed of."""
        found: set[int] = set()
        new = set(self.used)
        while new:
            found |= new
            new = {part for glyph in new for part in _parts(self._outline(glyph))} - found
        return found


def letters_of(glyphs: Mapping[int, str]) -> bytes:
    """A character map from glyphs to letters, in the language that PDF wants it in."""
    pairs = [f"<{g:04X}> <{glyphs[g].encode('utf-16-be').hex().upper()}>" for g in sorted(glyphs)]
    lists = [
        f"{len(pairs[i : i + 100])} beginbfchar\n" + "\n".join(pairs[i : i + 100]) + "\nendbfchar\n"
        for i in range(0, len(pairs), 100)
    ]
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
        + "".join(lists)
        + "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    ).encode("ascii")


def _parts(outline: bytes) -> Iterator[int]:
    """The glyphs that a glyph is composed of."""
    if len(outline) < 10 or struct.unpack_from(">h", outline)[0] >= 0:
        return
    at, flags = 10, MORE
    while flags & MORE:
        flags, glyph = struct.unpack_from(">HH", outline, at)
        yield glyph
        at += 8 if flags & WORDS else 6
        at += 2 * bool(flags & SCALE) + 4 * bool(flags & TWO_SCALES) + 8 * bool(flags & MATRIX)


def _tables(data: bytes) -> Iterator[tuple[str, bytes]]:
    for i in range(struct.unpack_from(">H", data, 4)[0]):
        tag, _, start, length = struct.unpack_from(">4sIII", data, 12 + 16 * i)
        if tag.decode("ascii") in KEPT:
            yield tag.decode("ascii"), data[start : start + length]


def _joined(tables: Mapping[str, bytes]) -> bytes:
    """A TrueType file of these tables."""
    count = len(tables)
    power = 1 << (count.bit_length() - 1)
    head = struct.pack(
        ">IHHHH", 0x10000, count, 16 * power, power.bit_length() - 1, 16 * (count - power)
    )
    place, body = 12 + 16 * count, b""
    for tag in sorted(tables):
        data = tables[tag]
        padded = data + b"\0" * (-len(data) % 4)
        total = sum(struct.unpack(f">{len(padded) // 4}I", padded)) & 0xFFFFFFFF
        head += struct.pack(">4sIII", tag.encode("ascii"), total, place + len(body), len(data))
        body += padded
    return head + body
