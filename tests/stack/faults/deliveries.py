"""Delivers events as a broker does: again and again until they are acknowledged, and never after.

Owns what is on its way, and which event was acknowledged when: the promises are judged by that alone.
"""

import asyncio
import collections
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from ..processes import now_ms
from .sidecar import PUBSUB

# As daprd: one that was refused comes again, here soon.
AGAIN_SECONDS = 0.02
# Longer than any answer of a worker that lives; a stopped one must not hold its deliveries for ever.
TIMEOUT_SECONDS = 15.0
# How many deliver one event a request, how many a batch, and of how many.
SINGLES = 6
BULKS = 2
BATCH = 40
# What is delivered alone.
LARGE_BYTES = 64 << 10


@dataclass
class Pending:
    """An event on its way, and what is to be noted once it is acknowledged. `words` is what the answer may be."""

    event: bytes
    noted: Callable[[int], None]
    route: str = "task-events"
    words: tuple[str, ...] = ("SUCCESS",)


class Deliveries:
    """A broker's partitions and its consumers in one."""

    def __init__(self, port: Callable[[], int]):
        self._port = port
        self._waiting: dict[str, collections.deque[Pending]] = collections.defaultdict(collections.deque)
        self._under_way = 0
        self._tasks: list[asyncio.Task] = []
        self._session: aiohttp.ClientSession | None = None
        self.acknowledged = 0
        # Of the monotonic clock.
        self.last_acknowledged = 0.0
        self.refused = 0
        self.unexpected: list[str] = []
        # Whether answers are lost on their way, so that nothing more counts as acknowledged.
        self.is_deaf = False

    async def start(self) -> None:
        """Begins to deliver."""
        limit = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS), connector=limit)
        for size in [1] * SINGLES + [BATCH] * BULKS:
            self._tasks.append(asyncio.create_task(self._deliver(size)))

    async def stop(self) -> None:
        """Gives up what is on its way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()

    def offer(self, pending: Pending) -> None:
        """Puts an event at the end of what waits on its route."""
        self._waiting[pending.route].append(pending)

    def left(self) -> int:
        """How many are not acknowledged yet."""
        return sum(map(len, self._waiting.values())) + self._under_way

    async def drained(self, seconds: float) -> bool:
        """Waits until all is acknowledged."""
        end = time.monotonic() + seconds
        while self.left() and time.monotonic() < end:
            await asyncio.sleep(0.02)
        return not self.left()

    async def _deliver(self, size: int) -> None:
        while True:
            taken = self._take(size)
            if not taken:
                await asyncio.sleep(0.005)
                continue
            self._under_way += len(taken)
            again = taken
            try:
                again = await (self._single(taken[0]) if len(taken) == 1 else self._bulk(taken))
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                pass
            finally:
                self._under_way -= len(taken)
                self._waiting[taken[0].route].extendleft(reversed(again))
            if again:
                self.refused += len(again)
                await asyncio.sleep(AGAIN_SECONDS)

    def _take(self, size: int) -> list[Pending]:
        """From the front of the longest route; large ones alone, as a broker's batches have a limit."""
        taken: list[Pending] = []
        waiting = max(self._waiting.values(), key=len, default=())
        while waiting and len(taken) < size:
            if taken and len(waiting[0].event) > LARGE_BYTES:
                break
            taken.append(waiting.popleft())
            if len(taken[0].event) > LARGE_BYTES:
                break
        return taken

    async def _single(self, one: Pending) -> list[Pending]:
        status, said = await self._post(one.route, "application/cloudevents+json", one.event)
        if status != 200:
            return [one]
        return [] if self._answered(one, json.loads(said).get("status", "")) else [one]

    async def _bulk(self, several: list[Pending]) -> list[Pending]:
        entries = [
            b'{"entryId":"%d","contentType":"application/cloudevents+json","metadata":{},"event":%s}' % (n, one.event)
            for n, one in enumerate(several)
        ]
        body = b'{"id":"b","type":"com.dapr.event.sent.bulk","topic":"t","pubsubname":"%s","entries":[%s]}' % (
            PUBSUB.encode(),
            b",".join(entries),
        )
        status, said = await self._post(several[0].route, "application/json", body)
        if status != 200:
            return several
        words = {int(one["entryId"]): one["status"] for one in json.loads(said)["statuses"]}
        return [one for n, one in enumerate(several) if not self._answered(one, words.get(n, ""))]

    async def _post(self, route: str, kind: str, body: bytes) -> tuple[int, bytes]:
        headers = {"content-type": kind, "pubsubname": PUBSUB}
        url = f"http://127.0.0.1:{self._port()}/events/{route}"
        async with self._session.post(url, data=body, headers=headers) as reply:
            return reply.status, await reply.read()

    def _answered(self, one: Pending, word: str) -> bool:
        if self.is_deaf:
            return False
        if word not in one.words:
            if word != "RETRY":
                self.unexpected.append(f"{word!r} for {one.event[:200]!r}")
            return word == "DROP"
        self.acknowledged += 1
        self.last_acknowledged = time.monotonic()
        one.noted(now_ms())
        return True
