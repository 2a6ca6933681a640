"""The brokers: started on loopback, and stopped, paused and killed as a fault demands.

Owns their processes and what a Dapr component must say to reach them. Each keeps what it acknowledged over a SIGKILL
(Redis forces every write to its log), else a loss would be the broker's and prove nothing.
"""

import asyncio
import os
import shutil
import signal
from pathlib import Path

from .processes import Failed, Process, free_port, listens, poll

ROOT = Path(__file__).resolve().parents[2]
# How long a broker may take to accept connections.
READY_SECONDS = 90.0


class Kafka:
    """A single node of Apache Kafka, run by `tests/kafka/broker`."""

    name = "kafka"
    component = "pubsub.kafka"

    def __init__(self, directory: Path):
        self._directory = directory / "kafka"
        # Known from its first start on; the same ever after.
        self.address = ""

    def metadata(self) -> dict[str, str]:
        """The component's settings. No consumer group: it is the app id."""
        return {"brokers": self.address, "authType": "none", "initialOffset": "oldest"}

    async def start(self) -> None:
        """Starts it, with the data of its last life."""
        self.address = (await self._call("start", "--owner", str(os.getpid()))).strip()

    async def ensure(self) -> None:
        """Starts it unless it runs; a scenario that failed may have left it dead."""
        if not self.address or not await listens(int(self.address.rpartition(":")[2])):
            await self.start()

    async def stop(self) -> None:
        """Ends it and forgets its data."""
        await self._call("stop", "--erase")

    async def kill(self) -> None:
        """SIGKILL."""
        await self._call("kill")

    async def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        await self._call("pause")

    async def resume(self) -> None:
        """SIGCONT."""
        await self._call("resume")

    async def _call(self, command: str, *arguments: str) -> str:
        script = [ROOT / "tests/kafka/broker", command, "--dir", self._directory, *arguments]
        child = await asyncio.create_subprocess_exec(
            *map(str, script), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        said, errors = await child.communicate()
        if child.returncode:
            raise Failed(f"kafka {command}: {errors.decode(errors='replace').strip()}")
        return said.decode()


class Redis:
    """Debian's redis-server."""

    name = "redis"
    component = "pubsub.redis"

    def __init__(self, directory: Path):
        if not shutil.which("redis-server"):
            raise Failed("redis-server is not installed; apt-get install redis-server")
        home = directory / "redis"
        home.mkdir(parents=True)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        command = ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", home, *durable]
        self._process = Process("redis", home, command)

    def metadata(self) -> dict[str, str]:
        """The component's settings. What a sidecar held when it died is given to the next after `processingTimeout`."""
        return {
            "redisHost": self.address,
            "processingTimeout": "15s",
            "redeliverInterval": "5s",
            # As shipped: of several deliveries that fail at once daprd takes some for answered.
            "concurrency": "1",
        }

    async def start(self) -> None:
        """Starts it, with the data of its last life."""
        self._process.start()

        async def accepts() -> bool:
            self._process.must_run()
            return await listens(self.port)

        await poll("redis accepts connections", accepts, READY_SECONDS)

    async def ensure(self) -> None:
        """Starts it unless it runs; a scenario that failed may have left it dead."""
        if not self._process.runs():
            await self.start()

    async def stop(self) -> None:
        """Ends it."""
        await self._process.erase()

    async def kill(self) -> None:
        """SIGKILL."""
        await self._process.kill()

    async def pause(self) -> None:
        """SIGSTOP."""
        self._process.signal(signal.SIGSTOP)

    async def resume(self) -> None:
        """SIGCONT."""
        self._process.signal(signal.SIGCONT)
