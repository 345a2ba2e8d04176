"""A theme from a TOML file: tables `light`, `dark` and `dash` over those of a theme it `extends`."""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .theme import DASHED, ROLES, Theme, faults, named

COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
DASH = re.compile(r"|\d+(\.\d+)?( \d+(\.\d+)?)*")
KEYS = ("extends", "light", "dark", "dash")


def read(path: Path) -> Theme:
    """The theme in a file. What it does not say is as in the theme that it extends, `"default"`.

    Raises UsageError for a file that is not there or is no TOML, and for keys and values that mean
    nothing. Text below a contrast of 4.5 to 1 and lines below 3 to 1 give one warning.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the theme {str(path)!r} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the theme {str(path)!r} is no TOML: {error}") from None
    _known(path, "", found, KEYS)
    base = found.get("extends", "default")
    if not isinstance(base, str) or base.lower().endswith(".toml"):
        raise UsageError(f"{path}: extends must name a theme that is built in, got {base!r}")
    under = named(base)
    theme = Theme(
        path.stem,
        {
            **under.light,
            **_table(path, found, "light", tuple(ROLES), COLOUR, "a colour, '#1f2328'"),
        },
        {**under.dark, **_table(path, found, "dark", tuple(ROLES), COLOUR, "a colour, '#1f2328'")},
        {**under.dash, **_table(path, found, "dash", DASHED, DASH, "points, '6 3', or ''")},
    )
    _warn(path, theme)
    return theme


def _table(
    path: Path, found: Mapping[str, Any], name: str, keys: tuple[str, ...], form: re.Pattern[str],
    expected: str,
) -> dict[str, str]:  # fmt: skip
    table = found.get(name, {})
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {name} must be a table, [{name}], got {table!r}")
    _known(path, f"{name}.", table, keys)
    for key, value in table.items():
        if not isinstance(value, str) or not form.fullmatch(value):
            raise UsageError(f"{path}: {name}.{key} must be {expected}, got {value!r}")
    return table


def _known(path: Path, prefix: str, found: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in found:
        if key not in keys:
            raise UsageError(f"{path}: unknown key {prefix}{key}: there are {', '.join(keys)}")


def _warn(path: Path, theme: Theme) -> None:
    hard = list(faults(theme))
    if hard:
        ground, front, behind, contrast, least = min(hard, key=lambda fault: fault[3] / fault[4])
        more = f", and {len(hard) - 1} more" if len(hard) > 1 else ""
        warnings.warn(
            f"{path} is hard to read: {ground}.{front} on {ground}.{behind} has a contrast of "
            f"{contrast:.1f} to 1, below {least}{more}",
            stacklevel=2,
        )
