"""Answering: the worker does what a handler in a child asks of it."""

from __future__ import annotations

from jobqueue import encoding
from jobqueue.context import JobContext
from jobqueue.job import Enqueued
from jobqueue.worker.process.failures import tell
from jobqueue.worker.process.location import handler_here
from jobqueue.worker.process.wire import Answer, Ask, AskFamily, AskJob, Offspring, Refused, Stored, decode_options


async def answer(ask: Ask, context: JobContext) -> Answer:
    """Never raises but for a cancellation: what goes wrong is the answer."""
    try:
        match ask:
            case AskJob():
                job = await _enqueue(ask, context)
                return Stored(ask.number, job.job_id, job.name, job.queue, job.created, job.superseded, job.outboxed)
            case AskFamily(number, "children"):
                return Offspring.of(number, await context.children())
            case AskFamily(number, _):
                await context.remove_pending_children()
                return Offspring(number, [])
    except Exception as error:
        return Refused(ask.number, tell(error))


async def _enqueue(ask: AskJob, context: JobContext) -> Enqueued:
    """By handle where that is loaded here too, else by its name."""
    known = None if ask.module is None else handler_here(ask.module, ask.handler)
    options = decode_options(ask.options)
    add = context.enqueue_job if ask.kind == "job" else context.enqueue_child
    if known is None:
        return await add(ask.handler, encoding.decode_json(ask.payload_json), **options)
    return await add(known, known.validate_json(ask.payload_json), **options)
