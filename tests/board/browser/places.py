"""Places: a board with something on each of its pages, and the addresses of them all."""

from __future__ import annotations

from jobqueue.app import App
from jobqueue.cron import CronJobs
from jobqueue.database import Database
from jobqueue.inspector import Actor, Inspector
from jobqueue.worker.presence import Heartbeat, present
from tests.board.support import activate, complete, fail, heartbeat, note
from tests.outbox.shelving import enqueue_rows, set_aside

LONG = "x" * 500
ERROR = "E" * 100_000
LONG_QUEUE = "q" * 200
START = "0123456789abcdef"


async def fill(app: App, database: Database) -> list[str]:
    """Something on every page; returns the path of each below the board's."""
    operator = Inspector(app).acting_as(Actor("ann", "local", "r1"))
    failed = await app.enqueue_job(note, {"customer": LONG, "pin_token": "4711"}, related=("order", "17"))
    await app.queue("notes").add_log(failed.job_id, f"charging the card {LONG}", 10)
    await fail(app, failed, ERROR, f"Traceback: in charge() {ERROR}")
    await complete(app, await app.enqueue_job(note, {"order": 17}), '{"sent": true}')
    delayed = await app.enqueue_job(heartbeat, delay_ms=600_000)
    await app.enqueue_job(heartbeat, priority=3)
    waiting = await app.enqueue_job("syncData", {"resource_id": "r1", "pinCode": "4711"})
    await app.enqueue_job(heartbeat, queue=LONG_QUEUE)
    active = await run(app)
    await operator.pause("notes")
    bulk = await operator.retry_failed("jobs")
    cron = await CronJobs(app, database).create(name="nightly", pattern="0 3 * * *", handler="heartbeat")
    aside, _ = await enqueue_rows(app, database, [{"customer": LONG, "pin_token": "4711"}, {}])
    await enqueue_rows(app, database, [{"customer": LONG}], LONG_QUEUE)
    await set_aside(database, [aside], ERROR[:500])
    return [
        *("", "/find?q=nobody", f"/find?q={failed.job_id}", "/queues/notes", f"/queues/{LONG_QUEUE}"),
        *(f"/queues/notes/{state}" for state in ("failed", "completed", "waiting", "all")),
        *("/queues/jobs/delayed", "/queues/jobs/prioritized", "/queues/jobs/active", "/queues/nobody/failed"),
        *(f"/queues/notes/jobs/{failed.job_id}{page}" for page in ("", "/again", "/remove")),
        *(f"/queues/jobs/jobs/{job_id}" for job_id in (delayed.job_id, waiting.job_id, active, f"{active}/cancel")),
        *("/cron", "/cron/new", f"/cron/{cron.id}", f"/cron/{cron.id}/edit"),
        *("/handlers", "/handlers/syncData", "/handlers/note", "/handlers/heartbeat"),
        *("/outbox?queue=jobs&state=set_aside", f"/outbox?queue={LONG_QUEUE}&state=waiting", f"/outbox/row/{aside}"),
        *("/workers", "/audit", f"/audit/{bulk.entry}"),
    ]


async def run(app: App) -> str:
    """A worker that has a job in its hands, as Redis tells of both; returns the job's id."""
    job = await app.enqueue_job(heartbeat)
    await activate(app, job)
    queue = app.queue("jobs")
    await app.client.call("SET", queue.keys.job_lock(job.job_id), f"{START}:0", "PX", 60_000)
    await Heartbeat(queue, START, present("worker-1", ["jobs", LONG_QUEUE], app.settings)).tick()
    return job.job_id
