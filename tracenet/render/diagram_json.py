"""A diagram as JSON, for programs: what is in it, with its numbers, and without a place or look.

Numbers are in full precision up to a stated size. JSON knows no NaN: it is written as a string.
Each box, arrow and frame is one line of the file: quick to write and to search, and small to compare.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from ..diagram import Diagram, Edge, Frame, Node, Shown, plain
from ..figures import NUMERIC, statistics
from .label import clean

FORMAT, VERSION = "tracenet diagram", 1
MOST = 1_000
"""Elements of the largest array that is written in full."""


def encode(diagram: Diagram) -> bytes:
    """The diagram as JSON."""
    write = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    parts = []
    for name, part in content(diagram).items():
        if isinstance(part, list) and part:
            part_text = "[\n  " + ",\n  ".join(map(write, part)) + "\n ]"
        else:
            part_text = write(part)
        parts.append(f" {write(name)}: {part_text}")
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode("utf-8", "replace")


def content(diagram: Diagram) -> dict[str, Any]:
    """The diagram as dictionaries and lists."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": clean(diagram.title),
        "view": diagram.view,
        "nodes": [_node(node) for node in diagram.nodes],
        "edges": [_edge(edge) for edge in diagram.edges],
        "frames": [_frame(frame) for frame in diagram.frames],
    }


def _node(node: Node) -> dict[str, Any]:
    values = [_value(shown) for shown in node.shown]
    return {
        "id": node.id,
        "kind": node.kind,
        "lane": node.lane,
        "column": node.column,
        "name": node.name,
        "block": node.block,
        "of": node.of,
        "formulas": [plain(line) for line in node.lines],
        "remark": node.remark,
        "table": [[plain(cell) for cell in row] for row in node.table],
        "mark": node.mark,
        "value": values[0] if values else None,
        "values": values,
    }


def _edge(edge: Edge) -> dict[str, Any]:
    return {
        "id": edge.id,
        "kind": edge.kind,
        "tail": edge.tail,
        "head": edge.head,
        "values": [_value(shown) for shown in edge.shown],
    }


def _frame(frame: Frame) -> dict[str, Any]:
    return {"id": frame.id, "name": frame.name, "nodes": list(frame.nodes)}


def _value(shown: Shown) -> dict[str, Any]:
    known = bool(shown.dtype)
    value: dict[str, Any] = {
        "name": shown.key,
        "label": plain(shown.name),
        "shape": list(shown.shape) if known else None,
        "dtype": shown.dtype or None,
        "state": shown.state,
    }
    array = shown.data
    if array is None:
        return value
    if array.size <= MOST or array.dtype.kind not in NUMERIC:
        return value | {"data": strict(array.tolist()) if array.size <= MOST else None}
    found = statistics(np.abs(array) if array.dtype.kind == "c" else array)
    plain_numbers = {k: v.item() if hasattr(v, "item") else v for k, v in found.items()}
    empty = {"min": None, "mean": None, "max": None}
    return value | {"summary": strict(empty | plain_numbers)}


def strict(value: Any) -> Any:
    """A value with nothing in it that JSON does not know.

    >>> strict([1.5, float("nan"), -float("inf"), 1 + 2j])
    [1.5, 'NaN', '-Infinity', {'real': 1.0, 'imag': 2.0}]
    """
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    if isinstance(value, complex):
        return {"real": strict(value.real), "imag": strict(value.imag)}
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
