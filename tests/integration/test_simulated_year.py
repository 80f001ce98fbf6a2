"""A year of schedules and retention on a clock that is told what to say, against rules written here a second time.

The program makes the year: two changes to summer time and back in three zones, a server that is off for three days, a clock that is set back,
a day ahead and nine years ahead. Here it is worked out from the calendar alone which runs were due, and from the list of what happened which
backups may be there at any time.
"""

import collections
import datetime
import functools
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
from zoneinfo import ZoneInfo

import pytest

from support.program import BIN

UTC = datetime.timezone.utc
BEGIN, END = 1767225600, 1798761600
NS = 10**9
HOUR, DAY = 3600, 86400
GRACE = 300
# Which backups fail and which are not verified: the same in each run, so that a year in which something went wrong can be had again.
LUCK = 1

Keep = collections.namedtuple("Keep", "last hourly daily weekly monthly yearly", defaults=(0,) * 6)
SCHEDULES = {
    # name: minutes, hours (None: a rhythm), whether a day is one, zone, days of retention, rules
    "nightly": ((30,), (2,), lambda d: True, "Europe/Berlin", 3, Keep(last=2, daily=7, weekly=4, monthly=6, yearly=1)),
    "shop": ((15,), (9, 11, 13, 15, 17), lambda d: d.weekday() < 5, "America/New_York", 1, Keep(hourly=12, daily=5)),
    "hourly": ((0,), None, lambda d: d.month in (3, 4, 10), "Australia/Lord_Howe", 2, None),
    "late-in-month": ((0,), (3,), lambda d: d.day == 31, "Europe/Berlin", 30, None),
}
TAG_RULE = Keep(weekly=8, monthly=3)


@pytest.fixture(scope="module")
def year():
    folder = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        done = subprocess.run([BIN.parent / "test/mos_year", folder, str(LUCK)], capture_output=True, timeout=570)
        assert done.returncode == 0, done.stderr[-2000:]
        events = [json.loads(line) for line in done.stdout.splitlines()]
        with sqlite3.connect(f"{folder}/catalog.db") as catalog:
            catalog.row_factory = sqlite3.Row
            tables = {
                name: [dict(row) for row in catalog.execute(f"SELECT * FROM {name}")]
                for name in ("schedules", "schedule_runs", "backups", "alerts", "audit_entries")
            }
    finally:
        shutil.rmtree(folder)
    return events, tables


# ---- What was due, by a clock that is watched minute by minute ----


@functools.cache
def due_times(name):
    minutes, hours, is_day, zone_name, _, _ = SCHEDULES[name]
    zone = ZoneInfo(zone_name)
    result, shown, before = [], set(), None
    for moment in range(BEGIN, END, 60):
        wall = datetime.datetime.fromtimestamp(moment, zone).replace(tzinfo=None)
        due = False
        skipped = []
        if before is not None and wall - before > datetime.timedelta(minutes=1):
            skipped = [before + datetime.timedelta(minutes=n) for n in range(1, int((wall - before).total_seconds() // 60))]
        before = wall
        for w in (*skipped, wall):
            if hours is None:
                # A beat that is skipped counts as if the clock had not changed.
                late = w if w == wall else None
                due = due or (late is not None and w.minute in minutes and is_day(w))
            elif w not in shown:
                due = due or (w.minute in minutes and w.hour in hours and is_day(w))
        shown.update((*skipped, wall))
        if len(shown) > 20000:
            shown = {w for w in shown if wall - w < datetime.timedelta(days=2)}
        if due:
            result.append(moment)
        if hours is None:
            for w in skipped:
                if w.minute in minutes and is_day(w):
                    result.append(moment + 60 * (skipped.index(w)))
    return sorted(set(result))


def test_every_run_is_accounted_for_once(year):
    events, tables = year
    ids = {row["id"]: row["name"] for row in tables["schedules"]}
    starts = {event["backup"]: event for event in events if event["event"] == "start"}
    started = [row for row in tables["schedule_runs"] if row["state"] == "STARTED"]
    assert len({row["backup_id"] for row in started}) == len(started)
    assert {row["backup_id"] for row in started} <= set(starts)
    for name in SCHEDULES:
        rows = sorted((row for row in tables["schedule_runs"] if ids[row["schedule_id"]] == name), key=lambda row: row["due_at_ns"])
        expected = due_times(name)
        inside = [row for row in rows if BEGIN <= row["due_at_ns"] // NS < END]
        # Runs that were due by a clock years ahead started then, and are the only ones outside.
        assert all(row["state"] == "STARTED" for row in rows if row not in inside), name
        covered = []
        for row in inside:
            first, last = row["due_at_ns"] // NS, row["through_ns"] // NS
            dues = [moment for moment in expected if first <= moment <= last and not _is_started(started, row, moment)]
            assert len(dues) == row["count"] and dues[0] == first and dues[-1] == last, (name, row, dues[:3])
            covered += dues
        # The last few minutes of the year may be still to come.
        assert sorted(covered) == [moment for moment in expected if moment <= END - 2 * HOUR or moment in covered], name
        assert len(covered) == len(set(covered)), name


def _is_started(started, row, moment):
    """Within a row for several runs: one that has a row of its own."""
    if row["count"] == 1 and row["due_at_ns"] == row["through_ns"]:
        return False
    return any(
        other["schedule_id"] == row["schedule_id"] and other["due_at_ns"] == moment * NS and other is not row for other in started
    )


def test_runs_start_when_they_are_due(year):
    events, tables = year
    ids = {row["id"]: row["name"] for row in tables["schedules"]}
    starts = {event["backup"]: event for event in events if event["event"] == "start"}
    fates = collections.Counter()
    for row in tables["schedule_runs"]:
        name = ids[row["schedule_id"]]
        fates[name, row["state"]] += row["count"]
        if row["state"] != "STARTED":
            continue
        at, due = starts[row["backup_id"]]["at"], row["due_at_ns"] // NS
        assert at >= due, row
        wall = datetime.datetime.fromtimestamp(at, ZoneInfo(SCHEDULES[name][3]))
        if name == "shop":
            assert not (wall.hour == 12 or (wall.hour == 13 and wall.minute < 30)), "in a blackout"
        if not row["reason"]:
            # Jitter and blackout put it off; more than the grace would have been late.
            most = (300 if name == "shop" else 0) + (15 * 60 if name == "shop" and wall.hour == 13 else 0)
            assert at - due <= most + GRACE, row
    # Three days off: all of the shop's runs are missed, of the others one is made up for.
    off = next(event for event in events if event["event"] == "off")
    on = next(event for event in events if event["event"] == "on")
    missed = [row for row in tables["schedule_runs"] if row["state"] == "MISSED" and off["at"] <= row["due_at_ns"] // NS <= on["at"]]
    made_up = [row for row in tables["schedule_runs"] if row["reason"].startswith("Late: ") and off["at"] <= row["due_at_ns"] // NS <= on["at"]]
    assert {ids[row["schedule_id"]] for row in missed} == {"nightly", "shop"} and [ids[row["schedule_id"]] for row in made_up] == ["nightly"]
    pause = next(event for event in events if event["event"] == "pause")
    resume = next(event for event in events if event["event"] == "resume")
    paused = [row for row in tables["schedule_runs"] if row["reason"] == "The schedule was paused"]
    assert sum(row["count"] for row in paused) == len([m for m in due_times("shop") if pause["at"] < m <= resume["at"]]) > 0
    assert fates["hourly", "SKIPPED"] > 0, "overlapping runs were queued, and more than one left out"
    assert fates["nightly", "STARTED"] > 350 and fates["hourly", "STARTED"] > 2000
    missed_alerts = [row for row in tables["alerts"] if row["type"] == "BACKUP_MISSED"]
    assert missed_alerts and all(row["resolved_at_ns"] for row in missed_alerts), "told of, and over with the next run"


# ---- What may be there, by the rules of retention ----


class Backup:
    def __init__(self, name, created):
        self.name, self.created = name, created
        self.status, self.ended = "running", None
        self.held = self.quarantined = False
        self.locked_until = 0
        self.expires = created + SCHEDULES[name][4] * DAY

    def status_at(self, now):
        return self.status if self.ended is not None and self.ended <= now else "running"


def held_by_rule(backups, keep, zone, now):
    """Ids of those that a rule holds, of (id, backup) of good ones."""
    forms = {
        "hourly": lambda w: (w.date(), w.hour),
        "daily": lambda w: w.date(),
        "weekly": lambda w: tuple(w.isocalendar())[:2],
        "monthly": lambda w: (w.year, w.month),
        "yearly": lambda w: w.year,
    }
    newest = sorted(((b.created, i) for i, b in backups if b.created <= now + HOUR), reverse=True)
    result = {i for _, i in newest[: keep.last]}
    for kind, form in forms.items():
        periods = {}
        for created, i in newest:
            # Zones whose clock is off by other than hours: an hour is one of the clock on the wall.
            periods.setdefault(form(datetime.datetime.fromtimestamp(created, zone)), i)
        result |= set(list(periods.values())[: getattr(keep, kind)])
    return result


def staying(backups, now):
    """Ids of those that must not go at this moment."""
    result = set()
    for name, (_, _, _, zone, _, keep) in SCHEDULES.items():
        mine = {i: b for i, b in backups.items() if b.name == name}
        good = [(i, b) for i, b in mine.items() if b.status_at(now) in ("complete", "verified")]
        if keep:
            result |= held_by_rule(good, keep, ZoneInfo(zone), now)
        if name == "hourly":
            result |= held_by_rule(good, TAG_RULE, UTC, now)
        known = sorted(((b.created, i) for i, b in good if b.created <= now + HOUR), reverse=True)
        verified = [i for _, i in known if mine[i].status_at(now) == "verified" and not mine[i].quarantined]
        plain = [i for _, i in known if not mine[i].quarantined]
        result |= set((verified or plain)[:1])
        quarantined = [created for created, i in known if mine[i].quarantined]
        if quarantined:
            result |= {i for created, i in known if created <= quarantined[0]}
        for i, b in mine.items():
            if b.expires > now or b.held or b.locked_until > now or b.quarantined or b.status_at(now) == "running" or b.created > now + HOUR:
                result.add(i)
    return result


def test_retention_keeps_exactly_what_the_rules_say(year):
    events, tables = year
    backups, removed, looked, doubted_until = {}, 0, 0, 0
    last_look = BEGIN
    clock_right = True
    for event in events:
        kind, at, backup_id = event["event"], event["at"], event["backup"]
        if kind == "start":
            backups[backup_id] = Backup(event["schedule"], at)
        elif kind == "end":
            backups[backup_id].status, backups[backup_id].ended = event["more"], at
        elif kind in ("hold", "quarantine", "release", "lock"):
            backups[backup_id].held |= kind == "hold"
            backups[backup_id].quarantined = kind == "quarantine"
            backups[backup_id].locked_until = at + 100 * DAY if kind == "lock" else backups[backup_id].locked_until
        elif kind == "clock":
            # Behind, it is doubted for an hour; ahead by a day, it may be a server that was away.
            clock_right = event["more"] != "years ahead"
            doubted_until = at + 26 * HOUR
        elif kind == "remove":
            assert clock_right, "something was removed although the clock could not be believed"
            # Judged with all that was there when the sweep began: those removed at the same moment hold one another's places.
            assert backup_id not in staying(backups | gone_at(at, events, backups), at), (event, vars(backups[backup_id]))
            del backups[backup_id]
            removed += 1
        # Twice a day: what was to go two hours ago is gone.
        if kind == "end" and clock_right and at > doubted_until and at - last_look > DAY / 2:
            last_look = at
            looked += 1
            then = {i: b for i, b in backups.items() if b.created <= at - 2 * HOUR}
            left = set(then) - staying(then, at - 2 * HOUR) - staying(backups, at)
            assert not left, [(i, vars(backups[i])) for i in left]
    assert removed > 2000 and looked > 400
    assert {row["id"] for row in tables["backups"]} == set(backups)
    assert any(b.held for b in backups.values())
    expired = [row for row in tables["audit_entries"] if row["action"] == "Retention.Expire"]
    assert len(expired) == removed


def gone_at(at, events, backups, cache={}):
    """What was removed at the same moment; by then out of `backups`."""
    if not cache:
        made = {}
        for event in events:
            if event["event"] == "start":
                made[event["backup"]] = Backup(event["schedule"], event["at"])
            elif event["event"] == "end":
                made[event["backup"]].status, made[event["backup"]].ended = event["more"], event["at"]
            elif event["event"] == "remove":
                cache.setdefault(event["at"], {})[event["backup"]] = made[event["backup"]]
    return {i: b for i, b in cache.get(at, {}).items() if i not in backups}


def test_a_clock_years_ahead_wipes_nothing_and_is_told_of(year):
    events, tables = year
    ahead = next(event for event in events if event["more"] == "years ahead")
    right = next(event for event in events if event["event"] == "clock" and event["real"] > ahead["real"] and event["more"] == "right")
    between = [event for event in events if ahead["real"] <= event["real"] < right["real"]]
    assert not [event for event in between if event["event"] == "remove"]
    assert [event for event in between if event["event"] == "start"], "backups go on"
    skews = [row for row in tables["alerts"] if row["type"] == "CLOCK_SKEW"]
    assert skews and skews[-1]["severity"] == "CRITICAL"
