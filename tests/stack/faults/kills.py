"""SIGKILL: while events come in, while reminders go out, while the store is exported or backed up.

A kill comes when something has been seen, not when time has passed, so a slow machine is killed at the same places.
"""

import asyncio
import contextlib
import random
import time

from ..processes import Failed, now_ms
from .bench import Bench
from .sidecar import Reply

# What a store sees before it is looked at: one that is slow to list would cost more than it shows.
ROUNDS_A_LOOK = 20
# Reminders of a burst, within so many milliseconds, so far ahead that all of them are acknowledged before.
BURST = 300
BURST_MS = 400
BURST_AHEAD_MS = 1500
# Longest that the sidecar has a request and does not answer: a kill then leaves the worker in doubt.
ANSWER_SECONDS = 0.05
# What a file of some thousand tasks takes, and some.
MAKING_SECONDS = 0.15


async def _kill(bench: Bench) -> None:
    await bench.worker.process.kill()
    since = time.monotonic()
    bench.rounds += 1
    await bench.start()
    await bench.recovered(since)


def _answer_slowly(bench: Bench) -> None:
    bench.sidecar.behave = lambda: Reply(seconds=random.uniform(0, ANSWER_SECONDS))


async def ingest(bench: Bench, rounds: int) -> None:
    """Kills after a random number of acknowledgements."""
    _answer_slowly(bench)
    await bench.start()
    async with bench.under_load(rate=1500):
        for round in range(rounds):
            await bench.acknowledges(random.randint(20, 500))
            await _kill(bench)
            if round % ROUNDS_A_LOOK == ROUNDS_A_LOOK - 1:
                await bench.look()
    await bench.settle()


async def burst(bench: Bench, rounds: int) -> None:
    """Kills after a random number of a burst's reminders have come."""
    _answer_slowly(bench)
    await bench.start()
    for round in range(rounds):
        base = now_ms() + BURST_AHEAD_MS
        for n in range(BURST):
            bench.load.due(base + n * BURST_MS // BURST)
        seen = bench.book.seen_of()
        wanted = random.randint(1, BURST)
        if not await bench.book.wait_for(lambda: bench.book.seen_of() >= seen + wanted, 60):
            raise Failed(f"of a burst of {BURST} only {bench.book.seen_of() - seen} came")
        await _kill(bench)
        await bench.book.wait_for(lambda: bench.book.missing() <= 0, 60)
    await bench.settle()


async def export(bench: Bench, rounds: int) -> None:
    """Kills the worker, exports its store, and kills the export: it leaves the store as it is, and no half for a whole."""
    await bench.start()
    whole = 0
    async with bench.under_load(rate=1000):
        for round in range(rounds):
            await bench.acknowledges(random.randint(20, 200))
            await bench.worker.process.kill()
            file = bench.directory / f"export-{round}"
            child = await bench.spawn("store", "export", str(file))
            whole += await _kill_sometime(child) == 0
            since = time.monotonic()
            bench.rounds += 1
            if file.exists():
                await bench.command("store", "verify", str(file))
            await bench.start()
            await bench.recovered(since)
    bench.notes.append(f"{whole} exports were done before they were killed")
    await bench.settle()


async def backup(bench: Bench, rounds: int) -> None:
    """Kills the worker while it makes a backup; what is called one afterwards is whole."""
    await bench.start()
    whole = 0
    async with bench.under_load(rate=1000):
        for _ in range(rounds):
            await bench.acknowledges(random.randint(20, 200))
            child = await bench.spawn("backup")
            await asyncio.sleep(random.uniform(0, MAKING_SECONDS))
            await _kill(bench)
            whole += await child.wait() == 0
    bench.notes.append(f"{whole} backups were done before the kill")
    await bench.settle()
    for file in sorted(bench.directory.glob("store.backups/*.rmb")):
        await bench.command("store", "verify", str(file))


async def _kill_sometime(child: asyncio.subprocess.Process) -> int:
    """SIGKILL after a random moment, unless it has ended by then; its exit code."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(child.wait(), random.uniform(0, MAKING_SECONDS))
    if child.returncode is None:
        child.kill()
    return await child.wait()
