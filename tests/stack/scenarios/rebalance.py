"""Two sidecars of one group deliver to one worker, and the group changes in the middle of a burst of events.

That it changed is read in the logs of the sidecars: nothing here relies on how long a rebalance takes.
"""

import asyncio
import signal
from contextlib import asynccontextmanager

from ..client import PARTITIONS
from ..processes import now_ms
from ..stage import EmbeddedStage
from .outages import BATCHES, spread

# Partitions of the worker's three topics.
ALL = 3 * PARTITIONS
# Events are published in such parts, so often, until what is waited for has come.
PART = 250
EVERY_SECONDS = 0.5
# A rebalance ends the batch that is under way in each partition with events: by the kill, by the return.
# The killed one had told the broker, twice a second, what it had passed: two parts may lie between.
KILLED_REDELIVERED = 2 * PART + 2 * BATCHES

# More than a member keeps of each partition ahead of its delivery, 2,048 records: it has paused every one.
WAITING = 9_000
# Evicted, back, gone: three rebalances of what is under way.
PAUSED_REDELIVERED = 3 * BATCHES


async def killed(stage: EmbeddedStage) -> None:
    """The second sidecar is killed, then started again, while events come in: its partitions go and come back."""
    await _both_hold_some(stage)
    first, second = stage.sidecars
    async with _publishing(stage):
        seen = len(first.assignments())
        await second.process.kill()
        await first.assigned("every partition, without the other", lambda count: count == ALL, seen)
        seen = len(second.assignments())
        second.process.start()
        await second.assigned("some partitions again", lambda count: 0 < count < ALL, seen)
    await stage.ready()
    await stage.ledger.complete(60)


async def paused(stage: EmbeddedStage) -> None:
    """The worker hangs while more comes than sidecars keep ahead, and the group changes thrice over paused partitions.

    A hanging worker tells no newcomer its subscriptions, so the second sidecar leaves by hanging too, until the group
    has gone on without it; it comes back by waking up, and leaves for good by SIGTERM.
    """
    await _both_hold_some(stage)
    first, second = stage.sidecars
    stage.worker.process.signal(signal.SIGSTOP)
    try:
        await stage.publish(spread(stage, "paused", WAITING, now_ms() + 45_000, 10_000))
        seen = len(first.assignments())
        second.process.signal(signal.SIGSTOP)
        await first.assigned("every partition, without the hanging one", lambda count: count == ALL, seen)
        seen = len(second.assignments())
        second.process.signal(signal.SIGCONT)
        await second.assigned("some partitions again", lambda count: 0 < count < ALL, seen)
        seen = len(first.assignments())
        await second.end()
        await first.assigned("every partition for good", lambda count: count == ALL, seen)
    finally:
        stage.worker.process.signal(signal.SIGCONT)
    await stage.ledger.complete(90)


async def _both_hold_some(stage: EmbeddedStage) -> None:
    await stage.open()
    await stage.begin()
    for sidecar in stage.sidecars:
        await sidecar.assigned("some partitions", lambda count: 0 < count < ALL)


@asynccontextmanager
async def _publishing(stage: EmbeddedStage):
    """Events come in as long as the block runs, and each falls due soon after."""
    over = asyncio.Event()

    async def burst() -> None:
        part = 0
        while not over.is_set():
            await stage.publish(spread(stage, f"rebalance-{part}", PART, now_ms() + 8_000, 4_000))
            await asyncio.sleep(EVERY_SECONDS)
            part += 1

    publishing = asyncio.create_task(burst())
    try:
        yield
    finally:
        # Not in the middle of a part: what was planned must be published.
        over.set()
        await publishing
