"""What is delivered: a mixture of tasks, and what each kind means once it is acknowledged.

Owns the expectation of each event. Nothing is expected of an event before its acknowledgement.
"""

import asyncio
import base64
import itertools
import json
import random

from .. import events
from ..processes import now_ms
from .book import Book
from .deliveries import Deliveries, Pending

DAY_MS = 24 * 60 * 60 * 1000
# Days that no run lasts.
FAR_MS = 30 * DAY_MS
# How many events may wait at the deliveries: enough for every connection, and little that a kill finds undelivered.
AHEAD = 400
# Between two looks at what waits.
POLL_SECONDS = 0.01
# A title on its bound.
TITLE_BYTES = 8 * 1024
# What daprd accepts of one event.
BODY_MAX_BYTES = 4 << 20
# What the publishing API accepts of one event, less what it adds.
OUTBOX_MAX_BYTES = 890 << 10


def wrapped(event: dict) -> bytes:
    """The event as a sidecar delivers it."""
    return events.cloud_event(event)


class Load:
    """Makes events and offers them. `name` keeps the tasks of one run apart from others'."""

    def __init__(self, name: str, book: Book, deliveries: Deliveries):
        self._name = name
        self._book = book
        self._deliveries = deliveries
        self._numbers = itertools.count()
        # Bodies that were acknowledged as quarantined, by their mark.
        self.quarantined: dict[str, bytes] = {}

    def task(self, kind: str) -> str:
        """A task id that no other has."""
        return f"{self._name}-{kind}-{next(self._numbers)}"

    def offer(self, event: dict, noted) -> None:
        """Offers one event as it is."""
        self._deliveries.offer(Pending(wrapped(event), noted, route=events.topic_of(event)))

    def far(self, **more) -> None:
        """A task that stands."""
        task, due = self.task("far"), now_ms() + FAR_MS
        self.offer(events.created(task, due, **more), lambda _: self._book.stand(task, due))

    def due(self, at_ms: int, **more) -> str:
        """A task that is due then."""
        task = self.task("due")
        self.offer(events.created(task, at_ms, **more), lambda _: self._book.plan(task, at_ms))
        return task

    def moved(self, at_ms: int) -> None:
        """A task far ahead that is moved to that instant."""
        task = self.task("moved")
        both = _Both(lambda _: self._book.plan(task, at_ms))
        # As long as one of the two is on its way, it may come at either.
        self._book.may(task, at_ms)
        self.offer(events.created(task, now_ms() + FAR_MS), both)
        self.offer(events.stamped(events.moved(task, at_ms), 1), both)

    def ended(self, at_ms: int) -> None:
        """A task that is due then and ends: if that is acknowledged in time, nothing may come."""
        task = self.task("ended")
        self._book.may(task, at_ms)
        self.offer(events.created(task, at_ms), lambda _: None)

        def over(acknowledged_ms: int) -> None:
            if acknowledged_ms + self._book.ahead_ms < at_ms:
                self._book.forbid(task, at_ms)

        ending = random.choice([events.completed, events.deleted])
        self.offer(events.stamped(ending(task), 1), over)

    def poison(self, size: int) -> None:
        """A body of that size that can never be read: the word for it is DROP, and it is kept."""
        mark = self.task("poison")
        # No text of one letter: a file system may not store what it can guess.
        filling = base64.b64encode(random.randbytes(size * 3 // 4)).decode()
        body = json.dumps({"event_type": "task_created", "mark": mark, "payload": {"filling": filling}}).encode()
        self._deliveries.offer(Pending(body, lambda _: self.quarantined.update({mark: body}), words=("DROP",)))

    def mixture(self, soon_ms: tuple[int, int]) -> None:
        """Ten tasks: six stand, four are due within these milliseconds from now, one of them moved, one ended."""
        for _ in range(6):
            self.far()
        at = [now_ms() + random.randint(*soon_ms) for _ in range(4)]
        self.due(at[0])
        self.due(at[1], title="T" * TITLE_BYTES)
        self.moved(at[2])
        self.ended(at[3])

    async def run(self, over: asyncio.Event, make, rate: float) -> None:
        """Calls `make` for ten tasks at a time, at most `rate` tasks a second, until `over`; waits while much waits."""
        while not over.is_set():
            if self._deliveries.left() < AHEAD:
                make()
                await asyncio.sleep(10 / rate)
            else:
                await asyncio.sleep(POLL_SECONDS)


class _Both:
    """Calls on once it was called twice."""

    def __init__(self, then):
        self._then = then
        self._calls = 0

    def __call__(self, at_ms: int) -> None:
        self._calls += 1
        if self._calls == 2:
            self._then(at_ms)
