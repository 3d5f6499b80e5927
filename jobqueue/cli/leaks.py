"""Leaks: what `jobqueue doctor --fix` does: finds, shows, asks, and mends in the name of whoever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from jobqueue.app import App
from jobqueue.cli.acting import person
from jobqueue.cli.asking import make_sure
from jobqueue.cli.console import one_line, say, say_json
from jobqueue.cli.progress import steps
from jobqueue.doctor import Found, Leak, described, mend, queues_of, search
from jobqueue.inspector.auditing import AuditedAct, AuditLog
from jobqueue.queue import Queue

ACTION = "remove leaks"
"""As the audit log has it."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What was found in one queue."""

    queue: Queue
    found: Found
    leaks: Sequence[Leak]

    @property
    def count(self) -> int:
        return len(self.found.mendable)


async def fix(app: App, queues: Sequence[str], *, all_queues: bool, is_sure: bool, as_json: bool) -> None:
    """Raises: typer.Exit with 1 where the person does not want it; InvalidOption where nobody can be asked."""
    async with app:
        names = await queues_of(app) if all_queues else queues or app.queue_names()
        looks = await _look_at_all(app, names)
        if not as_json:
            _show(looks)
        mendable = [look for look in looks if look.count]
        if mendable:
            await make_sure(f"Remove {_things(sum(look.count for look in mendable))}?", is_sure=is_sure)
        mended = await _mend_all(app, mendable)
        if as_json:
            say_json({"queues": [_as_json(look, mended.get(look.queue.name, 0)) for look in looks]})
        elif mended:
            spared = sum(look.count for look in mendable) - sum(mended.values())
            say(f"removed {sum(mended.values())}" + (f"; {spared} had found an owner, and stay" if spared else ""))


async def _look_at_all(app: App, names: Sequence[str]) -> list[_Look]:
    looks: list[_Look] = []
    with steps(len(names)) as begin:
        for name in names:
            begin(f"looking at {name}")
            looks.append(await _look(app.queue(name)))
    return looks


async def _mend_all(app: App, mendable: Sequence[_Look]) -> dict[str, int]:
    """How many things were mended in each queue."""
    mended: dict[str, int] = {}
    with steps(len(mendable)) as begin:
        for look in mendable:
            begin(f"removing from {look.queue.name}")
            mended[look.queue.name] = await _mend(app, look)
    return mended


async def _look(queue: Queue) -> _Look:
    found = await search(queue)
    return _Look(queue, found, await described(queue, {one: found.judged[one] for one in found.mendable}))


async def _mend(app: App, look: _Look) -> int:
    """How many things were mended. It is in the audit log, by kinds."""
    kinds: dict[str, JsonValue] = {leak.kind: leak.count for leak in look.leaks}
    act = AuditedAct(ACTION, look.queue.name, details={"found": kinds})
    async with AuditLog(app).noted(person(), act) as noted:
        noted.count = len(await mend(look.queue, look.found))
        return noted.count


def _show(looks: Sequence[_Look]) -> None:
    for look in looks:
        part = "" if look.found.is_whole else " among those that were looked at; run it again for the rest"
        name = one_line(look.queue.name)
        if not look.leaks:
            say(f"{name}: nothing has lost its owner{part}")
            continue
        size = sum(leak.bytes for leak in look.leaks)
        say(f"{name}: {_things(look.count)} without an owner or an end, about {size:,} bytes{part}")
        for leak in look.leaks:
            examples = one_line(", ".join(leak.examples)) + (", …" if leak.count > len(leak.examples) else "")
            say(f"  {leak.count:>7,} {leak.kind} ({'jobqueue' if leak.is_ours else 'BullMQ'}; {leak.lost}): {examples}")


def _as_json(look: _Look, mended: int) -> dict[str, Any]:
    leaks = [
        {
            "kind": leak.kind,
            "whose": "jobqueue" if leak.is_ours else "bullmq",
            "why": leak.lost,
            "count": leak.count,
            "examples": leak.examples,
            "bytes": leak.bytes,
        }
        for leak in look.leaks
    ]
    return {"queue": look.queue.name, "complete": look.found.is_whole, "leaks": leaks, "removed": mended}


def _things(count: int) -> str:
    return f"{count:,} key or entry" if count == 1 else f"{count:,} keys and entries"
