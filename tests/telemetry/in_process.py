"""A handler for another process: which span is the current one there?"""

from __future__ import annotations

from opentelemetry import trace

from jobqueue import JobContext, make_job
from jobqueue.otel import continued


async def _tell_span(ctx: JobContext) -> str:
    await ctx.enqueue_job(noted)
    with continued(ctx.job):
        return f"{trace.get_current_span().get_span_context().span_id:x}"


async def _note(ctx: JobContext) -> None: ...


noted = make_job(_note, name="noted")
tell_span = make_job(_tell_span, name="tellSpan", run_in="process")
