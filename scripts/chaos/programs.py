"""Programs: every one by its name, in its full and its short size, and how it is run."""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol, cast

from scripts.chaos.beside_doctor import Doctored
from scripts.chaos.distinct import Distinct
from scripts.chaos.outbox_kills import OutboxKills
from scripts.chaos.r1_kills import Kills
from scripts.chaos.r2_recovery import Recovery
from scripts.chaos.r3_restarts import Restarts
from scripts.chaos.r4_outages import Outages
from scripts.chaos.r5_network import Network
from scripts.chaos.r6_cluster import Cluster
from scripts.chaos.r6_sentinel import Failovers
from scripts.chaos.r7_blocked import Blocking
from scripts.chaos.r8_frozen import Frozen
from scripts.chaos.r9_clocks import Clocks
from scripts.chaos.r10_slots import Slots
from scripts.chaos.r11_edits import Edits
from scripts.chaos.r12_patterns import Patterns
from scripts.chaos.r13_poison import Poison
from scripts.chaos.r14_payloads import Payloads
from scripts.chaos.r15_storms import Storms
from scripts.chaos.r16_singleton import Singletons
from scripts.chaos.r17_signals import Signals
from scripts.chaos.r18_mixed import Mixed
from scripts.chaos.r19_soak import Soak
from scripts.chaos.r21_order import Order
from scripts.chaos.report import Findings, Report, machine


class Program(Protocol):
    """A frozen dataclass: its fields are the size, its docstring the title."""

    async def run(self, seed: int) -> Findings:
        """Do the harm and judge what came of it."""
        ...


@dataclass(frozen=True, slots=True)
class Sizes:
    """One program in the size that a reliability figure is made with, and in one for a test."""

    full: Program
    short: Program


PROGRAMS: Final = {
    "R1": Sizes(
        Kills(), Kills(jobs=1_500, workers=2, lock_ms=3_000, stalled_ms=500, least_ms_between_kills=500, deadline_s=60)
    ),
    "R2": Sizes(Recovery(), Recovery(rigs=1, kills_of_each=1, lock_ms=3_000, stalled_ms=1_000)),
    "R3": Sizes(Restarts(), Restarts(jobs=300, restarts=2, most_down_ms=500, deadline_s=60)),
    "R4": Sizes(Outages(), Outages(each=1, workers=2, outage_ms=300, deadline_s=60)),
    "R5": Sizes(
        Network(),
        Network(
            lost_answers=1,
            resets=6,
            half_open=0,
            delay_ms=500,
            hole_ms=1_500,
            renewed_lock_ms=6_000,
            expiring_lock_ms=1_000,
        ),
    ),
    "R6": Sizes(Failovers(), Failovers(failovers=1)),
    "R6C": Sizes(Cluster(), Cluster(harms=3)),
    "R7": Sizes(Blocking(), Blocking(rounds=3, benches=3, lock_ms=1_000)),
    "R8": Sizes(Frozen(), Frozen(rounds=2, patient_rounds=0, benches=2, lock_ms=1_000)),
    "R9": Sizes(Clocks(), Clocks(much_s=0, phase_s=4, benches=3, leeway_ms=4_000, every=4)),
    "R10": Sizes(Slots(), Slots(seconds=9, workers=3, seconds_between_kills=2)),
    "R11": Sizes(Edits(), Edits(writers=6, edits=15, rows=12, processes=3, workers=2, postgres=0)),
    "R12": Sizes(Patterns(), Patterns(cases=300, garbled=300)),
    "R13": Sizes(Poison(), Poison(good=60, of_each_kind=2, workers=2, deadline_s=120)),
    "R14": Sizes(Payloads(), Payloads(good=30, waves=2, one_in=16, largest_mb=2, lock_ms=2_000)),
    "R15": Sizes(
        Storms(),
        Storms(
            lanes=30, jobs_of_a_lane=20, writers=4, workers=2, lock_ms=1_000, least_ms_between_kills=500, deadline_s=60
        ),
    ),
    "R16": Sizes(
        Singletons(),
        Singletons(contenders=120, identities=4, workers=3, least_ms_between_kills=500, deadline_s=60, doomed=0),
    ),
    "R17": Sizes(Signals(), Signals(of_each_phase=1, phases=5, rows=20, shutdown_ms=500, leeway_ms=10_000)),
    "R18": Sizes(Mixed(), Mixed(jobs=300, with_old=0)),
    "R19": Sizes(
        Soak(),
        Soak(seconds=6, jobs_a_second=50, sample_each_ms=200, most_percent=20, most_mb_an_hour=10_000, more_handles=6),
    ),
    "OUTBOX": Sizes(
        OutboxKills(),
        OutboxKills(
            transactions=80, writers=4, rests_ms=200, workers=2, seconds_between_harms=2, postgres=0, p95_ms=9_000
        ),
    ),
    "R21": Sizes(Order(), Order(keys=20, jobs_of_a_key=20, workers=2, least_ms_between_kills=500, deadline_s=60)),
    "memory": Sizes(Distinct(), Distinct(things=300, handlers=200)),
    "doctor": Sizes(
        Doctored(), Doctored(jobs=300, workers=4, least_ms_between_kills=500, most_ms_between_looks=50, deadline_s=60)
    ),
}


async def performed(name: str, program: Program, seed: int, arguments: Sequence[str] = ()) -> Report:
    """Run one program to its end; `arguments` are those of the command that repeats it."""
    date, began_s = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), time.monotonic()
    findings = await program.run(seed)
    return Report(
        program=name,
        title=program.__doc__ or "",
        seed=seed,
        size=size_of(program),
        command=shlex.join(["scripts/chaos/run", *(arguments or [name])]),
        date=date,
        machine=machine(),
        took_s=time.monotonic() - began_s,
        figures=findings.figures,
        claims=findings.claims,
        samples=findings.samples,
    )


def size_of(program: Program) -> dict[str, int]:
    """The numbers that make its size."""
    return dataclasses.asdict(cast(Any, program))
