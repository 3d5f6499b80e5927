"""Records the job hashes that Node writes, and makes two of them comparable.

Run `python -m tests.interop.golden redis://127.0.0.1:6379` from the top of the repository to write all of
`tests/interop/golden/` anew; keys are written under a prefix of their own and removed at the end.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, TypeAdapter

from tests.interop.golden_cases import CASES, GoldenCase
from tests.interop.node_peer import NodePeer
from tests.interop.node_records import NodeRaw

FOLDER = Path(__file__).parent / "golden"
META = "meta"
WORKER_NAME = "golden-worker"

TIME = "<ms>"
TIMES_OF_HASH = frozenset({"timestamp", "processedOn", "finishedOn"})
TIMES_OF_OPTS = frozenset({"timestamp", "prevMillis"})
SCHEDULED_ID = re.compile(r"^(repeat:.+):\d+$")

Object = TypeAdapter(dict[str, JsonValue])


@dataclass(frozen=True, slots=True)
class GoldenJob:
    """A job hash with what differs from run to run named instead of shown.

    Times are `<ms>`; a stack keeps its first line; `opts` is parsed, its fields being in the order of a
    Lua table. All other fields are the bytes in Redis.
    """

    state: str
    hash: dict[str, JsonValue]


Job = TypeAdapter(GoldenJob)


def normalise(raw: NodeRaw) -> GoldenJob:
    """Name what differs from run to run, so that equal requests give equal records."""
    scheduled = "rjk" in raw.hash
    return GoldenJob(
        state=raw.state, hash={key: _field(key, value, scheduled) for key, value in sorted(raw.hash.items())}
    )


def _field(key: str, value: str, scheduled: bool) -> JsonValue:
    if key in TIMES_OF_HASH or (scheduled and key == "delay"):
        return TIME
    if key == "opts":
        opts = Object.validate_json(value)
        return {name: _option(name, opts[name], scheduled) for name in sorted(opts)}
    if key == "stacktrace":
        return [_first_line(stack) for stack in TypeAdapter(list[str]).validate_json(value)]
    return value


def _option(name: str, value: JsonValue, scheduled: bool) -> JsonValue:
    if name in TIMES_OF_OPTS or (scheduled and name == "delay"):
        return TIME
    if name == "repeat" and isinstance(value, dict):
        return {key: TIME if key == "offset" and value[key] else value[key] for key in sorted(value)}
    if name == "jobId" and isinstance(value, str):
        return SCHEDULED_ID.sub(rf"\1:{TIME}", value)
    return value


def _first_line(stack: str) -> str:
    first, *rest = stack.splitlines()
    return f"{first} <{'a stack' if rest else 'no stack'}>"


def read(title: str) -> GoldenJob:
    """The recorded job of that title."""
    return Job.validate_json(_path(title).read_bytes())


def read_meta() -> dict[str, str]:
    """The recorded `meta` hash of a queue that Node has opened."""
    return TypeAdapter(dict[str, str]).validate_json(_path(META).read_bytes())


async def record(node: NodePeer, case: GoldenCase) -> NodeRaw:
    """Let Node do what the case asks for, on a queue of its own, and read what stands in Redis then."""
    peer = node.on(f"golden-{case.title}")
    if case.repeat is None:
        job_id = await peer.add(case.name, case.data, case.opts)
    else:
        job_id = await _scheduled(peer, case)
    if case.run is not None:
        await peer.start_events()
        await peer.start_worker(
            case.run.processor,
            case.run.processor_options,
            worker_id=case.title,
            opts={"name": WORKER_NAME},
        )
        await peer.wait_for_event(case.run.until, job_id)
        await peer.stop_worker(case.title)
    return await peer.raw(job_id)


async def _scheduled(peer: NodePeer, case: GoldenCase) -> str:
    template: dict[str, JsonValue] = {"name": case.name, "data": case.data, "opts": dict(case.opts)}
    job_id = await peer.upsert_scheduler(case.title, case.repeat or {}, template)
    if job_id is None:
        raise ValueError(f"{case.title}: the scheduler {case.repeat} has no next run")
    return job_id


async def write_all(redis_url: str) -> None:
    """Write every golden file anew from what the installed Node packages do."""
    prefix = f"golden-{uuid.uuid4().hex}"
    async with NodePeer(redis_url, prefix) as node:
        for case in CASES:
            raw = await record(node, case)
            _write(case.title, Job.dump_python(normalise(raw), mode="json"))
            _write(META, dict[str, JsonValue](sorted(raw.meta.items())))
        await node.wipe()


def _path(title: str) -> Path:
    return FOLDER / f"{title}.json"


def _write(title: str, content: JsonValue) -> None:
    _path(title).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    match sys.argv[1:]:
        case [redis_url]:
            asyncio.run(write_all(redis_url))
        case _:
            sys.exit("usage: python -m tests.interop.golden REDIS_URL")


if __name__ == "__main__":
    main()
