"""Collect no test of rules where the evaluator is not installed; `script/test` then says so."""

from __future__ import annotations

from importlib.util import find_spec

NEED_THE_EXTRA = ["test_cel.py", "test_expressions.py", "test_fields.py", "test_policies.py", "test_rules.py"]

collect_ignore = [] if find_spec("cel") and find_spec("re2") else NEED_THE_EXTRA
