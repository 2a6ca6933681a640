"""The store is damaged, the newest backup restored, and what is missing since then refilled from the topics."""

from .. import events
from ..client import rewind
from ..processes import Failed, now_ms, poll
from ..stage import EmbeddedStage
from .outages import spread

TASKS = 100
# Time for a backup, a damage, a restore and a refill before the first instant, on a busy machine.
AHEAD_MS = 60_000
# How much further back than the backup the topics are read again, as one who reads an instant off a message would.
MARGIN_MS = 1_000
# At most all that came before the backup lies within that margin.
REDELIVERED = 3 * TASKS


async def play(stage: EmbeddedStage) -> None:
    """What was planned before the backup and after it goes out once; what ended after it does not."""
    await stage.open()
    await stage.begin()
    due = now_ms() + AHEAD_MS
    ended = [events.created(f"ended-{n}", due) for n in range(TASKS)]
    await stage.publish(spread(stage, "before", TASKS, due, 3_000) + ended)
    await _has_received(stage, 2 * TASKS)
    await stage.worker.post("/api/v1/backups")
    backed_up = now_ms()
    await stage.publish(spread(stage, "missing", TASKS, due, 3_000))
    await stage.publish([events.completed(f"ended-{n}") for n in range(TASKS)])
    await _has_received(stage, 4 * TASKS)

    await stage.worker.process.kill()
    store = stage.directory / "store" / "db"
    store.write_bytes(bytes(store.stat().st_size))
    for sidecar in stage.sidecars:
        await sidecar.end()
    heard = [stage.topics[role] for role in ("task-events", "task-updates")]
    await rewind(stage.broker.address, stage.app_id, heard, backed_up - MARGIN_MS)

    await stage.begin()
    restored = (await stage.worker.ask("/api/v1/restore"))["restored"]
    if not restored:
        raise Failed("the damaged store was not restored from its backup")
    await _has_received(stage, 4 * TASKS)
    if now_ms() > due:
        raise Failed("the machine was too slow: the refill had not ended when the first reminder fell due")
    await stage.worker.post("/api/v1/restore/confirm")
    # From when the first is due on: all before may have taken no time.
    await stage.ledger.complete(AHEAD_MS / 1_000 + 30)


async def _has_received(stage: EmbeddedStage, count: int) -> None:
    async def has() -> bool:
        told = await stage.worker.ask("/api/v1/stats")
        return isinstance(told, dict) and told["events"]["received"] >= count

    await poll(f"the worker has received {count} events", has, 40)
