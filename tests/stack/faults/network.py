"""The sidecar hangs or is slow, and the worker runs out of descriptors under more connections than it may have."""

import asyncio
import contextlib
import random
import time

from ..processes import now_ms
from .bench import Bench
from .sidecar import TAKE, Reply

# The worker's own time-out of a publish is `dapr.publish_timeout`, 10 s; what is slower is ambiguous.
SLOW_SECONDS = (10.5, 14.0)
HANG_SECONDS = 25.0
# Reminders that fall due while the sidecar does not answer.
DUE = 200
DUE_MS = 10_000
# Few descriptors: the store, two listeners and a runtime fit, and some connections.
DESCRIPTORS = 64
# Connections that are opened and say nothing: more than it has descriptors.
IDLE = 200
STARVED_SECONDS = 6.0


async def _due_meanwhile(bench: Bench, behave, seconds: float) -> None:
    base = now_ms() + 1_500
    for n in range(DUE):
        bench.load.due(base + n * DUE_MS // DUE)
    await bench.acknowledges(DUE)
    began = time.monotonic()
    bench.sidecar.behave = behave
    # Events are taken meanwhile: intake does not wait for the sidecar.
    async with bench.under_load(rate=200, soon_ms=(500, 8000)):
        await asyncio.sleep(seconds)
        await bench.acknowledges(50)
        bench.sidecar.behave = lambda: TAKE
        since = time.monotonic()
        bench.rounds += 1
        await bench.flows(since)
    bench.notes.append(f"{bench.sidecar.requests} requests in {time.monotonic() - began:.0f} s")


async def hung(bench: Bench, rounds: int) -> None:
    """Requests are read, and half of them taken, and none is ever answered."""
    await bench.start()
    for _ in range(rounds):
        await _due_meanwhile(bench, lambda: Reply(taken=random.random() < 0.5, status=None), HANG_SECONDS)
    await bench.settle()


async def slow(bench: Bench, rounds: int) -> None:
    """Requests are taken, and answered after the worker gave up waiting."""
    await bench.start()
    for _ in range(rounds):
        await _due_meanwhile(bench, lambda: Reply(seconds=random.uniform(*SLOW_SECONDS)), HANG_SECONDS)
    await bench.settle()


async def failing(bench: Bench, rounds: int) -> None:
    """Half of the requests are answered 500, half of those were taken all the same."""
    await bench.start()

    def behave() -> Reply:
        return TAKE if random.random() < 0.5 else Reply(taken=random.random() < 0.5, status=500)

    for _ in range(rounds):
        await _due_meanwhile(bench, behave, 12.0)
    await bench.settle()


async def down(bench: Bench, rounds: int) -> None:
    """Its port closes, and opens again."""
    await bench.start()
    for _ in range(rounds):
        base = now_ms() + 1_500
        for n in range(DUE):
            bench.load.due(base + n * DUE_MS // DUE)
        await bench.acknowledges(DUE)
        await bench.sidecar.stop()
        async with bench.under_load(rate=200, soon_ms=(500, 8000)):
            await asyncio.sleep(15)
            await bench.sidecar.start()
            since = time.monotonic()
            bench.rounds += 1
            await bench.flows(since)
    await bench.settle()


async def descriptors(bench: Bench, rounds: int) -> None:
    """Idle connections take every descriptor that the limit leaves, under load; then they go."""
    bench.beside(prefix=["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"])
    await bench.start()
    for _ in range(rounds):
        async with bench.under_load(rate=300):
            await bench.acknowledges(200)
            async with _idle(bench.worker.app_port, IDLE // 2), _idle(bench.worker.ops_port, IDLE // 2):
                await asyncio.sleep(STARVED_SECONDS)
            bench.rounds += 1
            await bench.recovered(time.monotonic())
    await bench.settle()
    log = bench.worker.process.log.read_text(errors="replace")
    bench.notes.append(f"{log.count('a connection could not be taken')} connections were not taken")
    if "Too many open files" not in log:
        bench.faults.append("descriptors never ran out: the row proves nothing")


@contextlib.asynccontextmanager
async def _idle(port: int, count: int):
    """That many connections on which nothing is said."""
    opened: list[asyncio.StreamWriter] = []
    try:
        for _ in range(count):
            with contextlib.suppress(OSError, TimeoutError):
                _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 1)
                opened.append(writer)
        yield
    finally:
        for writer in opened:
            writer.close()
