"""Handlers with `run_in="process"` that end in every way that a handler should not."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from jobqueue import JobContext, fixed, make_job, make_superseding_job
from jobqueue.errors import Discard, JobCancelled, Retry, Snooze
from jobqueue.handler import Handler

FOR_EVER_S = 600.0
MEGABYTE = 1024 * 1024
SOON = fixed(1)


class NoSpace(OSError):
    """An error of the user's own, which cannot be made of its text alone."""

    def __init__(self, disk: str, *, missing_bytes: int) -> None:
        super().__init__(f"no space on {disk}")
        self.missing_bytes = missing_bytes


# What takes a process away


def exits(ctx: JobContext) -> None:
    os._exit(3)


def crashes(ctx: JobContext) -> None:
    ctypes.string_at(0)


def is_killed(ctx: JobContext) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def closes_everything(ctx: JobContext) -> None:
    """As a program does that becomes a daemon: with it goes the line to the worker."""
    os.closerange(3, 1_000)


def babbles(ctx: JobContext) -> None:
    write_to_the_worker(b"abracadabra\n")
    time.sleep(FOR_EVER_S)  # the subject: what it wrote is enough


def floods(ctx: JobContext) -> None:
    while True:
        write_to_the_worker(b"x" * MEGABYTE)


def write_to_the_worker(data: bytes) -> None:
    """What is no message, to every socket that there is."""
    for number in range(3, 50):
        try:
            is_socket = stat.S_ISSOCK(os.fstat(number).st_mode) and os.get_blocking(number)  # no loop's own
        except OSError:
            continue
        if is_socket:
            with socket.socket(fileno=os.dup(number)) as line:
                line.sendall(data)


@make_job(name="exitsAtFirst", run_in="process", attempts=2, backoff=SOON)
def exits_at_first(ctx: JobContext) -> int:
    if ctx.job.attempt == 1:
        os._exit(3)
    return ctx.job.attempt


FATAL: dict[Callable[[JobContext], None], str] = {
    exits: "its process ended with exit status 3",
    crashes: "its process was killed by SIGSEGV",
    is_killed: "its process was killed by SIGKILL",
    closes_everything: "its process ended with exit status 1",
    babbles: "its process sent 11 bytes that are no message",
    floods: "its process sent a message of more than 27262976 bytes",
}


# What does not, since it is an error like any other


def system_exit(ctx: JobContext) -> None:
    sys.exit(4)


async def system_exit_on_the_loop(ctx: JobContext) -> None:
    sys.exit("enough")


async def keyboard_interrupt(ctx: JobContext) -> None:
    raise KeyboardInterrupt


async def cancelled(ctx: JobContext) -> None:
    raise asyncio.CancelledError


def recursion(ctx: JobContext) -> None:
    recursion(ctx)


def memory(ctx: JobContext) -> None:
    """Ask for more than the limit that it has set to its own process."""
    resource.setrlimit(resource.RLIMIT_AS, (2_000 * MEGABYTE, 2_000 * MEGABYTE))
    bytearray(4_000 * MEGABYTE)


def group(ctx: JobContext) -> None:
    raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])


def told_elsewhere(ctx: JobContext) -> None:
    raise JobCancelled("by itself")


RAISING: dict[Callable[[JobContext], Any], str] = {
    system_exit: "4",
    system_exit_on_the_loop: "enough",
    keyboard_interrupt: "KeyboardInterrupt",
    cancelled: "CancelledError",
    recursion: "maximum recursion depth exceeded",
    memory: "MemoryError",
    group: "several (2 sub-exceptions)",
    told_elsewhere: "by itself",
}


# Errors


def lacks_space(ctx: JobContext) -> None:
    raise NoSpace("/data", missing_bytes=7)


def waits_for_missing_bytes(attempt: int, error: BaseException) -> int:
    """A backoff that knows the error: a day for each byte that is missing, or none where it knows nothing."""
    return error.missing_bytes * 24 * 60 * 60 * 1000 if isinstance(error, NoSpace) else 1


gives_up = make_job(lacks_space, name="givesUp", run_in="process", attempts=3, unrecoverable=(OSError,))
backs_off = make_job(lacks_space, name="backsOff", run_in="process", attempts=3, backoff=waits_for_missing_bytes)


def fails_inside(ctx: JobContext) -> None:
    try:
        raise KeyError("key")
    except KeyError as error:
        error.add_note("and a note")
        raise ValueError("outer") from error


in_process = make_job(fails_inside, name="inProcess", run_in="process", attempts=1)
beside = make_job(fails_inside, name="beside", attempts=1)


@make_job(name="asks", run_in="process", attempts=2)
def asks(ctx: JobContext, word: str) -> int:
    if ctx.job.attempts_started > 1:
        return ctx.job.attempt
    raise {"retry": Retry(1), "snooze": Snooze(1), "discard": Discard("of no use")}[word]


# Results and messages


@make_job(name="yields", run_in="process", attempts=3)
def yields(ctx: JobContext, what: str) -> object:
    return {"no JSON": float("nan"), "too much": "x" * 100 * MEGABYTE}[what]


@make_job(name="talks", run_in="process")
def talks(ctx: JobContext) -> str:
    ctx.log("x" * 100 * MEGABYTE)
    return "said"


# What is told to stop


def spins(ctx: JobContext) -> None:
    while True:
        pass


async def blocks_its_loop(ctx: JobContext) -> None:
    time.sleep(FOR_EVER_S)  # the subject: nothing on the loop can run


def holds_the_interpreter(ctx: JobContext) -> None:
    """C code that lets no other thread of its process run."""
    ctypes.PyDLL(None).sleep(int(FOR_EVER_S))


async def swallows(ctx: JobContext) -> None:
    while True:
        try:
            await asyncio.sleep(FOR_EVER_S)  # the subject: it does not end by itself
        except asyncio.CancelledError:
            continue


@make_job(name="waits", run_in="process", attempts=1, grace_ms=100)
def waits(ctx: JobContext) -> None:
    ctx.log(str(os.getpid()))
    time.sleep(FOR_EVER_S)  # the subject: longer than any limit


@make_superseding_job(name="syncs", run_in="process", attempts=1, grace_ms=100, dedupe_key=lambda key: key)
def syncs(ctx: JobContext, key: str) -> str:
    ctx.log(str(os.getpid()))
    if ctx.job.id == "older":
        time.sleep(FOR_EVER_S)  # the subject: it does not end by itself
    return "synced"


@make_job(name="handsOver", run_in="process", attempts=1, ack="manual")
def hands_over(ctx: JobContext) -> None:
    ctx.log(str(os.getpid()))


@make_job(name="starts", run_in="process", attempts=1, timeout_ms=2_000, grace_ms=0)
def starts(ctx: JobContext) -> None:
    """Wait for a program that it started."""
    program = subprocess.Popen(["sleep", str(int(FOR_EVER_S))])
    ctx.log(str(program.pid))
    program.wait()


ENDLESS = (spins, blocks_its_loop, holds_the_interpreter, swallows)


def handler_of(function: Callable[[JobContext], Any], **policy: Any) -> Handler[None]:
    return make_job(function, run_in="process", backoff=SOON, **policy)
