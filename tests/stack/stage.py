"""One scenario's cast: a broker that others share, and a worker, sidecars and a consumer of its own.

Every scenario has its own topics, store, app ids and so consumer groups: nothing of one can help or hurt another but
the processor and the broker. Owns the order in which parts start and end; scenarios see only this interface, so the
same ones are played on a real daprd and on the embedded sidecar.
"""

import re
import secrets
from pathlib import Path

import aiohttp

from . import events
from .app import App
from .client import Client, make_topics
from .ledger import Ledger
from .processes import Failed
from .sidecars import COMPONENT, Daprd, Embedded, Sidecar, write_resources
from .worker import Worker


class Stage:
    """What scenarios play on. `sidecars` are the worker's."""

    sidecars: list[Sidecar]

    def __init__(self, name: str, directory: Path, broker, binary: Path):
        # A comma would part one path into two where daprd reads it.
        self.directory = directory / re.sub(r"[^a-zA-Z0-9]+", "-", f"{name}-{broker.name}")
        self.directory.mkdir(parents=True)
        self.broker = broker
        self.ledger = Ledger()
        run = secrets.token_hex(3)
        self.app_id = f"reminder-worker-{run}"
        self.topics = {role: f"{role}-{run}" for role in ("task-events", "task-updates", "reminders")}
        self._published = 0
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        self.worker = Worker(binary, self.directory, self.topics, self.session)

    async def open(self) -> None:
        """Starts the consumer, and whatever publishing needs: events may be published from then on."""
        raise NotImplementedError

    async def publish(self, task_events: list[dict]) -> None:
        """Publishes task events, each on its topic, past the sidecars that faults are played on."""
        await self._publish(task_events)
        self._published += len(task_events)

    async def redelivered(self) -> int:
        """How many deliveries of events the worker has had beyond the first of each; `Failed` where it does not say."""
        told = await self.worker.ask("/api/v1/stats")
        if not isinstance(told, dict):
            raise Failed(f"the worker does not tell what it received: {told}")
        return told["events"]["received"] - self._published

    async def begin(self) -> None:
        """Starts the worker and its sidecars, and waits until all are subscribed and ready."""
        for sidecar in self.sidecars:
            sidecar.process.start()
        self.worker.process.start()
        await self.ready()

    async def ready(self) -> None:
        """Waits until the worker and its sidecars are ready again."""
        for sidecar in self.sidecars:
            await sidecar.ready(list(self.topics.values()))
        await self.worker.ready()

    async def end(self) -> list[str]:
        """Ends all of it; what did not end as it should."""
        # One that a scenario ended, or that ended by itself, has been judged there.
        faults = []
        for one in (self.worker, *self._all_sidecars()):
            try:
                if one.process.runs():
                    await one.end()
            except Failed as failed:
                faults.append(str(failed))
        await self.abandon()
        return faults

    async def abandon(self) -> None:
        """Ends what is in this process; the others die with it."""
        await self._close()
        await self.session.close()

    def _all_sidecars(self) -> list[Sidecar]:
        """Those of the worker, and any other."""
        return self.sidecars

    async def _publish(self, task_events: list[dict]) -> None:
        raise NotImplementedError

    async def _close(self) -> None:
        """Ends what is in this process."""
        raise NotImplementedError


class DaprdStage(Stage):
    """The worker beside one daprd, a second app beside another; events are published through the second."""

    def __init__(self, name: str, directory: Path, broker, binary: Path, daprd: Path, resiliency: bool):
        super().__init__(name, directory, broker, binary)
        reader = f"{self.app_id}-reader"
        resources = write_resources(self.directory, broker, [self.app_id, reader] if resiliency else [])
        self._app = App(COMPONENT, self.topics["reminders"], self.ledger)

        def beside(name: str, app_id: str, port: int) -> Daprd:
            return Daprd(daprd, name, app_id, port, self.directory, resources, self.session)

        self.sidecars = [beside("daprd-worker", self.app_id, self.worker.app_port)]
        self._second = beside("daprd-app", reader, self._app.port)
        self.worker.beside(self.sidecars[0].port)

    async def open(self) -> None:
        await self._app.start()
        self._second.process.start()
        await self._second.ready([self.topics["reminders"]])

    async def _publish(self, task_events: list[dict]) -> None:
        by_topic: dict[str, list[dict]] = {}
        for event in task_events:
            by_topic.setdefault(self.topics[events.topic_of(event)], []).append(event)
        for topic, its in by_topic.items():
            await self._second.publish(topic, its, events.task_of)

    def _all_sidecars(self) -> list[Sidecar]:
        return [*self.sidecars, self._second]

    async def _close(self) -> None:
        await self._app.stop()


class EmbeddedStage(Stage):
    """The worker beside embedded sidecars of one consumer group; a Kafka client of its own publishes and consumes."""

    def __init__(self, name: str, directory: Path, broker, binary: Path, sidecars: int):
        super().__init__(name, directory, broker, binary)
        self.client = Client(broker.address, self.topics, self.ledger)
        self.sidecars = [
            Embedded(
                binary, f"sidecar-{n}", self.app_id, self.worker.app_port, broker.address, self.directory, self.session
            )
            for n in range(sidecars)
        ]
        self.worker.beside(self.sidecars[0].port)

    async def open(self) -> None:
        await make_topics(self.broker.address, list(self.topics.values()))
        await self.client.start()

    async def _publish(self, task_events: list[dict]) -> None:
        await self.client.publish(task_events)

    async def _close(self) -> None:
        await self.client.stop()
