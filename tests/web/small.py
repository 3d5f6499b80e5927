"""A small service on Starlette, which only enqueues: its jobs are run elsewhere."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jobqueue import App, JobContext, JobqueueError, Registry, enqueue_job, make_job
from jobqueue.asgi import answer_error, jobs, lifespan


@make_job
async def greet(ctx: JobContext, name: str) -> str:
    return f"hello, {name}"


registry = Registry([greet])


async def enqueue_greeting(request: Request) -> Response:
    stored = await enqueue_job(greet, request.path_params["name"])
    return JSONResponse({"jobId": stored.job_id}, 202)


async def cancel_greeting(request: Request) -> Response:
    app = await jobs(request)
    return JSONResponse(await app.cancel_job(request.path_params["job_id"]))


def create_service(app: App | None = None) -> Starlette:
    return Starlette(
        routes=[
            Route("/greetings/{name}", enqueue_greeting, methods=["POST"]),
            Route("/greetings/{job_id}", cancel_greeting, methods=["DELETE"]),
        ],
        lifespan=lifespan(app),
        exception_handlers={JobqueueError: answer_error},
    )
