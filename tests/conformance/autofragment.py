"""Messages that one side cuts into frames of a fixed size by itself, and that the other side joins."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.rows import Row, binary, cut, fragments, passes, text

_RULE = "RFC 6455 §5.4"
_TOTALS = (0, 1, 1299, 1300, 1301, 2600, 65536)
_SIZES = (125, 1300, 65536)


def _octets(total: int) -> bytes:
    return (b"0123456789abcdef" * (total // 16 + 1))[:total]


def rows() -> Iterator[Row]:
    for total in _TOTALS:
        for size in _SIZES:
            octets = _octets(total)
            for name, first in (("text", text("")), ("binary", binary(b""))):
                message = octets.decode() if name == "text" else octets
                cuts = fragments(first, cut(octets, size))
                yield passes(
                    f"autofragment/{name}-of-{total}-by-{size}-from-the-peer", _RULE, cuts, [message]
                )
                yield passes(
                    f"autofragment/{name}-of-{total}-by-{size}-both-ways",
                    _RULE,
                    cuts,
                    [message],
                    sent=cuts,
                    pieces=size,
                )
