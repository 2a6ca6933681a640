"""Plays scenarios in lanes and prints the table.

A lane is a broker of its own and the scenarios that follow each other on it; lanes run at the same time, so that a
fault of one broker is felt by one scenario only. Owns the directories: a run's logs stay under `target/stack/`.
"""

import asyncio
import shutil
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .ledger import Count
from .processes import Failed
from .scenarios import Scenario
from .stage import Stage
from .table import Row, render

ROOT = Path(__file__).resolve().parents[2]
# Beyond this a scenario hangs, whatever it waits for.
SCENARIO_SECONDS = 240.0


@dataclass
class Lane:
    """A broker's class, how a stage is set on it, and what is played there in turn."""

    broker: type
    set_stage: Callable[[Scenario, Path, object], Stage]
    scenarios: list[Scenario]


def fresh_directory(name: str) -> Path:
    """The directory of this run; the last one's is removed."""
    directory = ROOT / "target/stack" / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


async def play_all(lanes: list[Lane], directory: Path) -> list[Row]:
    """Plays every lane, and returns the rows in the lanes' order.

    Whoever ends the run with a signal gets what Ctrl-C gets: every lane is given up and its broker ended.
    """
    loop, whole = asyncio.get_running_loop(), asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, whole.cancel)
    played = await asyncio.gather(*(_play_lane(n, lane, directory) for n, lane in enumerate(lanes)))
    return [row for rows in played for row in rows]


async def _play_lane(number: int, lane: Lane, directory: Path) -> list[Row]:
    rows = [Row(scenario.name, lane.broker.name) for scenario in lane.scenarios]
    home = directory / f"lane-{number}"
    try:
        broker = lane.broker(home)
    except Failed as failed:
        for row in rows:
            row.faults.append(str(failed))
        return rows
    try:
        for row, scenario in zip(rows, lane.scenarios):
            await _play(row, scenario, lambda: lane.set_stage(scenario, home, broker), broker)
    finally:
        await broker.stop()
    return rows


async def _play(row: Row, scenario: Scenario, set_stage: Callable[[], Stage], broker) -> None:
    began = time.monotonic()
    stage = None
    row.expected_to_lose = not scenario.resiliency
    try:
        await broker.ensure()
        stage = set_stage()
        await asyncio.wait_for(scenario.play(stage), SCENARIO_SECONDS)
    except (Failed, TimeoutError) as failed:
        row.faults.append(str(failed) or f"it hung for {SCENARIO_SECONDS:.0f} s")
    except Exception:  # A fault of the harness is a failure of its row and of no other.
        row.faults.append(traceback.format_exc())
    except asyncio.CancelledError:  # The run is given up.
        if stage:
            await stage.abandon()
        raise
    if stage:
        row.count = stage.ledger.count(scenario.ordered)
        found = row.count.faults()
        if row.expected_to_lose:
            found = [fault for fault in found if " lost: " not in fault]
        row.faults += found
        row.faults += await _too_often(row.count, scenario, stage)
        await _explain(row, row.count, stage)
        row.faults += await stage.end()
    row.seconds = time.monotonic() - began
    print(render([row]).splitlines()[-1] if not row.faults else render([row]), flush=True)


async def _too_often(count: Count, scenario: Scenario, stage: Stage) -> list[str]:
    """What came again more often than the fault explains."""
    faults = []
    if count.repeats > scenario.repeats_max:
        faults.append(f"{count.repeats} repeats of reminders, at most {scenario.repeats_max} are explained")
    try:
        count.redelivered = await stage.redelivered()
    except Failed as failed:
        return [*faults, str(failed)]
    if count.redelivered > scenario.redelivered_max:
        faults.append(f"{count.redelivered} events delivered again, at most {scenario.redelivered_max} are explained")
    return faults


async def _explain(row: Row, count: Count, stage: Stage) -> None:
    """What the worker knows of the first reminders that are amiss."""
    amiss = [] if row.expected_to_lose else count.lost[:2]
    for task, _ in [*amiss, *count.unplanned[:2]]:
        row.faults.append(f"{task}: {await stage.worker.ask(f'/api/v1/tasks/{task}')}")
    if row.faults:
        row.faults.append(f"stats: {await stage.worker.ask('/api/v1/stats')}; logs: {stage.directory}")


def conclude(title: str, rows: list[Row], began: float) -> int:
    """Prints the summary; the exit code: 0 only if every promise held."""
    print(f"\n{title}, {time.monotonic() - began:.0f} s\n")
    print(render(rows))
    failed = [row for row in rows if not row.ok()]
    counts = [row.count for row in rows if row.count]
    planned, seen = sum(c.planned for c in counts), sum(c.seen for c in counts)
    print(f"\n{len(rows)} scenarios, {len(failed)} failed; {planned:,} reminders planned, {seen:,} seen")
    return 1 if failed else 0
