"""The published worked examples in tests/truths, as arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

TRUTHS = Path(__file__).parent / "truths"


def truth(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and expected outputs of one example; lists are arrays, numbers stay numbers."""
    data = json.loads((TRUTHS / f"{name}.json").read_text())
    plain = lambda table: {
        k: np.array(v, dtype=float) if isinstance(v, list) else v for k, v in table.items()
    }
    return plain(data["inputs"]), plain(data["expected"])


def close(got: Any, expected: Any) -> None:
    """Equal to 1e-12, relative; absolutely where the expected value is zero."""
    np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-12, atol=1e-15)
