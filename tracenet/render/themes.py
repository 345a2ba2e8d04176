"""The themes that are built in: the colours of each role, for light ground and for dark."""

from __future__ import annotations

from collections.abc import Mapping

from .theme import KINDS, ROLES, Theme


def _kind(name: str, line: str, ground: str, cell: str) -> dict[str, str]:
    return {name: line, f"{name}-ground": ground, f"{name}-cell": cell}


LIGHT: Mapping[str, str] = ROLES

DARK: Mapping[str, str] = {
    "paper": "#0d1117", "text": "#e6edf3", "quiet": "#a9b3bd", "struck": "#949da6",
    "faint": "#6e7781", "alarm": "#ffa198", "alarm-cell": "#5a1a1f", "right": "#56d364",
    "scaled": "#e3b341", "frame": "#768390", "frame-ground": "#151b23",
    "plain-ground": "#1c2128", "plain-cell": "#333a42",
    **_kind("forward", "#4fb0f0", "#0f2536", "#17405f"),
    **_kind("cache", "#d4b13f", "#252005", "#463c0c"),
    **_kind("loss", "#3fb950", "#0f2a17", "#1a4828"),
    **_kind("backward", "#ff8a4c", "#2f1a0e", "#5a2d12"),
    **_kind("update", "#b18cff", "#221838", "#3c2b63"),
    "heat-least": "#4fb0f0", "heat-zero": "#1c2128", "heat-most": "#ff8a4c",
}  # fmt: skip

CS231N = Theme(
    "cs231n",
    {
        **LIGHT, "alarm": "#86108a", "alarm-cell": "#f5d9f6",
        **_kind("forward", "#128012", "#f0faf0", "#cdeccd"),
        **_kind("loss", "#128012", "#ffffff", "#cdeccd"),
        **_kind("cache", "#57606a", "#f6f8fa", "#e1e4e8"),
        **_kind("backward", "#cc0000", "#fdf2f2", "#fad4d4"),
    },
    {
        **DARK, "alarm": "#f0a6f3", "alarm-cell": "#4f1d52",
        **_kind("forward", "#4cc04c", "#0d260d", "#184718"),
        **_kind("loss", "#4cc04c", "#0d1117", "#184718"),
        **_kind("cache", "#a9b3bd", "#1c2128", "#333a42"),
        **_kind("backward", "#ff7070", "#301213", "#5c1f20"),
    },
    {"cache": "5 3"},
)  # fmt: skip
"""Values green and gradients red, as on the slides of Stanford's CS231n."""

NG = Theme(
    "ng",
    {
        **LIGHT, "text": "#000000", "alarm": "#86108a", "alarm-cell": "#f5d9f6",
        "plain-ground": "#ffffff", "plain-cell": "#ececec",
        **_kind("forward", "#000000", "#ffffff", "#ececec"),
        **_kind("loss", "#000000", "#ffffff", "#ececec"),
        **_kind("cache", "#57606a", "#ffffff", "#ececec"),
        **_kind("backward", "#d00000", "#ffffff", "#fbdada"),
        **_kind("update", "#d00000", "#ffffff", "#fbdada"),
    },
    {
        **DARK, "text": "#ffffff", "alarm": "#f0a6f3", "alarm-cell": "#4f1d52",
        "plain-ground": "#0d1117", "plain-cell": "#2d333b",
        **_kind("forward", "#ffffff", "#0d1117", "#2d333b"),
        **_kind("loss", "#ffffff", "#0d1117", "#2d333b"),
        **_kind("cache", "#a9b3bd", "#0d1117", "#2d333b"),
        **_kind("backward", "#ff6b6b", "#0d1117", "#5c1f20"),
        **_kind("update", "#ff6b6b", "#0d1117", "#5c1f20"),
    },
    {"cache": "5 3"},
)  # fmt: skip
"""Forwards black and backwards red, as Andrew Ng writes on his slides."""


def _grey(
    paper: str, text: str, quiet: str, line: str, cell: str, alarm_cell: str
) -> dict[str, str]:
    """One ink: every line and every letter of it, grey for what comes second."""
    found = dict.fromkeys(ROLES, text)
    for kind in ("plain", *KINDS):
        found |= {f"{kind}-ground": paper, f"{kind}-cell": cell}
    found |= {"paper": paper, "quiet": quiet, "struck": quiet, "faint": line, "frame": line}
    return found | {"frame-ground": paper, "alarm-cell": alarm_cell}


MONO = Theme(
    "mono",
    _grey("#ffffff", "#000000", "#4d4d4d", "#8a8a8a", "#ebebeb", "#c4c4c4")
    | {"heat-least": "#ffffff", "heat-zero": "#a6a6a6", "heat-most": "#000000"},
    _grey("#000000", "#ffffff", "#b8b8b8", "#7d7d7d", "#262626", "#595959")
    | {"heat-least": "#000000", "heat-zero": "#666666", "heat-most": "#ffffff"},
    {"backward": "7 3", "alarm": "3 1.5", "cache": "1.5 3", "update": "9 3 1.5 3"},
)
"""For print: lines are whole forwards, dashed backwards, and dotted where they lead to a cache."""

THEMES = {
    "default": Theme("default", LIGHT, DARK),
    "cs231n": CS231N,
    "ng": NG,
    "mono": MONO,
}
