"""The wall clock steps by an hour and back, and the process stands still for a minute.

libfaketime moves the wall clock of the worker alone, and not its monotonic one; a running process reads the offset from
a file at each look. It has no hold on a static binary. What the worker's clock shows is this one's plus the offset.
"""

import asyncio
import signal
import time
from pathlib import Path

from ..ledger import parse_ms
from ..processes import Failed, now_ms
from .bench import RECOVERED_SECONDS, Bench
from .sidecar import Reply

LIBRARIES = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
]
HOUR_MS = 3_600_000
STOPPED_SECONDS = 60.0
STOPPED_QUICK_SECONDS = 8.0
# A sleep of the worker is at most a second; a step is noticed then.
NOTICED_SECONDS = 3.0
DUE = 100


def library() -> str:
    """Where libfaketime is."""
    for path in LIBRARIES:
        if Path(path).exists():
            return path
    raise Failed("libfaketime is not installed; apt-get install libfaketime")


class _Clock:
    """The offset that the worker's clock has."""

    def __init__(self, bench: Bench):
        self._bench = bench
        self._file = bench.directory / "offset"
        self._write(0)
        bench.beside(
            {
                "LD_PRELOAD": library(),
                "FAKETIME_TIMESTAMP_FILE": str(self._file),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        )

    def _write(self, ms: int) -> None:
        # In place of the old at once: a half-written offset would be a step of its own.
        new = self._file.with_suffix(".new")
        new.write_text(f"{ms / 1000:+.3f}\n")
        new.rename(self._file)

    async def step(self, ms: int) -> None:
        """Sets the offset, and waits until a reminder comes by the new time. While both are possible, what is early by
        neither is not early."""
        book = self._bench.book
        was = book.ahead_ms
        book.ahead_ms = max(was, ms)
        since = time.monotonic()
        self._write(ms)
        await self._bench.flows(since, ms)
        await asyncio.sleep(max(0, since + NOTICED_SECONDS - time.monotonic()))
        book.ahead_ms = ms
        shown = _shown(await self._bench.worker.ask("/api/v1/reminders?limit=1"))
        if abs(shown - now_ms() - ms) > 60_000:
            raise Failed("libfaketime has no hold on this binary; a static one can't be tested so")


async def stepped(bench: Bench, rounds: int) -> None:
    """An hour forward, back, an hour back and forward, while reminders fall due by either clock."""
    clock = _Clock(bench)
    await bench.start()
    for _ in range(rounds):
        for ahead in (HOUR_MS, 0, -HOUR_MS, 0):
            at = now_ms() + bench.book.ahead_ms
            # Due in a moment by the clock as it is: after a step back an hour later, and not at the old instant.
            for n in range(DUE):
                bench.load.due(at + 4_000 + 10 * n)
            # Due in the hour that a step forward passes over: at once.
            for n in range(DUE if ahead > bench.book.ahead_ms else 0):
                bench.load.due(at + HOUR_MS // 2 + 10 * n)
            if not await bench.deliveries.drained(RECOVERED_SECONDS):
                raise Failed("events were not acknowledged")
            await clock.step(ahead)
            bench.rounds += 1
            # Made and due by the new clock.
            for n in range(DUE):
                bench.load.due(now_ms() + ahead + 2_000 + 10 * n)
            await asyncio.sleep(8)
    # What a step back has put off until the next hour is due then.
    await clock.step(HOUR_MS)
    await bench.settle()


def _shown(page) -> int:
    """What time it is with the worker."""
    if not isinstance(page, dict) or "now" not in page:
        raise Failed(f"the worker does not tell its time: {page}")
    return parse_ms(page["now"])


async def stopped(bench: Bench, rounds: int) -> None:
    """SIGSTOP under load, with requests under way on both sides, and SIGCONT."""
    seconds = STOPPED_SECONDS if rounds > 1 else STOPPED_QUICK_SECONDS
    bench.sidecar.behave = lambda: Reply(seconds=0.02)
    await bench.start()
    for _ in range(rounds):
        async with bench.under_load(rate=300, soon_ms=(500, 20_000)):
            await bench.acknowledges(400)
            bench.worker.process.signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                bench.worker.process.signal(signal.SIGCONT)
            since = time.monotonic()
            bench.rounds += 1
            await bench.recovered(since)
    await bench.settle()
