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
from .bench import Bench
from .sidecar import Reply

LIBRARIES = ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"]
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
        """Sets the offset. While both are possible, what is early by neither is not early."""
        book = self._bench.book
        was = book.ahead_ms
        book.ahead_ms = max(was, ms)
        self._write(ms)
        await asyncio.sleep(NOTICED_SECONDS)
        book.ahead_ms = ms


async def stepped(bench: Bench, rounds: int) -> None:
    """An hour forward, back, an hour back and forward, while reminders fall due by either clock."""
    clock = _Clock(bench)
    await bench.start()
    for _ in range(rounds):
        for ahead in (HOUR_MS, 0, -HOUR_MS, 0):
            at = now_ms()
            # Due soon as it is now; due in the hour that a step forward skips; due soon after the step.
            before = [(bench.load.due(at + bench.book.ahead_ms + 5_000 + 10 * n), at) for n in range(DUE)]
            skipped = [bench.load.due(at + HOUR_MS // 2 + 10 * n) for n in range(DUE)] if ahead > 0 else []
            after = [bench.load.due(at + ahead + 7_000 + 10 * n) for n in range(DUE)]
            await bench.acknowledges(len(before) + len(skipped) + len(after))
            if _shown(await bench.worker.ask("/api/v1/reminders?limit=1")) is None:
                raise Failed("the worker does not tell its time")
            since = time.monotonic()
            await clock.step(ahead)
            shown = _shown(await bench.worker.ask("/api/v1/reminders?limit=1"))
            if shown is None or abs(shown - now_ms() - ahead) > 60_000:
                raise Failed("libfaketime has no hold on this binary; a static one can't be tested so")
            bench.rounds += 1
            await bench.flows(since)
            await asyncio.sleep(8)
    await bench.settle()


def _shown(page) -> int | None:
    return parse_ms(page["now"]) if isinstance(page, dict) and "now" in page else None


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
