"""The extension that cffi builds from csrc/; it may be missing."""

from typing import Any

ffi: Any
lib: Any
