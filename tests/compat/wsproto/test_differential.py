"""wsproto itself as oracle: the same valid traffic gives the same events and states, in any pieces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgews.compat.wsproto as facade
from edgews import Role
from tests.properties.traffic import Closing, Item, Message, cut, encode, valid_traffic

from .ends import TYPES, agreed

if TYPE_CHECKING:
    from edgews.compat.wsproto.connection import ConnectionType

pytestmark = pytest.mark.peers

# What both take for a Close frame: 1014 is younger than wsproto's list.
closings = st.builds(
    Closing, st.sampled_from([None, 1000, 1001, 1003, 1011, 3000, 4999]), st.just("grüße".encode())
)
compressed_traffic = st.booleans().flatmap(lambda on: st.tuples(st.just(on), valid_traffic(on)))
sizes_of_reads = st.lists(st.integers(1, 300), max_size=4)
each_type = pytest.mark.parametrize("kind", TYPES)


def plain(value: Any) -> Any:
    """Return an event, or what is in it, as a value that does not belong to either library."""
    if is_dataclass(value):
        return type(value).__name__, *(plain(getattr(value, field.name)) for field in fields(value))
    return bytes(value) if isinstance(value, bytearray) else value


def seen(event: Any) -> bool:
    """Leave out what wsproto gives without anything in it: a piece of a message that has no data."""
    return bool(getattr(event, "data", True)) or getattr(event, "message_finished", True)


def original() -> ModuleType:
    import wsproto

    return wsproto


def make(library: ModuleType, kind: ConnectionType, compressed: bool) -> Any:
    """Return an open connection of one of the libraries, with the same extension."""
    extensions = []
    if compressed:
        extension = library.extensions.PerMessageDeflate()
        extension.accept(f"permessage-deflate; {extension.offer()}")
        extensions.append(extension)
    return library.connection.Connection(library.connection.ConnectionType[kind.name], extensions)


def received(conn: Any, reads: list[bytes]) -> list[Any]:
    """Return the events of each read, and the state behind it."""
    found: list[Any] = []
    for read in reads:
        conn.receive_data(read)
        found += [plain(event) for event in conn.events() if seen(event)]
        found.append(conn.state.name)
    return found


@each_type
@given(traffic=compressed_traffic, closing=st.none() | closings, sizes=sizes_of_reads)
def test_the_same_events_and_states(
    kind: ConnectionType, traffic: tuple[bool, list[Item]], closing: Closing | None, sizes: list[int]
) -> None:
    compressed, items = traffic
    if compressed:
        # wsproto takes a control frame inside a compressed message for the end of that message.
        items = [replace(item, pings=[]) if isinstance(item, Message) else item for item in items]
    data = encode(Role[kind.name], [*items, closing] if closing else items)
    reads = cut(data, sizes)
    if sizes and len(reads) > 2000:
        reads = cut(data, [5000])
    assert received(make(facade, kind, compressed), reads) == received(
        make(original(), kind, compressed), reads
    )


@each_type
@given(traffic=valid_traffic(False), some=st.integers(0, 5))
def test_events_that_nobody_asks_for_wait(kind: ConnectionType, traffic: list[Item], some: int) -> None:
    """Whoever stops in the middle goes on there the next time, with what has come behind it."""
    reads = [item.encode(Role[kind.name]) for item in traffic]

    def run(library: ModuleType) -> list[Any]:
        conn = make(library, kind, False)
        found: list[Any] = []
        for read in reads:
            conn.receive_data(read)
            # zip takes from its first argument first.
            found += [event for _, event in zip(range(some), conn.events(), strict=False)]
        return [plain(event) for event in [*found, *conn.events()] if seen(event)]

    assert run(facade) == run(original())


texts = st.text(max_size=200)
octets = st.binary(max_size=300)
pieces = st.tuples(texts | octets, st.booleans())
controls = st.tuples(st.sampled_from(["Ping", "Pong"]), st.binary(max_size=125))
ends = st.tuples(
    st.sampled_from([1000, 1001, 1005, 1006, 1015, 3000, 4999, None]), st.none() | st.text(max_size=200)
)
sendings = st.lists(pieces | controls, max_size=8)


@each_type
@given(compressed=st.booleans(), sent=sendings, closing=ends)
def test_what_is_sent_is_the_same(
    kind: ConnectionType, compressed: bool, sent: list[Any], closing: tuple[int | None, str | None]
) -> None:
    """What the facade sends, and what wsproto sends, are the same events for wsproto at the other end."""
    code, reason = closing
    if code in (None, 1005):
        reason = None
    last: type | None = None

    def run(library: ModuleType) -> tuple[list[Any], str]:
        nonlocal last
        last = None
        conn = make(library, kind, compressed)
        data = b""
        for what, more in sent:
            if isinstance(more, bytes):
                data += conn.send(getattr(library.events, what)(payload=more))
                continue
            # A message is all text or all binary.
            if last is not None and type(what) is not last:
                what = what.encode() if isinstance(what, str) else what.hex()
            event = library.events.TextMessage if isinstance(what, str) else library.events.BytesMessage
            last = None if more else type(what)
            data += conn.send(event(data=what, message_finished=more))
        # As a number, wsproto does not know 1005.
        named = library.frame_protocol.CloseReason(code) if code == 1005 else code
        data += conn.send(library.events.CloseConnection(code=named, reason=reason))
        assert isinstance(data, bytes)
        peer = TYPES[0] if kind is TYPES[1] else TYPES[1]
        oracle = make(original(), peer, compressed)
        whole: list[Any] = []
        for event in received(oracle, [data]):
            if event[0] in ("TextMessage", "BytesMessage") and compressed:
                # Where a compressor ends its pieces is its own affair.
                name, payload, _, finished = event
                if whole and whole[-1][0] == name and not whole[-1][2]:
                    whole[-1] = name, whole[-1][1] + payload, finished
                else:
                    whole.append((name, payload, finished))
            else:
                whole.append(event)
        return whole, conn.state.name

    if compressed:
        # See above: no control frames between compressed fragments, for wsproto's sake.
        sent = [(what, True) if not isinstance(more, bytes) else (what, more) for what, more in sent]
    assert run(facade) == run(original())


FUNCTIONS: list[tuple[str, st.SearchStrategy[Any]]] = [
    ("generate_accept_token", st.binary()),
    ("normed_header_dict", st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.binary(max_size=5)))),
    (
        "split_comma_header",
        st.lists(st.text("ab; =", min_size=1).filter(lambda text: text.strip()), min_size=1).map(
            lambda elements: ",".join(elements).encode()
        ),
    ),
]


@pytest.mark.parametrize(("name", "arguments"), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
@given(data=st.data())
def test_the_same_helpers(name: str, arguments: st.SearchStrategy[Any], data: st.DataObject) -> None:
    argument = data.draw(arguments)
    ours: Callable[[Any], Any] = getattr(facade.utilities, name)
    theirs: Callable[[Any], Any] = getattr(original().utilities, name)
    assert ours(argument) == theirs(argument)


@given(
    options=st.fixed_dictionaries(
        {},
        optional={
            "client_no_context_takeover": st.booleans(),
            "server_no_context_takeover": st.booleans(),
            "client_max_window_bits": st.integers(9, 15),
            "server_max_window_bits": st.integers(9, 15),
        },
    )
)
def test_the_same_offers_and_answers(options: dict[str, Any]) -> None:
    ours = facade.extensions.PerMessageDeflate(**options)
    theirs = original().extensions.PerMessageDeflate(**options)
    assert ours.offer() == theirs.offer()
    for offer in (ours.offer(), "client_max_window_bits", ""):
        asked = f"permessage-deflate; {offer}".removesuffix("; ")
        answers = []
        for library in (facade, original()):
            extension = library.extensions.PerMessageDeflate()
            answer = extension.accept(asked)
            assert extension.enabled()
            answers.append((set(answer.split("; ")), extension.client_max_window_bits))
        assert answers[0] == answers[1]


def names(module: ModuleType) -> dict[str, Any]:
    """Return what others can have from a module of wsproto: its own, and what it has from its siblings."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", module.__name__).partition(".")[0] == "wsproto"
    }


# wsproto's parser, decoder and masker, and the constants of the former.
PRIVATE = {
    "Buffer",
    "FIN_MASK",
    "Frame",
    "FrameDecoder",
    "FrameProtocol",
    "Header",
    "MASK_MASK",
    "MessageDecoder",
    "NULL_MASK",
    "OPCODE_MASK",
    "PAYLOAD_LENGTH_EIGHT_BYTE",
    "PAYLOAD_LENGTH_TWO_BYTE",
    "PAYLOAD_LEN_MASK",
    "RSV1_MASK",
    "RSV2_MASK",
    "RSV3_MASK",
    "XorMaskerNull",
    "XorMaskerSimple",
    "Optional",
    "TYPE_CHECKING",
    "annotations",
}
MODULES = ("connection", "events", "extensions", "frame_protocol", "handshake", "typing", "utilities")


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_there(module: str) -> None:
    ours = import_module(f"{facade.__name__}.{module}")
    theirs = import_module(f"{original().__name__}.{module}")
    assert set(names(theirs)) - PRIVATE <= set(dir(ours))
    for name, value in names(theirs).items():
        if is_dataclass(value) and name not in PRIVATE:
            shape = [(field.name, field.default, field.default_factory) for field in fields(value)]
            own = getattr(ours, name)
            assert [(field.name, field.default, field.default_factory) for field in fields(own)] == shape


def test_the_same_version() -> None:
    """The facade says whose API it has, and these tests run against that one."""
    assert facade.__version__.rpartition(".")[0] == original().__version__.rpartition(".")[0]


def test_the_same_numbers() -> None:
    for name in ("CloseReason", "Opcode"):
        own = getattr(facade.frame_protocol, name).__members__
        other = getattr(original().frame_protocol, name).__members__
        assert own | other == own
    assert agreed().enabled()
