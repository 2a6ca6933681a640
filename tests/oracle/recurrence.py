"""Writes recurrence.tsv: random recurrence rules and the instants of their occurrences.

RFC 5545 rules are expanded by python-dateutil, everything else here in plain Python, day by day. What the worker
means beyond that is applied here too: the due date is the first occurrence, counts, and is never taken away; end
and exceptions are the worker's own; wall times become instants as in zones.py.

A line is: the rule, the zone, the due date, seconds from the due date to a far instant, and a digest of the first
occurrences and of the one after the far instant; each hundredth also has what was digested.
"""

import bisect
import calendar
import datetime as datetime_module
import hashlib
import itertools
import json
import multiprocessing
import pathlib
import random
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta

from dateutil import rrule

import zones

CASES = 10_000
FIRST = 12
FAR = 80
# Beyond the year 2100 compiled zones know no changes any more.
HORIZON = datetime(2090, 1, 1)
HORIZON_MS = int(HORIZON.replace(tzinfo=UTC).timestamp() * 1000)
DATE_ONLY = time(9)
MOVING = """Europe/Berlin America/New_York Australia/Lord_Howe Pacific/Apia America/Sao_Paulo Africa/Casablanca
Pacific/Chatham Asia/Tehran America/St_Johns Antarctica/Troll Africa/Cairo America/Havana Asia/Beirut Europe/Dublin
America/Asuncion Asia/Gaza Asia/Kolkata UTC""".split()
WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
LONG = ["monday", "Tue", "wednesday", "THU", "Friday", "sat", "SU"]
# Factory is for machines whose zone was never set.
ALL = ["UTC" if name == "Factory" else name for name in sorted(zoneinfo.available_timezones())]


def read_changes():
    """The changes of clocks that zones.py found, in seconds, by zone."""
    found = {}
    for line in pathlib.Path(__file__).with_name("zones.tsv").read_text().splitlines():
        names, _, changes, _, _ = line.split("\t")
        since = [int(change.split(":")[0]) for change in changes.split()]
        found |= dict.fromkeys(names.split(), list(itertools.accumulate(since, initial=zones.BEGIN))[1:])
    return found


CHANGES = read_changes()


def ms_of(naive):
    return (naive - zones.EPOCH) // timedelta(milliseconds=1)


def instant_ms(zone, wall):
    local = wall.replace(tzinfo=zone, fold=0)
    return ms_of(wall) - local.utcoffset() // timedelta(milliseconds=1)


class Calendar:
    """The module `datetime` with an end of the calendar that rules which name nothing soon reach."""

    MAXYEAR = HORIZON.year

    def __getattr__(self, name):
        return getattr(datetime_module, name)


rrule.datetime = Calendar()


# Rules as random choices. Each gives the JSON text and a function from the first wall time to later ones, in order.


def some(rng, values, most):
    return sorted(rng.sample(values, rng.randint(1, min(most, len(values)))))


def interval_of(rng):
    return rng.choice([1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 10, 12, 13, 24, 52])


def plain(rng):
    frequency = rng.choice(["daily", "weekly", "weekly", "monthly", "monthly", "yearly"])
    interval = interval_of(rng)
    rule = {"frequency": frequency}
    if interval > 1 or rng.random() < 0.5:
        rule["interval"] = interval
    days = []
    if frequency == "weekly" and rng.random() < 0.7 or frequency == "daily" and rng.random() < 0.2:
        days = some(rng, range(7), 4)
        how = rng.choice([WEEKDAYS, LONG, [1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 0]])
        rule["days_of_week"] = [how[day] for day in days]

    def later(first):
        months = {"monthly": interval, "yearly": 12 * interval}.get(frequency)
        for n in itertools.count(1):
            if months:
                month = first.year * 12 + first.month - 1 + n * months
                year, month = month // 12, month % 12 + 1
                if year > HORIZON.year:
                    return
                yield first.replace(year, month, min(first.day, calendar.monthrange(year, month)[1]))
                continue
            wall = first + timedelta(days=n)
            if frequency == "weekly" and not days:
                wall = first + timedelta(weeks=n * interval)
            elif frequency == "weekly":
                monday = first.date() - timedelta(days=first.weekday())
                if (wall.date() - monday).days // 7 % interval or wall.weekday() not in days:
                    continue
            else:
                wall = first + timedelta(days=n * interval)
                if wall > HORIZON:
                    return
                if days and wall.weekday() not in days:
                    continue
            yield wall

    return rule, later


def by_day(rng, freq, parts):
    if freq in ("MONTHLY", "YEARLY") and rng.random() < 0.6 and "BYWEEKNO" not in parts:
        most = 5 if freq == "MONTHLY" or "BYMONTH" in parts else 20
        numbers = [n for n in range(-most, most + 1) if n]
        return ",".join(f"{rng.choice(numbers):{rng.choice(['', '+'])}d}{day}" for day in some(rng, WEEKDAYS, 3))
    return ",".join(some(rng, WEEKDAYS, 4))


def numbers(values):
    return ",".join(map(str, values))


def signed(rng, most, least_negative, count):
    return numbers(some(rng, [*range(1, most + 1), *range(least_negative, 0)], count))


def rfc5545(rng):
    freq = rng.choice(["DAILY", "WEEKLY", "WEEKLY", "MONTHLY", "MONTHLY", "MONTHLY", "YEARLY", "YEARLY", "HOURLY", "MINUTELY", "SECONDLY"])
    interval = interval_of(rng)
    fine = freq in ("HOURLY", "MINUTELY", "SECONDLY")
    if freq == "MINUTELY":
        interval = rng.choice([1, 5, 7, 15, 30, 45, 90, 1000, 1440])
    elif freq == "SECONDLY":
        interval = rng.choice([60, 61, 90, 3600, 5000, 86_400, 100_000])
    parts = {}
    if rng.random() < 0.25:
        parts["BYMONTH"] = numbers(some(rng, range(1, 13), 4))
    if freq == "YEARLY" and rng.random() < 0.25:
        # Of the weeks at the ends of years dateutil miscounts some: it takes the first two days of 2059 for a week 53
        # of 2058 where weeks begin on Friday, and -53 or -52 never for the first week.
        parts["BYWEEKNO"] = numbers(some(rng, [*range(1, 52), *range(-50, 0)], 3))
        parts.pop("BYMONTH", None)
    elif freq == "YEARLY" and rng.random() < 0.25:
        parts["BYYEARDAY"] = signed(rng, 366, -366, 4)
        parts.pop("BYMONTH", None)
    elif freq != "WEEKLY" and rng.random() < 0.3:
        parts["BYMONTHDAY"] = signed(rng, 28, -28, 4) if rng.random() < 0.7 else signed(rng, 31, -31, 12)
    if rng.random() < 0.5 and ("BYMONTHDAY" not in parts and "BYYEARDAY" not in parts or rng.random() < 0.2):
        parts["BYDAY"] = by_day(rng, freq, parts)
    if not fine or freq == "MINUTELY" and interval == 1:
        if rng.random() < 0.15:
            parts["BYHOUR"] = numbers(some(rng, range(24), 3))
        if rng.random() < 0.15:
            parts["BYMINUTE"] = numbers(some(rng, range(60), 3))
        if rng.random() < 0.1:
            parts["BYSECOND"] = str(rng.randrange(60))
    elif freq == "HOURLY" and rng.random() < 0.3:
        parts["BYMINUTE"] = numbers(some(rng, range(60), 3))
    if len(parts) > 1 or fine and parts:
        # Several conditions and an interval may never meet.
        interval = 1 if freq != "SECONDLY" else 3600
    if parts and (not fine or "BYMINUTE" in parts) and rng.random() < 0.3:
        parts["BYSETPOS"] = signed(rng, 3, -3, 2)
    if interval > 1 or rng.random() < 0.2:
        parts["INTERVAL"] = str(interval)
    if rng.random() < 0.3:
        parts["WKST"] = rng.choice(WEEKDAYS)
    parts = list(parts.items())
    rng.shuffle(parts)
    text = ";".join(f"{name}={value}" for name, value in [("FREQ", freq), *parts])

    def later(first, by_day):
        kept, often = dict(parts), freq
        if by_day:
            first = datetime.combine(first.date(), time(0))
            timed = {"BYHOUR", "BYMINUTE", "BYSECOND", "BYSETPOS"} & set(kept)
            seconds = {"HOURLY": 3600, "MINUTELY": 60}.get(freq, 1) * interval
            if fine and (interval == 1 and "BYSETPOS" not in kept or seconds <= 86_400 and not timed):
                # Each day that it keeps has such a time.
                often = "DAILY"
                kept.pop("INTERVAL", None)
            if often in ("YEARLY", "MONTHLY", "WEEKLY", "DAILY"):
                kept = {name: value for name, value in kept.items() if name not in ("BYHOUR", "BYMINUTE", "BYSECOND")}
        begin = first.replace(microsecond=0)
        if freq == "WEEKLY" and "BYSETPOS" in kept:
            # The first week counts as a whole.
            kept.setdefault("BYDAY", WEEKDAYS[first.weekday()])
            week = WEEKDAYS.index(kept.get("WKST", "MO"))
            kept.setdefault("BYHOUR", str(first.hour))
            kept.setdefault("BYMINUTE", str(first.minute))
            kept.setdefault("BYSECOND", str(first.second))
            begin = datetime.combine(first.date() - timedelta(days=(first.weekday() - week) % 7), time(0))
        text = ";".join(f"{name}={value}" for name, value in [("FREQ", often), *kept.items()])
        for wall in rrule.rrulestr(text, dtstart=begin):
            yield wall.replace(microsecond=first.microsecond)

    return text, later


def field(rng, low, high, names=()):
    def one():
        value = rng.randint(low, high)
        return names[value] if names and rng.random() < 0.4 else str(value)

    kind = rng.random()
    if kind < 0.4:
        return ",".join(one() for _ in range(rng.randint(1, 3)))
    if kind < 0.6:
        return f"*/{rng.randint(2, max(2, (high - low) // 2))}"
    begin, end = sorted(rng.sample(range(low, high + 1), 2))
    return f"{begin}-{end}" if kind < 0.8 else f"{begin}-{end}/{rng.randint(1, 5)}"


MONTHS = ["", "JAN", "feb", "MAR", "Apr", "MAY", "JUN", "JUL", "aug", "SEP", "OCT", "NOV", "DEC"]
CRON_DAYS = ["SUN", "mon", "TUE", "WED", "Thu", "FRI", "SAT", "0"]


def cron(rng):
    minute = field(rng, 0, 59) if rng.random() < 0.8 else "*"
    hour = field(rng, 0, 23) if rng.random() < 0.8 else "*"
    of_month = rng.choice(["*", "*", "?", "L", field(rng, 1, 28), field(rng, 1, 31)])
    month = rng.choice(["*", "*", field(rng, 1, 12, MONTHS)])
    of_week = rng.choice(["*", "*", "?", field(rng, 0, 7, CRON_DAYS), field(rng, 0, 6, CRON_DAYS), f"{rng.randint(0, 7)}L", f"{rng.randint(0, 7)}#{rng.randint(1, 4)}"])
    if month != "*" and of_week == "*":
        of_month = rng.choice(["*", "L", field(rng, 1, 28)])
    expression = [minute, hour, of_month, month, of_week]
    if rng.random() < 0.4:
        expression.insert(0, str(rng.randrange(60)))
    text = " ".join(expression)
    return {"frequency": "cron", "cron_expression": text}, lambda first, by_day: cron_walls(text, first, by_day)


def values(text, low, high, names=()):
    found = set()
    for item in text.split(","):
        item, _, step = item.partition("/")
        if item in ("*", "?"):
            begin, end = low, high
        else:
            begin, _, end = item.partition("-")
            upper = [name.upper() for name in names]
            begin, end = (int(upper.index(word.upper()) if word.upper() in upper and not word.isdigit() else word) for word in (begin, end or begin))
        found.update(range(begin, end + 1, int(step or 1)))
    return found


def cron_walls(text, first, by_day):
    fields = text.split()
    second = int(fields.pop(0)) if len(fields) == 6 else 0
    minutes, hours = sorted(values(fields[0], 0, 59)), sorted(values(fields[1], 0, 23))
    months = values(fields[3], 1, 12, MONTHS)
    of_month, of_week = fields[2], fields[4]

    def is_in_month(day):
        if of_month == "L":
            return day.day == calendar.monthrange(day.year, day.month)[1]
        return day.day in values(of_month, 1, 31)

    def is_in_week(day):
        weekday = day.isoweekday() % 7
        if of_week.endswith("L"):
            return weekday == int(of_week[:-1]) % 7 and day.day > calendar.monthrange(day.year, day.month)[1] - 7
        if "#" in of_week:
            wanted, nth = map(int, of_week.split("#"))
            return weekday == wanted % 7 and (day.day + 6) // 7 == nth
        return weekday in {value % 7 for value in values(of_week, 0, 7, CRON_DAYS)}

    day = first.date()
    while day.year <= HORIZON.year:
        free = [of_month in "*?", of_week in "*?"]
        if day.month in months:
            matches = [is_in_month(day), is_in_week(day)]
            # Two restrictions widen each other, as cron has always had it.
            if any(matches) if not any(free) else all(matches):
                if by_day:
                    yield datetime.combine(day, time(0))
                else:
                    for hour, minute in itertools.product(hours, minutes):
                        yield datetime.combine(day, time(hour, minute, second))
        day += timedelta(days=1)


# Due dates, ends and exceptions.


def due(rng, name):
    """The due date as written, its wall time and its instant; by day where it is a date alone."""
    zone = zoneinfo.ZoneInfo(name)
    moves = CHANGES[name]
    if moves and rng.random() < 0.6:
        around = zones.EPOCH + timedelta(seconds=rng.choice(moves[:80]))
        wall = around.replace(hour=0, minute=0, second=0) - timedelta(days=rng.randint(-1, 9))
        wall += timedelta(minutes=15 * rng.randrange(20))
    else:
        wall = datetime(2000, 1, 1) + timedelta(days=rng.randrange(35 * 365), minutes=rng.randrange(1440))
        if rng.random() < 0.3:
            wall = wall.replace(day=calendar.monthrange(wall.year, wall.month)[1])
        wall += timedelta(seconds=rng.choice([0, 0, 0, 30, 59]), milliseconds=rng.choice([0, 0, 0, 0, 250]))
    kind = rng.random()
    if kind < 0.15:
        wall = datetime.combine(wall.date(), time(0))
        return wall.date().isoformat(), wall, instant_ms(zone, datetime.combine(wall.date(), DATE_ONLY)), True
    at = instant_ms(zone, wall)
    if kind < 0.4 or name == "UTC":
        at += rng.choice([0, 0, 3_600_000])
        utc = zones.EPOCH + timedelta(milliseconds=at)
        wall = utc.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None, fold=0)
        return utc.isoformat(timespec="milliseconds") + "Z", wall, at, False
    return wall.isoformat(timespec="milliseconds"), wall, at, False


def written(rng, wall, at, zone_name, basic):
    """A time as an end or an exception states it, with what it means: ("at", ms), ("wall", …) or ("day", …)."""
    kind = rng.choice(["at", "wall", "day", "zone"] if basic else ["at", "wall", "day"])
    utc = zones.EPOCH + timedelta(milliseconds=at)
    if basic and (wall.microsecond or utc.microsecond):
        kind = "day"
    if kind == "at":
        text = utc.strftime("%Y%m%dT%H%M%SZ") if basic else utc.isoformat(timespec="milliseconds") + "Z"
        return text, "", ("at", at)
    if kind == "day":
        return wall.date().strftime("%Y%m%d" if basic else "%Y-%m-%d"), ";VALUE=DATE", ("day", wall.date())
    text = wall.strftime("%Y%m%dT%H%M%S") if basic else wall.isoformat()
    if kind == "zone":
        return text, f";TZID={zone_name}", ("at", instant_ms(zoneinfo.ZoneInfo(zone_name), wall))
    return text, "", ("wall", wall)


def day_of(stated, zone):
    kind, value = stated
    if kind == "at":
        return (zones.EPOCH + timedelta(milliseconds=value)).replace(tzinfo=UTC).astimezone(zone).date()
    return value if kind == "day" else value.date()


def is_at(stated, wall, at, zone, by_day):
    kind, value = stated
    if by_day or kind == "day":
        return wall.date() == day_of(stated, zone)
    return value == (at if kind == "at" else wall)


def is_beyond(stated, wall, at, zone, by_day):
    kind, value = stated
    if by_day or kind == "day":
        return wall.date() > day_of(stated, zone)
    return (at if kind == "at" else wall) > value


def wall_times(later, first, by_day, count):
    """The occurrences behind the due date on the wall, up to the horizon."""
    before = first
    left = count or CASES * CASES
    for wall in later(first, by_day):
        if by_day:
            wall = datetime.combine(wall.date(), time(0))
        if wall <= before:
            continue
        left -= 1
        if wall > HORIZON or left == 0:
            return
        before = wall
        yield wall


def case(rng):
    name = rng.choice(MOVING) if rng.random() < 0.7 else rng.choice(ALL)
    zone = zoneinfo.ZoneInfo(name)
    stated, first, first_at, by_day = due(rng, name)
    form = rng.random()
    rule, later = rfc5545(rng) if form < 0.55 else cron(rng) if form < 0.75 else plain(rng)
    if isinstance(rule, dict) and rule["frequency"] != "cron":
        plain_later = later
        later = lambda first, _: plain_later(first)
    count = rng.choice([1, 2, 3, 5, 8, 13, 40, 100]) if rng.random() < 0.3 else None

    def at_of(wall):
        return instant_ms(zone, datetime.combine(wall.date(), DATE_ONLY) if by_day else wall)

    pairs = [(wall, at_of(wall)) for wall in itertools.islice(wall_times(later, first, by_day, count), 40)]
    end, without, lines = None, [], []
    basic = isinstance(rule, str)
    if pairs and rng.random() < 0.25:
        wall, at = rng.choice(pairs)
        text, _, end = written(rng, wall + timedelta(days=rng.choice([0, 0, 1, -1])), at, name, basic)
        if end[0] == "at" and basic and "Z" not in text:
            end = ("wall", datetime.strptime(text, "%Y%m%dT%H%M%S"))
        rule = f"{rule};UNTIL={text}" if basic else rule | {"end_date": text}
    if pairs and rng.random() < 0.2:
        for wall, at in rng.sample(pairs[:15], min(len(pairs), rng.randint(1, 3), 15)):
            text, head, meant = written(rng, wall, at, name, basic)
            without.append(meant)
            lines.append((text, head))
    if count is not None:
        rule = f"{rule};COUNT={count}" if basic else rule | {"count": count}
    if basic:
        rule = ("RRULE:" if lines or rng.random() < 0.5 else "") + rule
        rule = "\n".join([rule, *(f"EXDATE{head}:{text}" for text, head in lines)])
    elif lines:
        rule = rule | {"exdates": [text for text, _ in lines]}
    kept = {first_at}
    is_past, counted = False, 1
    for wall in wall_times(later, first, by_day, count):
        at = at_of(wall)
        counted += 1
        if end and is_beyond(end, wall, at, zone, by_day):
            is_past = True
            # In a gap the order of instants is another one.
            if wall.date() > day_of(end, zone) + timedelta(days=2):
                break
        elif at > first_at and not any(is_at(stated, wall, at, zone, by_day) for stated in without):
            kept.add(at)
        if len(kept) == FAR + 40:
            break
    else:
        # Ends are chosen before the horizon.
        is_past = end is not None
    ended = is_past or counted == count
    instants = [at for at in sorted(kept) if at < HORIZON_MS]
    shown = instants[:FIRST]
    told = ",".join(map(str, shown)) + ("." if ended and len(kept) < FIRST else "+")
    far = (rng.choice(instants[:FAR]) - first_at) // 1000 - rng.choice([0, 1, 60])
    place = bisect.bisect_right(instants, first_at + far * 1000)
    # Beyond what was expanded nothing is known.
    told += str(instants[place]) if place < len(instants) else "." if ended else "?"
    text = json.dumps(rule, separators=(",", ":"), sort_keys=True)
    return text, name, stated, far, told


def line(n):
    text, name, stated, far, told = case(random.Random(f"5545:{n}"))
    digest = hashlib.sha256(told.encode()).hexdigest()[:12]
    return "\t".join([text, name, stated, str(far), digest] + [told] * (n % 100 == 0)) + "\n"


def main():
    with multiprocessing.Pool() as pool:
        lines = pool.map(line, range(CASES), chunksize=50)
    pathlib.Path(__file__).with_name("recurrence.tsv").write_text("".join(lines))


if __name__ == "__main__":
    main()
