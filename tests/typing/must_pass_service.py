"""What stands around the jobs of a service: its web framework, its board. Both checkers take every line."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, assert_type

from fastapi import Depends, FastAPI
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from board import create_app
from jobqueue import App, Enqueued, JobContext, JobqueueError, Registry, Resources, make_job
from jobqueue.asgi import answer_error, jobs, lifespan
from jobqueue.problems import problem_of


class Order(BaseModel):
    number: int


class Prices:
    pass


@make_job
async def pack(ctx: JobContext, payload: Order) -> int:
    return payload.number


app = App(Registry([pack]))


# Starlette


async def enqueue(request: Request) -> Response:
    assert_type(await jobs(request), App)
    stored = await (await jobs(request)).enqueue_job(pack, Order(number=1))
    return JSONResponse({"jobId": stored.job_id})


async def health(request: Request) -> Response:
    problem = problem_of(JobqueueError("no"))
    return JSONResponse({"status": 200 if problem is None else problem.status})


starlette = Starlette(
    routes=[Route("/orders", enqueue, methods=["POST"]), Route("/health", health), Mount("/ops", create_app(app))],
    lifespan=lifespan(app, worker=True),
    exception_handlers={JobqueueError: answer_error},
)


# FastAPI


@asynccontextmanager
async def opened(service: FastAPI) -> AsyncGenerator[Mapping[str, object]]:
    prices = Prices()
    async with lifespan(app, worker=True, resources=Resources(prices))(service) as state:
        yield {**state, "prices": prices}


fastapi = FastAPI(lifespan=opened, exception_handlers={JobqueueError: answer_error})
simple = FastAPI(lifespan=lifespan())
fastapi.mount("/ops", create_app(app, read_only=True))


@fastapi.post("/orders")
async def place(order: Order, jobs: Annotated[App, Depends(jobs)]) -> str:
    stored = await jobs.enqueue_job(pack, order)
    assert_type(stored, Enqueued)
    return stored.job_id
