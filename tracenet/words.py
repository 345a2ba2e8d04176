"""What teaching code calls things, where tracenet goes by their names."""

from __future__ import annotations

import re

FORWARD_METHODS = ("forward", "forward_pass", "fprop", "call")
"""Methods that are drawn as their class, without underscores."""

LOSS = re.compile(
    r"(.*_)?(loss|cost|error|err|nll|mse|objective|cross_entropy|criterion)(_.*)?\d*|J|L|E|C|H",
    re.IGNORECASE,
)
"""Names of a loss, where it is a scalar."""
