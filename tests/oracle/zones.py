"""Writes zones.tsv: what wall times around every change of every zone's clocks stand for, by zoneinfo.

A wall time in a gap is read with the offset before it, one in an overlap is the first of the two: both are what
Python calls fold 0. A line is: names that share their changes, the offset on 2000-01-01, the changes as
`seconds since the one before:offset after it`, how many wall times were asked, and a digest of their instants.
"""

import hashlib
import pathlib
import zoneinfo
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1)
BEGIN = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
END = int(datetime(2061, 1, 1, tzinfo=UTC).timestamp())
DAY = 86_400

# The machine's own zones are of another release.
zoneinfo.reset_tzpath(to=[])


def offset(zone, at):
    return int(datetime.fromtimestamp(at, zone).utcoffset().total_seconds())


def changes(zone):
    """The instants at which the offset of `zone` changes, each with the offset after it."""
    found = []
    earlier, before = BEGIN, offset(zone, BEGIN)
    for later in range(BEGIN + DAY, END, DAY):
        after = offset(zone, later)
        if after != before:
            low, high = earlier, later
            while high - low > 1:
                middle = (low + high) // 2
                if offset(zone, middle) == before:
                    low = middle
                else:
                    high = middle
            found.append((high, after))
        earlier, before = later, after
    return found


def instant(zone, wall):
    """The instant of a wall time, both in seconds."""
    local = (EPOCH + timedelta(seconds=wall)).replace(tzinfo=zone, fold=0)
    return int((local.replace(tzinfo=None) - EPOCH - local.utcoffset()).total_seconds())


def walls(at, before, after):
    """Wall times before, in, at the ends of, and after the gap or overlap that the change at `at` makes."""
    low, high = at + min(before, after), at + max(before, after)
    return [low - 3600, low - 1, low, (low + high) // 2, high - 1, high, high + 3600]


def main():
    lines = {}
    for name in sorted(zoneinfo.available_timezones()):
        zone = zoneinfo.ZoneInfo(name)
        before = first = offset(zone, BEGIN)
        previous, written, instants = BEGIN, [], []
        for at, after in changes(zone):
            written.append(f"{at - previous}:{after}")
            instants += [instant(zone, wall) for wall in walls(at, before, after)]
            previous, before = at, after
        digest = hashlib.sha256(",".join(map(str, instants)).encode()).hexdigest()[:16]
        key = f"{first}\t{' '.join(written)}\t{len(instants)}\t{digest}"
        lines.setdefault(key, []).append(name)
    text = "".join(f"{' '.join(names)}\t{key}\n" for key, names in lines.items())
    pathlib.Path(__file__).with_name("zones.tsv").write_text(text)


if __name__ == "__main__":
    main()
