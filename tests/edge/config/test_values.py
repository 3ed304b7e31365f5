"""What single keys may have."""

from __future__ import annotations

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from edgews.edge.config import values
from edgews.edge.config.values import parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("[::1]:0", ("::1", 0)),
        (":8080", ("", 8080)),
        ("example.com:65535", ("example.com", 65535)),
        ("unix:/run/x", "/run/x"),
    ],
)
def test_addresses(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "80", "a:65536", "a:-1", "a:b", "::1:80", "unix:x", "a:٣", "a:"])
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match="host:port"):
        parse_address(text)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (values.Address, [":80", "unix:/run/x"], ["80", 80]),
        (values.Host, ["example.com", "*.example.com", "[::1]"], ["exa mple", "*", "a.*.b"]),
        (values.Path, ["/", "/chat", "/a/b/"], ["chat", "/a//b", "/a?b", "/%61", "/a/../b", "/a/*"]),
        (values.LogText, ["-", "off", "/var/log/x"], ["", 1]),
        (
            values.FieldValues,
            [{}, {"X-A": "1", "Y": ""}],
            [{"X A": "1"}, {"X": " 1"}, {"X": "\xe9"}, {"X": 1}],
        ),
        (values.OriginText, ["ws://a:1", "wss://a", "unix:/run/x"], ["http://a", "ws://a/path"]),
        (values.HeaderPrefix, ["X-Edgews-"], ["X", "X Y-", "-\r-"]),
        (values.Seconds, [0.5, 1], [0, -1, "1", 1e9, float("nan")]),
        (values.MaybeSeconds, [0.5, "off"], [0, "on"]),
        (values.Size, [1, 1 << 40], [0, 1.5, (1 << 40) + 1]),
    ],
)
def test_kinds(kind, good, bad):
    adapter = TypeAdapter(kind)
    for value in good:
        adapter.validate_python(value)
    for value in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(value, strict=True)


def test_what_values_become():
    assert TypeAdapter(values.Host).validate_python("Example.COM") == "example.com"
    assert TypeAdapter(values.MaybeSeconds).validate_python("off") is None


class Inner(values.Table):
    a: int = 0


class Outer(values.Table):
    one: Inner | None = None
    many: list[Inner] = Field(default_factory=list)
    named: dict[str, Inner] = Field(default_factory=dict, alias="by name")


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        (("x",), ["one", "many", "by name"]),
        (("one", "x"), ["a"]),
        (("many", 3, "x"), ["a"]),
        (("by name", "whatever", "x"), ["a"]),
    ],
)
def test_the_keys_of_the_table_that_a_path_leads_into(path, keys):
    assert values.known_keys(Outer, path) == keys
