"""Extensions: permessage-deflate is the engine's, and others may have hooks for frames.

`hooks` calls them. Where an extension has any, `frame_finished` of the events says nothing, and
permessage-deflate has to stand behind it. `PerMessageDeflate` itself has no hooks to build upon: the engine
does what they would do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from edgews.errors import HandshakeError
from edgews.extensions import FIELD, LEAST_BITS, MOST_BITS, NAME, Agreement, check_answer, choose
from edgews.extensions import PerMessageDeflate as Wish
from edgews.handshake import Deflate
from edgews.headers import Headers

from .frame_protocol import CloseReason, Opcode, RsvBits
from .utilities import LocalProtocolError, RemoteProtocolError


class Extension(ABC):
    """What an extension has to say in the opening handshake. RFC 6455 §9."""

    name: str

    def enabled(self) -> bool:
        """Say whether it was agreed on."""
        return False

    @abstractmethod
    def offer(self) -> bool | str:
        """Return the parameters that a client offers, True for none, False for no offer."""

    def accept(self, offer: str) -> bool | str | None:
        """Answer an offer as a server: the parameters, True for none, None or False to decline."""
        return None

    def finalize(self, offer: str) -> None:
        """Take the server's answer, as a client."""
        return None

    def frame_inbound_header(
        self, proto: object, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        """Use no reserved bit."""
        return RsvBits(False, False, False)

    def frame_inbound_payload_data(self, proto: object, data: bytes) -> bytes | CloseReason:
        """Leave the payload as it came."""
        return data

    def frame_inbound_complete(self, proto: object, fin: bool) -> bytes | CloseReason | None:
        """Add nothing."""
        return None

    def frame_outbound(
        self, proto: object, opcode: Opcode, rsv: RsvBits, data: bytes, fin: bool
    ) -> tuple[RsvBits, bytes]:
        """Leave the frame as it is."""
        return rsv, data


_HOOKS = ("frame_inbound_header", "frame_inbound_payload_data", "frame_inbound_complete", "frame_outbound")


def has_hooks(extension: Extension) -> bool:
    """Say whether an extension wants to see frames."""
    return any(getattr(type(extension), hook) is not getattr(Extension, hook) for hook in _HOOKS)


def require_extension(extension: object) -> Extension:
    """Return an extension after making sure that it can work here.

    Raises:
        LocalProtocolError: it is none, or permessage-deflate with hooks.
    """
    if not isinstance(extension, Extension):
        raise LocalProtocolError(f"extensions are Extension objects, not {type(extension).__name__}")
    if isinstance(extension, PerMessageDeflate) and has_hooks(extension):
        raise LocalProtocolError("a subclass of PerMessageDeflate cannot have hooks: the engine deflates")
    return extension


class PerMessageDeflate(Extension):
    """permessage-deflate, as a wish first and as what was agreed afterwards. RFC 7692 §7.

    Args:
        client_no_context_takeover, server_no_context_takeover: forget the window after each message.
        client_max_window_bits, server_max_window_bits: 8 to 15; None for 15.

    Raises:
        ValueError: window bits out of range.
    """

    name = NAME

    DEFAULT_CLIENT_MAX_WINDOW_BITS = MOST_BITS
    DEFAULT_SERVER_MAX_WINDOW_BITS = MOST_BITS

    def __init__(
        self,
        client_no_context_takeover: bool = False,
        client_max_window_bits: int | None = None,
        server_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
    ) -> None:
        self.client_no_context_takeover = client_no_context_takeover
        self.server_no_context_takeover = server_no_context_takeover
        self._client_max_window_bits = self.DEFAULT_CLIENT_MAX_WINDOW_BITS
        self._server_max_window_bits = self.DEFAULT_SERVER_MAX_WINDOW_BITS
        if client_max_window_bits is not None:
            self.client_max_window_bits = client_max_window_bits
        if server_max_window_bits is not None:
            self.server_max_window_bits = server_max_window_bits
        self._deflate: Deflate | None = None

    @property
    def client_max_window_bits(self) -> int:
        """Size of the window of what the client sends, as a power of two."""
        return self._client_max_window_bits

    @client_max_window_bits.setter
    def client_max_window_bits(self, value: int) -> None:
        self._client_max_window_bits = _checked(value)

    @property
    def server_max_window_bits(self) -> int:
        """Size of the window of what the server sends, as a power of two."""
        return self._server_max_window_bits

    @server_max_window_bits.setter
    def server_max_window_bits(self, value: int) -> None:
        self._server_max_window_bits = _checked(value)

    @property
    def deflate(self) -> Deflate | None:
        """What the engine needs to know, None before anything was agreed."""
        return self._deflate

    def enabled(self) -> bool:
        return self._deflate is not None

    def offer(self) -> str:
        return "; ".join(self._parameters())

    def accept(self, offer: str) -> str | None:
        """Answer an offer; what is no valid one is declined. RFC 7692 §5.1."""
        wish = self._wish()
        try:
            answer, agreement = choose(Headers([(FIELD, offer)]), wish)
        except HandshakeError:
            return None
        if answer is None or agreement is None:
            return None
        self._agree(wish, agreement)
        return answer.partition("; ")[2]

    def finalize(self, offer: str) -> None:
        """Take the server's answer.

        Raises:
            RemoteProtocolError: it is no valid one, or goes beyond the offer.

        RFC 7692 §5.1.
        """
        try:
            wish, agreement = check_answer(Headers([(FIELD, offer)]), [self._wish()])
        except HandshakeError as error:
            raise RemoteProtocolError(str(error)) from None
        if wish is not None and agreement is not None:
            self._agree(wish, agreement)

    def _wish(self) -> Wish:
        # wsproto compresses every message, with zlib's own memory level.
        return Wish(
            server_no_context_takeover=self.server_no_context_takeover,
            client_no_context_takeover=self.client_no_context_takeover,
            server_max_window_bits=self.server_max_window_bits,
            client_max_window_bits=self.client_max_window_bits,
            mem_level=8,
            threshold=0,
        )

    def _agree(self, wish: Wish, agreement: Agreement) -> None:
        self._deflate = wish, agreement
        self.client_no_context_takeover = agreement.client_no_context_takeover
        self.server_no_context_takeover = agreement.server_no_context_takeover
        self.client_max_window_bits = agreement.client_max_window_bits
        self.server_max_window_bits = agreement.server_max_window_bits

    def _parameters(self) -> list[str]:
        flags = ("client_no_context_takeover", "server_no_context_takeover")
        return [
            f"client_max_window_bits={self.client_max_window_bits}",
            f"server_max_window_bits={self.server_max_window_bits}",
            *(flag for flag in flags if getattr(self, flag)),
        ]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'; '.join(self._parameters())}>"


def _checked(bits: int) -> int:
    if bits not in range(LEAST_BITS, MOST_BITS + 1):
        raise ValueError(f"window bits are {bits!r}; they go from {LEAST_BITS} to {MOST_BITS}")
    return bits


SUPPORTED_EXTENSIONS = {PerMessageDeflate.name: PerMessageDeflate}


def server_extensions_handshake(requested: Iterable[str], supported: Sequence[Extension]) -> bytes | None:
    """Let each supported extension accept the first offer of its name that it can.

    Returns:
        The value of the answer's Sec-WebSocket-Extensions; None if nothing was agreed.

    RFC 6455 §9.1.
    """
    accepted: dict[str, str] = {}
    for offer in requested:
        name = offer.partition(";")[0].strip(" \t")
        for extension in supported:
            if extension.name == name and name not in accepted:
                parameters = extension.accept(offer)
                if parameters is True or parameters == "":
                    accepted[name] = name
                elif parameters:
                    accepted[name] = f"{name}; {parameters}"
    return ", ".join(accepted.values()).encode("ascii") if accepted else None


def client_extensions_handshake(accepted: Iterable[str], supported: Sequence[Extension]) -> list[Extension]:
    """Hand the server's answers to the extensions that were offered.

    Raises:
        RemoteProtocolError: an extension that was not offered, or that was chosen twice.

    RFC 6455 §4.1 (5.), §9.1.
    """
    extensions: list[Extension] = []
    for answer in accepted:
        name = answer.partition(";")[0].strip(" \t")
        extension = next((one for one in supported if one.name == name and one not in extensions), None)
        if extension is None:
            raise RemoteProtocolError(f"unrecognized extension {name}")
        extension.finalize(answer)
        extensions.append(extension)
    return extensions
