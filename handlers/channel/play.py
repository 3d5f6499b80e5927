"""Play: some channels live their lives at once; then it is proven what was promised."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rich.console import Console

from handlers.channel.life import Life, LifeStuck
from handlers.channel.plots import cast_of
from handlers.channel.proof import Finding, examine
from handlers.channel.stage import Stage
from handlers.channel.states import TRANSITIONS
from handlers.channel.story import Story

ACCOUNTS = ("ada", "grace")


async def play(stage: Stage, *, channels: int, seed: int, console: Console) -> bool:
    """Play so many lives and print them; returns whether every promise was kept."""
    story = Story(console)
    for account in ACCOUNTS:
        await stage.desk.add_account(account)
    lives = [
        Life(f"ch-{number}", ACCOUNTS[number % len(ACCOUNTS)], plot, stage.desk, story)
        for number, plot in enumerate(cast_of(channels, seed), start=1)
    ]
    async with asyncio.TaskGroup() as group:
        billing = group.create_task(story.tell_billing(stage.app))
        endings = [group.create_task(_end_of(life)) for life in lives]
        await asyncio.wait(endings)
        billing.cancel()
    stuck = [reason for ending in endings if (reason := ending.result()) is not None]
    await stage.monitor.stop()
    await stage.monitor.tell()  # what it was about to note when it was stopped
    findings = await examine(stage.desk, TRANSITIONS)
    _show(findings, console)
    for reason in stuck:
        console.print(f"[red]stuck[/red]: {reason}")
    return not stuck and all(finding.holds for finding in findings)


async def _end_of(life: Life) -> str | None:
    """Why it did not come to its end; None where it did."""
    try:
        await life.play()
    except LifeStuck as stuck:
        return str(stuck)
    return None


def _show(findings: Sequence[Finding], console: Console) -> None:
    console.print("\nWhat was promised")
    for finding in findings:
        kept = "[green]kept  [/green]" if finding.holds else "[red]BROKEN[/red]"
        console.print(f"  {kept}  {finding.promise} ({finding.looked_at})", soft_wrap=True)
    for finding in findings:
        for wrong in finding.wrong:
            console.print(f"[red]{finding.promise}[/red]: {wrong}", highlight=False)
