"""What docs/migrating-from-arq.md takes for granted: the client of a bank."""

from __future__ import annotations

FILES = {
    "shop/bank.py": '''
class Busy(Exception):
    """The bank wants to be asked later."""


class Bank:
    """Sends money; it holds a connection."""

    async def send(self, iban: str, cents: int) -> str:
        return f"{cents} to {iban}"

    async def close(self) -> None: ...
'''
}
