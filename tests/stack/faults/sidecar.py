"""A stand-in for the worker's sidecar, in this process, so that what it took is known exactly.

Owns its port and its behaviour. A broker that has an event and a sidecar that could not say so is the worst case of
at-least-once, so taking and answering are separate here.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from ..ledger import parse_ms
from ..processes import free_port, now_ms
from .book import Book

BODY_MAX_BYTES = 64 << 20
PUBSUB = "kafka-pubsub"
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Reply:
    """What becomes of one request: whether the broker has it, how long it takes, the answer; None is never one."""

    taken: bool = True
    seconds: float = 0.0
    status: int | None = 204


TAKE = Reply()


class Sidecar:
    """One that takes everything at once, until `behave` is set."""

    def __init__(self, book: Book, topics: dict[str, str]):
        self.port = free_port()
        self.behave: Callable[[], Reply] = lambda: TAKE
        # What is taken from the topic of reminders goes here too, as to who subscribes to it.
        self.passes_on: Callable[[bytes], None] = lambda _: None
        # Requests that published something, and events that came through the outbox, by their ids.
        self.requests = 0
        self.outbox: dict[str, list[bytes]] = {}
        self._book = book
        self._topics = topics
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Opens its port."""
        routes = web.Application(client_max_size=BODY_MAX_BYTES)
        routes.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(routes, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def stop(self) -> None:
        """Breaks its connections and closes its port."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return self._tell(request.path)
        # Before the body: what is early must not become punctual by being read slowly.
        at = now_ms()
        body = (await request.read()).decode()
        self.requests += 1
        reply = self.behave()
        parts = request.path.strip("/").split("/")
        bulk = "bulk" in parts
        for raw, event in _entries(body) if bulk else [(body, json.loads(body))]:
            self._note(parts[-1], raw.encode(), event, at, reply.taken)
        await asyncio.sleep(reply.seconds)
        if reply.status is None:
            # Until the worker gives up; then nobody hears it.
            await asyncio.sleep(3600)
        if reply.status == 204:
            return web.Response(status=204)
        return web.json_response(
            {"errorCode": "ERR_PUBSUB_PUBLISH_MESSAGE", "message": "broker is down"}, status=reply.status or 500
        )

    def _tell(self, path: str) -> web.Response:
        if path == "/v1.0/metadata":
            subscribed = [{"pubsubname": PUBSUB, "topic": topic} for topic in self._topics.values()]
            component = {"name": PUBSUB, "type": "pubsub.kafka"}
            return web.json_response({"id": "reminder-worker", "components": [component], "subscriptions": subscribed})
        return web.Response(status=204 if path.startswith("/v1.0/healthz") else 404)

    def _note(self, topic: str, raw: bytes, event: dict, at: int, taken: bool) -> None:
        if topic != self._topics["reminders"]:
            if taken:
                self.outbox.setdefault(event["data"]["event_id"], []).append(raw)
            return
        payload = event["data"]["payload"]
        key = (payload["task_id"], parse_ms(payload["remind_at"]))
        self._book.tried(key, raw, at)
        if taken:
            self._book.saw(raw, at)
            self.passes_on(raw)


def _entries(body: str):
    """The events of a bulk request, each as its own bytes and read. An entry's id and metadata never name an event."""
    at = 0
    while (start := body.find('"event":', at)) >= 0:
        start += len('"event":')
        event, at = _DECODER.raw_decode(body, start)
        yield body[start:at], event
