"""SIGKILL: while events come in, while reminders go out, while the store is exported or backed up.

A kill comes when something has been seen, not when time has passed, so a slow machine is killed at the same places.
"""

import asyncio
import random
import signal
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
    """Kills the worker while its store is exported, and the export too."""
    await _during(bench, rounds, lambda n: ["store", "export", str(bench.directory / f"export-{n}")])


async def backup(bench: Bench, rounds: int) -> None:
    """Kills the worker while its store is backed up."""
    await _during(bench, rounds, lambda n: ["store", "backup", str(bench.directory / f"backup-{n}")])


async def _during(bench: Bench, rounds: int, command) -> None:
    await bench.start()
    async with bench.under_load(rate=1000):
        for round in range(rounds):
            await bench.acknowledges(random.randint(20, 200))
            child = await asyncio.create_subprocess_exec(
                str(bench.binary), *command(round), "--ops-port", str(bench.worker.ops_port),
                "--store-path", str(bench.store),
                stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            await asyncio.sleep(random.uniform(0, 0.05))
            await _kill(bench)
            if child.returncode is None and random.random() < 0.5:
                child.send_signal(signal.SIGKILL)
            await child.wait()
    await bench.settle()
