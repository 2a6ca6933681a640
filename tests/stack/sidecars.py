"""The sidecars: a real daprd, or the embedded one alone, each a process that can be killed and started again.

Owns where a daprd is found, how it is started, what its resources say, and how an app publishes through it.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import aiohttp

from .processes import Failed, Process, free_port, poll

ROOT = Path(__file__).resolve().parents[2]
COMPONENT = "kafka-pubsub"
# daprd waits for the app and for the broker before it subscribes.
READY_SECONDS = 60.0
# How long a group may take to come together: a member that was killed is missed after 10 s.
REBALANCE_SECONDS = 40.0
# What an embedded sidecar logs, with the number of `partitions`, as its group comes together and as it leaves.
ASSIGNED, REVOKED = "partitions assigned", "partitions revoked"
# Events in one bulk publish.
BULK = 500


def find_daprd() -> Path | None:
    """The daprd of `DAPRD`, else of `PATH`, else where `dapr init` puts it."""
    named = os.environ.get("DAPRD")
    if named and not os.access(named, os.X_OK):
        raise Failed(f"DAPRD={named} is no program; name the daprd to test, or unset it")
    found = named or shutil.which("daprd") or Path.home() / ".dapr/bin/daprd"
    return Path(found).resolve() if os.access(found, os.X_OK) else None


def version_of(daprd: Path) -> str:
    """What it calls itself."""
    return subprocess.run([daprd, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def shipped_resiliency(broker, app_ids: list[str]) -> str:
    """The Resiliency that the project ships for the broker, in force for these apps: their ids differ from run to run."""
    shipped = (ROOT / "k8s/dapr" / broker.name / "resiliency.yaml").read_text()
    scoped, count = re.subn(r"^scopes: .*$", f"scopes: {json.dumps(app_ids)}", shipped, flags=re.M)
    if count != 1:
        raise Failed(f"the Resiliency of {broker.name} has {count} lines of scopes; one was to be replaced")
    return scoped


def write_resources(directory: Path, broker, retrying: list[str]) -> Path:
    """The resources of one scenario, for all its sidecars; the apps `retrying` have the shipped Resiliency."""
    resources = directory / "resources"
    resources.mkdir()
    settings = [{"name": name, "value": value} for name, value in broker.metadata().items()]
    component = {
        "apiVersion": "dapr.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": COMPONENT},
        "spec": {"type": broker.component, "version": "v1", "metadata": settings},
    }
    # JSON is YAML.
    (resources / "pubsub.yaml").write_text(json.dumps(component))
    if retrying:
        (resources / "resiliency.yaml").write_text(shipped_resiliency(broker, retrying))
    return resources


class Sidecar:
    """What both kinds have in common: a process, an HTTP port, and one app that it delivers to."""

    process: Process

    def __init__(self, session: aiohttp.ClientSession):
        self._session = session
        self.port = free_port()

    async def ready(self, topics: list[str]) -> None:
        """Waits until it is subscribed to `topics` for its app."""

        async def subscribed() -> bool:
            self.process.must_run()
            try:
                async with self._session.get(self._url("metadata")) as reply:
                    said = await reply.json(content_type=None)
            except (aiohttp.ClientError, ValueError):
                return False
            return set(topics) <= {one["topic"] for one in said.get("subscriptions") or []}

        await poll(f"{self.process.name} is subscribed; see {self.process.log}", subscribed, READY_SECONDS)

    async def end(self) -> None:
        """Ends it as a pod's end does; `Failed` unless it goes well."""
        await self.process.terminate()

    async def publish(self, topic: str, events: list[dict], key) -> None:
        """Publishes in bulk; `Failed` unless every event was taken."""
        for start in range(0, len(events), BULK):
            entries = [
                {
                    "entryId": str(n),
                    "event": event,
                    "contentType": "application/json",
                    "metadata": {"partitionKey": key(event)},
                }
                for n, event in enumerate(events[start : start + BULK])
            ]
            async with self._session.post(self._url(f"publish/bulk/{COMPONENT}/{topic}"), json=entries) as reply:
                if reply.status != 204:
                    raise Failed(f"publish: {reply.status} {(await reply.text())[:300]}")

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/v1.0/{path}"


class Daprd(Sidecar):
    """A real daprd without control plane."""

    def __init__(self, daprd: Path, name: str, app_id: str, app_port: int, directory: Path, resources: Path, session):
        super().__init__(session)
        configuration = directory / "configuration.yaml"
        configuration.write_text(
            "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {name: stack}\nspec: {}\n"
        )
        flags = {
            "app-id": app_id,
            "app-port": app_port,
            "app-protocol": "http",
            "dapr-http-port": self.port,
            "dapr-grpc-port": free_port(),
            "dapr-internal-grpc-port": free_port(),
            "dapr-listen-addresses": "127.0.0.1",
            "dapr-internal-grpc-listen-address": "127.0.0.1",
            "metrics-port": free_port(),
            "metrics-listen-address": "127.0.0.1",
            "resources-path": resources,
            "config": configuration,
            "placement-host-address": "",
            "scheduler-host-address": "",
        }
        command = [daprd, *(part for flag, value in flags.items() for part in (f"--{flag}", value))]
        self.process = Process(name, directory, command)


class Embedded(Sidecar):
    """The embedded sidecar alone, on Kafka."""

    def __init__(self, binary: Path, name: str, app_id: str, app_port: int, kafka: str, directory: Path, session):
        super().__init__(session)
        command = [binary, "sidecar", "--port", self.port, "--kafka", kafka, "--app", f"{app_id}=127.0.0.1:{app_port}"]
        # Its log is evidence, so its level and format are not left to defaults.
        command += ["--set", "log.level=info", "--set", "log.format=json"]
        self.process = Process(name, directory, command)

    def assignments(self) -> list[int]:
        """How many partitions it was given, each time that its group came together; over all its lives."""
        return [one["partitions"] for one in self._told() if one["message"] == ASSIGNED]

    async def end(self) -> None:
        """Exiting with 0 is not enough: it must have left its group, or others wait for its partitions."""
        await super().end()
        changes = [one["message"] for one in self._told() if one["message"] in (ASSIGNED, REVOKED) and one["partitions"]]
        if changes and changes[-1] != REVOKED:
            raise Failed(f"{self.process.name} did not give its partitions back; see {self.process.log}")

    def _told(self) -> list[dict]:
        lines = self.process.log.read_text(errors="replace").splitlines() if self.process.log.exists() else []
        # A line that is being written has no end yet; the address on standard output is no JSON either.
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    async def assigned(self, what: str, condition, after: int = 0) -> None:
        """Waits for an assignment, not counting the first `after`, whose size meets the condition."""

        async def holds() -> bool:
            self.process.must_run()
            return any(map(condition, self.assignments()[after:]))

        await poll(f"{self.process.name} holds {what}; see {self.process.log}", holds, REBALANCE_SECONDS)
