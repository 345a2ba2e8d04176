"""What tracenet knows of each operation: one entry in one file of this room.

    elementwise  special  comparison  linear  convolving  reduce  shape  joining  indexing  writing

Importing the room fills the table.
"""

from . import (
    comparison,
    convolving,
    elementwise,
    indexing,
    joining,
    linear,
    reduce,
    shape,
    special,
    writing,
)
from .joining import pieces
from .table import ADAPT, BY_NAME, FOREIGN, METHODS, MIXING, RULES, AtPlaces, Rule, unbroadcast

__all__ = [
    "ADAPT", "BY_NAME", "FOREIGN", "METHODS", "MIXING", "RULES", "AtPlaces", "Rule", "comparison",
    "convolving", "elementwise", "indexing", "joining", "linear", "pieces", "reduce", "shape", "special",
    "unbroadcast", "writing",
]  # fmt: skip
