"""Programs: every one by its name, in its full and its short size, and how it is run."""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol, cast

from scripts.chaos.r8_frozen import Frozen
from scripts.chaos.r9_clocks import Clocks
from scripts.chaos.r10_slots import Slots
from scripts.chaos.r11_edits import Edits
from scripts.chaos.r12_patterns import Patterns
from scripts.chaos.r13_poison import Poison
from scripts.chaos.r15_storms import Storms
from scripts.chaos.r16_singleton import Singletons
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
    "R8": Sizes(Frozen(), Frozen(rounds=3, patient_rounds=0, benches=3, lock_ms=1_000)),
    "R9": Sizes(Clocks(), Clocks(much_s=0, phase_s=6, benches=6, leeway_ms=4_000)),
    "R10": Sizes(Slots(), Slots(seconds=20, workers=3, seconds_between_kills=4)),
    "R11": Sizes(Edits(), Edits(writers=6, edits=15, rows=12, processes=3, workers=2, postgres=0)),
    "R12": Sizes(Patterns(), Patterns(cases=300, garbled=300)),
    "R13": Sizes(Poison(), Poison(good=60, of_each_kind=2, workers=2, deadline_s=120)),
    "R15": Sizes(
        Storms(),
        Storms(
            lanes=30, jobs_of_a_lane=20, writers=4, workers=2, lock_ms=1_000, least_ms_between_kills=500, deadline_s=60
        ),
    ),
    "R16": Sizes(
        Singletons(),
        Singletons(contenders=200, identities=4, workers=3, least_ms_between_kills=500, deadline_s=60, doomed=0),
    ),
    "R21": Sizes(Order(), Order(keys=20, jobs_of_a_key=20, workers=2, least_ms_between_kills=500, deadline_s=60)),
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
    )


def size_of(program: Program) -> dict[str, int]:
    """The numbers that make its size."""
    return dataclasses.asdict(cast(Any, program))
