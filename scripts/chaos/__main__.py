"""The command: `python -m scripts.chaos R15 --seed 1 [--short]`."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from scripts.chaos.programs import PROGRAMS, Program, performed, size_of


def main(arguments: Sequence[str]) -> int:
    """Run one program and print its report; the exit status is 0 where all that must hold did."""
    asked = _parser().parse_args(arguments)
    if asked.list or asked.program is None:
        for name, sizes in PROGRAMS.items():
            sys.stdout.write(f"{name:<5} {sizes.full.__doc__}\n      {size_of(sizes.full)}\n")
        return 0
    sizes = PROGRAMS[asked.program]
    program = _resized(sizes.short if asked.short else sizes.full, asked.set)
    report = asyncio.run(performed(asked.program, program, asked.seed, arguments))
    sys.stdout.write((report.as_json() if asked.json else report.as_text()) + "\n")
    if asked.out is not None:
        asked.out.write_text(report.as_json() + "\n", encoding="utf-8")
    return 0 if report.holds else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/chaos/run", description="Break what runs the jobs; see what holds.")
    parser.add_argument("program", nargs="?", choices=[*PROGRAMS], help="which one; without it they are listed")
    parser.add_argument("--seed", type=int, default=1, help="what chance is drawn from (default 1)")
    parser.add_argument("--short", action="store_true", help="the size of a test")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=NUMBER", help="change one number of the size"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there, whatever is printed")
    parser.add_argument("--list", action="store_true", help="list the programs")
    return parser


def _resized(program: Program, changes: Sequence[str]) -> Program:
    numbers = {name: int(number) for name, _, number in (change.partition("=") for change in changes)}
    return cast(Program, dataclasses.replace(cast(Any, program), **numbers))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
