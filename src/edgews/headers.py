"""Header fields: a small immutable mapping, and the lists of tokens that the handshake is made of.

Everything here runs in time linear in its input, whatever the peer sends.

RFC 9110 §5; RFC 6455 §4.2, §9.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from .arguments import check_several, wrong

HeadersLike: TypeAlias = "Mapping[str, str] | Iterable[tuple[str, str]]"

TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TOKEN = re.compile(TOKEN)
# What may not stand in a field value: controls other than tab. RFC 9110 §5.5.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Headers(tuple[tuple[str, str], ...]):
    """Fields in order, names as they came, compared without regard to case."""

    __slots__ = ()

    def __new__(cls, fields: HeadersLike = ()) -> Headers:
        check_several("headers", fields, "a mapping, or pairs of name and value")
        checked = []
        for field in fields.items() if isinstance(fields, Mapping) else fields:
            try:
                name, value = field
            except (TypeError, ValueError):
                raise wrong("each of headers", "a pair of name and value", field) from None
            if isinstance(field, (str, bytes)):
                raise wrong("each of headers", "a pair of name and value", field)
            for text in (name, value):
                if not isinstance(text, str):
                    raise wrong("names and values of headers", "str", text)
            checked.append((name, value))
        return super().__new__(cls, checked)

    @classmethod
    def of(cls, fields: Iterable[tuple[str, str]]) -> Headers:
        """Return fields that are known to be strings, as a parser's are, without looking at each."""
        return super().__new__(cls, fields)

    def get_all(self, name: str) -> list[str]:
        """Return the values of every field called `name`, in order."""
        lower, size = name.lower(), len(name)
        # The length settles most of them for less.
        return [value for field, value in self if len(field) == size and field.lower() == lower]

    def get(self, name: str) -> str | None:
        """Return the values of the fields called `name` joined with a comma, None if there is none.

        RFC 9110 §5.3.
        """
        values = self.get_all(name)
        return ", ".join(values) if values else None

    def by_name(self) -> dict[str, list[str]]:
        """Return the values of all fields by their names in lower case, for those who ask for many."""
        found: dict[str, list[str]] = {}
        for name, value in self:
            found.setdefault(name.lower(), []).append(value)
        return found

    def has(self, name: str) -> bool:
        """Say whether a field called `name` is there."""
        return bool(self.get_all(name))


def is_token(text: str) -> bool:
    """Say whether `text` is a token. RFC 9110 §5.6.2."""
    return _TOKEN.fullmatch(text) is not None


def field_fault(name: str, value: str) -> str | None:
    """Say why a field may not be sent, None if it may.

    Names are tokens; values have no control character, no space at an end, and stay in ISO 8859-1,
    which is what a field carries on the wire. RFC 9110 §5.1, §5.5.
    """
    if not is_token(name):
        return f"header name {name!r} is not a token"
    if _CONTROL.search(value):
        return f"header {name} has a control character in its value"
    if value != value.strip(" \t"):
        return f"header {name} begins or ends with a space"
    if any(character > "\xff" for character in value):
        return f"header {name} has a character outside ISO 8859-1"
    return None


def split_list(value: str) -> list[str]:
    """Return the elements of a comma-separated list without quoted strings; empty ones are left out.

    RFC 9110 §5.6.1.2.
    """
    elements = (element.strip(" \t") for element in value.split(","))
    return [element for element in elements if element]


def lists_token(values: Iterable[str], token: str) -> bool:
    """Say whether a list, in the values of one field or several, has `token`, in any case."""
    for value in values:
        listed = value.lower()
        # Most lists have one element.
        if listed == token or (token in listed and token in split_list(listed)):
            return True
    return False


# One step of an extension list: a token, a value behind `=`, or a separator, with the space in front of it.
_STEP = re.compile(
    rf"[ \t]*+(?:(?P<token>{TOKEN})|(?P<equals>=)|(?P<semicolon>;)|(?P<comma>,)"
    r'|"(?P<quoted>(?:[^"\\]|\\.)*+)"|(?P<end>\Z))',
    re.DOTALL,
)

ExtensionParameters: TypeAlias = "list[tuple[str, str | None]]"


def parse_extensions(value: str) -> list[tuple[str, ExtensionParameters]]:
    """Read the value of a Sec-WebSocket-Extensions field.

    Returns:
        Each extension's name and its parameters in order; a parameter without a value has None.

    Raises:
        ValueError: the value does not follow the grammar.

    RFC 6455 §9.1.
    """
    extensions: list[tuple[str, ExtensionParameters]] = []
    parameters: ExtensionParameters = []
    expected = "name"  # then: separator, parameter, value
    at = 0
    while True:
        step = _STEP.match(value, at)
        if step is None:
            raise ValueError(f"unexpected character at {at}")
        at = step.end()
        kind = step.lastgroup
        text = step.group(kind) if kind else ""
        if expected == "name" and kind == "token":
            parameters = []
            extensions.append((text, parameters))
            expected = "separator"
        elif expected == "parameter" and kind == "token":
            parameters.append((text, None))
            expected = "equals"
        elif expected == "value" and kind in ("token", "quoted"):
            unquoted = re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) if kind == "quoted" else text
            if not is_token(unquoted):
                raise ValueError("a quoted value must be a token")
            parameters[-1] = (parameters[-1][0], unquoted)
            expected = "separator"
        elif expected == "equals" and kind == "equals":
            expected = "value"
        elif expected in ("separator", "equals") and kind == "semicolon":
            expected = "parameter"
        elif expected in ("separator", "equals", "name") and kind == "comma":
            expected = "name"
        elif expected in ("separator", "equals", "name") and kind == "end":
            return extensions
        else:
            raise ValueError(f"{expected} expected at {step.start()}")
