"""Negotiation of permessage-deflate, and then messages that show that both sides keep what was agreed.

The messages are made so that a window one bit too large, on either side, would be used. What an answer has
to be follows from RFC 7692 §7.1 alone: it is written down here by its rules, not asked from the engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from edgews import Limits, PerMessageDeflate, Role
from tests.conformance.bits import Squeezer
from tests.conformance.compression import squeezed
from tests.conformance.rows import Deflate, Opening, Row, passes, text

_RULE = "RFC 7692 §7.1"
_BITS = range(8, 16)
_LIMITS = Limits(max_message_size=1 << 17)
# Octets that repeat nothing, to be found again further back.
_BLOCK = "0aB1cD2eF3gH4iJ5kL6mN7oP"


def _wish(**options: int | bool) -> PerMessageDeflate:
    """Make a wish of ours with nothing held back."""
    everything = {"server_max_window_bits": 15, "client_max_window_bits": 15, "threshold": 0}
    return PerMessageDeflate(**{**everything, **options})  # type: ignore[arg-type]


def _header(*parameters: str) -> str:
    return "; ".join(("permessage-deflate", *(parameter for parameter in parameters if parameter)))


def _bits(name: str, value: int | None) -> str:
    return "" if value is None else name if value == 0 else f"{name}={value}"


def _row(id: str, role: Role, opening: Opening, deflate: Deflate | None) -> Row:
    """Three messages each way; the block comes again just beyond our window, and just beyond theirs."""
    if deflate is None:
        return passes(
            f"negotiation/{id}",
            _RULE,
            [text(_BLOCK)],
            [_BLOCK],
            opening=opening,
            roles=(role,),
            limits=_LIMITS,
        )
    # Beyond 15 bits there is nothing that could be used.
    bits = sorted({deflate.our_bits, deflate.their_bits} - {15})
    messages = [*(f"{_BLOCK}{' ' * (1 << size)}{_BLOCK}" for size in bits), _BLOCK]
    squeezer = Squeezer(deflate.their_bits, deflate.their_takeover)
    return passes(
        f"negotiation/{id}",
        _RULE,
        [squeezed(message, squeezer) for message in messages],
        messages,
        deflate=deflate,
        opening=opening,
        roles=(role,),
        limits=_LIMITS,
    )


def _offers() -> Iterator[Row]:
    """Every offer that a client can make, to a server that agrees to all. 0 stands for no value."""
    for forget, client_forget, server, client in product(
        (False, True), (False, True), (None, *_BITS), (None, 0, *_BITS)
    ):
        flags = [
            "server_no_context_takeover" if forget else "",
            "client_no_context_takeover" if client_forget else "",
        ]
        offer = _header(
            *flags, _bits("server_max_window_bits", server), _bits("client_max_window_bits", client)
        )
        answer = _header(
            *flags,
            _bits("server_max_window_bits", server),
            _bits("client_max_window_bits", 15 if client == 0 else client),
        )
        name = "-".join(
            (
                "offer",
                f"server-{'default' if server is None else server}",
                f"client-{'default' if client is None else client or 'any'}",
                *(["server-forgets"] if forget else []),
                *(["client-forgets"] if client_forget else []),
            )
        )
        deflate = Deflate(server or 15, client or 15, not forget, not client_forget)
        yield _row(name, Role.SERVER, Opening(_wish(), offer, answer), deflate)


def _answers() -> Iterator[Row]:
    """Every answer that a server can give to a client that offers all it can."""
    offer = _header("client_max_window_bits")
    for forget, client_forget, server, client in product(
        (False, True), (False, True), (None, *_BITS), (None, *_BITS)
    ):
        answer = _header(
            "server_no_context_takeover" if forget else "",
            "client_no_context_takeover" if client_forget else "",
            _bits("server_max_window_bits", server),
            _bits("client_max_window_bits", client),
        )
        name = "-".join(
            (
                "answer",
                f"server-{'default' if server is None else server}",
                f"client-{'default' if client is None else client}",
                *(["server-forgets"] if forget else []),
                *(["client-forgets"] if client_forget else []),
            )
        )
        deflate = Deflate(client or 15, server or 15, not client_forget, not forget)
        yield _row(name, Role.CLIENT, Opening(_wish(), offer, answer), deflate)


def _server_wishes() -> Iterator[Row]:
    """A server that wants less than it is offered gets less, where the RFC lets it ask."""
    for ours in _BITS:
        wish = _wish(server_max_window_bits=ours)
        bits = "" if ours == 15 else f"server_max_window_bits={ours}"
        yield _row(
            f"server-wants-{ours}-and-is-offered-nothing",
            Role.SERVER,
            Opening(wish, _header(), _header(bits)),
            Deflate(our_bits=ours),
        )
        for offered in (8, 11, 15):
            least = min(ours, offered)
            yield _row(
                f"server-wants-{ours}-and-is-offered-{offered}",
                Role.SERVER,
                Opening(
                    wish,
                    _header(f"server_max_window_bits={offered}"),
                    _header(f"server_max_window_bits={least}"),
                ),
                Deflate(our_bits=least),
            )
        wish = _wish(client_max_window_bits=ours)
        # A client that does not know the parameter cannot be held to it: §7.1.2.2.
        yield _row(
            f"server-wants-{ours}-of-a-client-that-cannot",
            Role.SERVER,
            Opening(wish, _header(), _header()),
            Deflate(),
        )
        for value in (0, 8, 11, 15):
            least = min(ours, value or 15)
            yield _row(
                f"server-wants-{ours}-of-a-client-that-offers-{value or 'any'}",
                Role.SERVER,
                Opening(
                    wish,
                    _header(_bits("client_max_window_bits", value)),
                    _header(f"client_max_window_bits={least}"),
                ),
                Deflate(their_bits=least),
            )
    flags = ("server_no_context_takeover", "client_no_context_takeover")
    for server, client in ((True, False), (False, True), (True, True)):
        wish = _wish(server_no_context_takeover=server, client_no_context_takeover=client)
        answer = _header(flags[0] if server else "", flags[1] if client else "")
        name = "-and-".join(who for who, forgets in (("itself", server), ("the-client", client)) if forgets)
        yield _row(
            f"server-wants-{name}-to-forget",
            Role.SERVER,
            Opening(wish, _header(), answer),
            Deflate(our_takeover=not server, their_takeover=not client),
        )


def _client_wishes() -> Iterator[Row]:
    """A client's demands on the server are binding, those on itself are a hint."""
    for offered in range(8, 15):
        wish = _wish(server_max_window_bits=offered)
        offer = _header(f"server_max_window_bits={offered}", "client_max_window_bits")
        for answered in range(8, offered + 1):
            yield _row(
                f"client-demands-{offered}-and-gets-{answered}",
                Role.CLIENT,
                Opening(wish, offer, _header(f"server_max_window_bits={answered}")),
                Deflate(their_bits=answered),
            )
        wish = _wish(client_max_window_bits=offered)
        offer = _header(f"client_max_window_bits={offered}")
        # It may always use a smaller window than it has to.
        yield _row(
            f"client-hints-{offered}-and-hears-nothing",
            Role.CLIENT,
            Opening(wish, offer, _header()),
            Deflate(our_bits=offered),
        )
        for answered in range(8, offered + 1):
            yield _row(
                f"client-hints-{offered}-and-hears-{answered}",
                Role.CLIENT,
                Opening(wish, offer, _header(f"client_max_window_bits={answered}")),
                Deflate(our_bits=answered),
            )
    yield _row(
        "client-demands-that-the-server-forgets",
        Role.CLIENT,
        Opening(
            _wish(server_no_context_takeover=True),
            _header("server_no_context_takeover", "client_max_window_bits"),
            _header("server_no_context_takeover"),
        ),
        Deflate(their_takeover=False),
    )
    # Its own flag is a hint as well; a server that does not repeat it leaves the client free: §7.1.1.2.
    offer = _header("client_no_context_takeover", "client_max_window_bits")
    for answer, takeover in ((_header("client_no_context_takeover"), False), (_header(), True)):
        yield _row(
            f"client-hints-that-it-forgets-and-{'need-not' if takeover else 'must'}",
            Role.CLIENT,
            Opening(_wish(client_no_context_takeover=True), offer, answer),
            Deflate(our_takeover=takeover),
        )
    yield _row(
        "server-declines", Role.CLIENT, Opening(_wish(), _header("client_max_window_bits"), None), None
    )


def _fallbacks() -> Iterator[Row]:
    """Of several offers, the first acceptable one counts; others are passed over."""
    broken = {
        "window-7": "server_max_window_bits=7",
        "window-16": "server_max_window_bits=16",
        "window-0": "server_max_window_bits=0",
        "window-with-leading-zero": "server_max_window_bits=08",
        "window-with-plus": "server_max_window_bits=+9",
        "window-abc": "server_max_window_bits=abc",
        "window-without-value": "server_max_window_bits",
        "client-window-7": "client_max_window_bits=7",
        "client-window-16": "client_max_window_bits=16",
        "client-window-with-leading-zero": "client_max_window_bits=010",
        "flag-with-value": "server_no_context_takeover=true",
        "client-flag-with-value": "client_no_context_takeover=1",
        "unknown-parameter": "server_frobnicate",
        "unknown-parameter-with-value": "x=10",
        "flag-twice": "server_no_context_takeover; server_no_context_takeover",
        "window-twice": "server_max_window_bits=10; server_max_window_bits=10",
        "client-window-twice": "client_max_window_bits; client_max_window_bits=10",
    }
    for name, parameters in broken.items():
        bad = _header(parameters)
        yield _row(f"declined-{name}", Role.SERVER, Opening(_wish(), bad, None), None)
        yield _row(
            f"fallback-from-{name}",
            Role.SERVER,
            Opening(
                _wish(), f"{bad}, {_header('server_max_window_bits=9')}", _header("server_max_window_bits=9")
            ),
            Deflate(our_bits=9),
        )
    for name, offer in {
        "unknown-extension": "permessage-frobnicate",
        "unknown-extension-with-parameters": "x-webkit-deflate-frame; no_context_takeover",
        "bzip2": "permessage-bzip2; client_max_window_bits",
    }.items():
        yield _row(f"declined-{name}", Role.SERVER, Opening(_wish(), offer, None), None)
        yield _row(
            f"fallback-from-{name}",
            Role.SERVER,
            Opening(_wish(), f"{offer}, {_header()}", _header()),
            Deflate(),
        )
    yield _row(
        "first-offer-counts",
        Role.SERVER,
        Opening(
            _wish(),
            f"{_header('server_max_window_bits=10')}, {_header('server_no_context_takeover')}",
            _header("server_max_window_bits=10"),
        ),
        Deflate(our_bits=10),
    )
    for name, offer in (
        ("spaces", "permessage-deflate ;  server_max_window_bits = 10"),
        ("no-spaces", "permessage-deflate;server_max_window_bits=10"),
        ("quoted", 'permessage-deflate; server_max_window_bits="10"'),
    ):
        yield _row(
            f"written-with-{name}",
            Role.SERVER,
            Opening(_wish(), offer, _header("server_max_window_bits=10")),
            Deflate(our_bits=10),
        )


def rows() -> Iterator[Row]:
    yield from _offers()
    yield from _answers()
    yield from _server_wishes()
    yield from _client_wishes()
    yield from _fallbacks()
