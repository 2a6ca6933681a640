"""What was acknowledged, what therefore must come, must stand in the store, or must not come; and what did.

A ledger with three more pages. A reminder **stands** when its task was acknowledged and it is due long after the run:
it must be listed as pending. It **may** come when its task was ended too late to say. It is **forbidden** when the end
of its task was acknowledged before it was due.
"""

from dataclasses import dataclass

from ..ledger import Count, Key, Ledger


@dataclass
class Judgement:
    """A row's figures."""

    expected: int
    lost: list[Key]
    early: list[tuple[Key, int]]
    repeats: int
    differing: list[Key]
    forbidden: list[Key]
    unplanned: list[Key]
    lateness_ms: list[int]

    def faults(self) -> list[str]:
        """What breaks a promise, with the first few examples."""
        named = {
            "lost": self.lost,
            "early": self.early,
            "repeated in other bytes": self.differing,
            "came though their tasks had ended before": self.forbidden,
            "not planned": self.unplanned,
        }
        return [f"{len(found)} {what}: {found[:4]}" for what, found in named.items() if found]


class Book(Ledger):
    """The ledger of one row."""

    def __init__(self) -> None:
        super().__init__()
        self._may: set[Key] = set()
        self._forbidden: set[Key] = set()
        self._stands: dict[str, int] = {}
        self._vanished: set[Key] = set()
        # Of stores that are gone: how many stood there, and what was missing then.
        self._stood = 0
        self._given_up: set[Key] = set()
        self._tried: dict[Key, bytes] = {}
        self._tried_early: list[tuple[Key, int]] = []
        self._tried_otherwise: set[Key] = set()
        # Milliseconds by which the worker's clock is ahead of this one while a clock is faked.
        self.ahead_ms = 0

    def stand(self, task_id: str, due_ms: int) -> None:
        """A reminder that must be in the store as pending."""
        self._stands[task_id] = due_ms

    def may(self, task_id: str, due_ms: int) -> None:
        """A reminder that may come."""
        self._may.add((task_id, due_ms))

    def forbid(self, task_id: str, due_ms: int) -> None:
        """A reminder that must not come any more."""
        self._forbidden.add((task_id, due_ms))

    def tried(self, key: Key, body: bytes, at_ms: int) -> None:
        """A reminder was sent, whether it was taken or not: it must not have been early, and every time the same."""
        if at_ms + self.ahead_ms < key[1]:
            self._tried_early.append((key, at_ms + self.ahead_ms - key[1]))
        if self._tried.setdefault(key, body) != body:
            self._tried_otherwise.add(key)

    def missing(self) -> int:
        """How many that must have come have not."""
        return self._missing

    def has_planned(self, keys: list[Key]) -> bool:
        """Whether all of these must come: their events are acknowledged."""
        return self._planned.issuperset(keys)

    def came(self, keys: list[Key]) -> int:
        """How many of these were seen."""
        return sum(key in self._seen for key in keys)

    def lose(self, keys: list[Key]) -> None:
        """These are gone, as somebody else found."""
        self._vanished |= set(keys)

    def close_store(self, lost: bool = False) -> None:
        """The store is given up after it was looked at, or because it is lost; the next one begins empty."""
        if lost:
            self._vanished |= set(self._stands.items())
        self._stood += len(self._stands)
        self._stands.clear()
        self._given_up |= {key for key in self._planned if key not in self._seen}
        self._planned -= self._given_up
        self._missing = 0

    def look(self, listed: dict[str, list[tuple[int, str]]]) -> None:
        """Compares with all that the store lists: task → instants and states. What is not there has vanished."""
        for task, due in self._stands.items():
            if (due, "pending") not in listed.get(task, []):
                self._vanished.add((task, due))

    def judge(self) -> Judgement:
        """The figures of all that was noted."""
        count: Count = self.count(ordered=False)
        lost = [*count.lost, *sorted(self._given_up), *sorted(self._vanished)]
        seen = set(self._seen)
        return Judgement(
            expected=count.planned + len(self._given_up) + self._stood + len(self._stands),
            lost=lost,
            # Each sighting was a try.
            early=self._tried_early,
            repeats=count.repeats,
            differing=sorted({*count.differing, *self._tried_otherwise}),
            forbidden=sorted(self._forbidden & seen),
            unplanned=sorted(set(count.unplanned) - self._may - self._forbidden - self._given_up),
            lateness_ms=count.lateness_ms,
        )
