"""Ending: a server's process ends soon after its work is over, whatever its handlers have left behind."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final, NoReturn

from jobqueue.cli.console import FAILED, exit_code
from jobqueue.cli.loop import new_event_loop
from jobqueue.errors import JobqueueError

LAST_MOMENT_S: Final = 0.2
"""What tasks, and then threads, get that are still at work when the server has closed everything."""

_log = logging.getLogger("jobqueue")


def run_server(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` on an event loop of its own; once it is over the process is to end.

    asyncio's own runner would wait without a limit for tasks that swallow their cancellation, and the interpreter for
    threads. Here both are left behind, with the exit status that the process would have had.
    Raises: what `main` raises.
    """
    loop = new_event_loop()
    failure: BaseException | None = None
    try:
        loop.run_until_complete(main)
    except BaseException as error:
        failure = error
        raise
    finally:
        status = _status(failure)
        stubborn = loop.run_until_complete(_end_tasks())
        if stubborn:
            if failure is not None:
                # Nobody above will come to say it.
                _log.error("ended by an error", exc_info=failure)
            _leave(stubborn, status)
        loop.close()
        threading.Thread(target=_leave_threads, args=(status,), name="last moment", daemon=True).start()


def _status(failure: BaseException | None) -> int:
    if isinstance(failure, JobqueueError):
        return exit_code(failure)
    return FAILED if failure is not None else 0


async def _end_tasks() -> Sequence[str]:
    """Cancel the tasks that are left; the names of those that do not end."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    closing = asyncio.create_task(asyncio.get_running_loop().shutdown_asyncgens(), name="asynchronous generators")
    _, stubborn = await asyncio.wait({closing, *left}, timeout=LAST_MOMENT_S)
    return sorted(task.get_name() for task in stubborn)


def _leave_threads(status: int) -> None:
    """End the process if threads still hold it up after a last moment; else it ends by itself, as slowly as it likes.

    Runs in a daemon thread, while the interpreter waits for all threads that are none.
    """
    held_up_by = [one for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]
    ends_at_s = time.monotonic() + LAST_MOMENT_S
    for thread in held_up_by:
        thread.join(max(0.0, ends_at_s - time.monotonic()))
    alive = sorted(thread.name for thread in held_up_by if thread.is_alive())
    if alive:
        _leave(alive, status)


def _leave(names: Sequence[str], status: int) -> NoReturn:
    """End the process without what could not be ended: neither its tasks nor its threads are waited for."""
    _log.error("the process ends without %s, still at work", ", ".join(names))
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
