"""What an array that comes in is, going by its name and by what holds it.

An array is a *parameter*, or an *input*: data, and what training keeps beside the parameters
(gradients, moments of an optimizer, running averages). The names are those that public code uses.
"""

from __future__ import annotations

import re
from functools import lru_cache

PARAMETER = re.compile(
    r"([WwbBUVk]|[wb]h?h?[ioxyhfcgqkv]?|W[a-z]{1,3}|b[a-z]|[Tt]heta|gamma|beta|syn|synapse|[wb]_?out|"
    r"(\w+_)?(weights?|bias(es)?)(_\w+)?|kernels?|filters?|params?|parameters?|embeddings?|"
    r"w[a-z]{1,2})[\d_]*"
)
"""Names that are parameters wherever they stand: W1, b, Wxh, gamma, weights2."""

_SET = r"(train|training|test|testing|valid|validation|mini)_"
DATA = re.compile(
    rf"([XxYyTt]|x0|xs|ys|[xy]_.*|[XY]_.*|{_SET}([xyXY]|set)"
    rf"|(last_|{_SET})?(inputs?|targets?|labels?|data|images?|batch|outputs?))\d*"
)
"""Names that are data even in a container: X, y_train, labels, training_data, mini_batch."""

_GRADIENT = r"[dm][A-Z]\w*|mb[a-z]?|(\w+_)?(grads?|gradients?|diffs?)(_\w+)?"
_MOMENT = (
    r"[mvs]|[mv][wbg](_hat)?|[mvsrg]_?(hat|t|corrected|dw|db)|[vs]d[A-Za-z]\w*|velocit(y|ies)(_\w+)?|(\w+_)?momentums?"
    r"|moments?\d?|(\w+_)?(caches?|memory|accumulators?)|(exp_)?avg_?sq"
)
_AVERAGE = (
    r"(running|moving|global|ema|r|rm|avg|bn)\w*_(mean|var|std|variance|avg|average|mu|inv_std)s?"
)
STATE = re.compile(rf"{_GRADIENT}|eta|lr|learning_rate|running_\w+|{_MOMENT}|{_AVERAGE}")
"""Names of what training keeps beside the parameters, or of what holds it: dW, v_hat, bn1_mean."""

RATE = re.compile(
    r"eta|lr|alpha|epsilon|eps|rho|lambda_?|lambd|lmbda|reg|tau|temperature|(\w+_)?(rate|momentum|decay)"
    r"|(learning|l)_?rate\w*|keep_prob|dropout\w*|beta_?[12]|(\w+_)?(prob|strength)"
)
"""Names of single numbers that are chosen, not learned: eta, learning_rate, keep_prob."""


@lru_cache(maxsize=4096)
def role(name: str, contained: bool | None, floating: bool, single: bool = False) -> str:
    """The role of an array by its name.

    contained: whether it stands in a container, so likely is a parameter; None: in one that holds
    state. single: whether it is one number.
    """
    base = name.partition("[")[0]
    if not floating or contained is None or DATA.fullmatch(base):
        return "input"
    if single and RATE.fullmatch(base):
        return "constant"
    if contained and STATE.fullmatch(base):
        return "input"
    return "parameter" if contained or PARAMETER.fullmatch(base) else "input"


@lru_cache(maxsize=4096)
def holds_state(name: str) -> bool:
    """Whether a container of this name holds state, as `grads` does, and the `v` of Adam."""
    return bool(STATE.fullmatch(name.partition("[")[0]))
