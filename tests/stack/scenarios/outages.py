"""The processes around the broker die: the worker, its sidecar, or the way between them."""

import asyncio

from .. import events
from ..processes import now_ms, until
from ..stage import Stage

# Time for the events to be taken before the first instant.
AHEAD_MS = 3_000
# A burst that takes longer to go out than a kill takes to strike.
BURST = 2_000
# How long the app's port stays closed.
CLOSED_MS = 20_000

# Events that a sidecar has under way, at most: one request for each partition with events, of as many as the worker's
# subscription allows.
BATCHES = 3 * 100
# Reminders that the worker has under way, at most: `publish.batch_max` times `publish.in_flight_max`. A kill leaves
# them published and not written down, so each may go out once more.
UNDER_WAY = 256 * 4
# Each kill also leaves a batch of each partition taken and not answered.
WORKER_KILLED_REDELIVERED = 2 * BATCHES
# Reminders that fall due within a second, which no publish takes as long as the broker is well.
SIDECAR_KILLED_REPEATS = 40
# What came before the kill: the broker has been told by then of most, or all.
SIDECAR_KILLED_REDELIVERED = 300


def spread(stage: Stage, prefix: str, tasks: int, base_ms: int, over_ms: int) -> list[dict]:
    """Plans tasks that fall due evenly over a while, and returns their events."""
    made = []
    for n in range(tasks):
        task, due = f"{prefix}-{n}", base_ms + over_ms * n // tasks
        stage.ledger.plan(task, due)
        made.append(events.created(task, due))
    return made


async def sidecar_killed(stage: Stage) -> None:
    """SIGKILL of the worker's sidecar while reminders fall due and events come; it is back after two seconds."""
    await stage.open()
    await stage.begin()
    base = now_ms() + AHEAD_MS
    await stage.publish(spread(stage, "before", 300, base, 8_000))
    await until(base + 2_000)
    await stage.sidecars[0].process.kill()
    await stage.publish(spread(stage, "meanwhile", 300, now_ms() + 1_000, 8_000))
    await asyncio.sleep(2)
    stage.sidecars[0].process.start()
    await stage.ready()
    await stage.ledger.complete(60)


async def worker_killed(stage: Stage) -> None:
    """SIGKILL of the worker while it takes events in, and again in the middle of a burst."""
    await stage.open()
    await stage.begin()
    base = now_ms() + 10_000
    burst = spread(stage, "burst", BURST, base, 0)
    await stage.publish(burst[: BURST // 2])
    publishing = asyncio.create_task(stage.publish(burst[BURST // 2 :]))
    await stage.worker.process.kill()
    await publishing
    await asyncio.sleep(1)
    stage.worker.process.start()
    await stage.worker.ready()
    await stage.ledger.wait_for(lambda: stage.ledger.seen_of("burst") >= BURST // 10, 40)
    await stage.worker.process.kill()
    stage.worker.process.start()
    await stage.worker.ready()
    await stage.ledger.complete(60)


async def port_closed(stage: Stage) -> None:
    """The worker is away for 20 s: its port is closed while events come and reminders fall due."""
    await stage.open()
    await stage.begin()
    base = now_ms() + AHEAD_MS
    await stage.publish(spread(stage, "before", 200, base, CLOSED_MS))
    await until(base)
    await stage.worker.process.terminate()
    closed = now_ms()
    for part in range(4):
        await stage.publish(spread(stage, f"meanwhile-{part}", 50, closed + CLOSED_MS, 3_000))
        await until(closed + CLOSED_MS * (part + 1) // 4)
    stage.worker.process.start()
    await stage.ready()
    await stage.ledger.complete(45)
