"""What docs/patterns.md takes for granted: pages and a card that take their time, and a printer."""

from __future__ import annotations

import asyncio

A_WHILE_S = 0.3


async def fetch_page(number: str, page: int) -> None:
    await asyncio.sleep(A_WHILE_S)  # long enough that a newer job finds the older one unfinished


async def charge_card(number: str) -> None:
    await asyncio.sleep(A_WHILE_S)  # so does a duplicate


class Printer:
    """Prints one page a label."""

    def __init__(self) -> None:
        self._sent: dict[str, asyncio.Event] = {}

    async def send(self, label: str) -> None:
        self._of(label).set()

    async def printed(self, label: str) -> int:
        await self._of(label).wait()
        return 1

    def _of(self, label: str) -> asyncio.Event:
        return self._sent.setdefault(label, asyncio.Event())


printer = Printer()
