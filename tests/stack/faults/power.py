"""Power loss: the file system under the store goes down without a flush, under load, with bodies up to the limit.

What was acknowledged must be there: tasks, reminders, bodies in the quarantine, events in the outbox. With the worker's
own `fdatasync` taken out (a shim, compiled here) the same test must lose some, else it proves nothing.
"""

import base64
import json
import random
import subprocess
import time
from pathlib import Path

import aiohttp

from .. import events
from ..processes import Failed, poll
from .bench import Bench
from .load import BODY_MAX_BYTES, OUTBOX_MAX_BYTES
from .mounts import Ext4

# Room for the cycles of one file system: the engine gives no space back.
IMAGE_MIB = 2048
# A new file system, and so a new store, every so many cycles: the first acknowledgements of a store's life are the
# ones that files and directories may not have reached the device for.
CYCLES_A_STORE = 5
# Large bodies a cycle, and events for the outbox.
LARGE = 3
OUTBOX = 2
# The quarantine keeps all that comes: its bound is under test elsewhere, here a body that is gone was lost.
KEEP_ALL = {"REMINDER_WORKER__QUARANTINE__MAX_MB": "16384"}
SHIM = Path(__file__).with_name("shim.c")


class _Run:
    """One bench on a file system that goes down."""

    def __init__(self, bench: Bench):
        self.bench = bench
        self.disk = Ext4(bench.directory / "disk.img", bench.directory / "disk", IMAGE_MIB)
        bench.on(self.disk.at / "store")
        # Acknowledged by the publishing API, by event ids, of the present store.
        self.outbox: set[str] = set()
        self.lost_bodies: list[str] = []
        self.bodies = 0

    async def fresh(self) -> None:
        """A new file system and a new store. What the old one held was looked at."""
        self.disk.make()
        self.bench.book.close_store()
        self.bench.load.quarantined.clear()
        self.outbox.clear()

    def large(self) -> None:
        """Bodies of every size up to the limit, one on it."""
        for _ in range(LARGE):
            self.bench.load.poison(random.choice([20 << 10, 33 << 10, 200 << 10, 1 << 20, BODY_MAX_BYTES - 100]))

    async def publish(self) -> None:
        """Events through the publishing API: accepted ones must reach the sidecar."""
        for _ in range(OUTBOX):
            task = self.bench.load.task("outbox")
            size = random.choice([1 << 10, 40 << 10, OUTBOX_MAX_BYTES])
            event = events.created(task, None, description=base64.b64encode(random.randbytes(size * 3 // 4)).decode())
            url = f"http://127.0.0.1:{self.bench.worker.app_port}/api/tasks/{task}/events"
            try:
                async with self.bench.session.post(url, json=event) as reply:
                    if reply.status == 202 and not self.bench.deliveries.is_deaf:
                        self.outbox.add((await reply.json())["event_id"])
            except (aiohttp.ClientError, TimeoutError):
                pass

    async def cycle(self) -> None:
        """Load, power loss, SIGKILL, a new start."""
        bench = self.bench
        async with bench.under_load(rate=1000, soon_ms=(300, 3000)):
            self.large()
            await self.publish()
            await bench.acknowledges(random.randint(20, 300))
            self.large()
            publishing = self.publish()
            await bench.acknowledges(random.randint(1, 60))
            await publishing
            # See `Ext4`: what the kernel confirms from now on proves nothing.
            bench.deliveries.is_deaf = True
            self.disk.cut()
            # It may have ended by itself: a forced write that fails is the end.
            await bench.worker.process.erase()
        bench.deliveries.is_deaf = False
        self.disk.unmount()
        self.disk.mount()
        bench.rounds += 1
        since = time.monotonic()
        await bench.start()
        await bench.recovered(since)

    async def look(self) -> None:
        """Compares the store with all that was acknowledged on it."""
        bench = self.bench
        if not await bench.deliveries.drained(60):
            raise Failed(f"{bench.deliveries.left()} events were never acknowledged")
        await bench.look()
        kept = await self._kept()
        for mark, body in bench.load.quarantined.items():
            self.bodies += 1
            if kept.get(mark) != body:
                self.lost_bodies.append(f"{mark} of {len(body)} bytes: {'in other bytes' if mark in kept else 'gone'}")

        async def all_sent() -> bool:
            return self.outbox <= bench.sidecar.outbox.keys()

        self.bodies += len(self.outbox)
        try:
            await poll("what the outbox took is published", all_sent, 30)
        except Failed:
            self.lost_bodies += [f"outbox {one}" for one in self.outbox - bench.sidecar.outbox.keys()]

    async def _kept(self) -> dict[str, bytes]:
        """The bodies in the quarantine, by their marks."""
        kept: dict[str, bytes] = {}
        after = ""
        while True:
            page = await self.bench.worker.ask(f"/api/v1/quarantine?limit=1000{after}")
            for one in page["quarantine"]:
                told = await self.bench.worker.ask(f"/api/v1/quarantine/{one['number']}")
                body = (told.get("body") or "").encode()
                try:
                    kept[json.loads(body)["mark"]] = body
                except (ValueError, KeyError, TypeError):
                    continue
            if page["next"] is None:
                return kept
            after = f"&after={page['next']}"


async def loss(bench: Bench, rounds: int) -> None:
    """Cycles; nothing acknowledged is lost."""
    bench.beside(KEEP_ALL)
    run = _Run(bench)
    try:
        for cycle in range(rounds):
            if cycle % CYCLES_A_STORE == 0:
                await bench.worker.process.erase()
                await run.fresh()
                await bench.start()
            await run.cycle()
            if cycle % CYCLES_A_STORE == CYCLES_A_STORE - 1 or cycle == rounds - 1:
                await run.look()
                # Nothing of this store may be due when it is gone.
                await bench.book.complete(30)
        await bench.settle()
        bench.notes.append(
            f"{run.bodies:,} large bodies and outbox events among what was acknowledged, {len(run.lost_bodies)} lost"
        )
        if run.lost_bodies:
            bench.faults.append(f"{len(run.lost_bodies)} bodies lost: {run.lost_bodies[:3]}")
    finally:
        await bench.worker.process.erase()
        run.disk.unmount()


async def control(bench: Bench, rounds: int) -> None:
    """The same without `fdatasync`, until it loses."""
    shim = bench.directory / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(shim), str(SHIM)], check=True)
    bench.beside({**KEEP_ALL, "LD_PRELOAD": str(shim)})
    run = _Run(bench)
    damaged = 0
    lost_in = 0
    try:
        for cycle in range(rounds):
            await bench.worker.process.erase()
            await run.fresh()
            await bench.start()
            before = len(bench.book.judge().lost)
            try:
                await run.cycle()
                await run.look()
                await bench.book.complete(10)
            except Failed as failed:
                # Only one that does not open is expected.
                if "(74)" not in str(failed):
                    raise
                damaged += 1
                bench.book.close_store(lost=True)
            if len(bench.book.judge().lost) > before:
                lost_in += 1
        bench.notes.append(
            f"{lost_in} of {rounds} cycles lost acknowledged events, in {damaged} of them the store did not open"
        )
    finally:
        await bench.worker.process.erase()
        run.disk.unmount()
