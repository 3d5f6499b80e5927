"""A worker process that a test kills when its singleton has returned: `python -m tests.patterns.dying`.

Its handler writes `started` into the folder named by the variable FOLDER, and returns once `may_return` is there.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from jobqueue import App, JobContext, Registry, Worker, make_singleton_job

RESULT = "cleaned by the one that died"


@make_singleton_job(name="clean")
def clean(ctx: JobContext) -> str:
    folder = Path(os.environ["FOLDER"])
    (folder / "started").touch()
    while not (folder / "may_return").exists():
        time.sleep(0.01)  # a file is all that the test can tell it by
    return RESULT


async def main() -> None:
    async with App(Registry([clean])) as app:
        await Worker(app).run()


if __name__ == "__main__":
    asyncio.run(main())
