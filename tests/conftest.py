"""The same examples on every run, and programs in files of their own."""

import sys
import textwrap

import pytest
from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Writes the files of a program, and forgets its modules afterwards."""
    known = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("import numpy as np\n" + textwrap.dedent(text))
        return tmp_path

    yield write
    for name in set(sys.modules) - known:
        if getattr(sys.modules[name], "__file__", None) is None or str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]
