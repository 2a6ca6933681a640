"""The soak: a load of 70 % of what was measured, faults in between, and whether memory, descriptors and lateness stay.

A fixed number of tasks is moved again and again: each to an instant in some seconds, and on when its reminder has come.
So the store's contents do not grow once every record is full, what is on its way is bounded, and every reminder is
expected exactly once. Reminders come back to the worker as receipts, as they do through a broker.
"""

import asyncio
import collections
import contextlib
import os
import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from .. import events
from ..ledger import Key, parse_ms
from ..processes import Failed, now_ms, poll
from .bench import Bench
from .deliveries import Pending
from .load import wrapped
from .sidecar import TAKE, Reply

TASKS = 3_000
# A move is to an instant so far ahead.
SOON_MS = (500, 1_500)
SHARE = 0.7
CALIBRATED_SECONDS = 20.0
# How long it may take until every record is full.
WARM_SECONDS = 900.0
SAMPLE_SECONDS = 10.0
# A fault begins so often, lasts so long, and the sample after it is not judged either.
FAULT_EVERY_SECONDS = 60.0
FAULT_SECONDS = 12.0
# A record keeps 32 settled reminders and 16 notes: after so many moves it no longer grows.
MOVES_OF_A_FULL_RECORD = 40
# The quarantine fills and must stay at its bound.
POISON_EVERY_SECONDS = 0.5
POISON_BYTES = 30_000
# Bounds that are reached before the soak begins, so that what grows beyond them is seen: what fills the page cache as
# shipped, which takes the first ten minutes, would look like growth.
BOUNDS = {"REMINDER_WORKER__QUARANTINE__MAX_MB": "4", "REMINDER_WORKER__STORE__CACHE_MB": "8"}
# What may grow over all of the soak and is no leak: a share of the median, and an allowance for small medians.
MEMORY_SHARE, MEMORY_MIB = 0.10, 8.0
LATENESS_SHARE, LATENESS_MS = 1.0, 25.0
DESCRIPTORS = 8
# Instants of a task that a repeat may still be of.
KNOWN = 8


@dataclass
class Sample:
    """Ten seconds."""

    at: float
    fault: str
    rss_mib: float
    descriptors: int
    came: int
    p50: float
    p99: float
    clean: bool


@dataclass
class Soak:
    """What a soak came to."""

    minutes: float
    capacity: float
    rate: float
    samples: list[Sample] = field(default_factory=list)
    seen: int = 0
    lost: int = 0
    early: int = 0
    repeats: int = 0
    differing: int = 0
    unplanned: int = 0
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Moves:
    """Every task's expected reminder, and what came. It stands in for a book: it forgets what is done."""

    def __init__(self) -> None:
        self.ahead_ms = 0
        self.ready: collections.deque[str] = collections.deque()
        self.expected: dict[str, int] = {}
        self.lateness: list[int] = []
        self.seen = self.repeats = self.early = self.differing = 0
        # The last two of each task: a repeat may come after the next was planned.
        self._bodies: dict[str, dict[int, bytes]] = {}
        # The instants that a task was moved to of late: a repeat is of one of them.
        self._known: dict[str, collections.deque[int]] = {}
        self.unplanned = 0

    def expect(self, task: str, due_ms: int) -> None:
        """The task was moved there."""
        self.expected[task] = due_ms
        self._known.setdefault(task, collections.deque(maxlen=KNOWN)).append(due_ms)

    def tried(self, key: Key, body: bytes, at_ms: int) -> None:
        """As a book's."""
        task, due = key
        self.early += at_ms < due
        bodies = self._bodies.setdefault(task, {})
        if bodies.setdefault(due, body) != body:
            self.differing += 1
        while len(bodies) > 2:
            del bodies[min(bodies)]

    def saw(self, body: bytes, received_ms: int) -> None:
        """As a book's."""
        key = self._key_of(body)
        task, due = key
        if self.expected.get(task) != due:
            self.repeats += 1
            self.unplanned += due not in self._known.get(task, ())
            return
        del self.expected[task]
        self.seen += 1
        self.lateness.append(received_ms - due)
        self.ready.append(task)

    @staticmethod
    def _key_of(body: bytes) -> Key:
        # The whole was read a moment ago; these two are at places that a search finds faster than a second reading.
        task = body.split(b'"task_id":"', 1)[1].split(b'"', 1)[0].decode()
        at = body.split(b'"remind_at":"', 1)[1].split(b'"', 1)[0].decode()
        return task, parse_ms(at)


class Run:
    """One soak."""

    def __init__(self, bench: Bench, minutes: float):
        self._bench = bench
        self._moves = Moves()
        bench.book = self._moves
        bench.sidecar._book = self._moves
        bench.sidecar.passes_on = self._return
        bench.beside(BOUNDS)
        self._over = asyncio.Event()
        # Moves a second; endless while it is measured.
        self._rate = float("inf")
        self._fault = ""
        self._minutes = minutes

    def _return(self, raw: bytes) -> None:
        # A receipt that is lost loses nothing: the worker's answer is of no interest.
        self._bench.deliveries.offer(Pending(raw, lambda _: None, route="reminders"))

    def _move(self, task: str, created: bool = False) -> None:
        due = now_ms() + random.randint(*SOON_MS)
        event = events.created(task, due) if created else events.moved(task, due)
        self._moves.expect(task, due)
        self._bench.deliveries.offer(Pending(wrapped(event), lambda _: None, route=events.topic_of(event)))

    async def _pace(self) -> None:
        allowed, last = 0.0, time.monotonic()
        while not self._over.is_set():
            await asyncio.sleep(0.01)
            now = time.monotonic()
            allowed = min(allowed + (now - last) * self._rate, 1_000.0)
            last = now
            while allowed >= 1 and self._moves.ready:
                self._move(self._moves.ready.popleft())
                allowed -= 1

    async def _poison(self) -> None:
        while not self._over.is_set():
            self._bench.load.poison(POISON_BYTES)
            self._bench.load.quarantined.clear()
            await asyncio.sleep(POISON_EVERY_SECONDS)

    async def _play_faults(self) -> None:
        faults = [self._restart, self._errors, self._hang, self._storm, self._reader]
        turn = 0
        while not self._over.is_set():
            await asyncio.sleep(FAULT_EVERY_SECONDS - FAULT_SECONDS)
            if self._over.is_set():
                return
            fault = faults[turn % len(faults)]
            turn += 1
            self._fault = fault.__doc__
            try:
                await fault()
            finally:
                self._bench.sidecar.behave = lambda: TAKE
                self._fault = ""

    async def _restart(self) -> None:
        """sidecar restarted"""
        await self._bench.sidecar.stop()
        await asyncio.sleep(3)
        await self._bench.sidecar.start()
        await asyncio.sleep(FAULT_SECONDS - 3)

    async def _errors(self) -> None:
        """half of the publishes 500"""
        self._bench.sidecar.behave = lambda: TAKE if random.random() < 0.5 else Reply(random.random() < 0.5, status=500)
        await asyncio.sleep(FAULT_SECONDS)

    async def _hang(self) -> None:
        """sidecar hangs"""
        self._bench.sidecar.behave = lambda: Reply(taken=random.random() < 0.5, status=None)
        await asyncio.sleep(FAULT_SECONDS)

    async def _storm(self) -> None:
        """forced writes beside it"""
        file = self._bench.directory / "storm"
        writer = ["dd", "if=/dev/zero", f"of={file}", "bs=1M", "count=64", "oflag=dsync", "conv=notrunc", "status=none"]
        end = time.monotonic() + FAULT_SECONDS
        while time.monotonic() < end:
            child = await asyncio.create_subprocess_exec(*writer)
            try:
                await asyncio.wait_for(child.wait(), max(0.1, end - time.monotonic()))
            except TimeoutError:
                # It may end at this very moment.
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()

    async def _reader(self) -> None:
        """a reader of the stream that does not read"""
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self._bench.worker.ops_port, limit=1)
            try:
                writer.write(b"GET /api/v1/reminders/stream HTTP/1.1\r\nhost: localhost\r\n\r\n")
                writer.transport.pause_reading()
                await asyncio.sleep(FAULT_SECONDS)
            finally:
                writer.transport.abort()

    async def play(self) -> Soak:
        """All of it."""
        bench = self._bench
        await bench.start()
        for n in range(TASKS):
            self._move(f"soak-{n}", created=True)
        running = [asyncio.create_task(work) for work in (self._pace(), self._poison())]
        try:
            await poll("every record is full", self._full, WARM_SECONDS)
            before, used, began = self._moves.seen, cores_used(self._bench.worker.process.pid), time.monotonic()
            await asyncio.sleep(CALIBRATED_SECONDS)
            seconds = time.monotonic() - began
            capacity = (self._moves.seen - before) / seconds
            cores = (cores_used(self._bench.worker.process.pid) - used) / seconds
            self._rate = SHARE * capacity
            soak = Soak(self._minutes, capacity, self._rate)
            soak.notes.append(f"at full load the worker used {cores:.2f} of {os.cpu_count()} cores")
            running.append(asyncio.create_task(self._play_faults()))
            await self._sample(soak)
            self._over.set()
            await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()
        await self._last_ones(soak)
        soak.notes.append(await self._quarantine())
        judge(soak)
        return soak

    async def _full(self) -> bool:
        return self._moves.seen >= TASKS * MOVES_OF_A_FULL_RECORD

    async def _sample(self, soak: Soak) -> None:
        end = time.monotonic() + 60 * self._minutes
        began = time.monotonic()
        was_clean = True
        while time.monotonic() < end:
            self._moves.lateness.clear()
            faults = {self._fault}
            for _ in range(int(SAMPLE_SECONDS / 0.5)):
                await asyncio.sleep(0.5)
                faults.add(self._fault)
            self._bench.worker.process.must_run()
            rss, descriptors = usage(self._bench.worker.process.pid)
            late = sorted(self._moves.lateness)
            fault = ", ".join(sorted(faults - {""}))
            clean = not fault
            soak.samples.append(
                Sample(
                    time.monotonic() - began, fault, rss, descriptors, len(late), quantile(late, 0.5), quantile(late, 0.99),
                    clean and was_clean,
                )
            )  # fmt: skip
            was_clean = clean

    async def _last_ones(self, soak: Soak) -> None:
        async def all_came() -> bool:
            return not self._moves.expected

        try:
            await poll("the last reminders come", all_came, 60)
        except Failed:
            soak.lost = len(self._moves.expected)
        moves = self._moves
        soak.unplanned = moves.unplanned
        soak.seen, soak.early, soak.repeats, soak.differing = moves.seen, moves.early, moves.repeats, moves.differing

    async def _quarantine(self) -> str:
        told = await self._bench.worker.ask("/api/v1/stats")
        kept = await self._bench.worker.ask("/api/v1/quarantine?limit=1000")
        size = sum(one["length"] for one in kept["quarantine"])
        return f"{told['events']['quarantined']:,} events were quarantined, {len(kept['quarantine'])} of {size / 1e6:.1f} MB are kept"


def usage(pid: int) -> tuple[float, int]:
    """Resident memory in MiB, and open descriptors."""
    status = Path(f"/proc/{pid}/status").read_text()
    rss = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(rss.split()[1]) / 1024, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def cores_used(pid: int) -> float:
    """Seconds of processor that it has used in its life."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantile(late: list[int], share: float) -> float:
    """Of sorted values; NaN of none."""
    return late[min(len(late) - 1, int(share * len(late)))] if late else float("nan")


def growth(points: list[tuple[float, float]]) -> float:
    """How much the values grow from the first to the last, by the median of the slopes between any two (Theil and Sen):
    outliers do not move it."""
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for n, a in enumerate(points) for b in points[n + 1 :] if b[0] > a[0]]
    return statistics.median(slopes) * (points[-1][0] - points[0][0]) if slopes else 0.0


def judge(soak: Soak) -> None:
    """Appends what breaks a promise."""
    judged = [sample for sample in soak.samples if sample.clean and sample.came]
    for what, count in [
        ("lost", soak.lost), ("early", soak.early), ("in other bytes", soak.differing), ("not planned", soak.unplanned),
    ]:  # fmt: skip
        if count:
            soak.faults.append(f"{count} reminders {what}")
    if len(judged) < 5:
        soak.faults.append(f"only {len(judged)} samples can be judged: it was too short")
        return
    for what, of, share, allowance, unit in [
        ("memory", lambda s: s.rss_mib, MEMORY_SHARE, MEMORY_MIB, "MiB"),
        ("lateness (median)", lambda s: s.p50, LATENESS_SHARE, LATENESS_MS, "ms"),
        ("lateness (99 %)", lambda s: s.p99, LATENESS_SHARE, LATENESS_MS, "ms"),
        ("descriptors", lambda s: s.descriptors, 0.0, DESCRIPTORS, ""),
    ]:
        points = [(sample.at, of(sample)) for sample in judged]
        middle, grown = statistics.median(value for _, value in points), growth(points)
        soak.notes.append(
            f"{what}: median {middle:.1f} {unit}, grew by {grown:+.1f} {unit}".replace("  ", " ").rstrip()
        )
        if grown > max(share * middle, allowance):
            soak.faults.append(f"{what} grew by {grown:.1f} {unit} from a median of {middle:.1f}")


PARTS = 10


def section(soak: Soak) -> str:
    """The part of the page."""
    text = (
        f"## Soak\n\n{soak.minutes:.0f} minutes at {soak.rate:,.0f} reminders a second, 70 % of the {soak.capacity:,.0f} that this machine "
        f"did with load, sidecar and worker on it: {TASKS:,} tasks, each moved to an instant in 0.5 to 1.5 seconds, and on when its "
        "reminder has come; every reminder comes back as a receipt, and a body that can't be read comes twice a second. Once a minute, for 12 s, in turn: the "
        "sidecar is restarted, answers 500 to half of all, hangs; another process forces writes to the same disk; a reader of the live stream does "
        "not read.\n\n"
        f"{soak.seen:,} reminders seen, {soak.lost} lost, {soak.early} early, {soak.repeats:,} repeats, {soak.differing} of them in other bytes. "
        f"{'; '.join(soak.notes)}. Verdict: {'FAILED: ' + '; '.join(soak.faults) if soak.faults else 'flat'}.\n\n"
        "| until minute | memory, MiB | descriptors | lateness, median, ms | 99 %, ms | the same under faults | samples |\n|---|---|---|---|---|---|---|\n"
    )
    size = max(1, len(soak.samples) // PARTS)
    for start in range(0, len(soak.samples), size):
        part = soak.samples[start : start + size]
        clean = [sample for sample in part if sample.clean and sample.came]
        other = [sample.p99 for sample in part if not sample.clean and sample.came]

        def middle(of) -> str:
            return f"{statistics.median(map(of, clean)):.0f}" if clean else "–"

        under = f"{statistics.median(other):,.0f}" if other else "–"
        text += (
            f"| {part[-1].at / 60:.1f} | {statistics.median(s.rss_mib for s in part):.0f} | {max(s.descriptors for s in part)} | "
            f"{middle(lambda s: s.p50)} | {middle(lambda s: s.p99)} | {under} | {len(part)} |\n"
        )
    return text + "\n```sh\ntests/faults --soak 30\n```\n"
