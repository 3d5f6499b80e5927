"""What becomes of a job, as a service says it: running, watching, cancelling, flows, cron. Both checkers take it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import assert_type

from pydantic import BaseModel, JsonValue

from jobqueue import (
    AbortSignal,
    App,
    Backoff,
    Child,
    Children,
    CronContext,
    CronError,
    CronJob,
    CronJobNotFound,
    CronJobs,
    DatabaseUnavailable,
    DefinitionError,
    Discard,
    DuplicateCronJob,
    DuplicateHandler,
    DuplicateJob,
    EnqueuedFlow,
    EnqueueError,
    Flow,
    Handler,
    InvalidCronJob,
    InvalidOption,
    InvalidPayload,
    Job,
    JobActive,
    JobCancelled,
    JobContext,
    JobFailed,
    JobFinished,
    JobNotFound,
    JobNotInState,
    JobOutcome,
    JobqueueError,
    Keep,
    Limit,
    OutcomesMissed,
    OutcomeUnknown,
    PayloadTooLarge,
    ProcessEnded,
    QueueVersionError,
    RedisUnavailable,
    Registry,
    Resources,
    Settings,
    SettingsError,
    Subscription,
    UnknownHandler,
    UnknownHandlerId,
    WaitForChildren,
    Worker,
    __version__,
    cancel_job,
    cancel_jobs,
    close_default_app,
    cron_job,
    enqueue_flow,
    enqueue_job,
    enqueueJob,
    exponential,
    fixed,
    flow,
    limit,
    make_job,
    makeSingletonJob,
    makeSupersedingJob,
    mark_done,
    register_cron_jobs,
    requeue,
    retry_job,
    scheduler,
    set_default_app,
    subscribe,
)
from jobqueue.cron import next_run
from jobqueue.database import open_database


class Order(BaseModel):
    number: int
    customer: str = "ada"


class Prices:
    async def of(self, number: int) -> int:
        return number * 12


VERSION: str = __version__
assert_type(exponential(5_000, jitter=0.5), Backoff)
assert_type(fixed(5_000), Backoff)
assert_type(limit(3, by=lambda order: str(order.number)), Limit)


# Handlers


@make_job(keep_completed=Keep(age_s=3_600), keep_failed=Keep(count=100), backoff=lambda attempt, error: attempt * 50)
async def pack(ctx: JobContext, payload: Order) -> int:
    assert_type(ctx.job, Job)
    assert_type(ctx.signal, AbortSignal)
    assert_type(ctx.resources[Prices], Prices)
    assert_type(ctx.resources[App], App)
    assert_type(ctx.fence, int | None)
    if ctx.job.attempt > 1 and ctx.signal.aborted:
        raise Discard(await ctx.signal.wait())
    ctx.raise_if_cancelled()
    return await ctx.resources[Prices].of(payload.number)


@make_job(name="bill", timeout_ms=60_000, unrecoverable=(InvalidPayload,))
async def bill(ctx: JobContext, payload: Order) -> None:
    await ctx.enqueue_child(pack, payload, on_failure="ignore", attempts=2)
    raise WaitForChildren


@make_job
async def tidy(ctx: JobContext) -> None:
    children = await ctx.children()
    assert_type(children, Children)
    assert_type(children.of(pack).completed, Children)
    assert_type(await ctx.children_results(), list[JsonValue])
    for child in children:
        assert_type(child, Child)
        assert_type(child.failed_reason, str | None)
    await ctx.remove_pending_children()
    if ctx.cron is not None:
        assert_type(ctx.cron, CronContext)
        assert_type(ctx.cron.expression, str)


async def latest(ctx: JobContext, payload: Order) -> None: ...


assert_type(makeSingletonJob(latest, key=lambda order: order.customer), Handler[Order])
assert_type(makeSupersedingJob(latest, dedupe_key=lambda order: order.customer), Handler[Order])


# Running them


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Resources]:
    if settings.is_local:
        raise SettingsError("ENVIRONMENT", "is local")
    yield Resources(Prices())


registry = Registry([pack, bill, tidy], lifespan=opened)
assert_type(registry.names, tuple[str, ...])


async def run_for_a_while() -> None:
    async with App(registry, Settings.load(jobs_queue="orders")) as app, Worker(app, queues=["orders"]) as worker:
        set_default_app(app)
        assert_type(worker.name, str)
        worker.request_stop()
    await close_default_app()


def change(changing: Registry) -> str:
    try:
        return changing.add(tidy)
    except DuplicateHandler as error:
        return error.name
    except UnknownHandlerId as error:
        return error.handler_id
    except DefinitionError as error:
        return str(error)


# Watching and steering


async def watch(app: App) -> None:
    assert_type(subscribe(job_id="a-1"), Subscription)
    async with app.subscribe(handler=pack, buffer=10) as outcomes:
        try:
            async for outcome in outcomes:
                assert_type(outcome, JobOutcome)
                assert_type(outcome.is_final, bool)
        except OutcomesMissed as error:
            missed = str(error)
            assert_type(missed, str)


async def steer(app: App, job: Job) -> str:
    stored = await enqueueJob(pack, Order(number=1), related=("order", "1"))
    try:
        await stored.wait(5)
        await cancel_job(stored.job_id, "not wanted")
        assert_type(await cancel_jobs(related=("order", "1")), dict[str, tuple[str, ...]])
        await retry_job(stored.job_id, queue=stored.queue)
        await mark_done(job, {"by": "hand"})
        await requeue(job.id)
    except (JobFinished, JobActive) as error:
        return error.actual
    except JobNotInState as error:
        return error.wanted
    except JobNotFound as error:
        return error.job_id
    except (JobFailed, JobCancelled, ProcessEnded, TimeoutError) as error:
        return str(error)
    return "steered"


async def enqueue_with_care(app: App) -> str:
    try:
        return (await app.enqueue_job("pack", {"number": 1}, job_id="pack-1")).job_id
    except InvalidPayload as error:
        assert_type(error.field_errors, dict[str, str])
        return error.field
    except (InvalidOption, PayloadTooLarge, UnknownHandler) as error:
        return error.field
    except DuplicateJob as error:
        return error.job_id
    except EnqueueError as error:
        assert_type(error.position, int | None)
        raise
    except (RedisUnavailable, DatabaseUnavailable) as error:
        return error.reason
    except QueueVersionError as error:
        return error.queue
    except (OutcomeUnknown, JobqueueError):
        raise


# Flows and cron


async def enqueue_tree(app: App) -> None:
    tree = flow(tidy, children=[flow(pack, Order(number=n), on_failure="fail_parent") for n in range(3)])
    assert_type(tree, Flow)
    assert_type(await enqueue_flow(tree), EnqueuedFlow)
    await app.enqueue_flow(flow("tidy", None, children=[flow("pack", {"number": 1}, priority=3)]))


async def schedule(app: App) -> str:
    nightly = cron_job("nightly", "0 3 * * *", tidy, timezone="Europe/Berlin", overlap="skip", misfire="run_once")
    assert_type(await register_cron_jobs([nightly, cron_job("often", "@hourly", "tidy")]), tuple[CronJob, ...])
    assert_type(await scheduler.add(pack, "0 9 * * 1", Order(number=1)), str)
    assert_type(next_run("0 3 * * *", "UTC", 0), int)
    for row in await scheduler.list(pack):
        assert_type(row, CronJob)
        await scheduler.remove(row.id)
    async with open_database(app.settings.database_url) as database:
        try:
            row = await CronJobs(app, database).create(name="weekly", pattern="@weekly", handler="tidy")
            await enqueue_job(tidy, created_by=row.name)
        except InvalidCronJob as error:
            return next(iter(error.field_errors))
        except DuplicateCronJob as error:
            return error.field
        except CronJobNotFound as error:
            return error.which
        except CronError as error:
            return str(error)
    return row.id
