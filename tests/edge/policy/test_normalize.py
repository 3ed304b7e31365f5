"""One spelling for each target: nothing that any server could read leads out of it."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.policy.normalize import Target, TargetError, host_name, is_host, is_under, normalize
from tests.cost import is_linear

# What attacks are made of.
PIECES = st.sampled_from(
    (
        *(
            "/",
            "//",
            ".",
            "..",
            ";",
            "%2e",
            "%2E",
            "%2f",
            "%5c",
            "%25",
            "%252e",
            "%3b",
            "%61",
            "%00",
            "%c0%ae",
        ),
        *("a", "chat", "admin", "\\", "~", "%7E", ":", "@", "?", "#", "%", "=", "%zz", "é", " "),
    )
)
targets = st.lists(PIECES, max_size=12).map(lambda pieces: "/" + "".join(pieces))


def accepted(target: str) -> Target | None:
    try:
        return normalize(target)
    except TargetError:
        return None


@given(targets)
def test_no_reading_of_what_is_forwarded_leads_elsewhere(target: str) -> None:
    """However often a server decodes, drops parameters, or takes a backslash for a slash."""
    found = accepted(target)
    if found is None:
        return
    seen = found.path
    for _ in range(6):
        segments = re.split(r"[/\\]", seen)
        for read in (segments, [segment.partition(";")[0] for segment in segments]):
            assert not {".", ".."} & set(read)
            assert "" not in read[1:-1]
        seen = unquote(seen, "latin-1")
    assert not re.search(r"[\x00-\x20\x7f#?]", found.path)


@given(targets)
def test_the_spelling_is_one(target: str) -> None:
    found = accepted(target)
    if found is not None:
        assert normalize(str(found)) == found
        assert found.path.startswith("/")
        assert not found.path.startswith("//")


@given(st.lists(st.sampled_from([".", "..", "a", "b", "c;x=1", "%41", "%7e"]), max_size=8), st.booleans())
def test_dot_segments_are_resolved_as_by_the_standard_library(segments: list[str], slash: bool) -> None:
    target = "/" + "/".join(segments) + "/" * (slash and bool(segments))
    plain = target.replace("%41", "A").replace("%7e", "~")
    path = normalize(target).path
    assert path == urljoin("http://h/", plain).removeprefix("http://h")
    assert path.rstrip("/") == posixpath.normpath(plain).rstrip("/")


@given(st.text(st.sampled_from("abAB09-._~!$&'()*+,=:@"), min_size=1).filter(lambda text: text.strip(".")))
def test_ordinary_paths_stay_as_they_are(name: str) -> None:
    assert str(normalize(f"/x/{name}?q={name}")) == f"/x/{name}?q={name}"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/chat", "/chat"),
        ("/chat/", "/chat/"),
        ("/chat/../admin", "/admin"),
        ("/chat/%2e%2E/admin", "/admin"),
        ("/chat/.%2e", "/"),
        ("/chat//../admin", "/admin"),
        ("//evil.example/x", "/evil.example/x"),
        ("/../../x", "/x"),
        ("/ch%61t", "/chat"),
        ("/a%2fb", "/a%2Fb"),
        ("/a;v=1/b", "/a;v=1/b"),
        ("/%e4%bd%a0", "/%E4%BD%A0"),
        ("/100%25", "/100%25"),
        # Encoded twice, and harmless however often it is decoded.
        ("/a%2541", "/a%2541"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
    ],
)
def test_spellings(target: str, path: str) -> None:
    assert normalize(target) == Target(path)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "*",
        "chat",
        "http://h/chat",
        "/chat#x",
        "/chat?x#y",
        "/chat\\..\\admin",
        "/chat/..;/admin",
        "/chat/..;x=1/admin",
        "/chat/.;/admin",
        "/chat/;/admin",
        "/;x/admin",
        "/chat/..%2fadmin",
        "/chat/%2fadmin",
        "/chat%2f..%2fadmin",
        "/chat/..%5cadmin",
        "/chat/%252e%252e/admin",
        "/chat/%25252e%25252e/admin",
        "/chat/%2525252e",
        "/chat/%2e%2e%3b/admin",
        "/a%00",
        "/a%0d%0ab",
        "/a%250d",
        "/a\nb",
        "/a b",
        "/a?b c",
        "/%",
        "/%g0",
        "/é",
        "/chat?é",
    ],
)
def test_refused(target: str) -> None:
    with pytest.raises(TargetError):
        normalize(target)


@pytest.mark.parametrize("query", ["", "a=1&b", "a=%zz%", "?", "a[]=1", "/../x", "{}|^`\\"])
def test_the_query_stays_as_it_came(query: str) -> None:
    assert normalize(f"/x?{query}") == Target("/x", query)
    assert str(normalize(f"/x?{query}")) == f"/x?{query}"


@pytest.mark.parametrize(
    ("path", "prefix", "under"),
    [
        ("/chat", "/chat", True),
        ("/chat/1", "/chat", True),
        ("/chats", "/chat", False),
        ("/chat/1", "/chat/", True),
        ("/chat", "/chat/", False),
        ("/anything", "/", True),
        ("/", "/chat", False),
    ],
)
def test_under_a_prefix(path: str, prefix: str, under: bool) -> None:
    assert is_under(path, prefix) is under


@pytest.mark.parametrize("piece", ["%25", "%2525", "%41", ";", "/..", "/", "/a;b", "%2f"])
def test_time_is_linear(piece: str) -> None:
    assert is_linear(lambda size: accepted("/a" + piece * size), 2000)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("Example.COM", "example.com"),
        ("example.com:8080", "example.com"),
        ("example.com.", "example.com"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("", ""),
    ],
)
def test_the_name_in_a_host_field(field, name):
    assert host_name(field) == name
    assert is_host(field)


@pytest.mark.parametrize(
    "field",
    [
        *("good@evil", "good:80@evil", "good:80:90", "good:x", "good evil", "good, evil", "good%2eevil"),
        *("good/evil", "good?", "good#", "good\\evil", "g\x9bod", "g\xf6od", "[::1]evil", "[good]", "[::1"),
    ],
)
def test_a_host_field_that_servers_read_differently(field):
    assert not is_host(field)


@given(st.from_regex(r"[a-z0-9_-]{1,9}(\.[a-z0-9-]{1,9}){0,3}(:[0-9]{1,5})?", fullmatch=True))
def test_a_host_field_as_they_are(field):
    assert is_host(field)
    assert host_name(field) == field.partition(":")[0]
