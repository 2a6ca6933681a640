"""What is played: each scenario plans reminders, causes its fault at the worst moment, and waits for the last one.

A scenario is a coroutine function over a `Stage`; how it is to be judged stands beside it in `Scenario`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..stage import Stage


@dataclass(frozen=True)
class Scenario:
    """One line of the table."""

    name: str
    play: Callable[[Stage], Awaitable[None]]
    # No fault is played, so a task's reminders must come in order.
    ordered: bool = False
    # Whether the shipped Resiliency is in force. Without it, losses are expected: a control.
    resiliency: bool = True
    # Embedded sidecars that share the consumer group.
    sidecars: int = 1
    # The most receipts of reminders beyond the first of each, and the most deliveries of events beyond the first of
    # each. What a fault costs is bounded; the bounds stand beside the scenarios, with their reasons.
    repeats_max: int = 0
    redelivered_max: int = 0
