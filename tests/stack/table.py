"""The summary at the end of a run: one line a scenario and broker, and the faults below it."""

from .ledger import Count

HEADINGS = [
    "scenario", "broker", "planned", "seen", "lost", "early", "unplanned", "repeats", "differing", "events again", "p50", "p99",
    "worst", "seconds", "verdict",
]  # fmt: skip


class Row:
    """What became of one scenario on one broker.

    `expected_to_lose` marks a control: it shows what happens without the setting under proof, and breaks no promise.
    """

    def __init__(self, scenario: str, broker: str):
        self.scenario = scenario
        self.broker = broker
        self.count: Count | None = None
        self.seconds = 0.0
        self.faults: list[str] = []
        self.expected_to_lose = False
        self.not_run: str | None = None

    def ok(self) -> bool:
        """Whether every promise held; what was not run proves nothing, but is judged by the command."""
        return not self.faults

    def _verdict(self) -> str:
        if self.not_run:
            return f"not run: {self.not_run}"
        if self.faults:
            return "FAILED"
        return "control" if self.expected_to_lose else "ok"

    def cells(self) -> list[str]:
        """The line."""
        count = self.count
        if count is None:
            return [self.scenario, self.broker, *["-"] * 12, self._verdict()]
        late = [count.quantile(share) for share in (0.5, 0.99, 1.0)]
        return [
            self.scenario, self.broker, str(count.planned), str(count.seen), str(len(count.lost)),
            str(len(count.early)), str(len(count.unplanned)), str(count.repeats), str(len(count.differing)),
            str(count.redelivered),
            *("-" if ms is None else f"{ms:,} ms" for ms in late), f"{self.seconds:.0f}", self._verdict(),
        ]  # fmt: skip


def render(rows: list[Row]) -> str:
    """The table and the list of faults."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    text = []
    for line in lines:
        cells = [cell.ljust(width) if n < 2 else cell.rjust(width) for n, (cell, width) in enumerate(zip(line, widths))]
        cells[-1] = line[-1]
        text.append("  ".join(cells).rstrip())
    text.insert(1, "-" * max(map(len, text)))
    faults = [f"{row.scenario} on {row.broker}: {fault}" for row in rows for fault in row.faults]
    return "\n".join([*text, *(["", "faults:"] if faults else []), *(f"  {fault}" for fault in faults)])
