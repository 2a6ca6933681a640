"""The table: on the terminal, and as the page `docs/faults.md`.

Owns how figures are told. What a row means and what it accepts is said where the row is defined (`rows`).
"""

import re
import statistics
from pathlib import Path

from .book import Judgement
from .rows import FAULTS, Fault

HEADINGS = [
    "fault", "rounds", "acknowledged", "reminders expected", "lost", "early", "duplicates", "byte-identical", "seconds to recover",
    "verdict",
]  # fmt: skip


class Row:
    """What became of one fault."""

    def __init__(self, fault: Fault):
        self.fault = fault
        self.judgement: Judgement | None = None
        self.acknowledged = 0
        self.rounds = 0
        self.recoveries: list[float] = []
        self.notes: list[str] = []
        self.faults: list[str] = []
        self.not_run: str | None = None
        self.seconds = 0.0

    def verdict(self) -> str:
        """One word, or why there is none."""
        if self.not_run:
            return f"not run: {self.not_run}"
        if self.faults:
            return "FAILED"
        return "loses, as it must" if self.fault.control else "ok"

    def cells(self) -> list[str]:
        """The line."""
        judged = self.judgement
        if judged is None:
            return [self.fault.name, *["–"] * (len(HEADINGS) - 2), self.verdict()]
        repeats = f"{judged.repeats:,}"
        same = "–" if not judged.repeats else "no" if judged.differing else "yes"
        return [
            self.fault.name, f"{self.rounds:,}", f"{self.acknowledged:,}", f"{judged.expected:,}", f"{len(judged.lost):,}",
            f"{len(judged.early):,}", repeats, same, _spread(self.recoveries), self.verdict(),
        ]  # fmt: skip


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "–"
    if len(seconds) == 1:
        return f"{seconds[0]:.1f}"
    return f"{statistics.median(seconds):.1f} (worst {max(seconds):.1f})"


def render(rows: list[Row]) -> str:
    """The table for a terminal, and what failed."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    text.insert(1, "-" * max(map(len, text)))
    notes = [f"  {row.fault.name}: {note}" for row in rows for note in row.notes]
    faults = [f"  {row.fault.name}: {fault}" for row in rows for fault in row.faults]
    return "\n".join([*text, *(["", *notes] if notes else []), *(["", "faults:", *faults] if faults else [])])


_HEAD = """# What faults cost

Each row plays one fault on the real binary, under load, as often as *rounds* says, and then counts. `tests/faults` plays all of them
and writes this page (`--write docs/faults.md`); `tests/faults --only WORD` plays the rows whose name contains the word. It needs Python, a C
compiler and root on Linux (loop devices, mounts); what a machine lacks is told in the row.

*Acknowledged* counts events that the worker answered with a final word; only what follows from them is expected. A reminder is expected at
the sidecar once it was due, and in the store as pending where it is due in thirty days. *Lost* are those that neither came nor stand, *early* those
sent before their instant by the wall clock that the worker sees. *Duplicates* are reminders which the sidecar had already taken when they came again: under the same id, and *byte-identical* says whether all were the same bytes.
*Seconds to recover* run from the end of the fault, or the start of the next process, to the first acknowledgement of an event by a worker that is
ready: median and worst. They are told and not judged: the machine was shared.

"""


# A machine can't be suspended from within a run, so this one is played on a clock of the test's own.
_ELSEWHERE = """## Played elsewhere

Suspend, in which boot time runs on and monotonic time does not: on an injected clock, where all that fell due meanwhile fires within a second
of waking, and nothing early.

```sh
cargo test --lib a_suspend_of_an_hour
```
"""


def _line(row: Row) -> str:
    return "| " + " | ".join(row.cells()) + " |"


def _block(row: Row) -> str:
    fault = row.fault
    text = f"**{fault.name[0].upper()}{fault.name[1:]}.** {fault.what} *Accepted:* {fault.accepted}"
    text += "".join(f" Measured: {note}." for note in row.notes)
    text += "".join(f" **Broken:** {broken}." for broken in row.faults[:BROKEN_TOLD] if not broken.startswith("logs: "))
    return f"{text}\n\n```sh\ntests/faults --only '{fault.name}'\n```\n"


def page(lines: list[str], blocks: list[str]) -> str:
    """The page: the table's lines, then a block for each."""
    told = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS), *lines]
    return _HEAD + "\n".join(told) + "\n\n" + ROWS + "\n" + "\n".join(blocks) + "\n" + _ELSEWHERE


# Where the parts of the page begin that are told row by row, and that the soak writes.
ROWS = "## Row by row\n"
SOAK = "## Soak\n"
# How many broken promises of a row are told on the page; the rest are in its logs.
BROKEN_TOLD = 3


def write(path: Path, rows: list[Row]) -> None:
    """Writes the page. Rows that were not played now, and the soak, stay as they stand there."""
    text = path.read_text() if path.exists() else ""
    rest, _, soak = text.partition(SOAK)
    table, _, told = rest.partition(_ELSEWHERE)[0].partition(ROWS)
    old_lines = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ")}
    blocks_told = [block.strip() for block in re.split(r"(?m)^(?=\*\*)", told) if block.startswith("**")]
    old_blocks = {block[2:].partition(".**")[0].lower(): f"{block}\n" for block in blocks_told}
    new = {row.fault.name: row for row in rows if not row.not_run}
    lines, blocks = [], []
    for fault in FAULTS:
        name = fault.name
        if name in new:
            lines.append(_line(new[name]))
            blocks.append(_block(new[name]))
        elif name in old_lines and name.lower() in old_blocks:
            lines.append(old_lines[name])
            blocks.append(old_blocks[name.lower()])
    path.write_text(page(lines, blocks) + (f"\n{SOAK}{soak}" if soak else ""))


def write_soak(path: Path, section: str) -> None:
    """Writes the soak's part of the page; the rest stays."""
    rest = (path.read_text() if path.exists() else "").partition(SOAK)[0].rstrip()
    path.write_text(f"{rest}\n\n{section}")
