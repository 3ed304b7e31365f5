"""What is said about mistakes."""

from __future__ import annotations

import pytest

from edgews.edge.config.faults import ConfigError, Fault, fault_of, key_of, read_text

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


KEYS = {(): ["route", "workers", "hosts"], ("route",): ["origins", "path"]}


def known(path):
    names = tuple(step for step in path[:-1] if isinstance(step, str))
    if names not in KEYS:
        raise ValueError("no table")
    return KEYS[names]


@pytest.mark.parametrize(
    ("kind", "path", "says"),
    [
        (
            "extra_forbidden",
            ("route", 0, "origin"),
            "no such key here; did you mean origins? Known are origins, path",
        ),
        (
            "extra_forbidden",
            ("route", 0, "workers"),
            "no such key here; workers belongs to the top of the file, above all tables. "
            "Known are origins, path",
        ),
        ("extra_forbidden", ("colour",), "no such key here; known are route, workers, hosts"),
        ("missing", ("route",), "this key is missing: there has to be a [[route]]"),
        ("missing", ("workers",), "this key is missing"),
        ("missing", ("route", 0, "origins"), "this key is missing"),
        ("list_type", ("route",), "expected tables, each below a [[route]]"),
        ("list_type", ("hosts",), "expected a list"),
        ("list_type", ("route", 0, "origins"), "expected a list"),
    ],
)
def test_what_somebody_may_have_meant(kind, path, says):
    assert fault_of(TEXT, {"type": kind, "loc": path, "msg": ""}, known).expected == says


def test_an_error_has_a_line_for_each():
    error = ConfigError("x.toml", [Fault(3, "a", "expected b"), Fault(0, "", "cannot be read")])
    assert str(error) == "x.toml:3: a: expected b\nx.toml: cannot be read"


def test_a_table_with_a_name_that_is_none():
    details = {"type": "value_error", "loc": ("b", "x y", "[key]"), "ctx": {"error": "a name"}, "msg": ""}
    assert fault_of(TEXT, details, list).key == "b.x y"


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "x"
    path.write_text("é", encoding="utf-8")
    assert read_text(path, "TOML") == "é"
    path.write_bytes(b"\n\xe9")
    with pytest.raises(ConfigError, match=r"x:2: TOML is written in UTF-8"):
        read_text(path, "TOML")
    with pytest.raises(ConfigError, match=r"none: cannot be read: No such file"):
        read_text(tmp_path / "none", "TOML")
