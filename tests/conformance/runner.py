"""Play one row against the engine, and compare everything that can be seen with what the row says."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from edgews import Connection, Disconnected, Event, Fragment, Role, Transport
from tests.conformance.delivery import STYLES, Script, Style, mask
from tests.conformance.expect import Mismatch, expect
from tests.conformance.inflate import inflate
from tests.conformance.opening import connect
from tests.conformance.rows import Call, Deflate, Frame, Row, close
from tests.wire import CLOSE, frame

_TAIL = b"\x00\x00\xff\xff"
_SHORT = 800


class _Inflater:
    """The peer's side of what we compress."""

    def __init__(self, deflate: Deflate, thorough: bool) -> None:
        self._deflate = deflate
        self._thorough = thorough
        self._zlib = self._new()
        self._window = b""

    def _new(self) -> zlib._Decompress:
        return zlib.decompressobj(-self._deflate.our_bits)

    def read(self, data: bytes) -> bytes:
        try:
            message = self._zlib.decompress(data + _TAIL)
        except zlib.error as error:
            raise Mismatch(f"what we compressed does not inflate as agreed: {error}") from None
        reach = 1 << self._deflate.our_bits
        # Reading bit by bit takes its time, and short messages reach as far back as long ones.
        if self._thorough and len(data) <= _SHORT:
            again, farthest = inflate(data + _TAIL, self._window)
            expect(again, message, "compressed message, read twice")
            if farthest > reach:
                raise Mismatch(f"we reach {farthest} octets back; {reach} were agreed")
        if self._deflate.our_takeover:
            self._window = (self._window + message)[-reach:]
        else:
            self._zlib = self._new()
        return message


def check_sent(sent: bytes, expected: Iterable[Frame], masked: bool, inflater: _Inflater | None) -> None:
    """Compare our octets with the frames that should stand there: the whole of them, and no more."""
    at = 0
    for i, wanted in enumerate(expected):
        payload = wanted.payload
        if wanted.deflated:
            # What zlib makes of a message is its own affair, so look for the end of it in the header.
            head = sent[at : at + 14]
            form = head[1] & 0x7F if len(head) > 1 else 0
            wide = {126: 2, 127: 8}.get(form, 0)
            size = int.from_bytes(head[2 : 2 + wide], "big") if wide else form
            start = at + 2 + wide + (4 if masked else 0)
            payload = sent[start : start + size]
            if masked:
                payload = mask(payload, sent[start - 4 : start])
            if inflater is None:
                raise Mismatch(f"frame {i}: nothing may be compressed")
            expect(inflater.read(payload), wanted.payload, f"frame {i}: compressed message")
        rsv = 4 if wanted.deflated else wanted.rsv
        head = frame(
            wanted.opcode, b"", fin=wanted.fin, rsv=rsv, key=b"" if masked else None, length=len(payload)
        )
        expect(sent[at : at + len(head)], head, f"frame {i}: header")
        at += len(head)
        if masked:
            # Our keys are random; only they are taken from what was sent.
            payload = mask(payload, sent[at : at + 4])
            at += 4
        expect(sent[at : at + len(payload)], payload, f"frame {i}: payload on the wire")
        at += len(payload)
    expect(sent[at:], b"", "octets behind the last frame")


class _Application:
    """The echo application, and a record of all it sees."""

    def __init__(self, conn: Connection, row: Row, style: Style) -> None:
        self.conn = conn
        self.row = row
        self.style = style
        self.answers = True
        self.events: list[Event] = []
        self.marks: list[int] = []
        self.sent = b""
        self.parts: list[str | bytes] = []

    def read(self, events: Iterable[Event], octets: int) -> None:
        replies = [self.sent]
        for event in events:
            message = self._join(event) if isinstance(event, Fragment) else event
            if message is not None:
                self.events.append(message)
                self.marks.append(octets)
                if isinstance(message, str | bytes) and self.answers:
                    replies.append(self._reply(message))
            if self.style.each:
                replies.append(self.conn.data_to_send())
        self.sent = b"".join([*replies, self.conn.data_to_send()])

    def _join(self, piece: Fragment) -> str | bytes | None:
        self.parts.append(piece.data)
        if not piece.final:
            return None
        parts, self.parts = self.parts, []
        empty = parts[0][:0]
        expect({type(part) for part in parts}, {type(empty)}, "types of one message's pieces")
        return empty.join(parts)  # type: ignore[arg-type]

    def _reply(self, message: str | bytes) -> bytes:
        size = self.row.pieces
        if size is None:
            return self.conn.send(message)
        last = max(0, len(message) - 1) // size * size
        return b"".join(
            self.conn.send_fragment(message[i : i + size], final=i == last) for i in range(0, last + 1, size)
        )

    def call(self, call: Call) -> None:
        if call.method in ("send_close", "fail"):
            self.answers = False
        self.sent += getattr(self.conn, call.method)(*call.arguments, **call.options)


def play(row: Row, role: Role, style: Style, script: Script) -> None:
    """Play `row` in one role and with one style of delivery.

    Args:
        script: the row in this role, which all styles share.

    Raises:
        Mismatch: anything differs from what the row says.
    """
    conn = connect(row, role, style.delivery)
    app = _Application(conn, row, style)
    base = 0
    stopped: int | None = None
    for part in script.parts:
        data = b"".join(part.frames)
        cuts = style.cut(part.frames)
        if style.exact and script.fault is not None:
            # A read ends where the violation shows, and one just before.
            near = (script.fault - base - 1, script.fault - base)
            cuts = sorted({*cuts, *(stop for stop in near if 0 < stop <= len(data))})
        start = 0
        for stop in cuts:
            app.read(conn.receive_data(data[start:stop]), base + stop)
            start = stop
            if stopped is None and conn.transport is Transport.HALF_CLOSE:
                stopped = base + stop
        expect(start, len(data), "octets delivered")
        base += len(data)
        if part.then is not None:
            app.call(part.then)

    expect(app.events, list(row.events), "events")
    expect(list(map(type, app.events)), list(map(type, row.events)), "types of the events")
    if style.exact:
        # Up to the end, every final frame is one event, and comes with its last octet.
        expect(app.marks, script.ends[: len(row.events)], "octets after which the events came")
        if script.fault is not None:
            expect(stopped, script.fault, "octets after which the violation showed")
    expect(conn.transport, row.end.transport[role], "transport before the end of the stream")
    _finish(conn, app, row, style)


def _finish(conn: Connection, app: _Application, row: Row, style: Style) -> None:
    end = row.end
    events = list(conn.receive_eof())
    expect([type(event) for event in events], [Disconnected], "events at the end of the stream")
    last = events[0]
    if not isinstance(last, Disconnected):
        raise Mismatch(f"the last event is {last!r}")
    cause = last.cause
    expect((last.code, last.reason, last.clean), (end.code, end.reason, end.clean), "code, reason, clean")
    expect((cause.kind, cause.initiator), (end.kind, end.initiator), "cause")
    expect(None if cause.error is None else type(cause.error), end.error, "rule that was broken")
    expect(conn.transport, Transport.CLOSE, "transport after the end of the stream")

    sent = row.sent
    if row.at_once is not None and style.at_once:
        sent = row.at_once
    if end.says is not None:
        # The wording is free, as long as the Close and the cause agree.
        sent = (*sent, close(end.says, str(cause.error).encode()[:123]))
    inflater = None if row.deflate is None else _Inflater(row.deflate, thorough=style is STYLES[0])
    check_sent(app.sent, sent, conn.role is Role.CLIENT, inflater)

    expect(conn.data_to_send(), b"", "octets after the end")
    again = [*conn.receive_data(frame(CLOSE, b"", key=None)), *conn.receive_eof()]
    expect(again, [], "events after Disconnected")
