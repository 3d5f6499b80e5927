"""R18: two versions of ours and Node on one queue, each with a producer and a worker. Nothing is lost."""

from __future__ import annotations

import asyncio
import math
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import httpx
from pydantic import BaseModel, JsonValue

from scripts.chaos.crew import PROJECT, Crew, environment_of
from scripts.chaos.cron_ground import cron_jobs
from scripts.chaos.ground import QUEUE, Ground, ground
from scripts.chaos.leaks import leaks
from scripts.chaos.ledger import Entry
from scripts.chaos.mixed_producer import JOBS, KINDS, MODULE, SEED
from scripts.chaos.report import Findings
from scripts.chaos.slots import scheduler_of
from scripts.chaos.versions import WHO
from tests.interop.node_peer import NodePeer

OLD: Final = "f31918e"
"""The oldest commit whose jobs and own keys are meant to be read: the first with all patterns as ties,
and without a cron table."""
REGISTRY: Final = "scripts.chaos.versions:registry"
_TAKEN_ALONG: Final = ("__init__", "at_work", "ledger", "versions", "mixed_producer")
_PAGE: Final = 500
_TICKS: Final = 2


@dataclass(frozen=True, slots=True)
class Mixed:
    """This version, an older one and Node on one queue: plain, delayed, prioritized, retried, cron, our patterns."""

    jobs: int = 20_000
    with_old: int = 1
    concurrency: int = 10
    deadline_s: int = 300

    async def run(self, seed: int) -> Findings:
        settings = {"worker_concurrency": self.concurrency, "worker_lock_ms": 30_000, "worker_stalled_ms": 5_000}
        async with ground(REGISTRY, seed, **settings) as site, cron_jobs(site.app) as table:
            findings, folders = Findings(), {"new": PROJECT}
            if self.with_old:
                folders["old"] = await asyncio.to_thread(_checked_out, site.folder / "old")
            for number in range(_TICKS):
                payload: list[JsonValue] = [f"tick-{number}", 5]
                await table.create(name=f"tick {number}", pattern="* * * * * *", handler="tick", payload=payload)
            async with AsyncExitStack() as opened:
                for who, folder in folders.items():
                    crew = Crew(site.settings, site.ledger, REGISTRY, 1, [{WHO: who}], folder=folder)
                    await opened.enter_async_context(crew)
                each = self.jobs // (len(folders) + 1)
                node = await opened.enter_async_context(_node(site, self.jobs - each * len(folders)))
                await asyncio.gather(_stored(node), *(_produce(site, who, folders[who], each) for who in folders))
                for row in await table.list():
                    await table.update(row.id, enabled=False)
                findings.claim("every job ends", await site.quiet(self.deadline_s))
                findings.claim("nothing is left of the jobs but what goes by itself", await leaks(site, endless=True))
            await _judge(site, [*folders, "node"], findings)
            await _read_by_board(site, findings)
            return findings


def _checked_out(folder: Path) -> Path:
    """The older version in a folder of its own, with the programs that both versions run."""
    archive = subprocess.run(["git", "archive", OLD, "jobqueue"], cwd=PROJECT, capture_output=True, check=True)
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as packed:
        packed.extractall(folder, filter="data")
    (folder / "scripts" / "chaos").mkdir(parents=True)
    for name in _TAKEN_ALONG:
        shutil.copy(PROJECT / "scripts" / "chaos" / f"{name}.py", folder / "scripts" / "chaos")
    return folder


async def _produce(site: Ground, who: str, folder: Path, jobs: int) -> None:
    """Raises: CalledProcessError where the producer fails."""
    told = {WHO: who, JOBS: str(jobs), SEED: str(site.seed)}
    command = ("setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", MODULE)
    environment = environment_of(site.settings, site.ledger, REGISTRY) | told
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environment)
    if await process.wait():
        raise subprocess.CalledProcessError(process.returncode or 0, command)


@asynccontextmanager
async def _node(site: Ground, jobs: int) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Node's worker until the end of the block, and its producer."""
    program = Path(__file__).with_name("node_mixed.mjs")
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig", "KILL", "--", "node", str(program), str(site.server.port)),
        *(site.settings.jobs_prefix, QUEUE, str(site.ledger.path), str(jobs), str(site.seed)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


async def _stored(node: asyncio.subprocess.Process) -> None:
    """Wait until Node's producer is done. Raises: EOFError where it ends before."""
    if node.stdout is None:
        raise EOFError("Node has no output")
    for expected in ("serves", "stored"):
        line = (await node.stdout.readline()).decode().strip()
        if line != expected:
            raise EOFError(f"Node says {line!r}, not {expected!r}; its words are on standard error")


# What became of them


async def _judge(site: Ground, workers: Sequence[str], findings: Findings) -> None:
    entries = site.ledger.entries()
    stored = {entry.job_id: entry for entry in entries if entry.what == "stored"}
    starts = [entry for entry in entries if entry.what == "start"]
    ran = Counter(entry.job_id for entry in starts)
    ends = await site.hashes([*stored], "finishedOn", "failedReason", "returnvalue")
    findings.figures |= {
        "jobs that were acknowledged": len(stored),
        "of these, stored by": _counted(entry.note for entry in stored.values()),
        "of these, by kind": _counted(entry.key for entry in stored.values()),
        "superseded": sum("superseded" in (end[2] or "") for end in ends.values()),
    }
    findings.claim("none is lost", await site.lost([*stored]))
    findings.claim("none has failed", [f"{job_id}: {end[1]}" for job_id, end in ends.items() if end[1] and not end[2]])
    wrong = [
        f"{entry.key} {job_id}: {ran[job_id]}"
        for job_id, entry in stored.items()
        if not _may_run(entry.key, ran[job_id], ends[job_id][2] or "")
    ]
    findings.claim("each runs once, one that fails first twice, one that was superseded at most once", wrong)
    _judge_workers(stored, starts, workers, findings)
    ticks = Counter(entry.job_id for entry in starts if scheduler_of(entry.job_id) is not None)
    findings.figures["runs of cron slots"] = len(ticks)
    findings.claim("no slot of a cron job runs twice", [f"{job_id}: {n}" for job_id, n in ticks.items() if n > 1])


def _judge_workers(
    stored: dict[str, Entry], starts: Sequence[Entry], workers: Sequence[str], findings: Findings
) -> None:
    """Whether each worker had a part in all that there is."""
    by = Counter((entry.note, stored[entry.job_id].key) for entry in starts if entry.job_id in stored)
    for worker in workers:
        shown = ", ".join(f"{by[worker, kind]:,} {kind}" for kind in KINDS)
        findings.figures[f"runs by the worker {worker}"] = shown
    ticks = _counted(entry.note for entry in starts if scheduler_of(entry.job_id) is not None)
    findings.figures["runs of cron slots by"] = ticks
    idle = [f"{worker}: {kind}" for worker in workers for kind in KINDS if not by[worker, kind]]
    findings.claim("each worker runs jobs of each kind", idle)
    mixed = Counter((stored[entry.job_id].note, entry.note) for entry in starts if entry.job_id in stored)
    apart = [f"{to} runs nothing of {of}" for of in workers for to in workers if not mixed[of, to]]
    findings.claim("each worker runs jobs of each producer", apart)


def _may_run(kind: str, ran: int, result: str) -> bool:
    if kind == "flaky":
        return ran == 2
    return ran == 1 or (kind == "latest" and ran == 0 and "superseded" in result)


def _counted(words: Iterable[str]) -> str:
    return ", ".join(f"{count:,} {word}" for word, count in sorted(Counter(words).items()))


# bull-board


class _Job(BaseModel):
    id: str


class _Queue(BaseModel):
    counts: dict[str, int]
    jobs: list[_Job]


class _Overview(BaseModel):
    queues: list[_Queue]


async def _read_by_board(site: Ground, findings: Findings) -> None:
    """bull-board's own API lists every job that was acknowledged, page by page, and counts as Redis does."""
    stored = {entry.job_id for entry in site.ledger.entries() if entry.what == "stored"}
    expected = {word: int(await site.ask("ZCARD", site.keys.of(word))) for word in ("completed", "failed", "delayed")}
    seen, counts = set[str](), dict[str, int]()
    async with (
        NodePeer(site.server.url, site.settings.jobs_prefix, QUEUE, call_limit_s=60) as peer,
        httpx.AsyncClient(base_url=await peer.start_board(), timeout=60) as http,
    ):
        for page in range(1, math.ceil(expected["completed"] / _PAGE) + 1):
            asked = {"activeQueue": QUEUE, "status": "completed", "page": str(page), "jobsPerPage": str(_PAGE)}
            response = (await http.get("/api/queues", params=asked)).raise_for_status()
            [queue] = _Overview.model_validate_json(response.content).queues
            seen |= {job.id for job in queue.jobs}
            counts = queue.counts
    findings.figures["jobs that bull-board lists as completed"] = len(seen)
    findings.claim("bull-board lists every job", sorted(stored - seen))
    differ = [
        f"{word}: {counts.get(word)}, not {number}" for word, number in expected.items() if counts.get(word) != number
    ]
    findings.claim("bull-board counts as Redis does", differ)
