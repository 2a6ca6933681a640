"""`tests/real-stack`: the worker, two daprds, Kafka and Redis, end to end and under every fault.

Owns what is played there, and that a machine without daprd is never taken for one on which it passed.
"""

import argparse
import asyncio
import functools
import sys
import time
from pathlib import Path

from .brokers import Kafka, Redis
from .processes import Failed
from .run import Lane, conclude, fresh_directory, play_all
from .scenarios import Scenario, broker, outages, plain
from .sidecars import find_daprd, version_of
from .stage import DaprdStage
from .table import Row

PLAIN = Scenario("plain", plain.play, ordered=True)
SIDECAR_KILLED = Scenario(
    "daprd killed",
    outages.sidecar_killed,
    repeats_max=outages.SIDECAR_KILLED_REPEATS,
    redelivered_max=outages.SIDECAR_KILLED_REDELIVERED,
)
WORKER_KILLED = Scenario(
    "worker killed twice",
    outages.worker_killed,
    repeats_max=outages.UNDER_WAY,
    redelivered_max=outages.WORKER_KILLED_REDELIVERED,
)
PAUSED = Scenario(
    "broker stopped 20 s", broker.paused, repeats_max=broker.PAUSED_REPEATS, redelivered_max=broker.REDELIVERED
)
KILLED = Scenario(
    "broker killed", broker.killed, repeats_max=broker.KILLED_REPEATS, redelivered_max=broker.REDELIVERED
)
CLOSED = Scenario("app port closed 20 s", outages.port_closed, redelivered_max=outages.BATCHES)
CLOSED_BARE = Scenario(
    "app port closed, no Resiliency", outages.port_closed, resiliency=False, redelivered_max=outages.BATCHES
)
WAITING = Scenario("20,000 waiting", broker.waiting)
WAITING_SINGLY = Scenario("5,000 waiting", functools.partial(broker.waiting, events=broker.WAITING_SINGLY))

# Two lanes a broker, one of them for the faults of the broker itself.
LANES = {
    Kafka: [[PLAIN, SIDECAR_KILLED, WORKER_KILLED, WAITING], [PAUSED, KILLED, CLOSED]],
    Redis: [[PLAIN, SIDECAR_KILLED, WORKER_KILLED, WAITING_SINGLY, CLOSED_BARE], [PAUSED, KILLED, CLOSED]],
}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("real-stack", description=__doc__.splitlines()[0])
    parser.add_argument("--without-daprd", action="store_true", help="succeed where no daprd is found")
    parser.add_argument("--only", metavar="WORD", help="scenarios whose name or broker contains it")
    parser.add_argument("--worker", type=Path, required=True, help="the worker's binary")
    return parser.parse_args()


def wanted(only: str | None) -> dict[type, list[list[Scenario]]]:
    """The lanes, as far as they were asked for."""
    if only is None:
        return LANES
    chosen = {b: [[s for s in lane if only in f"{s.name} {b.name}"] for lane in lanes] for b, lanes in LANES.items()}
    return {b: [lane for lane in lanes if lane] for b, lanes in chosen.items()}


def not_run(lanes: dict[type, list[list[Scenario]]], reason: str) -> list[Row]:
    """Rows that say why nothing stands in them."""
    rows = [Row(s.name, b.name) for b, of_broker in lanes.items() for lane in of_broker for s in lane]
    for row in rows:
        row.not_run = reason
    return rows


def main() -> int:
    """Plays all of it; the exit code."""
    args, began = arguments(), time.monotonic()
    lanes = wanted(args.only)
    if not any(lanes.values()):
        print(f"no scenario is called {args.only!r}", file=sys.stderr)
        return 64
    daprd = find_daprd()
    if daprd is None:
        print("no daprd: neither DAPRD nor PATH nor ~/.dapr/bin has one; `dapr init` installs it", flush=True)
        conclude("real stack: NOT RUN", not_run(lanes, "no daprd"), began)
        return 0 if args.without_daprd else 1
    print(f"daprd {version_of(daprd)}", flush=True)

    def set_stage(scenario: Scenario, home: Path, its_broker) -> DaprdStage:
        return DaprdStage(scenario.name, home, its_broker, args.worker, daprd, scenario.resiliency)

    directory = fresh_directory("real")
    played = [Lane(b, set_stage, lane) for b, of_broker in lanes.items() for lane in of_broker]
    rows = asyncio.run(play_all(played, directory))
    return conclude(f"real stack on daprd {version_of(daprd)}", rows, began)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        sys.exit(f"real-stack: {failed}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("real-stack: ended by a signal")
