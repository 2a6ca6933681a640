"""Files of the store that are torn, cut or changed while no worker runs: the right result or a clear refusal, never half.

A store is filled, stopped and kept; each round damages a copy of it in one place and starts a worker there. What the
undamaged copy shows is the right result: every reminder with its state, and the counters.
"""

import collections
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from ..processes import Failed, now_ms
from .bench import EXIT_STORE, Bench

# Enough for several of the engine's segments.
TASKS = 1_200
SEGMENT_BYTES = 4 << 20
PAGE_BYTES = 4096
# How long a worker may take to open a damaged store, or to refuse it.
DECIDED_SECONDS = 60.0
# And to send again what it does not know that it sent.
SETTLED_SECONDS = 20.0
# One that comes upon the damage as it serves ends, and the next start decides.
STARTS = 2
# The worker itself puts another one in its place, each minute and wherever it can't read it: that it is there counts.
MARKER = "store.marker"

Hurt = Callable[[Path], None]

# Anything else breaks a promise.
GOOD = ("right", "right, restored from the backup", "right, made anew", "right but for what it says to be gone", "refused")


def _cut(name: str, length: Callable[[int], int]) -> Hurt:
    def hurt(store: Path) -> None:
        size = (store / name).stat().st_size
        with open(store / name, "r+b") as file:
            file.truncate(max(0, min(size, length(size))))

    return hurt


def _change(name: str, at: Callable[[int], int], change: Callable[[bytes], bytes], length: int = 1) -> Hurt:
    def hurt(store: Path) -> None:
        with open(store / name, "r+b") as file:
            size = file.seek(0, 2)
            place = max(0, min(size - length, at(size)))
            file.seek(place)
            old = file.read(length)
            file.seek(place)
            file.write(change(old))

    return hurt


def _flip(old: bytes) -> bytes:
    return bytes([old[0] ^ 1 << random.randrange(8)]) + old[1:]


def damages(rounds: int) -> list[tuple[str, Hurt]]:
    """That many damages, every kind of them: what is small is hurt everywhere, the data file at random places."""
    some: list[tuple[str, Hurt]] = []

    def add(name: str, hurt: Hurt) -> None:
        some.append((name, hurt))

    add("db cut to nothing", _cut("db", lambda _: 0))
    add("db gone", lambda store: (store / "db").unlink())
    add("conf gone", lambda store: (store / "conf").unlink())
    add("the marker cut to nothing", lambda store: (store.parent / "store.marker").write_bytes(b""))
    add(
        "the lock filled with anything", lambda store: (store.parent / "store.lock").write_bytes(random.randbytes(5000))
    )
    add("db is another file's bytes", lambda store: (store / "db").write_bytes(random.randbytes(9_000_000)))
    kinds: list[Callable[[], tuple[str, Hurt]]] = []

    def random_place(what: str, change: Callable[[bytes], bytes], length: int) -> Callable[[], tuple[str, Hurt]]:
        def make() -> tuple[str, Hurt]:
            share = random.random()
            return (
                f"{what} at {share:.4f} of db",
                _change("db", lambda size: int(size * share) // length * length, change, length),
            )

        return make

    kinds.append(random_place("a bit flipped", _flip, 1))
    kinds.append(random_place("a page zeroed", lambda old: bytes(len(old)), PAGE_BYTES))
    kinds.append(random_place("a page of ones", lambda old: b"\xff" * len(old), PAGE_BYTES))
    kinds.append(random_place("half a page torn", lambda old: old[:2048] + bytes(2048), PAGE_BYTES))

    def near_the_end() -> tuple[str, Hurt]:
        back = random.choice([1, 2, 16, 100, 512, 4096, 20_000, 100_000])
        return f"db without its last {back} bytes", _cut("db", lambda size: size - back)

    def anywhere() -> tuple[str, Hurt]:
        share = random.random()
        return f"db cut at {share:.4f}", _cut("db", lambda size: int(size * share))

    def segment() -> tuple[str, Hurt]:
        number, within = random.randrange(4), random.randrange(64)
        return (
            f"a bit flipped in byte {within} of segment {number}",
            _change("db", lambda _: number * SEGMENT_BYTES + within, _flip),
        )

    def conf() -> tuple[str, Hurt]:
        place = random.randrange(64)
        if random.random() < 0.5:
            return f"a bit flipped in byte {place} of conf", _change("conf", lambda _: place, _flip)
        return f"conf cut at {place}", _cut("conf", lambda _: place)

    kinds += [near_the_end, anywhere, segment, conf]
    while len(some) < rounds:
        add(*kinds[len(some) % len(kinds)]())
    random.shuffle(some)
    return some[:rounds]


async def torn(bench: Bench, rounds: int) -> None:
    """One damage a round, and no backup to be had."""
    await _play(bench, rounds, with_backup=False)


async def restored(bench: Bench, rounds: int) -> None:
    """The same with a backup of all of it."""
    await _play(bench, rounds, with_backup=True)


async def _play(bench: Bench, rounds: int, with_backup: bool) -> None:
    home = bench.directory / "seed"
    bench.on(home / "store")
    await _fill(bench, with_backup)
    copy = bench.directory / "copy"
    right, _, _ = await _shown(bench, home, copy, lambda _: None, None)
    if isinstance(right, str):
        raise Failed(f"the undamaged copy is not right: {right}")
    kinds: collections.Counter[str] = collections.Counter()
    for name, hurt in damages(rounds):
        log = bench.worker.process.log
        told = log.stat().st_size
        found, moved, told = await _shown(bench, home, copy, hurt, right)
        bench.rounds += 1
        if isinstance(found, str):
            what = found
        elif found != right and told and not with_backup:
            what = "right but for what it says to be gone: " + _difference(right, found)
        elif found != right:
            what = _difference(right, found)
            gone = right[0].keys() - found[0].keys()
            bench.book.lose([(f"{task} of round {bench.rounds}", due) for task in gone for due, _ in right[0][task]])
        else:
            anew = "restored from the backup" if with_backup else "made anew"
            what = f"right, {anew}" if moved else "right"
        kind = what.split(":")[0]
        kinds[kind] += 1
        broken = [] if kind in GOOD else [what]
        if moved and (kind == "refused" or kind not in GOOD):
            broken.append(f"files were moved: {moved}")
        with open(log, "rb") as file:
            file.seek(told)
            if b"panicked at" in file.read():
                broken.append("a panic was printed")
        bench.faults += [f"{name}: {one}" for one in broken]
    bench.notes.append(", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    bench.book.close_store()


async def _fill(bench: Bench, with_backup: bool) -> None:
    """Some of every kind, everything that was due published, perhaps a backup, and a clean end."""
    bench.store.parent.mkdir()
    await bench.start()
    for n in range(TASKS):
        bench.load.far(title="T" * 8_000)
        if n % 10 == 0:
            bench.load.due(now_ms() + 1_000)
            bench.load.poison(20_000)
    await bench.settle()
    if with_backup:
        await bench.command("backup")
    await bench.worker.end()


async def _shown(bench: Bench, home: Path, copy: Path, hurt: Hurt, right):
    """What a worker shows of a damaged copy: reminders and counters, or in words why not; what was moved; and whether it
    says that something is missing."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(home, copy)
    hurt(copy / "store")
    before = _files(copy)
    bench.on(copy / "store")
    process = bench.worker.process
    told = False
    try:
        for _ in range(STARTS):
            process.start()
            shown = await _decided(bench, right)
            if process.runs() or str(shown).startswith("refused"):
                break
        ready = await bench.worker.ask("/readyz")
        told = isinstance(ready, dict) and "restored" in ready.get("warnings", {})
    finally:
        await process.erase()
    after = _files(copy)
    return shown, sorted(name for name, number in before.items() if after.get(name) != number), told


async def _decided(bench: Bench, right):
    """What the worker that was just started shows, or in words how it ended."""
    process = bench.worker.process
    began = time.monotonic()
    while process.runs() and time.monotonic() - began < DECIDED_SECONDS:
        if await bench.worker.is_ready():
            shown = await _read(bench, right)
            if not isinstance(shown, str) or not await _ends(bench):
                return shown
        await bench.pause()
    if process.runs():
        return "it neither opens nor ends"
    code, said = await process.ended(1), bench.last_words()
    return f"refused: {said}" if code in EXIT_STORE else f"it ended with {code}: {said}"


async def _ends(bench: Bench) -> bool:
    """Whether a worker that could not be read is about to end."""
    try:
        await bench.worker.process.ended(SETTLED_SECONDS)
    except Failed:
        return False
    return True


def _files(directory: Path) -> dict[str, int]:
    """Every file and which it is."""
    return {
        str(path.relative_to(directory)): 0 if path.name == MARKER else path.stat().st_ino
        for path in directory.rglob("*")
    }


async def _read(bench: Bench, right):
    """All that it shows; for a moment it may be about to send again what it no longer knows that it sent."""
    end = time.monotonic() + SETTLED_SECONDS
    while True:
        try:
            listed = await bench.listed()
        except Failed as failed:
            return f"it runs and can't be read: {failed}"
        told = await bench.worker.ask("/api/v1/stats")
        quarantined = await bench.worker.ask("/api/v1/quarantine?limit=1000")
        if not (isinstance(told, dict) and isinstance(quarantined, dict)):
            return f"it runs and can't be read: {told}, {quarantined}"
        shown = listed, told["reminders"], told["events"], quarantined
        if right is None or shown == right or time.monotonic() > end:
            return shown
        await bench.pause()


def _difference(right, found) -> str:
    """What a store shows that is not what it held."""
    gone = right[0].keys() - found[0].keys()
    changed = [task for task in right[0].keys() & found[0].keys() if right[0][task] != found[0][task]]
    return (
        f"silently other: {len(gone)} of {len(right[0])} tasks gone, {len(changed)} changed, "
        f"reminders {found[1]} for {right[1]}, {len(found[3]['quarantine'])} quarantined for {len(right[3]['quarantine'])}"
    )
