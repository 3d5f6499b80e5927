"""A worker whose handlers with `run_in="process"` are in the very file that was started: by `-m`, or by its path."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import time

from jobqueue import App, JobContext, Registry, Worker, make_job


class Hopeless(Exception):
    """An error of the file's own."""


@make_job(name="where", run_in="process")
def where(ctx: JobContext) -> list[str | int]:
    return [os.getpid(), __name__]


@make_job(name="despair", run_in="process", attempts=3, unrecoverable=(Hopeless,))
def despair(ctx: JobContext) -> None:
    raise Hopeless("no use")


@make_job(name="hold", run_in="process", attempts=1)
def hold(ctx: JobContext, how: str) -> None:
    """Say which process it is, and never return."""
    ctx.log(str(os.getpid()))
    if how == "the interpreter":
        ctypes.PyDLL(None).sleep(600)
    if how == "the processor":
        while True:
            pass
    time.sleep(600)  # the subject: longer than any test


HANDLERS = (where, despair, hold)
registry = Registry(HANDLERS)


async def main() -> None:
    async with App(registry) as app:
        await Worker(app).run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main())
