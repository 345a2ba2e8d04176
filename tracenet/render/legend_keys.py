"""What a legend says: the kinds of boxes, arrows and values in one picture, and of no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..diagram import PARAMETER_LANE, Diagram, Edge, Node, plain
from . import label, palette

IN_ROWS = ("blocks", "network", "cache", "ops")

BOXES = {
    "input": "data",
    "parameter": "parameters",
    "value": "value",
    "forward": "forward block",
    "loss": "loss",
    "cache": "cache: what the forward block keeps",
    "backward": "backward block",
    "gradient": "gradients that come out",
    "update": "update of parameters",
}
OTHERWISE = {
    "network": {"forward": "layer, with its parameters"},
    "ops": {"forward": "operation", "backward": "its mirror in the backward pass"},
    "circuit": {"forward": "gate", "loss": "gate that gives the loss"},
}
"""What boxes are in other views than that of blocks."""
LANES = ("parameters", "forward →", "cache", "← backward", "gradients", "updates")
STATES = {
    "not differentiable": "of whole numbers: there is no gradient",
    "constant": "array made in the code, no input",
    "random": "drawn by chance, and the same in both passes",
    "NaN": "an element is no number",
    "infinite": "an element is infinite",
}
VERDICTS = {
    "right": "as the derivative of the forward block",
    "scaled": "off by a factor",
    "wrong": "not the derivative of the forward block",
    "unchecked": "could not be checked",
}


@dataclass(frozen=True, slots=True)
class Key:
    """A line of the legend. look: what is drawn before the text; sort, colour: of what kind."""

    look: str
    text: str
    sort: str = ""
    colour: str = ""
    dash: str = ""


def keys(diagram: Diagram) -> dict[str, list[Key]]:
    """What is in a picture, under the headings Boxes, Arrows, Values, Check and Rows.

    In a circuit, these are Gates and Wires.
    """
    circuit = diagram.view == "circuit"
    found = {
        "Gates" if circuit else "Boxes": list(_boxes(diagram)),
        "Wires" if circuit else "Arrows": list(_arrows(diagram)),
        "Values": list(_values(diagram)),
        "Check": list(_verdicts(diagram)),
        "Rows": list(_rows(diagram)),
    }
    return {heading: items for heading, items in found.items() if items}


def _boxes(diagram: Diagram) -> Iterator[Key]:
    kinds = {node.kind for node in diagram.nodes if not label.is_struck(node)}
    look = "gate" if diagram.view == "circuit" else "box"
    if look == "gate":
        kinds &= {"forward", "loss"}  # what enters and leaves is a name without a box
    for kind, text in BOXES.items():
        if kind in kinds and not (kind == "parameter" and "input" in kinds):
            both = kind == "input" and "parameter" in kinds  # they look the same
            words = OTHERWISE.get(diagram.view, {}).get(kind, text)
            yield Key(look, "data and parameters" if both else words, kind)
    titles = [plain(node.title) for node in diagram.nodes]
    if any("×" in title and len(title) > 1 for title in titles if look == "box"):
        yield Key("words", "N equal blocks in one", "×N", palette.TEXT)
    if any(node.title and plain(node.title) == "⋯" for node in diagram.nodes):
        yield Key("words", "blocks that are left out", "⋯", palette.TEXT)


def _arrows(diagram: Diagram) -> Iterator[Key]:
    nodes = {node.id: node for node in diagram.nodes}
    if diagram.view == "circuit":
        if any(len(edge.shown) > 1 for edge in diagram.edges):
            yield Key("wire", "value over the wire, its gradient under it")
        elif diagram.edges:
            yield Key("wire", "value over the wire", "above")
        return
    seen = {_line(edge, nodes) for edge in diagram.edges}
    for (colour, dash), text in LINES.items():
        if (colour, dash) in seen:
            yield Key("arrow", text, "", colour, dash)
    loops = [edge for edge in diagram.edges if edge.tail == edge.head]
    if loops:
        colour, dash = _line(loops[0], nodes)
        yield Key("loop", "what each hands to the next", "", colour, dash)


def _line(edge: Edge, nodes: dict[str, Node]) -> tuple[str, str]:
    return label.edge_colour(edge, nodes), "5 3" if label.is_dashed(edge, nodes) else ""


LINES = {
    (palette.GREY, ""): "what a block is given",
    (palette.EDGES["data"].border, ""): "values, forward",
    (palette.EDGES["cache"].border, ""): "what is kept",
    (palette.EDGES["cache"].border, "5 3"): "what is kept, read backward",
    (palette.EDGES["gradient"].border, ""): "gradients, backward",
    (palette.STRUCK_ARROW, ""): "to what was not computed",
}


def _values(diagram: Diagram) -> Iterator[Key]:
    parts: tuple[Node | Edge, ...] = (*diagram.nodes, *diagram.edges)
    shown = [item for part in parts for item in part.shown]
    if any(item.heat for item in shown):
        yield Key("heat", "elements from −max to max, on one scale for arrays of a kind")
        if any(x is None for item in shown for row in item.heat for x in row):
            yield Key("ground", "NaN", "", palette.HEAT_NAN)
    if any(item.bars for item in shown):
        yield Key("bars", "how many elements are how large, from min to max")
    if any(item.image for item in shown):
        yield Key("image", "a picture as it is")
    if any(item.state == "not computed" for item in shown):
        yield Key("struck", "not computed, and not zero", "dX", palette.STRUCK)
    if any("0" in row for item in shown for row in item.grid):
        yield Key("words", "zero exactly", "0", palette.TEXT)
    for state, text in STATES.items():
        if any(item.state == state for item in shown):
            alarm = state in ("NaN", "infinite")
            sign = {"NaN": "NaN", "infinite": "∞"}.get(state, state)
            colour = palette.ALARM_TEXT if alarm else palette.QUIET
            yield Key("words", text, sign, colour)


def _verdicts(diagram: Diagram) -> Iterator[Key]:
    marks = {node.mark for node in diagram.nodes}
    for mark, text in VERDICTS.items():
        if mark in marks:
            yield Key("words", text, mark, palette.MARKS[mark])


def _rows(diagram: Diagram) -> Iterator[Key]:
    if diagram.view in IN_ROWS:
        lanes = sorted({node.lane for node in diagram.nodes})
        if len(lanes) > 1:
            yield Key("", "from the top:")
            above = {node.kind for node in diagram.nodes if node.lane == PARAMETER_LANE}
            for lane in lanes:
                given = lane == PARAMETER_LANE and "parameter" not in above
                if lane < len(LANES):
                    yield Key("", BOXES["input"] if given else LANES[lane])
