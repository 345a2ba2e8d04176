"""The one thing that pyproject.toml cannot say: the compiled part may fail to build.

tracenet works without it, and is slower where arrays are small.
"""

from setuptools import Extension, setup

setup(ext_modules=[Extension("tracenet._speedups", ["tracenet/_speedups.c"], optional=True)])
