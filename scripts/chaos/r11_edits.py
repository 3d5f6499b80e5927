"""R11: cron jobs edited from everywhere at once, with crashes before Redis is told. After one pass both are equal."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import insert, update

from jobqueue import App
from jobqueue.cron import CronJobs
from jobqueue.cron.table import CronJobRow
from jobqueue.database import Database, open_database
from scripts.chaos.cron_ground import cron_jobs
from scripts.chaos.cron_rows import BROKEN, CLAIMED, EDITED, STEADY, edited_id, raw_row
from scripts.chaos.databases import fresh_database
from scripts.chaos.ground import QUEUE, Ground, ground
from scripts.chaos.report import Findings
from scripts.chaos.scheduler_rules import Look, differences, outdated, pending_faults
from scripts.chaos.slots import starts, twice
from scripts.chaos.writers import Share, write_all

DISTANT: Final = ("0 5 * * *", "0 6 * * *", "0 7 1 * *")
FOREIGN: Final = (CLAIMED, "edited-0-foreign", "node-every")
AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Edits:
    """Cron jobs edited by many writers at once, by API and by SQL; some die between commit and Redis."""

    writers: int = 20
    edits: int = 200
    rows: int = 60
    processes: int = 5
    workers: int = 4
    concurrency: int = 10
    postgres: int = 1

    async def run(self, seed: int) -> Findings:
        settings = {"worker_concurrency": self.concurrency}
        with fresh_database(self.postgres) as url:
            async with (
                ground("scripts.chaos.slots:registry", seed, None, url, **settings) as site,
                cron_jobs(site.app) as table,
                open_database(site.settings.database_url) as database,
            ):
                return await self._run(site, table, database)

    async def _run(self, site: Ground, table: CronJobs, database: Database) -> Findings:
        findings = Findings()
        await node(site, "own")
        await _create_untouched(table, database)
        before = await _untouched(site)
        async with site.crew(self.workers):
            killed = await write_all(site, self._shares())
        entries = site.ledger.entries()
        edits = Counter(entry.key for entry in entries if entry.what in ("edit", "doomed"))
        findings.figures |= {f"edits: {action}": count for action, count in sorted(edits.items())}
        findings.figures["edits that ended with their process, before Redis was told"] = killed
        findings.figures["runs of cron jobs meanwhile"] = len(starts(entries))
        await _change_behind(site, database, self.rows)
        await table.sync()
        await _judge(site, table, findings, "after one pass")
        await _change_behind(site, database, self.rows)
        await _passes_at_once(site)
        await _judge(site, table, findings, f"after {AT_ONCE} passes at once")
        wrong = await _edits_at_once(site, self.edits)
        findings.claim(f"when {AT_ONCE} edits at once have returned, Redis equals the table", wrong)
        findings.claim(
            "what nobody edited, and what is not ours, is as it was", _changed(before, await _untouched(site))
        )
        findings.claim("no slot has run twice", twice(starts(entries)))
        return findings

    def _shares(self) -> list[Share]:
        each = -(-self.writers // self.processes)
        firsts = range(0, self.writers, each)
        return [Share(first, min(each, self.writers - first), self.edits, self.rows) for first in firsts]


@asynccontextmanager
async def _another(site: Ground) -> AsyncGenerator[CronJobs]:
    """As another process would have it: connections of its own, and nothing known yet."""
    async with App(site.app.registry, site.settings) as app, open_database(site.settings.database_url) as database:
        yield CronJobs(app, database)


async def _passes_at_once(site: Ground) -> None:
    async def one() -> None:
        async with _another(site) as table:
            await table.sync()

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))


async def _edits_at_once(site: Ground, rounds: int) -> list[str]:
    """Edits by the API, some at once, whose callers live: when all have returned, Redis is right without more."""
    found: list[str] = []
    async with AsyncExitStack() as opened:
        tables = [await opened.enter_async_context(_another(site)) for _ in range(AT_ONCE)]
        rows = [row for row in await tables[0].list() if row.job_id.startswith(EDITED)]
        for number in range(rounds):
            await asyncio.gather(*(_edit(site.chance, table, site.chance.choice(rows).id) for table in tables))
            found += [f"round {number}: {fault}" for fault in await _unlike(site, tables[0])]
    return found


async def _edit(chance: random.Random, table: CronJobs, row_id: str) -> None:
    if chance.random() < 0.5:
        await table.update(row_id, enabled=chance.random() < 0.5)
    else:
        await table.update(row_id, pattern=chance.choice(DISTANT))


async def _unlike(site: Ground, table: CronJobs) -> list[str]:
    """Rows whose schedulers have another pattern, or are there though they should not be."""
    rows = [row for row in await table.list() if row.job_id.startswith(EDITED)]
    seen = await site.hashes([f"repeat:{row.job_id}" for row in rows], "pattern")
    wanted = [row.pattern if row.enabled else None for row in rows]
    pairs = zip(rows, wanted, (pattern for (pattern,) in seen.values()), strict=True)
    return [f"{row.job_id} should have {should!r} and has {has!r}" for row, should, has in pairs if should != has]


async def _create_untouched(table: CronJobs, database: Database) -> None:
    """Rows that stay as they are: good ones, broken ones, and one whose id somebody else's scheduler has."""
    for job_id, (pattern, timezone) in STEADY.items():
        await table.create(name=job_id, pattern=pattern, timezone=timezone, handler="slot", payload=["steady", 1])
    async with database.transaction() as session:
        for job_id, pattern in {**BROKEN, CLAIMED: "0 4 * * *"}.items():
            await session.execute(insert(CronJobRow).values(**raw_row(job_id, pattern)))


async def _change_behind(site: Ground, database: Database, rows: int) -> None:
    """What only the next pass can find: by SQL, half of the rows on or off, and others with another pattern."""
    async with database.transaction() as session:
        for number in range(rows):
            changes = {
                "enabled": site.chance.random() < 0.7,
                "pattern": site.chance.choice(("0 5 * * *", "* * * * * *")),
            }
            statement = update(CronJobRow).where(CronJobRow.job_id == edited_id(number))
            await session.execute(statement.values(**dict([site.chance.choice([*changes.items()])])))


async def _judge(site: Ground, table: CronJobs, findings: Findings, when: str) -> None:
    rows, look = await table.list(), Look(**json.loads(await node(site, "look")))
    findings.figures[f"{when}: rows, enabled ones, schedulers"] = (
        f"{len(rows)}, {sum(row.enabled for row in rows)}, {len(look.schedulers)}"
    )
    findings.claim(f"{when} Redis equals the table", differences(rows, look, FOREIGN, BROKEN))
    findings.claim(f"{when} each scheduler has one job that waits, for its next slot", pending_faults(look))
    findings.claim(f"{when} these jobs are what the rows say", outdated(rows, look, FOREIGN))


async def node(site: Ground, task: str) -> str:
    """What Node's BullMQ answers, as JSON. Raises: RuntimeError where it fails."""
    program = Path(__file__).with_name("node_schedulers.mjs")
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig", "KILL", "--", "node", str(program)),
        *(str(site.server.port), site.settings.jobs_prefix, QUEUE, task),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"{program.name} {task} ended with {process.returncode}; its words are on standard error")
    return said.decode()


async def _untouched(site: Ground) -> dict[str, object]:
    """Everything in Redis of the schedulers and jobs that nobody may change."""
    names = {*STEADY, *FOREIGN}
    keys = [
        key
        for key in await site.all_keys()
        if key.startswith("adhoc-") or (key.startswith("repeat:") and key.split(":")[1] in names)
    ]
    hashes: dict[str, object] = {key: await site.redis.hgetall(site.keys.of(key)) for key in keys}
    for name in names:
        hashes[f"the next run of {name}"] = await site.ask("ZSCORE", site.keys.of("repeat"), name)
    for key in keys:
        hashes[f"the place of {key}"] = await site.ask("ZSCORE", site.keys.of("delayed"), key)
    return hashes


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    names = sorted({*before, *after})
    return [
        f"{name}: {before.get(name)} became {after.get(name)}" for name in names if before.get(name) != after.get(name)
    ]
