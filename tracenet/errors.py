"""Every error that tracenet raises, and the tree that they make.

    TracenetError
    ├── UsageError            a call or a command that cannot mean anything: wrong name, suffix, view
    ├── LoadError             a file that is not there, that Python cannot parse, or a damaged trace
    ├── RecordError           a step that cannot be recorded as it was asked for
    ├── GradientError         a gradient that does not exist, or was not computed
    │   └── NoRuleError       … because an operation has no backward rule
    └── EngineError           a picture too large for its format; Graphviz, asked for, is missing

What the traced code raises stays the user's own exception, with a note of block and shapes, and the
trace up to there as its ``tracenet_trace``.

Warnings: ``LeftTraceWarning`` where a value leaves the trace inside foreign code.

A message says what was got, what was expected, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable


class TracenetError(Exception):
    """The base of all errors of tracenet."""


class UsageError(TracenetError, ValueError):
    """A call that cannot mean anything: an unknown name, suffix, view or option."""


class LoadError(UsageError):
    """A file that is not there, that Python cannot parse, or that is not a whole saved trace."""


class RecordError(TracenetError):
    """A step that cannot be recorded as it was asked for."""


class GradientError(TracenetError):
    """A gradient that does not exist or was not computed."""


class NoRuleError(GradientError):
    """A gradient that needs the backward rule of an operation that has none."""


class EngineError(TracenetError):
    """A picture is too large for its format, or Graphviz, asked for, is missing or refuses it."""


class LeftTraceWarning(UserWarning):
    """A value left the trace inside code that tracenet does not see."""


def unknown(what: str, got: object, choices: Iterable[object]) -> UsageError:
    """The error for a choice that does not exist; it lists those that do.

    >>> print(unknown("view", "tow-row", ["blocks", "ops"]))
    unknown view 'tow-row': choose one of 'blocks', 'ops'
    """
    listed = ", ".join(repr(choice) for choice in choices)
    return UsageError(f"unknown {what} {got!r}: choose one of {listed}")
