"""One row's cast: a worker on a store of its own, its sidecar, its deliveries and its book.

Owns their order and what is looked at when a row ends: the store's own list and counters, the log, the exit code.
"""

import asyncio
import contextlib
import os
import re
import time
from pathlib import Path

import aiohttp

from ..ledger import Key, parse_ms
from ..processes import Failed, now_ms, poll
from ..worker import Worker
from .book import Book
from .deliveries import Deliveries
from .load import Load
from .sidecar import Sidecar

TOPICS = {role: role for role in ("task-events", "task-updates", "reminders")}
# How long a start and what was on its way may take; above what any machine needs.
RECOVERED_SECONDS = 120.0
# What a supervisor waits before it starts the worker again.
RESTART_SECONDS = 0.5
PAGE = 1000
# The store will not open; and what ends a running worker whose store fails for good.
EXIT_STORE = (74,)
EXIT_RUNNING = (1, 74)


class Bench:
    """What rows play on. `environment` and `prefix` are the worker's."""

    def __init__(self, directory: Path, binary: Path, name: str):
        self.directory = directory / re.sub(r"[^a-zA-Z0-9]+", "-", name).strip("-")
        self.directory.mkdir(parents=True)
        self.binary = binary
        self.store = self.directory / "store"
        self.book = Book()
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        self.sidecar = Sidecar(self.book, TOPICS)
        self.worker = Worker(binary, self.directory, TOPICS, self.session)
        self.deliveries = Deliveries(lambda: self.worker.app_port)
        self.load = Load("t", self.book, self.deliveries)
        self.rounds = 0
        self.recoveries: list[float] = []
        # Figures that have no column.
        self.notes: list[str] = []
        self.faults: list[str] = []
        self._environment: dict[str, str] = {}
        self._prefix: list[str] = []
        self.beside()

    def beside(self, environment: dict[str, str] | None = None, prefix: list[str] | None = None) -> None:
        """Says how the worker is started from now on."""
        self._environment = {"REMINDER_WORKER__STORE__PATH": str(self.store), **(environment or {})}
        self._prefix = prefix or []
        self.worker.beside(self.sidecar.port, self._environment, self._prefix)

    async def spawn(self, *arguments: str) -> asyncio.subprocess.Process:
        """Another process of the binary, with this worker's settings."""
        environment = {
            "PATH": os.environ["PATH"],
            "REMINDER_WORKER__OPS__PORT": str(self.worker.ops_port),
            **self._environment,
        }
        return await asyncio.create_subprocess_exec(
            str(self.binary), *arguments, env=environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip

    async def command(self, *arguments: str) -> None:
        """Runs a command of the binary; that it fails is a fault."""
        child = await self.spawn(*arguments)
        said, _ = await child.communicate()
        if child.returncode:
            self.faults.append(
                f"`{' '.join(arguments)}` ended with {child.returncode}: {said.decode(errors='replace')[-400:]}"
            )

    def on(self, store: Path) -> None:
        """Puts the store elsewhere."""
        self.store = store
        self.beside({**self._environment, "REMINDER_WORKER__STORE__PATH": str(store)}, self._prefix)

    async def open(self) -> None:
        """Starts sidecar and deliveries."""
        await self.sidecar.start()
        await self.deliveries.start()

    async def start(self) -> None:
        """Starts the worker and waits until it is ready."""
        self.worker.process.start()
        await self.worker.ready()

    async def recovered(self, since: float, is_supervised: bool = False) -> None:
        """Waits until the worker is ready and has acknowledged an event since then, and notes the seconds."""

        self.load.far()

        async def acknowledged() -> bool:
            if not is_supervised:
                self.worker.process.must_run()
            return self.deliveries.last_acknowledged > since

        await poll("an event is acknowledged again", acknowledged, RECOVERED_SECONDS)
        await self.worker.ready()
        self.recoveries.append(time.monotonic() - since)

    async def flows(self, since: float, ahead_ms: int = 0) -> None:
        """Waits until a reminder of a task that is due in a moment comes, and notes the seconds since then."""
        # Ahead: what is due when it is made is born expired.
        due = now_ms() + ahead_ms + 300
        task = self.load.due(due)

        async def came() -> bool:
            self.worker.process.must_run()
            return self.book.came([(task, due)]) > 0

        await poll("a reminder comes again", came, RECOVERED_SECONDS)
        self.recoveries.append(time.monotonic() - since)

    @contextlib.asynccontextmanager
    async def under_load(self, rate: float = 600, soon_ms: tuple[int, int] = (500, 4000), make=None):
        """Events come as long as the block runs."""
        over = asyncio.Event()
        make = make or (lambda: self.load.mixture(soon_ms))
        running = asyncio.create_task(self.load.run(over, make, rate))
        try:
            yield
        finally:
            over.set()
            await running

    @contextlib.asynccontextmanager
    async def supervised(self):
        """Starts the worker, and again whenever its store has ended it, as Kubernetes would, as long as the block runs.
        Gives its last words of each end."""
        ends: list[str] = []

        async def supervise() -> None:
            while True:
                if not self.worker.process.runs():
                    if self.worker.process.started():
                        ends.append(await self.exits(EXIT_RUNNING, 1))
                    await asyncio.sleep(RESTART_SECONDS)
                    self.worker.process.start()
                await asyncio.sleep(0.05)

        supervising = asyncio.create_task(supervise())
        try:
            yield ends
        finally:
            supervising.cancel()
            await asyncio.gather(supervising, return_exceptions=True)
        if supervising.done() and not supervising.cancelled() and supervising.exception():
            raise supervising.exception()

    async def acknowledges(self, count: int, seconds: float = RECOVERED_SECONDS) -> None:
        """Waits until so many more events are acknowledged."""
        wanted = self.deliveries.acknowledged + count

        async def enough() -> bool:
            return self.deliveries.acknowledged >= wanted

        await poll(f"{count} events are acknowledged", enough, seconds)

    async def planned(self, keys: list[Key], seconds: float = RECOVERED_SECONDS) -> None:
        """Waits until the events of all these reminders are acknowledged."""

        async def all_are() -> bool:
            return self.book.has_planned(keys)

        await poll(f"{len(keys)} reminders are acknowledged", all_are, seconds)

    async def exits(self, codes: tuple[int, ...], seconds: float) -> str:
        """Waits until the worker has ended by itself; what it said last. A code that is none of these is a fault."""
        found = await self.worker.process.ended(seconds)
        said = self.last_words()
        if found not in codes:
            self.faults.append(f"it ended with {found}, not {codes}: {said}")
        return said

    def last_words(self) -> str:
        """The last line of the log."""
        lines = self.worker.process.log.read_text(errors="replace").strip().splitlines()
        return lines[-1][-400:] if lines else ""

    async def settle(self, seconds: float = RECOVERED_SECONDS) -> None:
        """Waits until all is acknowledged, all that was due has come and repeats had their time; then looks."""
        if not await self.deliveries.drained(seconds):
            self.faults.append(f"{self.deliveries.left()} events were never acknowledged")
        await self.book.complete(seconds)
        await self.look()

    async def listed(self) -> dict[str, list[tuple[int, str]]]:
        """All reminders of the store by their tasks."""
        found: dict[str, list[tuple[int, str]]] = {}
        after = ""
        while True:
            path = f"/api/v1/reminders?limit={PAGE}" + (f"&after={after}" if after else "")
            page = await self.worker.ask(path)
            if not isinstance(page, dict) or "reminders" not in page:
                raise Failed(f"the worker does not list its reminders: {page}")
            for one in page["reminders"]:
                found.setdefault(one["task_id"], []).append((parse_ms(one["fire_at"]), one["state"]))
            after = page["next"]
            if not after:
                return found

    async def look(self) -> None:
        """Compares the store with the book, its counters with one another."""
        self.book.look(await self.listed())
        told = await self.worker.ask("/api/v1/stats")
        for what, whole, parts in [
            ("reminders", "planned", ("pending", "published", "cancelled", "superseded", "expired")),
            ("events", "received", ("applied", "duplicate", "stale", "ignored", "quarantined")),
        ]:
            counts = told[what]
            if counts[whole] != sum(counts[part] for part in parts):
                self.faults.append(f"{what} do not add up: {counts}")
        if told["reminders"]["expired"]:
            self.faults.append(f"reminders expired: {told['reminders']}")

    async def end(self) -> None:
        """Ends all, and reads the log."""
        try:
            if self.worker.process.runs():
                await self.worker.end()
        except Failed as failed:
            self.faults.append(str(failed))
        await self.close()
        self.faults += self.deliveries.unexpected[:3]
        log = self.worker.process.log
        if log.exists() and (panics := re.findall(r".*panicked at.*", log.read_text(errors="replace"))):
            self.faults.append(f"{len(panics)} panics: {panics[0][:300]}")

    async def pause(self) -> None:
        """Between two looks at something that takes a moment."""
        await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Ends what is in this process, and the worker without a word."""
        await self.deliveries.stop()
        await self.worker.process.erase()
        await self.sidecar.stop()
        await self.session.close()
