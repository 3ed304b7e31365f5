"""What is said about mistakes."""

from __future__ import annotations

from edgews.edge.config.faults import ConfigError, Fault, fault_of, key_of

TEXT = "a = 1\n[[b]]\nc = 2\n"


def test_keys_are_written_as_people_do():
    assert key_of(("route", 0, "origins", 1)) == "route[0].origins[1]"
    assert key_of(()) == ""


def test_each_kind_of_mistake():
    assert fault_of(
        TEXT, {"type": "extra_forbidden", "loc": ("b", 0, "c")}, lambda path: ["d", "e"]
    ) == Fault(3, "b[0].c", "no such key here; known are d, e")
    assert fault_of(TEXT, {"type": "missing", "loc": ("b", 0, "d")}, list) == Fault(
        2, "b[0].d", "this key is missing"
    )
    details = {"type": "less_than", "loc": ("a",), "ctx": {"lt": 1.0}, "msg": "no"}
    assert fault_of(TEXT, details, list) == Fault(1, "a", "expected less than 1")
    assert (
        fault_of(TEXT, {"type": "other", "loc": ("a",), "msg": "a wish"}, list).expected == "expected a wish"
    )


def test_an_error_has_a_line_for_each():
    error = ConfigError("x.toml", [Fault(3, "a", "expected b"), Fault(0, "", "cannot be read")])
    assert str(error) == "x.toml:3: a: expected b\nx.toml: cannot be read"
