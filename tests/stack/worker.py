"""The worker's process, as `serve` runs it, and what its own API says.

Owns its settings and its ports, which stay the same over a restart, as they do in a pod.
"""

import json
from pathlib import Path

import aiohttp

from .processes import Failed, Process, free_port, poll

# How long a start may take, with 20,000 events waiting and another scenario on the same cores.
READY_SECONDS = 30.0


class Worker:
    """One worker on a store of its own."""

    def __init__(self, binary: Path, directory: Path, topics: dict[str, str], session: aiohttp.ClientSession):
        self._binary = binary
        self._directory = directory
        self._topics = topics
        self._session = session
        self.app_port = free_port()
        self.ops_port = free_port()
        self.process: Process | None = None

    def beside(self, sidecar_port: int, more: dict[str, str] | None = None, prefix: list[str] | None = None) -> None:
        """Names the sidecar that it publishes through, `more` of its environment, and what its command begins with."""
        environment = {
            "DAPR_HTTP_PORT": str(sidecar_port),
            "APP_PORT": str(self.app_port),
            "REMINDER_WORKER__OPS__PORT": str(self.ops_port),
            "REMINDER_WORKER__STORE__PATH": str(self._directory / "store"),
            "REMINDER_WORKER__TOPICS__TASK_EVENTS": self._topics["task-events"],
            "REMINDER_WORKER__TOPICS__TASK_UPDATES": self._topics["task-updates"],
            "REMINDER_WORKER__TOPICS__REMINDERS": self._topics["reminders"],
            **(more or {}),
        }
        self.process = Process("worker", self._directory, [*(prefix or []), self._binary, "serve"], environment)

    async def ready(self) -> None:
        """Waits until its readiness probe is content."""

        async def content() -> bool:
            self.process.must_run()
            return await self.is_ready()

        await poll(f"the worker is ready; see {self.process.log}", content, READY_SECONDS)

    async def is_ready(self) -> bool:
        """Whether its readiness probe is content now."""
        try:
            async with self._session.get(self._ops("/readyz")) as reply:
                return reply.status == 200
        except aiohttp.ClientError:
            return False

    async def end(self) -> None:
        """Ends it as a pod's end does; `Failed` unless it goes well."""
        await self.process.terminate()

    async def ask(self, path: str):
        """What its ops port answers, as JSON, or what went wrong as text: used to explain, never to judge."""
        try:
            async with self._session.get(self._ops(path)) as reply:
                return await reply.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return repr(error)

    async def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        async with self._session.get(self._ops("/metrics")) as reply:
            lines = (await reply.text()).splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    async def post(self, path: str) -> dict:
        """Tells its ops port to do something, which must succeed."""
        headers = {"content-type": "application/json"}
        async with self._session.post(self._ops(path), headers=headers) as reply:
            told = await reply.text()
            if reply.status != 200:
                raise Failed(f"{path}: {reply.status} {told}")
            return json.loads(told)

    def _ops(self, path: str) -> str:
        return f"http://127.0.0.1:{self.ops_port}{path}"
