"""The rows of the comparison: who does which work, and how much faster edgews has to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench.traffic import BINARY, KIB, TEXT, binary, masked_frames, reads, text, texts

from . import copying, receivers, senders
from .contender import Contender

EDGEWS = "edgews"
PYTHON = "edgews, pure Python"
PEERS = ("picows", "aiohttp", "websockets", "wsproto")


@dataclass(frozen=True)
class Want:
    """How many times as fast as `against` the subject of a row has to be; `aim` is what would be better."""

    against: str
    at_least: float
    aim: float | None = None


@dataclass(frozen=True)
class Row:
    """One kind of work.

    Attributes:
        per_pass: messages in one pass, so that the table can show the time of one.
        contenders: by name, each made when it is its turn; the one called `EDGEWS` also runs in the
            process with the pure-Python backend, unless `native` says that it has no twin there.
        right: whether what a contender produced is right.
    """

    key: str
    title: str
    contenders: dict[str, Callable[[], Contender]]
    right: Callable[[object], bool]
    wants: list[Want] = field(default_factory=list)
    per_pass: int = 1
    subject: str = EDGEWS
    native: bool = False


@dataclass(frozen=True)
class Group:
    title: str
    note: str
    rows: list[Row]


def groups() -> Iterator[Group]:
    """Yield every group of rows, in the order of the table."""
    many = {"picows": 1.0, "aiohttp": 2.0, "websockets": 10.0, "wsproto": 40.0}
    yield Group(
        "Receive, 64 KiB of frames in one read",
        "masked text frames, server side, time per message",
        [
            _texts("batch-16", "16 B", texts(16), many),
            _texts("batch-125", "125 B", texts(125), many),
            _texts("batch-125-utf8", "125 B, not ASCII", texts(125, ascii=False), {}),
        ],
    )
    one = {"aiohttp": 0.9, "websockets": 3.5, "wsproto": 12.0}
    yield Group(
        "Receive, one frame a read",
        "masked text frames, server side, time per message",
        [
            _texts(f"single-{size}", title, [text(size)], one, aims={"aiohttp": 1.1})
            for size, title in ((16, "16 B"), (125, "125 B"), (KIB, "1 KiB"))
        ],
    )
    best = dict.fromkeys(PEERS, 1.0)
    large = text(256 * KIB)
    yield Group(
        "Receive, large frames",
        "masked text frames, server side, time per message",
        [
            _texts("large-16k", "16 KiB", [text(16 * KIB)], best),
            _texts("large-256k", "256 KiB", [large], best),
            _received(
                "large-256k-reads", "256 KiB in 64 KiB reads", reads(masked_frames([large])), [large], {}
            ),
        ],
    )
    yield Group("Receive, 1 MiB of binary in 64 KiB reads", "time per message", [_megabyte()])
    yield Group("Send", "time per message", [*_sends(), _parts()])
    pure = _texts("pure-125", "125 B, 64 KiB of them in one read", texts(125), {"websockets": 2.0})
    yield Group(
        "Receive with the pure-Python backend",
        "masked text frames, server side, time per message; websockets with its C extension",
        [Row(pure.key, pure.title, pure.contenders, pure.right, pure.wants, pure.per_pass, subject=PYTHON)],
    )
    if copying.available():
        yield Group("Masking, 64 KiB", "time per call; memcpy copies as many bytes", list(_masking()))


def _received(
    key: str,
    title: str,
    pieces: list[bytes],
    messages: list[str] | list[bytes],
    wants: dict[str, float],
    *,
    aims: dict[str, float] | None = None,
) -> Row:
    is_text = isinstance(messages[0], str)
    return Row(
        key,
        title,
        {
            EDGEWS: lambda: receivers.edgews_receiver(pieces),
            "picows": lambda: receivers.picows_receiver(pieces, text=is_text),
            "aiohttp": lambda: receivers.aiohttp_receiver(pieces),
            "websockets": lambda: receivers.websockets_receiver(pieces),
            "wsproto": lambda: receivers.wsproto_receiver(pieces),
        },
        lambda produced: produced == messages,
        [Want(peer, least, (aims or {}).get(peer)) for peer, least in wants.items()],
        len(messages),
    )


def _texts(
    key: str,
    title: str,
    messages: list[str],
    wants: dict[str, float],
    *,
    aims: dict[str, float] | None = None,
) -> Row:
    """All in one read."""
    return _received(key, title, [masked_frames(messages)], messages, wants, aims=aims)


def _megabyte() -> Row:
    payload = binary(KIB * KIB)
    row = _received("binary-1m", "1 MiB", reads(masked_frames([payload])), [payload], {})
    copies = {"memcpy, twice": lambda: copying.memcpy(payload, times=2)}
    return Row(
        row.key,
        row.title,
        row.contenders | copies,
        lambda produced: produced in ([payload], payload),
        [Want("memcpy, twice", 0.5)],
    )


def _sends() -> Iterator[Row]:
    for role, size, title in (
        ("server", 125, "server, 125 B"),
        ("client", 125, "client, 125 B"),
        ("client", 64 * KIB, "client, 64 KiB"),
    ):
        client = role == "client"
        yield _sent(f"send-{role}-{size}-text", f"{title} of text", text(size), client)
        yield _sent(f"send-{role}-{size}-binary", f"{title} of binary", binary(size), client)


def _sent(key: str, title: str, message: str | bytes, client: bool) -> Row:
    return Row(
        key,
        title,
        {
            EDGEWS: lambda: senders.edgews_sender(message, client=client),
            "aiohttp": lambda: senders.aiohttp_sender(message, client=client),
            "websockets": lambda: senders.websockets_sender(message, client=client),
            "wsproto": lambda: senders.wsproto_sender(message, client=client),
        },
        lambda sent: is_frame(sent, message, masked=client),
        [Want("aiohttp", 1.0), Want("websockets", 1.0)],
    )


def _parts() -> Row:
    """1 MiB costs what 64 KiB cost when neither is copied; a copy would take 16 times as long."""
    small, big = binary(64 * KIB), binary(KIB * KIB)
    return Row(
        "send-parts",
        "server, 64 KiB of binary as `send_parts`",
        {
            EDGEWS: lambda: senders.edgews_parts(small),
            "send_parts of 1 MiB": lambda: senders.edgews_parts(big),
            "send_bytes of 64 KiB": lambda: senders.edgews_sender(small, client=False),
            "aiohttp": lambda: senders.aiohttp_sender(small, client=False),
            "websockets": lambda: senders.websockets_sender(small, client=False),
        },
        lambda sent: is_frame(sent, small, masked=False) or is_frame(sent, big, masked=False),
    )


def _masking() -> Iterator[Row]:
    payload = binary(64 * KIB)
    masked = copying.masked_slowly(payload)
    yield Row(
        "mask-in-place",
        "kernel, in place",
        {
            EDGEWS: lambda: copying.masking_in_place(payload),
            "memcpy": lambda: copying.bare_memcpy(masked),
        },
        lambda produced: produced == masked,
        [Want("memcpy", 0.7)],
        native=True,
    )


def is_frame(sent: object, message: str | bytes, *, masked: bool) -> bool:
    """Say whether `sent` is exactly one frame with the whole message."""
    payload = message.encode() if isinstance(message, str) else message
    if not isinstance(sent, bytes) or len(sent) < 6:
        return False
    opcode = TEXT if isinstance(message, str) else BINARY
    size = sent[1] & 0x7F
    at = {126: 4, 127: 10}.get(size, 2)
    size = size if at == 2 else int.from_bytes(sent[2:at], "big")
    if sent[0] != 0x80 | opcode or sent[1] >> 7 != masked or size != len(payload):
        return False
    if not masked:
        return sent[at:] == payload
    key, body = sent[at : at + 4], sent[at + 4 :]
    return len(body) == size and bytes(octet ^ key[i & 3] for i, octet in enumerate(body)) == payload


def find(key: str) -> Row:
    """Return the row with this key.

    Raises:
        KeyError: there is none.
    """
    for group in groups():
        for row in group.rows:
            if row.key == key:
                return row
    raise KeyError(key)
