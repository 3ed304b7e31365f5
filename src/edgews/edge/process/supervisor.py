"""The process that owns the listening sockets, and keeps workers at them."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final

from edgews.edge.admin.answers import NOBODY, NobodyAnswers, joined
from edgews.edge.analytics.ledger import Ledger
from edgews.edge.config.tables import Config
from edgews.edge.gateway.prepare import prepare
from edgews.edge.gateway.sockets import ByAddress, Sockets, share

from .channel import Channel, Gone, Refused, nothing
from .resources import worker_count
from .shared import Shared
from .source import Source
from .watchdog import watch

# A worker's time for its start, for one step of a reload, and for what it has to do beside a drain (seconds).
START_TIMEOUT: Final = 60.0
STEP_TIMEOUT: Final = 30.0
END_TIMEOUT: Final = 10.0
# A worker's time for a question of the admin address (seconds).
ANSWER_TIMEOUT: Final = 5.0
# How long to wait until a worker that has ended gets a successor; each time twice as long, unless it had
# lived for a while (seconds).
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 30.0
STEADY: Final = 10.0


class Worker:
    """A worker's process, and what is said to it."""

    def __init__(self, index: int, number: int) -> None:
        self.index = index
        self.number = number
        self.addresses: list[str] = []
        self.leaving = False
        # It has not answered lately: who has only a question does not wait for it.
        self.silent = False
        self.pause = FIRST_PAUSE
        self._process: Process | None = None
        self._channel: Channel | None = None

    @property
    def pid(self) -> int:
        """The process; 0 while there is none."""
        return 0 if self._process is None else self._process.pid

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"worker {self.index}" + (f" (process {self.pid})" if self.pid else "")

    def signal(self, number: int) -> None:
        """Send a signal to the process, if it is there."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    @property
    def gone(self) -> bool:
        """Whether nothing can be said to it any more."""
        return self._channel is None or self._channel.closed.done()

    async def report(self, ledger: Ledger, timeout: float) -> int | None:
        """Put what the worker has counted into the ledger; return its process, None if it does not answer."""
        pid = self.pid
        try:
            ledger.take(pid, await self.ask("answer", timeout, question="report", values={}))
        except Gone:
            self.silent = self.silent or pid == self.pid
            return None
        self.silent = False
        return pid

    async def start(
        self, loop: str, message: dict[str, Any], sockets: ByAddress, files: Sequence[int]
    ) -> None:
        """Start the process, and wait until it accepts.

        Raises:
            Refused: it does not. Nothing is left of it.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "edgews.edge.process.worker"),
                    *(str(theirs.fileno()), loop),
                    stdin=DEVNULL,
                    pass_fds=[theirs.fileno()],
                    # Ctrl-C at a terminal is for the supervisor alone.
                    process_group=0,
                )
            except BaseException:
                ours.close()
                raise
        self._channel = Channel(ours, nothing)
        self.silent = False
        try:
            self.addresses = await self.ask("start", START_TIMEOUT, sockets, files, **message)
        except BaseException:
            await self.kill()
            raise

    async def ask(
        self,
        do: str,
        timeout: float | None,
        sockets: ByAddress | None = None,
        files: Sequence[int] = (),
        **more: Any,
    ) -> Any:
        """Ask the worker to do something.

        Raises:
            Refused: it cannot.
        """
        if self._channel is None:
            raise Gone([f"{self.name} is not there"])
        flat: list[socket.socket] = []
        if sockets is not None:
            more["shares"] = [(address, len(found)) for address, found in sockets.items()]
            flat = [sock for found in sockets.values() for sock in found]
        try:
            return await self._channel.ask(do, timeout=timeout, sockets=flat, files=files, **more)
        except Gone as gone:
            raise Gone([f"{self.name}: {fault}" for fault in gone.faults]) from None

    async def ended(self) -> int:
        """Wait for the end of the process; return its exit code."""
        assert self._process is not None
        assert self._channel is not None
        process = asyncio.ensure_future(self._process.wait())
        await asyncio.wait((process, self._channel.closed), return_when=asyncio.FIRST_COMPLETED)
        # Who says nothing any more, and stays, is of no use.
        try:
            async with asyncio.timeout(END_TIMEOUT):
                return await process
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """End the process now."""
        if self._process is None:
            return 0
        with suppress(ProcessLookupError):
            self._process.kill()
        code = await self._process.wait()
        if self._channel is not None:
            self._channel.close()
        self._process = self._channel = None
        return code

    async def drain(self, seconds: float, handed_over: bool, ledger: Ledger) -> None:
        """End the connections, and then the process; by force if it takes too long.

        What it has counted at its end stays in the ledger.
        """
        self.leaving = True
        pid = self.pid
        with suppress(Refused):
            ledger.take(pid, await self.ask("drain", seconds + END_TIMEOUT, handed_over=handed_over))
            process = self._process
            assert process is not None
            with suppress(TimeoutError):
                async with asyncio.timeout(END_TIMEOUT):
                    await process.wait()
        await self.kill()
        ledger.end(pid, time.time())


class Supervisor:
    """A gateway of several processes.

    Args:
        say: tells whoever runs the gateway what has happened.

    Raises:
        ConfigError: a file that the configuration names cannot be used.
    """

    def __init__(self, source: Source, config: Config, say: Callable[[str], None]) -> None:
        # What the workers will read.
        self._definition = prepare(config).definition
        self._shared = Shared()
        self.config = config
        self.sockets = Sockets()
        self.count = worker_count(config)
        self._source = source
        self._say = say
        self._workers: list[Worker] = []
        self._retired: set[Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()
        self._stopping = False
        self._ledger = Ledger()

    @property
    def addresses(self) -> list[str]:
        """Where the gateway listens."""
        return list(dict.fromkeys(name for worker in self._workers for name in worker.addresses))

    async def start(self) -> None:
        """Listen, and start the workers.

        Raises:
            OSError: an address cannot be had.
            Refused: a worker does not start. Nothing is left.
        """
        self.sockets.keep(await self._plan(self.config, self.count))
        self._shared.plan(self._definition, self.config, self.count)
        self._shared.keep()
        self._workers = await self._hire(range(self.count), self._source, self.config)

    async def reload(self, source: Source) -> None:
        """Have all processes go on with another configuration.

        Raises:
            ConfigError, OSError, Refused: some process cannot. Nothing has changed.
        """
        async with self._changing:
            config = source.config()
            definition = prepare(config).definition
            count = worker_count(config)
            planned = await self._plan(config, count)
            kept, surplus = self._workers[:count], self._workers[count:]
            try:
                self._shared.plan(definition, config, max(count - len(kept), 0))
                await _all(self._prepare(worker, source) for worker in kept)
                hired = await self._hire(range(len(kept), count), source, config, planned)
            except BaseException:
                for worker in kept:
                    with suppress(Refused):
                        await worker.ask("forget", STEP_TIMEOUT)
                self._shared.forget()
                self.sockets.discard(planned)
                raise
            # From here on there is no way back: who does not follow is replaced.
            self.config, self._source, self.count = config, source, count
            self.sockets.keep(planned)
            self._shared.keep()
            await asyncio.gather(*map(self._apply, kept))
            self._workers = kept + hired
            for worker in surplus:
                worker.leaving = True
                self._retired.add(worker)
                self._spawn(self._retire(worker))

    async def renew(self) -> None:
        """Have all workers read the certificates again.

        Raises:
            ConfigError, Refused: one cannot be used.
        """
        prepare(self.config)
        await _all(worker.ask("renew", STEP_TIMEOUT) for worker in self._workers)

    async def reopen(self) -> None:
        """Have all workers open the log again.

        Raises:
            Refused: some cannot.
        """
        await _all(worker.ask("reopen", STEP_TIMEOUT) for worker in self._workers)

    async def answer(self, question: str, values: dict[str, Any]) -> Any:
        """Answer a question of the admin address; see `Asked`. Who does not answer has no part in it."""
        workers = [worker for worker in (*self._workers, *self._retired) if not worker.silent]
        if question == "report":
            return await self._report(workers)
        asked = (worker.ask("answer", ANSWER_TIMEOUT, question=question, values=values) for worker in workers)
        found = await asyncio.gather(*asked, return_exceptions=True)
        answer = joined(question, values, [one for one in found if not isinstance(one, BaseException)])
        return self._ledger.trace(**values) if answer is None and question == "trace" else answer

    async def _report(self, workers: Iterable[Worker]) -> dict[str, Any]:
        """Return one report for all; of who does not answer, the last one counts."""
        fresh = await asyncio.gather(*(worker.report(self._ledger, ANSWER_TIMEOUT) for worker in workers))
        found = self._ledger.report([pid for pid in fresh if pid is not None], time.time())
        if found is None:
            raise NobodyAnswers(NOBODY)
        return found

    async def drain(self, *, handed_over: bool = False) -> None:
        """Stop accepting, and end all connections and workers."""
        self._stopping = True
        self.sockets.close(unlink=not handed_over)
        for task in self._tasks:
            task.cancel()
        workers = (*self._workers, *self._retired)
        drain_time = self.config.drain_time
        await asyncio.gather(*(worker.drain(drain_time, handed_over, self._ledger) for worker in workers))
        if self._tasks:
            await asyncio.wait(self._tasks)

    def abort(self) -> None:
        """Drop all connections."""
        for worker in (*self._workers, *self._retired):
            self._spawn(self._abort(worker))

    async def _abort(self, worker: Worker) -> None:
        with suppress(Refused):
            await worker.ask("abort", END_TIMEOUT / 10)
            await asyncio.sleep(END_TIMEOUT / 10)
        await worker.kill()

    async def _plan(self, config: Config, count: int) -> ByAddress:
        return await self.sockets.plan((listen.address for listen in config.listen), count)

    async def _hire(
        self, places: Iterable[int], source: Source, config: Config, planned: ByAddress | None = None
    ) -> list[Worker]:
        """Start workers; all of them, or none.

        Raises:
            Refused: one does not start.
        """
        held = self.sockets.held if planned is None else planned
        hired = [Worker(index, self._shared.enter()) for index in places]
        try:
            await _all(self._start(worker, source, config, held) for worker in hired)
        except BaseException:
            for worker in hired:
                await worker.kill()
                self._shared.leave(worker.number)
            raise
        for worker in hired:
            self._spawn(self._keep(worker))
        return hired

    async def _start(self, worker: Worker, source: Source, config: Config, held: ByAddress) -> None:
        # What one that had the number before it may have left.
        self._shared.clear(worker.number)
        told, files = self._shared.told(worker.number)
        message = {"source": asdict(source), "shared": told}
        await worker.start(config.loop, message, share(held, worker.index, worker_count(config)), files)

    async def _prepare(self, worker: Worker, source: Source) -> None:
        told, files = self._shared.told(worker.number)
        await worker.ask("prepare", STEP_TIMEOUT, files=files, source=asdict(source), shared=told)

    async def _apply(self, worker: Worker) -> None:
        try:
            sockets = share(self.sockets.held, worker.index, self.count)
            worker.addresses = await worker.ask("apply", STEP_TIMEOUT, sockets)
        except Refused as refused:
            self._say(f"{refused}\n{worker.name} is replaced.")
            await worker.kill()

    async def _retire(self, worker: Worker) -> None:
        await worker.drain(self.config.drain_time, True, self._ledger)
        self._retired.discard(worker)
        self._shared.leave(worker.number)

    async def _keep(self, worker: Worker) -> None:
        """Start the worker again whenever it ends. Its connections are gone, those that wait are not."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            name, pid = worker.name, worker.pid
            self._ledger.begin(pid)
            watching = asyncio.ensure_future(
                watch(worker, self._ledger, lambda: self.config.worker_timeout, self._say)
            )
            try:
                code = await worker.ended()
            finally:
                watching.cancel()
            if worker.leaving or self._stopping:
                return
            await worker.kill()
            self._shared.clear(worker.number)
            died = self._ledger.end(pid, time.time())
            if loop.time() - begun > STEADY:
                worker.pause = FIRST_PAUSE
            with_it = f" Connections that ended with it: {died}." if died else ""
            self._say(f"{name} has ended with {code}.{with_it}")
            while not await self._replace(worker):
                pass
            begun = loop.time()

    async def _replace(self, worker: Worker) -> bool:
        """Start the worker once more, after a while; say whether it works."""
        await asyncio.sleep(worker.pause)
        worker.pause = min(worker.pause * 2, LONGEST_PAUSE)
        async with self._changing:
            try:
                await self._start(worker, self._source, self.config, self.sockets.held)
            except (OSError, Refused) as error:
                self._say(f"{error}\nworker {worker.index} does not start; again in {worker.pause:g} s.")
                return False
        self._say(f"{worker.name} serves in its place.")
        return True

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _all(work: Iterable[Coroutine[Any, Any, Any]]) -> None:
    """Wait for all; raise what the first one raised that did not go well."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
