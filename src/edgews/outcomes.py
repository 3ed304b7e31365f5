"""What adapters raise, beside the engine's `LocalProtocolError`."""

from __future__ import annotations

from .errors import EdgewsError
from .events import Cause, CauseKind, Disconnected, Response


class ConnectionClosed(EdgewsError):
    """The connection has ended; `disconnected` says how and why."""

    def __init__(self, disconnected: Disconnected) -> None:
        super().__init__(disconnected)
        self.disconnected = disconnected

    def __str__(self) -> str:
        # Most are caught and never shown.
        return f"closed with {self.disconnected.code}, {self.disconnected.cause}"


class InvalidHandshake(EdgewsError):
    """The server did not open the connection; `cause` says why.

    `response` is its HTTP answer, None if none came whole or if it was a 101 that may not be accepted.
    """

    def __init__(self, cause: Cause, response: Response | None) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.response = response


class ProxyError(EdgewsError, OSError):
    """The proxy did not open a way to the server.

    `lasting` says whether the same attempt would fail again: the proxy refuses, and is not just out of order.
    """

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


class MissingExtraError(EdgewsError, ImportError):
    """What was asked for needs a package that is not installed; the message says how to install it."""


def refusal(closed: Disconnected, response: Response | None) -> Exception:
    """Return what `connect` raises for a connection that ended before it was open."""
    if closed.cause.kind is CauseKind.OPEN_TIMEOUT:
        return TimeoutError(closed.cause.detail)
    return InvalidHandshake(closed.cause, response)


def parted(
    error: BaseException, kind: type[BaseException]
) -> tuple[BaseException | None, BaseException | None]:
    """Return what of an exception is of a kind, and the rest; None for either that is not there.

    A group, as task groups and nurseries make it, is looked through, however deep it is.
    """
    if isinstance(error, BaseExceptionGroup):
        return error.split(kind)
    return (error, None) if isinstance(error, kind) else (None, error)
