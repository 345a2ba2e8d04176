"""The one thing that pyproject.toml cannot say: the compiled part may fail to build.

tracenet works without it, and is slower where arrays are small. Python without its global lock
gets none: importing it would bring the lock back.
"""

import sysconfig
from pathlib import Path

from setuptools import Extension, setup

folder = Path("tracenet", "speedups")
compiled = Extension(
    "tracenet._speedups",
    [str(folder / "module.c")],
    depends=[str(part) for part in sorted(folder.glob("*.h"))],
    optional=True,
)
setup(ext_modules=[] if sysconfig.get_config_var("Py_GIL_DISABLED") else [compiled])
