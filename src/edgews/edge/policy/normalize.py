"""The one spelling of a request's target, by which it is routed, judged and forwarded.

Whatever spelling the origin understands, it gets only this one, so it cannot read another path into it
than the gateway did. What resolves by the letter of RFC 3986 is resolved; what only some servers take
for a dot segment or a slash (`..;`, `..%2f`, `%252e`, a backslash) is refused.

RFC 3986 §5.2.4, §6.2.2; RFC 9112 §3.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

_SUB_DELIMS = r"!$&'()*+,;="
# What may not stand in a path. RFC 3986 §3.3.
_NOT_IN_PATH = re.compile(rf"[^A-Za-z0-9\-._~:@/%{_SUB_DELIMS}]|%(?![0-9A-Fa-f]{{2}})")
# And in a query: browsers send more there. The URL Standard, "query percent-encode set".
_NOT_IN_QUERY = re.compile(rf"[^A-Za-z0-9\-._~:@/?%\[\]\\^`{{|}}{_SUB_DELIMS}]")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# Controls, encoded or not, have no business in a path.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# A name or an IPv4 address, or one of IPv6 in brackets, and a port. RFC 3986 §3.2.2 lets names have more, at
# which some servers split them.
_HOST = re.compile(r"(?:[A-Za-z0-9._~-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
# How often a careless chain of servers may decode. What is not plain by then is refused.
_DECODINGS = 3


class TargetError(ValueError):
    """A target that is not forwarded; the answer is 400. The text says why."""


@dataclass(slots=True)
class Target:
    """A target in its one spelling; `query` is as it came, None without a question mark."""

    path: str
    query: str | None = None

    def __str__(self) -> str:
        return self.path if self.query is None else f"{self.path}?{self.query}"


def normalize(target: str) -> Target:
    """Return the one spelling of an origin-form target.

    Encodings of unreserved characters are decoded, others are in upper case; slashes in a row are one;
    dot segments are resolved.

    Raises:
        TargetError: another form, a character or encoding that may not be, or a spelling that servers
            read differently.

    RFC 3986 §6.2.2; RFC 9112 §3.2.1.
    """
    if not target.startswith("/"):
        raise TargetError("the target does not begin with a slash")
    raw, mark, query = target.partition("?")
    if wrong := _NOT_IN_PATH.search(raw) or _NOT_IN_QUERY.search(query):
        raise TargetError(f"the target has {wrong[0]!r} where it may not stand")
    path = _ENCODED.sub(_decode_unreserved, raw)
    segments = path.split("/")
    for segment in segments:
        if fault := _fault(segment):
            raise TargetError(fault)
    return Target(_resolve(segments), query if mark else None)


def is_under(path: str, prefix: str) -> bool:
    """Say whether a normalised path is `prefix` or below it: `/chat` has `/chat/1`, and not `/chats`."""
    if not path.startswith(prefix):
        return False
    return len(path) == len(prefix) or prefix.endswith("/") or path[len(prefix)] == "/"


def is_host(host: str) -> bool:
    """Say whether all servers read the same name into a Host field. RFC 9110 §7.2."""
    return _HOST.fullmatch(host) is not None


def host_name(host: str) -> str:
    """Return the name in a Host field: without a port and a final dot, in lower case."""
    name = host.lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0].removesuffix(".")


def _decode_unreserved(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _resolve(segments: list[str]) -> str:
    """Join segments; empty ones are left out, dot segments do what they say. RFC 3986 §5.2.4."""
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    # The last one says whether this is a directory.
    slash = "/" if kept and segments[-1] in ("", ".", "..") else ""
    return f"/{'/'.join(kept)}{slash}"


def _fault(segment: str) -> str | None:
    """Say what is wrong with a segment, None if all servers read it alike."""
    seen = segment
    for _ in range(_DECODINGS):
        if "%" not in seen:
            break
        seen = unquote(seen, "latin-1")
    else:
        if _ENCODED.search(seen):
            return "the path has an encoding within an encoding"
    if _CONTROL.search(seen):
        return "the path has an encoded control character"
    for part in re.split(r"[/\\]", seen):
        name, parameters, _ = part.partition(";")
        # As they are, these are for `_resolve`; in disguise they are for nobody.
        if (seen != segment or parameters) and name in ("", ".", ".."):
            return "the path has a hidden dot segment or an empty one"
    return None
