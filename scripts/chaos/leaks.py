"""Leaks: what a finished queue still holds in Redis and should not."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import Final

from scripts.chaos.ground import Ground
from scripts.chaos.report import Findings

NOTHING_LEFT: Final = "nothing is left of the jobs' locks, lists and own keys"
PATIENCE_S: Final = 10.0
"""The workers' own repairs come round every two seconds."""

MAY_STAY: Final = (
    *("fence", "care", "cron:passes", "cron:look", "cron:history"),
    *("stats", "worker", "workers", "created", "creators", "outbox:lease", "outbox:hold"),
)
"""Own keys that no job owns and that end by themselves: a fence's last number in a day, care in seconds, figures in
eight days, a worker's record in half a minute, a relay's lease in seconds, its hold in an hour, what jobs created in a
week."""


async def tell_leaks(site: Ground, findings: Findings) -> None:
    """Claim that nothing is left; to be asked while there are workers, which have repairs to do."""
    findings.claim(NOTHING_LEFT, await leaks(site))


async def leaks(site: Ground, *, endless: bool = False) -> list[str]:
    """Locks, entries of lists and own keys that are still left when there was time enough to repair them.

    With `endless` only own keys without a time to live count: what links to a job that somebody removed with a tool
    that knows nothing of it goes by that.
    """
    gives_up_at_s = time.monotonic() + PATIENCE_S
    while True:
        left = await _left(site, endless)
        if not left or time.monotonic() > gives_up_at_s:
            return left
        await asyncio.sleep(0.5)  # nothing tells that a repair has been made


async def _left(site: Ground, endless: bool) -> list[str]:
    by_kind: defaultdict[str, list[str]] = defaultdict(list)
    for key in await site.all_keys():
        kind = _kind(key)
        if kind is not None and not (endless and await site.ask("PTTL", site.keys.of(key)) > 0):
            by_kind[kind].append(key)
    own = [f"{len(keys)} {kind}, like {keys[0]}" for kind, keys in sorted(by_kind.items())]
    return own + [f"{count} {word}" for word, count in (await site.unfinished()).items() if count]


def _kind(key: str) -> str | None:
    """What a key of the queue is called among the leaks; None for what may stay."""
    if key.endswith(":lock"):
        return "job locks"
    if key.startswith("job:"):
        kind, _, rest = key.removeprefix("job:").partition(":")
        return None if kind in MAY_STAY or f"{kind}:{rest}" in MAY_STAY else f"job:{kind}"
    return None
