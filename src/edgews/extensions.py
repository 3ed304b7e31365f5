"""Negotiation of permessage-deflate: what is offered, what is agreed, what must be declined.

RFC 7692 §5, §7.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .arguments import check, check_flag, check_range, check_several, check_size
from .errors import HandshakeError
from .headers import ExtensionParameters, Headers, parse_extensions

FIELD = "Sec-WebSocket-Extensions"
NAME = "permessage-deflate"
LEAST_BITS, MOST_BITS = 8, 15

_FLAGS = frozenset({"server_no_context_takeover", "client_no_context_takeover"})
_BITS = frozenset({"server_max_window_bits", "client_max_window_bits"})


@dataclass(slots=True, frozen=True, kw_only=True)
class PerMessageDeflate:
    """What one endpoint wishes; the `server_` half is about what the server sends, `client_` the client.

    Attributes:
        server_no_context_takeover, client_no_context_takeover: forget the window after each message.
            It compresses worse, and costs no memory between messages.
        server_max_window_bits, client_max_window_bits: size of the LZ77 window as a power of two, 8 to
            15. The default of 12 (4 KiB) keeps most of the gain at an eighth of the memory of 15.
        level: 0 (store) to 9 (smallest), or -1 for zlib's own choice.
        mem_level: 1 to 9, memory for the compressor's tables. 5 goes with the window of 12.
        threshold: messages shorter than this many bytes are sent as they are, unless asked otherwise.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 12
    client_max_window_bits: int = 12
    level: int = -1
    mem_level: int = 5
    threshold: int = 64

    def __post_init__(self) -> None:
        for name in ("server_no_context_takeover", "client_no_context_takeover"):
            check_flag(name, getattr(self, name))
        for name in ("server_max_window_bits", "client_max_window_bits"):
            check_range(name, getattr(self, name), LEAST_BITS, MOST_BITS)
        check_range("level", self.level, -1, 9)
        check_range("mem_level", self.mem_level, 1, 9)
        check_size("threshold", self.threshold, 0)


_OFFERS = "a PerMessageDeflate, several or None"


def offers(
    compression: PerMessageDeflate | Sequence[PerMessageDeflate] | None,
) -> tuple[PerMessageDeflate, ...]:
    """Return what a client offers, the preferred one first.

    Raises:
        TypeError: it is neither a `PerMessageDeflate`, nor several, nor None.
    """
    if compression is None:
        return ()
    if isinstance(compression, PerMessageDeflate):
        return (compression,)
    check_several("compression", compression, _OFFERS)
    wishes = tuple(compression)
    for wish in wishes:
        check("compression", wish, PerMessageDeflate, _OFFERS)
    return wishes


@dataclass(slots=True, frozen=True)
class Agreement:
    """The parameters both sides are bound to."""

    server_no_context_takeover: bool
    client_no_context_takeover: bool
    server_max_window_bits: int
    client_max_window_bits: int


def _read(parameters: ExtensionParameters) -> dict[str, str | None] | None:
    """Return the parameters by name, None if one is unknown, repeated or has an invalid value.

    A value is 8 to 15 without a leading zero; only an offer's client_max_window_bits may have none.
    RFC 7692 §7.1.
    """
    seen: dict[str, str | None] = {}
    for name, value in parameters:
        if name in seen:
            return None
        if name in _FLAGS:
            valid = value is None
        elif name in _BITS:
            valid = value in _BIT_VALUES or (value is None and name == "client_max_window_bits")
        else:
            return None
        if not valid:
            return None
        seen[name] = value
    return seen


_BIT_VALUES = frozenset(str(bits) for bits in range(LEAST_BITS, MOST_BITS + 1))


def _bits(seen: dict[str, str | None], name: str) -> int:
    return int(seen.get(name) or MOST_BITS)


def _format(parameters: dict[str, str | None]) -> str:
    return "; ".join(
        [NAME, *(name if value is None else f"{name}={value}" for name, value in parameters.items())]
    )


def choose(headers: Headers, wish: PerMessageDeflate | None) -> tuple[str | None, Agreement | None]:
    """Pick the first acceptable offer, as a server.

    Returns:
        The value of the answer's Sec-WebSocket-Extensions and what was agreed; None and None if
        nothing was.

    Raises:
        HandshakeError: the field does not follow the grammar.

    RFC 7692 §5.1, §7.1.
    """
    try:
        offers = parse_extensions(headers.get(FIELD) or "")
    except ValueError as error:
        raise HandshakeError(f"{FIELD} is malformed: {error}", header=FIELD) from None
    if wish is None:
        return None, None
    for name, parameters in offers:
        seen = _read(parameters) if name == NAME else None
        if seen is not None:
            return _answer(seen, wish)
    return None, None


def _answer(seen: dict[str, str | None], wish: PerMessageDeflate) -> tuple[str, Agreement]:
    """Accept one offer; every valid one can be."""
    answer: dict[str, str | None] = {}
    server_forgets = wish.server_no_context_takeover or "server_no_context_takeover" in seen
    client_forgets = wish.client_no_context_takeover or "client_no_context_takeover" in seen
    if server_forgets:
        answer["server_no_context_takeover"] = None
    if client_forgets:
        answer["client_no_context_takeover"] = None
    server_bits = min(wish.server_max_window_bits, _bits(seen, "server_max_window_bits"))
    if server_bits < MOST_BITS or "server_max_window_bits" in seen:
        answer["server_max_window_bits"] = str(server_bits)
    # A client that does not say that it knows this parameter must not be sent it: §7.1.2.2.
    client_bits = MOST_BITS
    if "client_max_window_bits" in seen:
        client_bits = min(wish.client_max_window_bits, _bits(seen, "client_max_window_bits"))
        answer["client_max_window_bits"] = str(client_bits)
    return _format(answer), Agreement(server_forgets, client_forgets, server_bits, client_bits)


def offer(wishes: Sequence[PerMessageDeflate]) -> str:
    """Return a client's offers, the preferred one first.

    RFC 7692 §7.1.
    """
    offers = []
    for wish in wishes:
        parameters: dict[str, str | None] = {}
        if wish.server_no_context_takeover:
            parameters["server_no_context_takeover"] = None
        if wish.client_no_context_takeover:
            parameters["client_no_context_takeover"] = None
        if wish.server_max_window_bits < MOST_BITS:
            parameters["server_max_window_bits"] = str(wish.server_max_window_bits)
        limited = wish.client_max_window_bits < MOST_BITS
        parameters["client_max_window_bits"] = str(wish.client_max_window_bits) if limited else None
        offers.append(_format(parameters))
    return ", ".join(offers)


def read_offers(headers: Headers) -> list[PerMessageDeflate]:
    """Return a client's valid offers as wishes, to check someone else's answer against.

    Raises:
        ValueError: the field does not follow the grammar.

    RFC 7692 §7.1.
    """
    wishes = []
    for name, parameters in parse_extensions(headers.get(FIELD) or ""):
        seen = _read(parameters) if name == NAME else None
        if seen is not None:
            wishes.append(
                PerMessageDeflate(
                    server_no_context_takeover="server_no_context_takeover" in seen,
                    client_no_context_takeover="client_no_context_takeover" in seen,
                    server_max_window_bits=_bits(seen, "server_max_window_bits"),
                    client_max_window_bits=_bits(seen, "client_max_window_bits"),
                )
            )
    return wishes


def check_answer(
    headers: Headers, wishes: Sequence[PerMessageDeflate]
) -> tuple[PerMessageDeflate, Agreement] | tuple[None, None]:
    """Check a server's answer against what was offered.

    Returns:
        The offer that was accepted and what was agreed; None and None without compression.

    Raises:
        HandshakeError: an extension that was not asked for, or an answer beyond the offers.

    RFC 6455 §4.1 (5.), §9.1; RFC 7692 §5.1, §7.1.
    """
    try:
        answers = parse_extensions(headers.get(FIELD) or "")
    except ValueError as error:
        raise HandshakeError(f"{FIELD} is malformed: {error}", header=FIELD) from None
    if not answers:
        return None, None
    name, parameters = answers[0]
    if name != NAME or not wishes:
        raise HandshakeError(f"the server chose the extension {name}, which was not offered", header=FIELD)
    if len(answers) > 1:
        raise HandshakeError("the server chose more than one extension", header=FIELD)
    seen = _read(parameters)
    if seen is None or seen.get("client_max_window_bits", "") is None:
        raise HandshakeError(f"the server's parameters of {NAME} are invalid", header=FIELD)
    for wish in wishes:
        if _within(seen, wish):
            return wish, Agreement(
                "server_no_context_takeover" in seen,
                "client_no_context_takeover" in seen,
                _bits(seen, "server_max_window_bits"),
                _bits(seen, "client_max_window_bits"),
            )
    raise HandshakeError(f"the server's parameters of {NAME} go beyond what was offered", header=FIELD)


def _within(seen: dict[str, str | None], wish: PerMessageDeflate) -> bool:
    """Say whether an answer keeps what an offer demands of the server: §7.1.1.1, §7.1.2.1.

    The client's own window bits are a hint, and the server may leave them out: §7.1.2.2.
    """
    if wish.server_no_context_takeover and "server_no_context_takeover" not in seen:
        return False
    if _bits(seen, "server_max_window_bits") > wish.server_max_window_bits:
        return False
    return (
        "client_max_window_bits" not in seen
        or _bits(seen, "client_max_window_bits") <= wish.client_max_window_bits
    )
