"""Scheduler rules: what Node's BullMQ must see where Redis equals the table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from jobqueue.cron import CronJob

Json = Mapping[str, Any]

_KEEP_ALL: Final = {"count": -1}
_KEEP_NONE: Final = {"count": 0}
RETENTION: Final = {"slot": (_KEEP_ALL, _KEEP_ALL), "fleeting": (_KEEP_NONE, _KEEP_ALL)}
"""By handler, of completed and of failed jobs."""


class Look(NamedTuple):
    """What Node sees: its getJobSchedulers, and the jobs of schedulers that nobody has picked up."""

    schedulers: Sequence[Json]
    pending: Sequence[Json]


def wanted(row: CronJob) -> dict[str, Any]:
    """The scheduler of an enabled row, as Node should see it."""
    data: dict[str, Any] = {"type": "cron", "payload": row.payload, "id": row.id}
    if row.overlap != "allow":
        data["overlap"] = row.overlap
    if row.misfire != "run_once":
        data["misfire"] = row.misfire
    completed, failed = RETENTION[row.handler]
    options: dict[str, Any] = {
        "attempts": row.max_attempts,
        "backoff": {"type": "exponential", "delay": row.backoff_ms},
        "removeOnComplete": completed,
        "removeOnFail": failed,
        "keepLogs": 1_000,
    }
    if row.priority:
        options["priority"] = row.priority
    return {"name": row.handler, "pattern": row.pattern, "tz": row.timezone, "data": data, "opts": options}


def differences(rows: Iterable[CronJob], look: Look, foreign: Collection[str], broken: Collection[str]) -> list[str]:
    """Schedulers that are not as the table has them. Those in `broken` count for nothing: no pattern, no scheduler."""
    enabled = {row.job_id: wanted(row) for row in rows if row.enabled and row.job_id not in {*foreign, *broken}}
    seen = {one["key"]: _as_wanted(one) for one in look.schedulers if one["key"] not in foreign}
    missing = [f"{job_id} has no scheduler" for job_id in enabled if job_id not in seen]
    spare = [f"{job_id} has a scheduler and no enabled row" for job_id in seen if job_id not in enabled]
    wrong = [
        f"{job_id}: {field} is {seen[job_id][field]!r:.200}, not {value!r:.200}"
        for job_id, fields in enabled.items()
        if job_id in seen
        for field, value in fields.items()
        if seen[job_id][field] != value
    ]
    return missing + spare + wrong


def _as_wanted(scheduler: Json) -> dict[str, Any]:
    template: Json = scheduler.get("template") or {}
    own = {name: scheduler.get(name) for name in ("name", "pattern", "tz")}
    return own | {"data": template.get("data"), "opts": template.get("opts")}


def pending_faults(look: Look) -> list[str]:
    """Schedulers that have not exactly one job that waits, and for the very slot that is their next."""
    by_scheduler: defaultdict[str, list[Json]] = defaultdict(list)
    for job in look.pending:
        by_scheduler[job["scheduler"]].append(job)
    found = [
        f"{one['key']}, whose next slot is {one['next']}, has {[job['id'] for job in by_scheduler[one['key']]]}"
        for one in look.schedulers
        if [job["id"] for job in by_scheduler[one["key"]]] != [f"repeat:{one['key']}:{one['next']}"]
    ]
    known = {one["key"] for one in look.schedulers}
    orphans = [job["id"] for name, several in by_scheduler.items() if name not in known for job in several]
    return found + [f"{job_id} waits, and there is no scheduler of it" for job_id in orphans]


def outdated(rows: Iterable[CronJob], look: Look, foreign: Collection[str]) -> list[str]:
    """Waiting jobs that do not carry what their row says: made of it before it was edited."""
    by_id = {row.job_id: wanted(row) for row in rows if row.enabled and row.job_id not in foreign}
    found: list[str] = []
    for job in look.pending:
        fields = by_id.get(job["scheduler"])
        if fields is None:
            continue
        if (job["name"], job["data"]) != (fields["name"], fields["data"]):
            found.append(f"{job['id']} carries {job['name']} {job['data']!r:.200}")
        options = fields["opts"]
        wrong = {name: job["opts"].get(name) for name in options if job["opts"].get(name) != options[name]}
        if wrong or ("priority" not in options and job["opts"].get("priority")):
            found.append(f"{job['id']} has options {wrong or job['opts']!r:.200}")
    return found
