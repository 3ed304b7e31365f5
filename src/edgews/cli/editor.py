"""Line editing and history, by prompt_toolkit (extra `edgews[cli]`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from threading import Lock

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout


class PromptEditor:
    """Edit lines at the terminal, with the history in a file, or for this session alone."""

    def __init__(self, history: Path | None) -> None:
        self._session: PromptSession[str] = PromptSession(
            history=InMemoryHistory() if history is None else FileHistory(str(history)),
            auto_suggest=AutoSuggestFromHistory(),
        )
        self._lock = Lock()
        self._stopped = False

    def lines(self) -> Iterator[bytes]:
        """Yield what is typed, until Ctrl-D or `stop`; Ctrl-C raises KeyboardInterrupt."""
        with suppress(EOFError):
            while not self._stopped:
                # What a terminal can type and UTF-8 cannot say are bytes that were no UTF-8 to begin with.
                yield self._session.prompt("> ", pre_run=self._begin).encode("utf-8", "surrogateescape")

    def stop(self) -> None:
        """End `lines`; another thread may call it."""
        with self._lock:
            self._stopped = True
            loop = self._session.app.loop
        if loop is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._begin)

    def beside(self) -> AbstractContextManager[None]:
        """Let other threads print above the line that is edited."""
        return patch_stdout(raw=True)

    def _begin(self) -> None:
        """Leave at once if the end has come; on the thread of the editor."""
        app = self._session.app
        if self._stopped and app.is_running and not app.is_done:
            app.exit(exception=EOFError)
