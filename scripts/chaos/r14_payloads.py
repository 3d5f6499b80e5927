"""R14: payloads, hashes and options that nobody should send. Refused or quarantined; the worker lives on."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, cast

from redis.asyncio import Redis
from redis.typing import EncodableT, FieldT

from jobqueue import Enqueued, EnqueueError
from scripts.chaos.crew import Crew
from scripts.chaos.eaters import FAILS, digest, good
from scripts.chaos.ground import QUEUE, Ground, ground
from scripts.chaos.leaks import tell_leaks
from scripts.chaos.ledger import runs
from scripts.chaos.odd_payloads import MEBIBYTE, Stored, Verdict, by_hand, refused, taken
from scripts.chaos.report import Findings
from tests.support.redis_server import HOST

LONGEST_ERROR: Final = 1_000
MEMORY_LEEWAY_MIB: Final = 24
GOOD: Final = Stored("runs")
_SETTLED_S: Final = 10.0
_PATIENT_MS: Final = 60_000
"""The producer itself stands still while it sends what is very large."""
_LATEST_STALL_S: Final = 2.5
"""Two rounds of the stalled check after a lock's end: what was to be run again would be by then."""


class Careless(Protocol):
    """An app, to a caller who does not look at types."""

    async def enqueue_job(self, handler: Any, payload: Any, **options: Any) -> Enqueued: ...


class Odd(NamedTuple):
    """A job that is stored, who stored it, and what must become of it. `sent` tells its payload, where that matters."""

    title: str
    verdict: Verdict
    sent: str = ""


@dataclass(frozen=True, slots=True)
class Payloads:
    """Payloads, hashes and options of every wrong kind, by our API, by Node and by hand, among good jobs."""

    good: int = 500
    waves: int = 2
    one_in: int = 1
    largest_mb: int = 100
    workers: int = 2
    concurrency: int = 10
    lock_ms: int = 20_000
    deadline_s: int = 240

    async def run(self, seed: int) -> Findings:
        settings = {"worker_concurrency": self.concurrency, "worker_lock_ms": self.lock_ms, "worker_stalled_ms": 500}
        settings |= {"redis_call_ms": _PATIENT_MS}
        async with ground("scripts.chaos.eaters:registry", seed, **settings) as site:
            findings, stored, unfinished = Findings(), dict[str, Odd](), list[str]()
            await self._refuse(site, findings)
            async with site.crew(self.workers) as crew:
                pids, after = crew.pids, list[Mapping[int, Memory]]()
                for number in range(self.waves):
                    stored |= await self._wave(site, number, findings)
                    unfinished += await site.quiet(self.deadline_s)
                    after.append(await _settled_memory(crew, after[0] if after else None))
                await asyncio.sleep(self.lock_ms / 1000 + _LATEST_STALL_S)  # what stalls would be taken again by now
                unfinished += await site.quiet(self.deadline_s)
                findings.claim("every job ends that a worker has taken", unfinished)
                _tell_memory(after, findings)
                findings.claim("no worker process has died", [] if crew.pids == pids else [f"{crew.deaths} deaths"])
                await tell_leaks(site, findings)
            await _judge(site, stored, findings)
            return findings

    async def _refuse(self, site: Ground, findings: Findings) -> None:
        """What our API must refuse, with nobody else at work: Redis counts each write."""
        faults, unclear, longest_s = list[str](), list[str](), 0.0
        written = await _writes(site)
        cases = refused(self.largest_mb)
        for title, asked in cases.items():
            began_s = time.monotonic()
            try:
                await cast(Careless, site.app).enqueue_job(asked.handler, asked.payload, **asked.options)
            except EnqueueError as error:
                if not 0 < len(str(error)) < LONGEST_ERROR:
                    unclear.append(f"{title}: {len(str(error)):,} characters")
            else:
                faults.append(title)
            longest_s = max(longest_s, time.monotonic() - began_s)
        written = await _writes(site) - written
        findings.figures["refused by our API"] = len(cases) - len(faults)
        findings.figures["longest refusal, s"] = longest_s
        findings.claim("our API refuses what cannot be stored, by an EnqueueError", faults)
        findings.claim("and says why in few words", unclear)
        findings.claim("and writes nothing", [f"{written} writes"] if written else [])

    async def _wave(self, site: Ground, number: int, findings: Findings) -> dict[str, Odd]:
        """Odd jobs of all three producers, good ones around them."""
        stored = await _by_api(site)
        hands = [hand for hand in by_hand(self.largest_mb).items() if site.chance.randrange(self.one_in) == 0]
        site.chance.shuffle(hands)
        nodes = asyncio.create_task(_by_node(site, self.largest_mb, str(number)))
        for place in sorted(site.chance.choices(range(len(hands)), k=self.good)):
            hands.insert(place, ("good", GOOD))
        for place, (title, hand) in enumerate(hands):
            if hand is GOOD:
                job = await site.app.enqueue_job(good, place)
                stored[job.job_id] = Odd("good", "runs")
            else:
                job_id = f"hand-{number}-{place}"
                stored[job_id] = Odd(f"by hand: {title}", hand.verdict)
                await _put(site, job_id, hand)
        of_node, refusals = await nodes
        stored |= of_node
        findings.figures["refused by Node itself"] = ", ".join(refusals)
        return stored


async def _by_api(site: Ground) -> dict[str, Odd]:
    """What our API takes must arrive as it was sent."""
    stored: dict[str, Odd] = {}
    for title, asked in taken().items():
        job = await cast(Careless, site.app).enqueue_job(asked.handler, asked.payload, **asked.options)
        sent = digest(asked.payload) if job.name == "anything" else ""
        stored[job.job_id] = Odd(f"by our API: {title}", "runs", sent)
    return stored


async def _by_node(site: Ground, largest_mb: int, wave: str) -> tuple[dict[str, Odd], list[str]]:
    """The jobs that Node stored, and what it refused."""
    program = Path(__file__).with_name("node_payloads.mjs")
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig", "KILL", "--", "node", str(program)),
        *(str(site.server.port), site.settings.jobs_prefix, QUEUE, str(largest_mb), wave),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    answers = cast(dict[str, dict[str, Any]], json.loads(said))
    stored = {one["id"]: Odd(f"by Node: {title}", one["verdict"]) for title, one in answers.items() if "id" in one}
    return stored, [title for title, one in answers.items() if "refused" in one]


async def _put(site: Ground, job_id: str, stored: Stored) -> None:
    """As a person at the console of Redis would."""
    key = site.keys.job(job_id)
    pipe = site.redis.pipeline(transaction=True)
    if stored.key == "string":
        pipe.set(key, "a job?")
    elif stored.key == "list":
        pipe.rpush(key, "a job?")
    elif stored.fields:
        pipe.hset(key, mapping=cast(Mapping[FieldT, EncodableT], stored.fields))
    if stored.is_listed:
        pipe.lpush(site.keys.of("wait"), job_id)
        pipe.zadd(site.keys.of("marker"), {"0": 0})
    await pipe.execute()


async def _writes(site: Ground) -> int:
    """How many changes Redis has made since it was started."""
    told = await site.redis.info("persistence")
    return int(told["rdb_changes_since_last_save"])


# What became of it


async def _judge(site: Ground, odd: Mapping[str, Odd], findings: Findings) -> None:
    known = runs(site.ledger.entries())
    counts, notes = Counter(run.job_id for run in known), {run.job_id: run.key for run in known}
    ends = await _ends(site, [job_id for job_id, one in odd.items() if one.verdict not in ("leaves", "stays")])
    wrong = [
        f"{one.title}: {fault}"
        for job_id, one in odd.items()
        if (fault := _fault(one, ends.get(job_id), counts[job_id]))
    ]
    left = [
        f"{one.title}: {where}"
        for job_id, one in odd.items()
        if one.verdict in ("leaves", "stays") and (where := await _where(site, job_id))
    ]
    changed = [one.title for job_id, one in odd.items() if one.sent and notes.get(job_id) != one.sent]
    again = [
        f"{odd[job_id].title if job_id in odd else job_id}: {count}" for job_id, count in counts.items() if count > 1
    ]
    kinds = Counter(one.title.partition(":")[0] for one in odd.values())
    findings.figures |= {f"jobs stored, {kind}": count for kind, count in sorted(kinds.items())}
    findings.figures["set aside as failed"] = sum(end.failed is not None for end in ends.values())
    findings.claim("good jobs and what can be read run, what cannot is set aside as failed and is not run", wrong)
    findings.claim("no id is in any list that has no job", left)
    findings.claim("what our API takes arrives as it was sent", changed)
    findings.claim("nothing is run again", again)


class End(NamedTuple):
    """How a job ended, by its hash and the list that has it; both are empty where it did not."""

    where: str
    failed: str | None


async def _ends(site: Ground, job_ids: Sequence[str]) -> dict[str, End]:
    found: dict[str, End] = {}
    # What somebody wrote as the reason need not be UTF-8.
    async with Redis(host=HOST, port=site.server.port, decode_responses=True, encoding_errors="replace") as redis:
        for job_id in job_ids:
            pipe = redis.pipeline(transaction=True)
            pipe.zscore(site.keys.of("completed"), job_id)
            pipe.zscore(site.keys.of("failed"), job_id)
            pipe.hget(site.keys.job(job_id), "failedReason")
            completed, failed, reason = await pipe.execute()
            where = "completed" if completed is not None else "failed" if failed is not None else ""
            found[job_id] = End(where, reason if failed is not None else None)
    return found


def _fault(one: Odd, end: End | None, ran: int) -> str:
    """What is wrong with how a job ended; empty where nothing is."""
    if end is None:
        return ""
    if not end.where:
        return "has not ended"
    if end.where == "completed" and ran != 1:
        return f"completed, and was run {ran} times"
    if one.verdict == "runs" and end.where != "completed":
        return f"failed: {end.failed!r:.200}"
    if end.where == "failed" and ran and end.failed != FAILS:
        return f"failed ({end.failed!r:.200}) after {ran} runs"
    if one.verdict == "fails" and (end.where != "failed" or ran or not end.failed):
        return f"{end.where} ({end.failed!r:.100}), run {ran} times"
    if one.verdict == "ends" and end.where == "failed" and not end.failed:
        return "failed without a reason"
    return ""


async def _where(site: Ground, job_id: str) -> list[str]:
    words = {"wait": "LPOS", "active": "LPOS", "failed": "ZSCORE", "completed": "ZSCORE", "delayed": "ZSCORE"}
    return [word for word, ask in words.items() if await site.ask(ask, site.keys.of(word), job_id) is not None]


# Memory


class Memory(NamedTuple):
    """Resident memory of a process, now and at most so far. Units: MiB."""

    now: int
    most: int


def _memory_mib(pid: int) -> Memory:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    told = dict(line.split(":", 1) for line in lines if line.startswith(("VmRSS", "VmHWM")))
    now, most = (int(told[name].split()[0]) * 1024 // MEBIBYTE for name in ("VmRSS", "VmHWM"))
    return Memory(now, most)


async def _settled_memory(crew: Crew, expected: Mapping[int, Memory] | None) -> Mapping[int, Memory]:
    """What the workers take when all is done; Python gives memory back when it next looks, so they get a while."""
    gives_up_at_s = time.monotonic() + _SETTLED_S
    while True:
        now = {pid: _memory_mib(pid) for pid in crew.pids}
        if expected is None or not _grown(expected, now) or time.monotonic() > gives_up_at_s:
            return now
        await asyncio.sleep(0.2)  # nothing tells


def _grown(before: Mapping[int, Memory], now: Mapping[int, Memory]) -> list[str]:
    more = {pid: now[pid].now - one.now for pid, one in before.items() if pid in now}
    return [f"process {pid}: {mib} MiB more" for pid, mib in more.items() if mib > MEMORY_LEEWAY_MIB]


def _tell_memory(after: Sequence[Mapping[int, Memory]], findings: Findings) -> None:
    for pid in after[0]:
        told = " / ".join(str(wave[pid].now) for wave in after if pid in wave)
        findings.figures[f"memory of worker {pid} after each wave, MiB"] = told
    findings.figures["most memory of a worker, MiB"] = max(one.most for one in after[-1].values())
    findings.claim(
        f"after the last wave the workers' memory is where it was after the first, within {MEMORY_LEEWAY_MIB} MiB",
        _grown(after[0], after[-1]),
    )
