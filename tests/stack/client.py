"""A Kafka client that is not ours: aiokafka puts task events in and takes reminders out.

Owns the topics it makes (three partitions, the broker's own stamp on every record), its two connections, and where
another group goes on reading. The
consumer has no group: it reads every partition from the beginning, whatever becomes of the broker meanwhile.
"""

import asyncio
import json
import logging

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from . import events
from .ledger import Ledger
from .processes import now_ms

# Its complaints about a broker that is being killed are what is meant to happen; what it cannot mend it raises.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

PARTITIONS = 3
# How long the producer goes on trying; longer than any fault that is played.
REQUEST_MS = 40_000


async def make_topics(address: str, topics: list[str]) -> None:
    """Makes topics whose records bear the broker's time of arrival: a client's own stamp would prove nothing."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        stamped = {"message.timestamp.type": "LogAppendTime"}
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs=stamped) for topic in topics])
    finally:
        await admin.close()


async def rewind(address: str, group: str, topics: list[str], to_ms: int) -> None:
    """Has an empty consumer group read `topics` again from an instant on, as `kafka-consumer-groups.sh` does."""
    consumer = AIOKafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
        consumer.assign(partitions)
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, to_ms))
        ends = await consumer.end_offsets(partitions)
        await consumer.commit({at: found[at].offset if found[at] else ends[at] for at in partitions})
    finally:
        await consumer.stop()


class Client:
    """The producer of task events and the consumer of reminders."""

    def __init__(self, address: str, topics: dict[str, str], ledger: Ledger):
        self._topics = topics
        self._ledger = ledger
        # Partitions that task events went to and that reminders came from.
        self.partitions_in: set[int] = set()
        self.partitions_out: set[int] = set()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=address, acks="all", enable_idempotence=True, request_timeout_ms=REQUEST_MS, linger_ms=2
        )
        self._consumer = AIOKafkaConsumer(
            topics["reminders"], bootstrap_servers=address, group_id=None, auto_offset_reset="earliest"
        )
        self._reading: asyncio.Task | None = None

    async def start(self) -> None:
        """Connects, and reads from then on."""
        await self._producer.start()
        await self._consumer.start()
        self._reading = asyncio.create_task(self._read())

    async def stop(self) -> None:
        """Disconnects; an error that ended the reading comes up here."""
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()

    async def publish(self, task_events: list[dict]) -> None:
        """Puts events on their topics by turns as bare JSON and as CloudEvents, keyed by task."""
        under_way = []
        for n, event in enumerate(task_events):
            body = events.cloud_event(event) if n % 2 else json.dumps(event).encode()
            headers = [("content-type", b"application/cloudevents+json")] if n % 2 else []
            topic = self._topics[events.topic_of(event)]
            key = events.task_of(event).encode()
            under_way.append(await self._producer.send(topic, body, key=key, headers=headers))
        for taken in await asyncio.gather(*under_way):
            self.partitions_in.add(taken.partition)

    async def _read(self) -> None:
        while True:
            try:
                record = await self._consumer.getone()
            except KafkaError:
                # The broker is being killed; the consumer connects again by itself.
                await asyncio.sleep(0.1)
                continue
            self.partitions_out.add(record.partition)
            self._ledger.saw(record.value, now_ms(), record.timestamp, record.partition)
