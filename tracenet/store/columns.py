"""Records as columns of JSON, and back.

A column of text is kept as the texts that there are and which of them each record has: most ops
have the rule, the file and the statement of another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar

Record = TypeVar("Record")


def columns(kind: type, records: list[Any], without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The columns of records of one kind, but for those that are kept in another way."""
    found: dict[str, Any] = {}
    for name, type_ in _columns(kind, without):
        column = list(map(attrgetter(name), records))
        found[name] = _texts(column) if type_ == "str" else column
    return found


def records(kind: type[Record], table: dict[str, Any], **others: Iterable[Any]) -> list[Record]:
    """The records that columns were made of. others: the columns that were kept in another way."""
    every: dict[str, Iterable[Any]] = dict(others)
    for name, type_ in _columns(kind, tuple(others)):
        column = table[name]
        if type_ == "str":
            texts = column["texts"]
            column = [texts[i] for i in column["which"]]
        elif type_.startswith("tuple"):
            column = map(tuple, column)
        every[name] = column
    in_order = [every[field.name] for field in fields(kind)]  # type: ignore[arg-type]
    return [kind(*row) for row in zip(*in_order, strict=True)]


def _columns(kind: type, without: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(field.name, str(field.type)) for field in fields(kind) if field.name not in without]


def _texts(column: list[str]) -> dict[str, Any]:
    number: dict[str, int] = {}
    which = [number.setdefault(text, len(number)) for text in column]
    return {"texts": list(number), "which": which}
