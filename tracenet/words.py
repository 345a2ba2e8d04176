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

GRADIENT = re.compile(
    r"d|d(?!(im|ot|ev|en|ic|ct|ay|ir|ec|iv|oc|el|ur|st)s?(_|$))"
    r"([A-Z_].*|[a-z]{1,3}\d*(_.*)?|(out|next|prev|h|prob|score|loss|value|input|y|gamma|beta|weight"
    r"|bias|mean|var|std|sigma).*)"
    r"|.*(grad|delta).*|(.*_)?diffs?(_.*)?|g|upstream.*|(output_)?error|nabla_.*"
)
"""Names of gradients: `d`, `dZ`, `dout`, `dnext_h`, `grad_output`, `delta`, `nabla_w`; `dim` is none."""

GRADIENTS = re.compile(r"(.*_)?(grads?|gradients?|deltas|nablas?)(_.*)?", re.IGNORECASE)
"""Names of what holds gradients under the names of the parameters: `grads["W1"]` is dW1."""

STATE = re.compile(r"[ahcs](_?prev|_?0|_?t)?|(.*_)?(hidden|cell|memory|state)s?(_.*)?")
"""Names of what a recurrent network remembers: an object of it holds that beside its parameters."""
