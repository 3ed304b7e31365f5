"""An exception at any point of a call, as the handler of a signal raises it.

CPython looks for signals behind a call, at the beginning of a function, and where a loop goes round. A trace
function raises there, in the thread and in the code in question, so no point is left to luck.
"""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import edgews

# Ours, and what we wait with.
SOURCES = (edgews.__path__[0], threading.__file__)
# Behind what the interpreter looks for signals.
LOOKS = {
    code
    for name, code in dis.opmap.items()
    if name.startswith(("CALL", "RESUME", "JUMP_BACKWARD")) and name != "CALL_INTRINSIC_1"
}


class Interruption:
    """Raise KeyboardInterrupt at one of the points at which it can come; which one is a number from 0 on."""

    def __init__(self, point: int) -> None:
        self.points = 0
        self._point = point
        self._last: dict[FrameType, int] = {}

    def __call__(self, call: Callable[[], object]) -> bool:
        """Say whether the call was interrupted."""
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            call()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False

    def _trace(self, frame: FrameType, event: str, arg: object) -> Any:
        if not frame.f_code.co_filename.startswith(SOURCES):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            last = self._last.get(frame)
            self._last[frame] = frame.f_code.co_code[frame.f_lasti]
            if last in LOOKS:
                self.points += 1
                if self.points > self._point:
                    sys.settrace(None)
                    raise KeyboardInterrupt
        return self._trace
