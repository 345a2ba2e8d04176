"""The one thing that pyproject.toml cannot say: the compiled part may fail to build.

tracenet works without it, and is slower where arrays are small. Python without its global lock
gets none: importing it would bring the lock back.
"""

import sysconfig

from setuptools import Extension, setup

compiled = Extension("tracenet._speedups", ["tracenet/_speedups.c"], optional=True)
setup(ext_modules=[] if sysconfig.get_config_var("Py_GIL_DISABLED") else [compiled])
