"""No fault: what is planned, moved and cancelled comes out as the tasks say, and a task's reminders in order."""

from .. import events
from ..processes import Failed, now_ms
from ..stage import EmbeddedStage, Stage

TASKS = 120
# Time for the events to be taken before the first instant, on a busy machine.
AHEAD_MS = 5_000
SPREAD_MS = 5_000


async def play(stage: Stage) -> None:
    """Tasks of every fate, their events one close behind the other."""
    await stage.open()
    await stage.begin()
    first, later = [], []
    base = now_ms() + AHEAD_MS
    for n in range(TASKS):
        task, due = f"plain-{n}", base + SPREAD_MS * n // TASKS
        match n % 6:
            case 0 | 1:
                first.append(events.created(task, due))
                stage.ledger.plan(task, due)
            case 2:  # several reminders, whose order can be seen
                instants = [due + step for step in (0, 700, 1_400, 2_100)]
                first.append(events.created(task, due + 60_000, remind_at=[events.iso(at) for at in instants]))
                for at in instants:
                    stage.ledger.plan(task, at)
            case 3:  # moved three times: only the last counts
                first.append(events.created(task, due))
                for step in (1, 2, 3):
                    later.append(events.stamped(events.moved(task, due + step * 400), step))
                stage.ledger.plan(task, due + 3 * 400)
            case 4:  # loses its due date, or is done, or gone
                first.append(events.created(task, due))
                ends = [events.moved(task, None), events.completed(task), events.deleted(task)]
                later.append(events.stamped(ends[n // 6 % 3], 1))
            case 5:  # a minute before it is due
                first.append(events.created(task, due + 60_000, reminder_offset=1))
                stage.ledger.plan(task, due)
    await stage.publish(first)
    await stage.publish(later)
    if now_ms() > base:
        raise Failed("the machine was too slow: events were still being published when the first reminder fell due")
    await stage.ledger.complete(30)
    if isinstance(stage, EmbeddedStage):
        for way, partitions in {"in": stage.client.partitions_in, "out": stage.client.partitions_out}.items():
            if len(partitions) != 3:
                raise Failed(f"only the partitions {partitions} were used on the way {way}")
