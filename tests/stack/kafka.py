"""`tests/kafka-stack`: the worker beside embedded sidecars on a real Kafka, watched by a client that is not ours.

Owns what is played there.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path

from .brokers import Kafka
from .processes import Failed
from .run import Lane, conclude, fresh_directory, play_all
from .scenarios import Scenario, broker, outages, plain, rebalance, refill
from .stage import EmbeddedStage

# Two lanes, one of them for the faults of the broker itself.
LANES = [
    [
        Scenario("plain", plain.play, ordered=True),
        Scenario("rebalance", rebalance.killed, sidecars=2, redelivered_max=rebalance.KILLED_REDELIVERED),
        Scenario("rebalance, paused", rebalance.paused, sidecars=2, redelivered_max=rebalance.PAUSED_REDELIVERED),
        Scenario(
            "sidecar killed",
            outages.sidecar_killed,
            repeats_max=outages.SIDECAR_KILLED_REPEATS,
            redelivered_max=outages.SIDECAR_KILLED_REDELIVERED,
        ),
        Scenario(
            "worker killed twice",
            outages.worker_killed,
            repeats_max=outages.UNDER_WAY,
            redelivered_max=outages.WORKER_KILLED_REDELIVERED,
        ),
        Scenario("store damaged, restored, refilled", refill.play, redelivered_max=refill.REDELIVERED),
    ],
    [
        Scenario(
            "broker stopped 20 s", broker.paused, repeats_max=broker.PAUSED_REPEATS, redelivered_max=broker.REDELIVERED
        ),
        Scenario(
            "broker killed", broker.killed, repeats_max=broker.KILLED_REPEATS, redelivered_max=broker.REDELIVERED
        ),
        Scenario("20,000 waiting", broker.waiting),
        Scenario("app port closed 20 s", outages.port_closed, redelivered_max=outages.BATCHES),
    ],
]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("kafka-stack", description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="WORD", help="scenarios whose name contains it")
    parser.add_argument("--worker", type=Path, required=True, help="the worker's binary")
    return parser.parse_args()


def main() -> int:
    """Plays all of it; the exit code."""
    args, began = arguments(), time.monotonic()
    lanes = [[s for s in lane if args.only is None or args.only in s.name] for lane in LANES]
    if not any(lanes):
        print(f"no scenario is called {args.only!r}", file=sys.stderr)
        return 64

    def set_stage(scenario: Scenario, home: Path, its_broker: Kafka) -> EmbeddedStage:
        return EmbeddedStage(scenario.name, home, its_broker, args.worker, scenario.sidecars)

    directory = fresh_directory("kafka")
    rows = asyncio.run(play_all([Lane(Kafka, set_stage, lane) for lane in lanes if lane], directory))
    return conclude("embedded sidecar on Kafka", rows, began)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        sys.exit(f"kafka-stack: {failed}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("kafka-stack: ended by a signal")
