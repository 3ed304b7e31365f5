"""Describe the extension `edgews._kernels` to cffi (API mode).

The header is the only place where the kernels are declared: the part between
its two markers is what cffi parses.
"""

import os
import re
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent
HEADER = (HERE / "kernels.h").read_text()

# cffi gives the GIL away around every call. A kernel runs for microseconds at most on what one read brings;
# giving the GIL away costs a tenth of reading a short message, and invites a switch to another thread.
KEEP_GIL = """
#undef Py_BEGIN_ALLOW_THREADS
#undef Py_END_ALLOW_THREADS
#define Py_BEGIN_ALLOW_THREADS {
#define Py_END_ALLOW_THREADS }
"""

ffibuilder = FFI()
ffibuilder.cdef(HEADER.split("/* cffi: begin */")[1].split("/* cffi: end */")[0])
ffibuilder.set_source(
    "edgews._kernels",
    re.sub(r'^#include "kernels.h"$', lambda _: HEADER, (HERE / "kernels.c").read_text(), flags=re.M)
    + KEEP_GIL,
    # MSVC optimises with /O2 by itself and knows no -O3.
    extra_compile_args=[] if os.name == "nt" else ["-std=c99", "-O3"],
    optional=os.environ.get("EDGEWS_BUILD_EXTENSION", "auto") != "yes",
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
