"""What pyproject.toml cannot say: whether to build the extension, and for which ABI."""

import os
import sys
import sysconfig
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

WISH = os.environ.get("EDGEWS_BUILD_EXTENSION") or "auto"
if WISH not in ("yes", "no", "auto"):
    raise SystemExit(f"EDGEWS_BUILD_EXTENSION is {WISH!r}; use yes, no or auto")

# Neither the free-threaded nor the debug interpreter has the stable ABI, so their wheels are their own.
STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED") and not hasattr(sys, "gettotalrefcount")


class BuildExtension(build_ext):
    """Say which wish failed. With `auto` the extension is optional and build_ext only warns."""

    def run(self) -> None:
        try:
            super().run()
        except (BaseError, CCompilerError) as error:
            raise SystemExit(
                f"EDGEWS_BUILD_EXTENSION is {WISH!r}, but the extension cannot be built: {error}\n"
                "Install a C compiler, or set EDGEWS_BUILD_EXTENSION to no or auto."
            ) from error


class BuildWheel(bdist_wheel):
    """Tag the wheel by what is in it: without the extension it is pure Python."""

    def get_tag(self) -> tuple[str, str, str]:
        built = Path(self.bdist_dir or ".", "edgews").glob("_kernels.*")
        if not any(path.suffix in (".so", ".pyd") for path in built):
            self.root_is_pure = True
        return super().get_tag()


if WISH == "no":
    setup()
else:
    setup(
        cffi_modules=["csrc/build_kernels.py:ffibuilder"],
        cmdclass={"build_ext": BuildExtension, "bdist_wheel": BuildWheel},
        options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE_ABI else {},
    )
