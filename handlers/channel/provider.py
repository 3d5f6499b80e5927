"""Provider: the other side of a channel, simulated. Some answer at once, some late, some only when asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from jobqueue import JobqueueError

ENDPOINT_ATTEMPTS: Final = 4
WAY_S: Final = 0.01
"""How long a question takes to be answered."""


class ProviderSilent(JobqueueError):
    """The provider did not answer."""


class SignatureRefused(JobqueueError):
    """The provider does not sign what it would be paid."""


@dataclass(frozen=True, slots=True)
class Provider:
    """`silent_for` is how many questions for the endpoint it leaves unanswered, of each channel."""

    name: str
    silent_for: int = 0
    signs: bool = True

    async def endpoint(self, channel_id: str, attempt: int) -> str:
        """Where its service is, for this channel. Raises: ProviderSilent."""
        await asyncio.sleep(WAY_S)
        if attempt <= self.silent_for:
            raise ProviderSilent(f"{self.name} did not say where its service is")
        return f"tcp://{self.name}.example/{channel_id}"

    async def tell(self, channel_id: str, what: str) -> None:
        """Say what the service for a channel shall do. Telling it twice is fine."""
        await asyncio.sleep(WAY_S)

    async def sign(self, channel_id: str, amount: int) -> None:
        """Agree on what it is paid. Raises: SignatureRefused."""
        await asyncio.sleep(WAY_S)
        if not self.signs:
            raise SignatureRefused(f"{self.name} does not sign that it gets {amount}")


_ALL = (
    Provider("prompt"),
    Provider("late", silent_for=ENDPOINT_ATTEMPTS - 1),  # answers to the last try
    Provider("asleep", silent_for=ENDPOINT_ATTEMPTS),  # answers when a person has it tried again
    Provider("unwilling", signs=False),
)
PROVIDERS: Final[Mapping[str, Provider]] = {one.name: one for one in _ALL}
