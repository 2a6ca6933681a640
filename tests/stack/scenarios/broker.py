"""The broker hangs, or dies and comes back, while reminders fall due; and it holds much from before the start."""

import asyncio

from ..processes import now_ms, poll, until
from ..stage import Stage
from .outages import AHEAD_MS, spread

PAUSED_MS = 20_000
DEAD_SECONDS = 3
WAITING = 20_000
# Redis is delivered one event at a time (`k8s/dapr/redis`), each forced to the disk before the next one comes.
WAITING_SINGLY = 5_000
# Each reminder that falls due meanwhile may be in a publish of which the worker heard nothing, and that was taken all
# the same; hardly one is in two, since a publish may take half as long as the broker is stopped.
PAUSED = PAUSED_REPEATS = 400
# Likewise: what the broker took and could not say any more, or took as it came back.
KILLED = KILLED_REPEATS = 400
# What was passed and could not be told to the broker.
REDELIVERED = 400


async def paused(stage: Stage) -> None:
    """SIGSTOP for 20 s: publishes hang, then go through, some of them after their caller gave up."""
    await stage.open()
    await stage.begin()
    base = now_ms() + AHEAD_MS
    await stage.publish(spread(stage, "paused", PAUSED, base, 18_000))
    await until(base + 2_000)
    await stage.broker.pause()
    try:
        await until(base + 2_000 + PAUSED_MS)
    finally:
        await stage.broker.resume()
    await stage.ledger.complete(60)


async def killed(stage: Stage) -> None:
    """SIGKILL, and a start three seconds later on the same data."""
    await stage.open()
    await stage.begin()
    base = now_ms() + AHEAD_MS
    await stage.publish(spread(stage, "killed", KILLED, base, 10_000))
    await until(base + 2_000)
    await stage.broker.kill()
    await asyncio.sleep(DEAD_SECONDS)
    await stage.broker.start()
    await stage.publish(spread(stage, "after", 100, now_ms() + 1_000, 2_000))
    await stage.ledger.complete(90)


async def waiting(stage: Stage, events: int = WAITING) -> None:
    """Thousands of events are on the topics before the worker and its sidecar first start; some fall due meanwhile."""
    await stage.open()
    await stage.publish(spread(stage, "waiting", events, now_ms() + 6_000, 14_000))
    await stage.begin()
    await stage.ledger.complete(90)

    async def received() -> bool:
        return await stage.worker.metric("reminder_worker_receipts_total") >= events

    # daprd ends badly where its app has gone while something is on its way to it.
    await poll("every reminder has come back as a receipt", received, 90)
