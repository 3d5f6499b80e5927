"""History: what happened to cron jobs, from a queue's event stream onto their rows, whoever ran them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple
from uuid import uuid4

from jobqueue.app import App
from jobqueue.background import Periodic
from jobqueue.cron.chronicle import Chronicle
from jobqueue.cron.looking import Doubts, Lookout, Runs, Slots, is_trigger
from jobqueue.cron.past import Kind, Seen, moment_of
from jobqueue.database import Database
from jobqueue.errors import DatabaseUnavailable
from jobqueue.queue import Queue
from jobqueue.scripts import own
from jobqueue.stream import Position

_log = logging.getLogger("jobqueue.cron")

KEEP_MS: Final = 7 * 24 * 60 * 60 * 1000
"""How long the reading goes on after the last scheduler or trigger: until then a run of theirs may end."""
LEASE_MS: Final = 5_000
AT_ONCE: Final = 1_000
"""Events that one call looks at, some two milliseconds of Redis's time, and jobs that one tick looks at."""
LEAST_AT_ONCE: Final = 50
"""Where a tick took longer than it may, the next one takes half of that in hand, but no less."""
MOST_TRIGGERS: Final = 1_000
"""Those without an end that are noted in a queue; of more at a time the events alone tell."""
REST_S: Final = 0.15
"""Short, since a run asks when the one before it was completed; to read nothing new costs a third of a millisecond."""
BEHIND_REST_S: Final = 0.1
IDLE_REST_S: Final = 2.0
AWAY_REST_S: Final = 1.0
LOOK_S: Final = 30.0
SAFE_S: Final = LEASE_MS / 1000 * 0.8
"""What took longer is not written: another worker may have the lease by then, and know more."""


async def keep_history(queue: Queue, trigger: str = "") -> None:
    """To be called before a trigger is added: its run will be read, though the queue may have no scheduler, and found,
    though its events may be lost. `trigger` is the id of its job.
    """
    await queue.client.run(own("noteTrigger"), [queue.keys.cron_history()], (trigger, KEEP_MS, MOST_TRIGGERS))


class _Stretch(NamedTuple):
    """A stretch of the stream. `before` and `after` are what cronEvents.lua says of the events around it."""

    cursor: str
    before: Literal["known", "lost", "another"]
    after: Literal["more", "none"]
    seen: Sequence[Seen]


class CronHistory(Periodic):
    """Keeps `last_run_at`, `last_status`, `last_job_id` and `last_completed_at` of the rows with jobs in one queue.

    One worker at a time reads, by a lease; the place up to which all is written is in Redis, so another goes on where
    it ended, and what is written twice comes to the same. Where events come faster than they are read, or Redis has
    trimmed some, the jobs are looked at: those of slots that have come since, triggers, and those that were running.
    The latter two are looked at twice a minute in any case. Whatever there is, one tick does a bounded part of it.
    """

    def __init__(self, app: App, queue: Queue, database: Database) -> None:
        super().__init__()
        self._queue = queue
        self._chronicle = Chronicle(database)
        self._slots = Slots(queue)
        self._doubts = Doubts(queue)
        self._runs = Runs(app, queue, database)
        self._me = uuid4().hex
        self._written = ""
        self._at_once = AT_ONCE
        self._look_at_s = 0.0
        self._is_away = False

    async def tick(self) -> float:
        began_s = time.monotonic()
        if self._written:
            await self._slots.follow()  # before the events are read: theirs are among them then
        stretch = await self._read()
        if not isinstance(stretch, _Stretch):
            self._written = ""
            return stretch
        await self._doubt(stretch, began_s)
        try:
            seen = [*stretch.seen, *await self._look()]
            is_written = await self._chronicle.write(seen, began_s + SAFE_S)
        except DatabaseUnavailable as error:
            self._say(error)
            return AWAY_REST_S
        self._say(None)
        if is_written:
            await self._settle(stretch, seen)
        self._at_once = min(self._at_once * 2, AT_ONCE) if is_written else max(self._at_once // 2, LEAST_AT_ONCE)
        return BEHIND_REST_S if stretch.after == "more" or self._lookouts() else REST_S

    async def _read(self) -> _Stretch | float:
        """The next stretch; or the seconds to rest, where there is nothing to read or another one does."""
        keys = (self._queue.keys.of("events"), self._queue.keys.cron_history(), self._queue.keys.cron_schedulers())
        if not self._written and not await self._queue.client.call("EXISTS", *keys[1:]):
            return IDLE_REST_S  # without a script: most queues have no cron jobs
        args = (self._queue.keys.base, self._me, LEASE_MS, self._written, self._at_once, KEEP_MS)
        verdict, *rest = await self._queue.client.run(own("cronEvents"), keys, args)
        match verdict:
            case "idle":
                return IDLE_REST_S
            case "held":
                return (int(rest[0]) + 50) / 1000
            case _:
                cursor, before, after, *events = rest
                return _Stretch(cursor, before, after, [_seen(event) for event in events])

    async def _doubt(self, stretch: _Stretch, now_s: float) -> None:
        """What must be looked at, since the events may not tell it."""
        if stretch.before == "lost":
            await self._slots.follow(at_once=True)
            self._doubts.add(self._slots.picked_up)
            self._slots.forget(list(self._slots.picked_up))
        if stretch.before != "known" or now_s >= self._look_at_s:
            await self._doubts.add_triggers()
            self._runs.begin()
            self._look_at_s = now_s + LOOK_S

    async def _look(self) -> Sequence[Seen]:
        """Raises: DatabaseUnavailable."""
        return [seen for one in self._lookouts() for seen in await one.look(self._at_once)]

    async def _settle(self, stretch: _Stretch, seen: Sequence[Seen]) -> None:
        """What was read and looked at is written."""
        self._written = stretch.cursor
        for one in self._lookouts():
            one.settle()
        self._slots.forget([one.job_id for one in seen] if stretch.after == "more" else list(self._slots.picked_up))
        ended = {one.job_id for one in seen if one.kind != "active" and is_trigger(one.job_id)}
        if ended:
            await self._queue.client.call("HDEL", self._queue.keys.cron_history(), *ended)

    def _lookouts(self) -> Sequence[Lookout]:
        """Those that have jobs to be looked at."""
        return [one for one in (self._doubts, self._runs) if one.has_more]

    def _say(self, trouble: DatabaseUnavailable | None) -> None:
        """Once when the database goes, and once when it is back."""
        name = self._queue.name
        if trouble is not None and not self._is_away:
            _log.warning("queue %s: what happens to cron jobs is written down later: %s", name, trouble)
        if trouble is None and self._is_away:
            _log.info("queue %s: what happens to cron jobs is written down again", name)
        self._is_away = trouble is not None


def _seen(event: tuple[Kind, str, str, str, str, str]) -> Seen:
    kind, job_id, row_id, event_id, claimed, running = event
    claimed_at = moment_of(int(claimed)) if claimed.isdigit() else None
    return Seen(kind, job_id, row_id, moment_of(Position.of(event_id).at_ms), claimed_at, running)
