"""From what was observed on an open connection to findings. No I/O."""

from __future__ import annotations

from typing import Final

from edgews.cli.console import shown
from edgews.cli.doctor.diagnose_network import slow
from edgews.cli.doctor.findings import Finding, Step, finding
from edgews.cli.doctor.observed import End, Ending, Wait
from edgews.cli.doctor.tables import ADVICE
from edgews.frames import close_code_meaning

_ROWS: Final = {
    End.EOF: "ended-without-close",
    End.RESET: "reset",
    End.VIOLATION: "protocol-violation",
}
# Close codes of a server that was not asked to close.
_CODES: Final = {
    1002: "refused-as-wrong",
    1007: "refused-as-wrong",
    1003: "message-refused",
    1008: "message-refused",
    1009: "message-refused",
    1011: "server-failed",
    1014: "server-failed",
    1012: "server-busy",
    1013: "server-busy",
}


def diagnose_ending(step: Step, ending: Ending, seconds: float) -> list[Finding]:
    """Judge a connection that ended in the middle of a step."""
    if ending.end is not End.CLOSE:
        return [finding(ADVICE[_ROWS[ending.end]], f"{ending.detail}, after {seconds:.2f} s", step=step)]
    row = ADVICE[_CODES.get(ending.code, "closed-early")]
    return [finding(row, f"{code_text(ending)}, after {seconds:.2f} s", step=step, browser=ending.code)]


def diagnose_ping(wait: Wait) -> list[Finding]:
    """Judge the answer to a Ping."""
    if wait.answered:
        return slow(Step.PING, wait.seconds)
    if wait.ending is not None:
        return diagnose_ending(Step.PING, wait.ending, wait.seconds)
    if any(text.startswith("a Pong") for text in wait.received):
        return [finding(ADVICE["pong-wrong"], ", ".join(wait.received))]
    return [finding(ADVICE["ping-unanswered"], f"no Pong within {wait.seconds:.1f} s")]


def diagnose_message(wait: Wait) -> list[Finding]:
    """Judge what came for a message; no answer is none of the protocol's business."""
    return [] if wait.ending is None else diagnose_ending(Step.MESSAGE, wait.ending, wait.seconds)


def diagnose_idle(silence: Wait, ping: Wait | None) -> list[Finding]:
    """Judge a silence, and the Ping behind it if the connection was still there."""
    ending = silence.ending
    if ending is not None and ending.end is End.CLOSE:
        found = f"{code_text(ending)}, after {silence.seconds:.1f} s of silence"
        return [finding(ADVICE["idle-closed"], found, browser=ending.code)]
    if ending is not None and ending.end is End.VIOLATION:
        return diagnose_ending(Step.IDLE, ending, silence.seconds)
    if ending is not None:
        return [finding(ADVICE["idle-cut"], f"{ending.detail}, after {silence.seconds:.1f} s of silence")]
    if ping is None or ping.answered:
        return []
    how = "no Pong came" if ping.ending is None else ping.ending.detail
    return [finding(ADVICE["idle-dead"], f"after {silence.seconds:.1f} s of silence a Ping was sent: {how}")]


def diagnose_close(wait: Wait) -> list[Finding]:
    """Judge the closing handshake that we began."""
    ending = wait.ending
    if ending is None:
        return [finding(ADVICE["close-unanswered"], f"no Close within {wait.seconds:.1f} s")]
    if ending.end is End.VIOLATION:
        return diagnose_ending(Step.CLOSE, ending, wait.seconds)
    if ending.end is not End.CLOSE:
        return [finding(ADVICE["close-without-close"], ending.detail)]
    if not ending.stream_ended:
        found = f"the byte stream was still open {wait.seconds:.1f} s after our Close"
        return [finding(ADVICE["tcp-stays-open"], found)]
    return slow(Step.CLOSE, wait.seconds)


def code_text(ending: Ending) -> str:
    """Say with which code a connection was closed."""
    reason = f" ({shown(ending.reason)})" if ending.reason else ""
    return f"closed with {ending.code}{reason}: {close_code_meaning(ending.code)}"
