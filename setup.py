"""What pyproject.toml has no words for: operators and core that are compiled into a wheel.

    MHDNN_SHIP="x86-64-v3 x86-64-v4" python -m build --wheel --no-isolation

compiles them with the torch of this environment, for levels of `mhdnn.kernels.shipped`. Without the variable the wheel
is for any machine, and the they are compiled on first use.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

LEVELS = os.environ.get("MHDNN_SHIP", "").split()


class BuildWithOperators(build_py):
    """The modules, and a library for each level beside them."""

    def run(self) -> None:
        super().run()
        if LEVELS and not self.editable_mode:
            sys.path.insert(0, str(Path(__file__).parent))
            from mhdnn.deploy import core_library
            from mhdnn.kernels import build

            folder = Path(self.build_lib) / "mhdnn/kernels/compiled"
            for level in LEVELS:
                build.build_for_wheel(level, folder)
                core_library.build_for_wheel(level, folder)


class WheelOfAnyPython(bdist_wheel):
    """The libraries contain no Python: one wheel is for all versions of it."""

    def get_tag(self) -> tuple[str, str, str]:
        _, _, machine = super().get_tag()
        return ("py3", "none", machine)


class MaybeBinary(Distribution):
    """For one kind of machine if it has libraries."""

    def has_ext_modules(self) -> Any:
        return bool(LEVELS)


setup(distclass=MaybeBinary, cmdclass={"build_py": BuildWithOperators, "bdist_wheel": WheelOfAnyPython})
