"""A disk that is full, or read-only, or whose files can't be read: intake stops, nothing is moved, and it goes on.

Owns what fills the disk. The worker runs without rights where rights are the fault: nothing is denied to root.
"""

import asyncio
import os
import subprocess
import time
from pathlib import Path

from ..processes import Failed, now_ms, poll
from .bench import EXIT_RUNNING, EXIT_STORE, Bench
from .mounts import Ext4

# Room for a store and any reserve that is kept of it.
SMALL_MIB = 1024
# What is left when the other file is there, before the load takes it.
LEFT_MIB = 12
# How long the worker tries before it gives up, and some.
STUCK_SECONDS = 60.0
# How long the room is taken: shorter and longer than the worker goes on trying.
SHORT_SECONDS = 12.0
LONG_SECONDS = 50.0
# Reminders that fall due meanwhile, and how long after the room was taken.
DUE = 100
DUE_AHEAD_MS = 7_000
# No acknowledgement for so long is a stop.
SILENT_SECONDS = 1.5
# A user without rights.
NOBODY = 65534
UNPRIVILEGED = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--pdeathsig=KILL"]


def _fill(directory: Path, leave_mib: float) -> Path:
    """A file that takes what room there is, but so much."""
    room = os.statvfs(directory)
    size = room.f_bavail * room.f_frsize - int(leave_mib * (1 << 20))
    filler = directory / "filler"
    with open(filler, "ab") as file:
        os.posix_fallocate(file.fileno(), filler.stat().st_size, max(size, 1))
    return filler


async def full(bench: Bench, rounds: int) -> None:
    """Another file takes the room under load, stays until reminders fell due, and goes again."""
    # Without blocks kept back for root: the worker is root here, and what it has must be what is told.
    disk = Ext4(bench.directory / "disk.img", bench.directory / "disk", SMALL_MIB, "-m", "0")
    disk.make()
    try:
        bench.on(disk.at / "store")
        async with bench.supervised() as ends:
            await bench.recovered(time.monotonic(), is_supervised=True)
            bench.recoveries.clear()
            for round in range(rounds):
                await _fill_up(bench, disk.at, ends, SHORT_SECONDS if round % 2 == 0 else LONG_SECONDS)
            await bench.settle()
        await bench.worker.end()
    finally:
        await bench.worker.process.erase()
        disk.unmount()


async def _fill_up(bench: Bench, disk: Path, ends: list[str], stays_seconds: float) -> None:
    ended_before = len(ends)
    async with bench.under_load(rate=800):
        await bench.acknowledges(300)
        base = now_ms() + DUE_AHEAD_MS
        due = [(bench.load.due(base + 20 * n), base + 20 * n) for n in range(DUE)]
        # What falls due while the disk is full was acknowledged before.
        await bench.planned(due)
        filler = _fill(disk, LEFT_MIB)
        full_at = time.monotonic()
        stopped = await _stops(bench)
        await asyncio.sleep(max(0, full_at + stays_seconds - time.monotonic()))
        came = bench.book.came(due)
        bench.rounds += 1
        for said in ends[ended_before:]:
            _must_say(bench, said, "space")
        filler.unlink()
        since = time.monotonic()
        await bench.recovered(since, is_supervised=True)
    restarts = len(ends) - ended_before
    if keeps_reserve(bench.binary) and (restarts or came < DUE):
        bench.faults.append(
            f"with a reserve of free space it ended {restarts} times, and {came} of {DUE} due reminders came meanwhile"
        )
    how = f"ended {restarts} times and was started again" if restarts else "went on by itself"
    bench.notes.append(
        f"full for {stays_seconds:.0f} s: acknowledging stopped {stopped:.1f} s after the room was taken, {came} of {DUE} reminders that "
        f"fell due meanwhile came meanwhile, the worker {how}"
    )


def keeps_reserve(binary: Path) -> bool:
    """Whether this release stops taking events before the disk is full: its settings say so."""
    shown = subprocess.run([binary, "check"], capture_output=True, text=True, check=False)
    return "reserve" in shown.stdout


async def _stops(bench: Bench) -> float:
    """Waits until nothing is acknowledged any more; the seconds until then."""
    began = time.monotonic()

    async def silent() -> bool:
        return time.monotonic() - max(bench.deliveries.last_acknowledged, began) > SILENT_SECONDS

    await poll("nothing is acknowledged on a full disk", silent, 90)
    return bench.deliveries.last_acknowledged - began


async def read_only(bench: Bench, rounds: int) -> None:
    """The file system becomes read-only under load, as after an error of its device, and is so at the next start."""
    disk = Ext4(bench.directory / "disk.img", bench.directory / "disk", 256)
    disk.make()
    try:
        bench.on(disk.at / "store")
        await bench.start()
        for _ in range(rounds):
            async with bench.under_load(rate=800):
                await bench.acknowledges(300)
                # See `Ext4`: what the kernel confirms from now on proves nothing.
                bench.deliveries.is_deaf = True
                disk.abort()
                # A forced write that fails is the end: nothing says what is on the disk.
                await bench.exits(EXIT_RUNNING, STUCK_SECONDS)
                disk.unmount()
                # First writable, so that the journal is replayed.
                disk.mount()
                disk.read_only(True)
                before = _listing(disk.at)
                bench.worker.process.start()
                _must_say(bench, await bench.exits(EXIT_STORE, 30), "writable")
                if _listing(disk.at) != before:
                    bench.faults.append("files were moved on a read-only file system")
                disk.read_only(False)
                bench.deliveries.is_deaf = False
                bench.rounds += 1
                since = time.monotonic()
                await bench.start()
                await bench.recovered(since)
        await bench.settle()
        # At rest nothing is lost with the disk, so the end is an ordinary one.
        disk.cut()
        await bench.worker.end()
    finally:
        await bench.worker.process.erase()
        disk.unmount()


async def denied(bench: Bench, rounds: int) -> None:
    """The directory, or a file in it, that the worker's user may not read or write: exit 74, nothing is moved."""
    home = bench.directory / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    bench.on(home / "store")
    bench.beside(prefix=UNPRIVILEGED)
    await bench.start()
    modes = [
        ("store", 0o500), ("store", 0o000), ("store/db", 0o400), ("store/db", 0o000), ("store/conf", 0o000),
        ("store.lock", 0o000), (".", 0o000),
    ]  # fmt: skip
    for round in range(rounds):
        name, mode = modes[round % len(modes)]
        async with bench.under_load(rate=500):
            await bench.acknowledges(100)
            await bench.worker.process.kill()
            path = home / name
            usual = path.stat().st_mode & 0o777
            before = _listing(home)
            path.chmod(mode)
            bench.worker.process.start()
            try:
                found = await bench.worker.process.ended(5)
            except Failed:
                found = None
            said = bench.last_words()
            path.chmod(usual)
            bench.rounds += 1
            since = time.monotonic()
            if found is None:
                # It needs no more: what it may not do it did not do.
                bench.notes.append(f"{name} with mode {mode:03o} is enough for it")
            elif found not in EXIT_STORE:
                bench.faults.append(f"{name} with mode {mode:03o}: it ended with {found}: {said}")
            else:
                _must_say(bench, said, "read and write access")
                if _listing(home) != before:
                    bench.faults.append(f"{name} with mode {mode:03o}: files were moved: {before} {_listing(home)}")
                await bench.start()
            await bench.recovered(since)
    await bench.settle()


def _must_say(bench: Bench, said: str, words: str) -> None:
    if words not in said:
        bench.faults.append(f"its last words do not say {words!r}: {said}")


def _listing(directory: Path) -> dict[str, int]:
    """Every file and which it is. Not what is in it: the engine writes in its file as it opens it."""
    return {str(path.relative_to(directory)): path.stat().st_ino for path in sorted(directory.rglob("*"))}
