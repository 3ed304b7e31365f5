"""How Sphinx builds these pages: `script/docs`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import edgews

project = "edgews"
author = "the authors of edgews"
copyright = "the authors of edgews, under the MIT licence"
version = release = edgews.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_inline_tabs",
    "names",
    "pages",
    "state_diagram",
]
exclude_patterns = ["_ext", "bench"]
myst_enable_extensions = ["colon_fence", "fieldlist"]
myst_heading_anchors = 3
# Of a page that is made of several files.
suppress_warnings = ["myst.header"]

html_theme = "furo"
html_title = f"edgews {version}"
html_static_path = ["_static"]
html_css_files = ["edgews.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "default"
pygments_dark_style = "github-dark"

# The docstrings: Google's style, with types in the signature alone.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "exclude-members": "__init__,__new__"}
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False
napoleon_use_ivar = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 100
add_module_names = False
toc_object_entries_show_parents = "hide"
# Backticks in a docstring are code, and a link where a name of edgews stands in them.
default_role = "py:obj"

# A reference that leads nowhere is an error, except to what others document (there is no net here) ...
nitpicky = True
nitpick_ignore_regex = [
    (r"py:\w+", r"(asyncio|collections|enum|socket|ssl|trio|types|typing)\..*"),
    (r"py:class", r"(bool|bytes|bytearray|float|int|str|tuple|list|set|dict|object|type|memoryview|None)"),
    (r"py:(class|exc)", r"(Exception|BaseException|OSError|RuntimeError|TimeoutError|TypeError|ValueError)"),
    # What connections have for it; for hints alone.
    (r"py:class", r"edgews\.broadcasting\.Receiver"),
    # ... and except code in the backticks of a docstring.
    (r"py:obj", r".*"),
]
