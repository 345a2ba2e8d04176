"""Python's search for cyclic garbage, and when it is left off."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_search_for_cycles() -> Iterator[None]:
    """Leaves garbage to reference counts for a while; a decorator, too.

    Records and pictures are a great many small objects and no cycle among them; Python would look
    for cycles again and again while they are made, which takes as long as the work itself.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
