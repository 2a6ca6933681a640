"""What was planned, what was seen, and the difference.

A reminder is known by its task and its instant; both are read from what the consumer received, so a reminder at a wrong
instant counts twice: as one lost and one unplanned. Owns every judgement; knows no broker and no process.
"""

import asyncio
import datetime
import json
import time
from dataclasses import dataclass, field

# How long after the last expected reminder repeats are still looked for.
REPEATS_SECONDS = 1.5

Key = tuple[str, int]


def parse_ms(text: str) -> int:
    """An RFC 3339 instant in ms UTC."""
    instant = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(instant.timestamp() * 1000)


@dataclass
class Sighting:
    """One receipt: the whole CloudEvent, when the client had it, and when the broker says that it took it."""

    event_id: str
    body: bytes
    at_ms: int


@dataclass
class Count:
    """The judgement of one scenario."""

    planned: int = 0
    seen: int = 0
    lost: list[Key] = field(default_factory=list)
    early: list[tuple[Key, int]] = field(default_factory=list)
    unplanned: list[Key] = field(default_factory=list)
    repeats: int = 0
    # Of events to the worker, which tells; the ledger sees reminders only.
    redelivered: int = 0
    differing: list[Key] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    # Of the first sighting of each reminder, sorted.
    lateness_ms: list[int] = field(default_factory=list)

    def faults(self) -> list[str]:
        """What breaks a promise, with the first few examples."""
        named = {
            "lost": self.lost,
            "early": self.early,
            "not planned": self.unplanned,
            "repeated in other bytes": self.differing,
            "out of their task's order": self.disordered,
        }
        return [f"{len(found)} {what}: {found[:4]}" for what, found in named.items() if found]

    def quantile(self, share: float) -> int | None:
        """Lateness in ms below which `share` of the reminders stay."""
        if not self.lateness_ms:
            return None
        return self.lateness_ms[min(len(self.lateness_ms) - 1, int(share * len(self.lateness_ms)))]


class Ledger:
    """The book of one scenario."""

    def __init__(self) -> None:
        self._planned: set[Key] = set()
        self._seen: dict[Key, list[Sighting]] = {}
        self._order: dict[str, list[int]] = {}
        self._places: dict[str, set[int]] = {}
        self._missing = 0
        self._changed = asyncio.Event()

    def plan(self, task_id: str, due_ms: int) -> None:
        """A reminder that must come."""
        key = (task_id, due_ms)
        if key not in self._planned:
            self._planned.add(key)
            self._missing += key not in self._seen

    def withdraw(self, task_id: str, due_ms: int) -> None:
        """A reminder that must no longer come: its task was moved or ended well before the instant."""
        self._planned.remove((task_id, due_ms))
        self._missing -= (task_id, due_ms) not in self._seen

    def saw(self, body: bytes, received_ms: int, stamped_ms: int | None = None, partition: int = 0) -> None:
        """A reminder came: the CloudEvent as received, the client's clock then, and the broker's stamp if it has one.

        The earlier of the two counts, so that one which is early by either clock is early.
        """
        event = json.loads(body)
        payload = event["data"]["payload"]
        key = (payload["task_id"], parse_ms(payload["remind_at"]))
        at = received_ms if stamped_ms is None else min(received_ms, stamped_ms)
        sightings = self._seen.setdefault(key, [])
        if not sightings:
            self._order.setdefault(key[0], []).append(key[1])
            self._missing -= key in self._planned
        self._places.setdefault(key[0], set()).add(partition)
        sightings.append(Sighting(event["data"]["event_id"], body, at))
        self._changed.set()

    def seen_of(self, prefix: str = "") -> int:
        """How many reminders of tasks with that prefix have been seen."""
        return sum(key[0].startswith(prefix) for key in self._seen)

    async def wait_for(self, condition, seconds: float) -> bool:
        """Waits until `condition()` is true, which is looked at as reminders come."""
        end = time.monotonic() + seconds
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return condition()
        return True

    async def complete(self, seconds: float) -> None:
        """Waits until every planned reminder was seen, at most so long, and then a little for repeats."""
        await self.wait_for(lambda: self._missing <= 0, seconds)
        await asyncio.sleep(REPEATS_SECONDS)

    def count(self, ordered: bool) -> Count:
        """The judgement. `ordered` says that no fault was played, so a task's reminders must come in order."""
        count = Count(planned=len(self._planned), seen=len(self._planned & self._seen.keys()))
        count.lost = sorted(self._planned - self._seen.keys())
        count.unplanned = sorted(self._seen.keys() - self._planned)
        owners: dict[str, Key] = {}
        for key, sightings in self._seen.items():
            first = sightings[0]
            count.repeats += len(sightings) - 1
            strange_id = owners.setdefault(first.event_id, key) != key
            if strange_id or any(s.body != first.body or s.event_id != first.event_id for s in sightings):
                count.differing.append(key)
            earliest = min(s.at_ms for s in sightings)
            if earliest < key[1]:
                count.early.append((key, earliest - key[1]))
            count.lateness_ms.append(first.at_ms - key[1])
        count.lateness_ms.sort()
        # A task has one partition whatever happens; within it, retries may overtake.
        disordered = {task for task, partitions in self._places.items() if len(partitions) > 1}
        if ordered:
            disordered |= {task for task, came in self._order.items() if came != sorted(came)}
        count.disordered = sorted(disordered)
        return count
