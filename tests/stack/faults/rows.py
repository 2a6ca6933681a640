"""The rows: each fault, how often it is played, and what it may cost.

Owns the words of the page `docs/faults.md` about each.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from . import clocks, damage, disks, kills, network, power
from .bench import Bench


@dataclass(frozen=True)
class Fault:
    """One row."""

    name: str
    play: Callable[[Bench, int], Awaitable[None]]
    rounds: int
    quick: int
    what: str
    accepted: str
    root: bool = False
    # It shows what happens without what is under proof, and must lose.
    control: bool = False
    # The command that the binary must know.
    needs: tuple[str, ...] = ()


REPEATS = (
    "A reminder that the broker took and of which the worker did not hear comes again, under the same id and in the same bytes: "
    "that cannot be avoided without losing some."
)

FAULTS = [
    Fault(
        "SIGKILL during ingest",
        kills.ingest,
        rounds=120,
        quick=4,
        what="Killed after a random number of acknowledgements, while reminders fall due.",
        accepted=REPEATS,
    ),
    Fault(
        "SIGKILL during a burst",
        kills.burst,
        rounds=80,
        quick=3,
        what="300 reminders within 400 ms; killed after a random number of them has come.",
        accepted=REPEATS,
    ),
    Fault(
        "SIGKILL during export",
        kills.export,
        rounds=40,
        quick=2,
        what="The worker is killed, then `store export` while it reads the store, and the worker is started.",
        accepted=REPEATS,
        needs=("store", "export"),
    ),
    Fault(
        "SIGKILL during backup",
        kills.backup,
        rounds=40,
        quick=2,
        what="The worker is killed while it makes a backup; what then stands among the backups is verified.",
        accepted=REPEATS,
        needs=("backup",),
    ),
    Fault(
        "power loss",
        power.loss,
        rounds=50,
        quick=3,
        what=(
            "The store is on an ext4 of its own (mkfs's defaults) in a loop-mounted file. Under load it is shut down without a flush, not "
            "even of its journal (`EXT4_IOC_SHUTDOWN`, 2); then SIGKILL, unmount, mount, start. Bodies up to 4 MiB go to the quarantine "
            "and up to 890 KiB to the outbox. What is answered after the shutdown began does not count."
        ),
        accepted=REPEATS,
        root=True,
    ),
    Fault(
        "power loss without fdatasync",
        power.control,
        rounds=6,
        quick=3,
        what=(
            "The control of the row above: the same, with the worker's own `fdatasync` made to do nothing (`LD_PRELOAD`), a new store "
            "each cycle."
        ),
        accepted="it must lose acknowledged events, else the row above would prove nothing.",
        root=True,
        control=True,
    ),
    Fault(
        "disk full",
        disks.full,
        rounds=4,
        quick=1,
        what=(
            "The store is on an ext4 of 1 GiB. Under load another file takes all its room but 12 MiB, which the load takes; it goes "
            "again after 12 s, or after 50. The worker is started again whenever it ends."
        ),
        accepted="intake stops while there is no room, and what is due then comes late. " + REPEATS,
        root=True,
    ),
    Fault(
        "file system turns read-only",
        disks.read_only,
        rounds=6,
        quick=2,
        what=(
            "The ext4 under the store aborts its journal under load, as after an error of its device; then it is mounted read-only at a start, "
            "and writable again."
        ),
        accepted="the worker ends, since after a failed forced write nobody knows what is on the disk, and exits with 74 as long as it is read-only; nothing is moved. "
        + REPEATS,
        root=True,
    ),
    Fault(
        "files that may not be read or written",
        disks.denied,
        rounds=14,
        quick=7,
        what=(
            "The worker runs as a user without rights and is killed; then the directory, a file in it, the lock beside it or the directory "
            "above lose their permissions, and it is started."
        ),
        accepted="exit code 74 with what to do, and nothing is moved, until the permissions are back.",
        root=True,
    ),
    Fault(
        "torn and changed files",
        damage.torn,
        rounds=240,
        quick=24,
        what=(
            "A stopped store is copied and one place of the copy is damaged: a bit, a page or half of one, the end cut off, a file gone. A "
            "worker is started there and shows all reminders, states, counters and the quarantine."
        ),
        accepted=(
            "it refuses with exit code 74, names the damage and moves nothing. Where its newest segment, up to 4 MiB, is hurt, the engine takes "
            "that for a write that was cut off and goes back to what came before: the start's recount finds that reminders are gone, and the "
            "next start makes the store anew of its tasks. What lay in a part that can't be read, and is in no backup, is gone, which it says."
        ),
    ),
    Fault(
        "torn and changed files, with a backup",
        damage.restored,
        rounds=240,
        quick=24,
        what="The same beside a backup of all that the store held.",
        accepted="the damaged store is set aside and the backup takes its place; nothing is deleted.",
        needs=("backup",),
    ),
    Fault(
        "out of file descriptors",
        network.descriptors,
        rounds=5,
        quick=1,
        what="The worker may have 64 descriptors; 200 idle connections take what it has left for 6 s, under load.",
        accepted="connections wait meanwhile, so events and reminders come late.",
    ),
    Fault(
        "sidecar hangs",
        network.hung,
        rounds=2,
        quick=1,
        what="For 25 s it reads requests and never answers; half of them the broker has.",
        accepted=REPEATS,
    ),
    Fault(
        "sidecar is slow",
        network.slow,
        rounds=2,
        quick=1,
        what="For 25 s it answers after 10.5 to 14 s, when the worker has given up; the broker has all of it.",
        accepted=REPEATS,
    ),
    Fault(
        "sidecar fails half the time",
        network.failing,
        rounds=3,
        quick=1,
        what="For 12 s every other request is answered 500; half of those the broker has all the same.",
        accepted=REPEATS,
    ),
    Fault(
        "sidecar is down",
        network.down,
        rounds=3,
        quick=1,
        what="For 15 s its port is closed.",
        accepted="reminders come late. " + REPEATS,
    ),
    Fault(
        "clock steps by an hour",
        clocks.stepped,
        rounds=4,
        quick=1,
        what=(
            "The worker's wall clock, not its monotonic one, steps an hour forward, back, an hour back and forward again (libfaketime), while "
            "reminders fall due by either. *Early* is by the stepped clock."
        ),
        accepted=(
            "what a step forward passes over goes out at once, as after a time off; after a step back, what is planned by the later clock waits for it."
        ),
    ),
    Fault(
        "stopped and continued",
        clocks.stopped,
        rounds=3,
        quick=1,
        what="SIGSTOP for 60 s under load, with requests under way on both sides, then SIGCONT.",
        accepted=REPEATS,
    ),
]
