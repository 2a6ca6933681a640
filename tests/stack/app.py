"""The second app: it subscribes to `reminders` through a sidecar of its own, as an app of ours would.

Owns its listener. It writes every delivery into the ledger before it answers SUCCESS; it drops no repeat, since the
ledger counts them.
"""

from aiohttp import web

from .ledger import Ledger
from .processes import free_port, now_ms

BODY_MAX_BYTES = 8 << 20


class App:
    """An app with one subscription."""

    def __init__(self, component: str, topic: str, ledger: Ledger):
        self.port = free_port()
        self._subscription = {"pubsubname": component, "topic": topic, "route": "/reminders"}
        self._ledger = ledger
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Opens its port."""
        routes = web.Application(client_max_size=BODY_MAX_BYTES)
        routes.router.add_get("/dapr/subscribe", self._subscribe)
        routes.router.add_post("/reminders", self._take)
        self._runner = web.AppRunner(routes, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        """Closes its port."""
        if self._runner:
            await self._runner.cleanup()

    async def _subscribe(self, _: web.Request) -> web.Response:
        return web.json_response([self._subscription])

    async def _take(self, request: web.Request) -> web.Response:
        received = now_ms()
        self._ledger.saw(await request.read(), received)
        return web.json_response({"status": "SUCCESS"})
