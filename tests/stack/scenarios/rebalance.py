"""Two sidecars of one group deliver to one worker, and the group changes in the middle of a burst of events."""

import asyncio

from ..processes import now_ms
from ..stage import Stage
from .outages import spread

EVENTS = 6_000
PARTS = 12


async def play(stage: Stage) -> None:
    """The second sidecar is killed, then started again, while events come in: its partitions go and come back."""
    await stage.open()
    await stage.begin()
    burst = spread(stage, "rebalance", EVENTS, now_ms() + 8_000, 10_000)
    second = stage.sidecars[1].process
    for part in range(PARTS):
        await stage.publish(burst[part * EVENTS // PARTS : (part + 1) * EVENTS // PARTS])
        match part:
            case 3:
                await second.kill()
            case 7:
                second.start()
        # The burst goes on over the time that a rebalance takes.
        await asyncio.sleep(0.5)
    await stage.ready()
    await stage.ledger.complete(60)
