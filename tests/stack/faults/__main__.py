"""`tests/faults`: plays the rows and prints, or writes, the table."""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from ..processes import Failed
from ..run import fresh_directory
from . import soak, table
from .bench import Bench
from .rows import FAULTS, Fault
from .table import Row

# Beyond this a row hangs, whatever it waits for.
ROW_SECONDS = 1800.0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("faults", description=__doc__.splitlines()[0])
    parser.add_argument("--worker", type=Path, required=True, help="the worker's binary")
    parser.add_argument("--only", metavar="WORD", help="rows whose name contains it")
    parser.add_argument("--quick", action="store_true", help="few rounds of each")
    parser.add_argument("--seed", type=int, help="of the random choices; told at the end")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="the soak in place of the rows")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="where the table is written as a page")
    return parser.parse_args()


def lacks(fault: Fault, binary: Path) -> str | None:
    """What the row needs and this machine or binary does not have."""
    if fault.root and os.geteuid() != 0:
        return "needs root"
    if fault.needs and subprocess.run([binary, *fault.needs, "--help"], capture_output=True, check=False).returncode:
        return f"the binary has no command `{' '.join(fault.needs)}`"
    return None


async def play(fault: Fault, directory: Path, binary: Path, quick: bool) -> Row:
    """Plays one row."""
    row, began = Row(fault), time.monotonic()
    bench = Bench(directory, binary, fault.name)
    try:
        await bench.open()
        await asyncio.wait_for(fault.play(bench, fault.quick if quick else fault.rounds), ROW_SECONDS)
    except (Failed, TimeoutError) as failed:
        bench.faults.append(str(failed) or f"it hung for {ROW_SECONDS:.0f} s")
    except Exception:  # A fault of the harness is a failure of its row and of no other.
        bench.faults.append(traceback.format_exc())
    finally:
        await bench.end()
    row.judgement = bench.book.judge()
    if fault.control:
        bench.faults += [] if row.judgement.lost else ["nothing was lost: the row that it controls proves nothing"]
    else:
        bench.faults += row.judgement.faults()
    row.acknowledged, row.rounds, row.recoveries = bench.deliveries.acknowledged, bench.rounds, bench.recoveries
    row.notes, row.faults = bench.notes, bench.faults
    row.seconds = time.monotonic() - began
    if row.faults:
        row.faults.append(f"logs: {bench.directory}")
    print(table.render([row]).splitlines()[2] if not row.faults else table.render([row]), flush=True)
    return row


async def soaked(given: argparse.Namespace) -> int:
    """Plays the soak; the exit code."""
    stop_on_signals()
    bench = Bench(fresh_directory("soak"), given.worker, "soak")
    try:
        await bench.open()
        done = await soak.Run(bench, given.soak).play()
    finally:
        await bench.end()
    done.faults += bench.faults
    print(soak.section(done))
    if given.write:
        table.write_soak(given.write, soak.section(done))
    return 1 if done.faults else 0


def stop_on_signals() -> None:
    """Whoever ends the run with a signal gets what Ctrl-C gets."""
    loop, whole = asyncio.get_running_loop(), asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, whole.cancel)


async def run(given: argparse.Namespace, faults: list[Fault]) -> list[Row]:
    """Plays rows in turn."""
    stop_on_signals()
    directory = fresh_directory("faults")
    rows = []
    for fault in faults:
        if reason := lacks(fault, given.worker):
            # What this release does not have yet is no row.
            if not fault.needs:
                rows.append(Row(fault))
                rows[-1].not_run = reason
            continue
        rows.append(await play(fault, directory, given.worker, given.quick))
    return rows


def main() -> int:
    """The exit code: 0 only if every promise held."""
    given = arguments()
    faults = [fault for fault in FAULTS if not given.only or given.only.lower() in fault.name.lower()]
    if not faults:
        print(f"no row's name contains {given.only!r}; there are: {', '.join(fault.name for fault in FAULTS)}")
        return 64
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 32)
    random.seed(seed)
    began = time.monotonic()
    if given.soak:
        return asyncio.run(soaked(given))
    rows = asyncio.run(run(given, faults))
    print(f"\nfaults, {time.monotonic() - began:.0f} s, --seed {seed}\n\n{table.render(rows)}")
    if given.write:
        table.write(given.write, rows)
    return 1 if any(row.faults for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
