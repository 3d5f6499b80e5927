"""Handlers with `run_in="process"`, at the top of a module, where a child of the worker finds them: what they see."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from jobqueue import (
    InvalidOption,
    InvalidPayload,
    JobContext,
    UnknownHandler,
    fixed,
    make_job,
    make_singleton_job,
)
from jobqueue.errors import WaitForChildren

log = logging.getLogger("shop.pictures")


class Picture(BaseModel):
    """A payload that is more than JSON."""

    path: Path
    width: int = 10


@make_job(name="onLoop", run_in="process")
async def on_loop(ctx: JobContext, picture: Picture) -> list[Any]:
    await asyncio.sleep(0)
    return [os.getpid(), type(picture).__name__, picture.path.name, picture.width]


@make_job(name="inMainThread", run_in="process")
def in_main_thread(ctx: JobContext, picture: Picture) -> list[Any]:
    return [os.getpid(), type(picture).__name__, picture.path.name, threading.current_thread().name]


def bare(ctx: JobContext, picture: Picture) -> int:
    return picture.width


bare_handler = make_job(bare, name="bareFunction", run_in="process")


@make_job(name="describe", run_in="process")
def describe(ctx: JobContext) -> list[Any]:
    job = ctx.job
    return [job.id, job.name, job.attempt, job.enqueued_at_ms, job.envelope.related, ctx.worker_name, ctx.fence]


@make_singleton_job(name="fenced", run_in="process")
def fenced(ctx: JobContext) -> int | None:
    return ctx.fence


@make_job(name="report", run_in="process", attempts=1)
def report(ctx: JobContext, ending: str) -> None:
    for step in range(100):
        ctx.log(f"step {step}")
        ctx.progress({"step": step})
    if ending == "raises":
        raise ValueError("then not")
    if ending == "dies":
        os._exit(3)


@make_job(name="logs", run_in="process")
async def logs(ctx: JobContext) -> None:
    log.warning("hello from %s", ctx.job.id)
    log.debug("not this")
    await asyncio.to_thread(log.warning, "and from a thread")
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("so it is")


@make_job(name="writes", run_in="process")
def writes(ctx: JobContext) -> str:
    sys.stdout.write('["Result","not this"]\n')
    sys.stdout.flush()
    os.write(2, b"to standard error\n")
    return f"{sys.stdin.read()}but this"


@make_job(name="opens", run_in="process", attempts=1)
def opens(ctx: JobContext) -> None:
    _ = ctx.resources[Picture]


@make_job(name="listens", run_in="process", attempts=1, timeout_ms=300, grace_ms=20_000)
async def listens(ctx: JobContext) -> None:
    ctx.log(f"heard {await ctx.signal.wait()}")
    ctx.raise_if_cancelled()


@make_job(name="looks", run_in="process", attempts=1, timeout_ms=300, grace_ms=20_000)
def looks(ctx: JobContext) -> None:
    while not ctx.signal.aborted:
        threading.Event().wait(0.01)
    ctx.log(f"saw {ctx.signal.reason}")
    ctx.raise_if_cancelled()


# What it can ask for


@make_job(name="child", attempts=1)
async def child(ctx: JobContext, picture: Picture) -> str | None:
    return ctx.job.envelope.created_by


@make_job(name="enqueues", run_in="process", attempts=1)
async def enqueues(ctx: JobContext) -> list[str]:
    by_handle = await ctx.enqueue_job(child, Picture(path=Path("a.png")))
    by_name = await ctx.enqueue_job("child", {"path": "b.png"}, delay_ms=1, backoff=fixed(7))
    at_once = await asyncio.gather(*(ctx.enqueue_job(child, Picture(path=Path("c.png"))) for _ in range(3)))
    return [job.job_id for job in (by_handle, by_name, *at_once)]


@make_job(name="enqueuesInVain", run_in="process", attempts=1)
async def enqueues_in_vain(ctx: JobContext) -> list[str]:
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: ctx.enqueue_job("nobody"),
        lambda: ctx.enqueue_job("child", {"path": 1}),
        lambda: ctx.enqueue_job("child", {"path": "a"}, priority=-1),
    ]
    told: list[str] = []
    for attempt in attempts:
        try:
            await attempt()
        except (UnknownHandler, InvalidPayload, InvalidOption) as error:
            told.append(f"{type(error).__name__}: {error.field}")
    return told


def of_another_service_function(ctx: JobContext, number: int) -> None: ...


of_another_service = make_job(of_another_service_function, name="ofAnotherService")


@make_job(name="enqueuesElsewhere", run_in="process", attempts=1)
async def enqueues_elsewhere(ctx: JobContext) -> str:
    return (await ctx.enqueue_job(of_another_service, 7, delay_ms=60_000)).job_id


@make_job(name="parent", run_in="process", attempts=1)
async def parent(ctx: JobContext) -> list[Any]:
    if not await ctx.children():
        for name in ("a", "b"):
            await ctx.enqueue_child(child, Picture(path=Path(name)), job_id=f"{name}-{ctx.job.id}")
        raise WaitForChildren
    return [one.job_id for one in await ctx.children()] + await ctx.children_results()


HANDLERS = (
    *(on_loop, in_main_thread, bare_handler, describe, fenced, report, logs, writes, opens, listens, looks),
    *(child, enqueues, enqueues_in_vain, enqueues_elsewhere, parent),
)
