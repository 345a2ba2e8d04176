"""What tracenet knows of each operation: one entry in one file of this room.

    elementwise  comparison  linear  reduce  shape  joining  indexing  writing

Importing the room fills the table.
"""

from . import comparison, elementwise, indexing, joining, linear, reduce, shape, writing
from .joining import pieces
from .table import ADAPT, BY_NAME, FOREIGN, METHODS, MIXING, RULES, Rule, unbroadcast

__all__ = [
    "ADAPT", "BY_NAME", "FOREIGN", "METHODS", "MIXING", "RULES", "Rule", "comparison", "elementwise",
    "indexing", "joining", "linear", "pieces", "reduce", "shape", "unbroadcast", "writing",
]  # fmt: skip
