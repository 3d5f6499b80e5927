"""A shop on FastAPI: its routes enqueue jobs, wait for them and cancel them, and a worker runs them inside the service.

What the service opens (a table of prices, a database) is handed to the handlers, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from board import create_app
from jobqueue import App, JobContext, JobqueueError, Registry, Resources, Settings, make_job
from jobqueue.asgi import answer_error, jobs, lifespan
from jobqueue.job import EnqueueOptions


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "shop_order"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]


@dataclass(frozen=True)
class Prices:
    """What the service opens at its start."""

    by_item: Mapping[str, int]


class Basket(BaseModel):
    items: list[str]


class Confirmation(BaseModel):
    order_id: int


@make_job(name="sumUp")
async def sum_up(ctx: JobContext, payload: Basket) -> int:
    prices = ctx.resources[Prices].by_item
    return sum(prices[item] for item in payload.items)


@make_job(name="confirmOrder")
async def confirm_order(ctx: JobContext, payload: Confirmation) -> str:
    return f"order {payload.order_id} is confirmed"


@make_job(name="pack", grace_ms=100)
async def pack(ctx: JobContext, seconds: float) -> str:
    await asyncio.sleep(seconds)  # packing takes its time
    return "packed"


registry = Registry([sum_up, confirm_order, pack])
router = APIRouter()

Jobs = Annotated[App, Depends(jobs)]


async def transaction(request: Request) -> AsyncGenerator[AsyncSession]:
    sessions: async_sessionmaker[AsyncSession] = request.state.sessions
    async with sessions.begin() as session:
        yield session


Transaction = Annotated[AsyncSession, Depends(transaction, scope="function")]


@router.post("/sums")
async def sum_basket(basket: Basket, jobs: Jobs) -> int:
    stored = await jobs.enqueue_job(sum_up, basket)
    total: int = await stored.wait(10)
    return total


@router.post("/orders", status_code=201)
async def place_order(email: str, jobs: Jobs, session: Transaction) -> str:
    order = Order(email=email)
    session.add(order)
    await session.flush()
    stored = await jobs.enqueue_job(confirm_order, Confirmation(order_id=order.id), session=session)
    if "@" not in email:
        raise HTTPException(409, "nobody can be told of this order")
    return stored.job_id


@router.post("/packings", status_code=202)
async def begin_packing(jobs: Jobs, response: Response, seconds: float = 30, wait_s: float = 0) -> str:
    stored = await jobs.enqueue_job(pack, seconds)
    try:
        packed: str = await stored.wait(wait_s)
    except TimeoutError:
        return stored.job_id
    response.status_code = 200
    return packed


@router.delete("/packings/{job_id}", status_code=202)
async def stop_packing(job_id: str, jobs: Jobs) -> str:
    return await jobs.cancel_job(job_id, "the customer does not want it any more")


@router.post("/jobs/{name}", status_code=202)
async def enqueue_by_name(name: str, payload: dict[str, object], jobs: Jobs, tag: str | None = None) -> str:
    options: EnqueueOptions = {"job_id": tag} if tag else {}
    return (await jobs.enqueue_job(name, payload, **options)).job_id


def create_service() -> FastAPI:
    """`uvicorn --factory tests.web.shop:create_service`."""
    settings = Settings.load()
    app = App(registry, settings)

    @asynccontextmanager
    async def opened(service: FastAPI) -> AsyncGenerator[Mapping[str, object]]:
        engine, prices = create_async_engine(settings.database_url), Prices({"book": 12, "pen": 3})
        try:
            async with lifespan(app, worker=True, resources=Resources(engine, prices))(service) as state:
                yield {**state, "sessions": async_sessionmaker(engine)}
        finally:
            await engine.dispose()

    service = FastAPI(lifespan=opened, exception_handlers={JobqueueError: answer_error})
    service.include_router(router)
    service.mount("/ops", create_app(app))
    return service
