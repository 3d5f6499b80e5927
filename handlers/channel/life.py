"""Life: plays one channel's plot, as who looks after it: asks, listens, and mends what has failed for good."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from handlers.channel.closing import pre_cooperative_close
from handlers.channel.desk import ChannelBusy, Desk
from handlers.channel.opening import channel_withdraw, pre_channel_create
from handlers.channel.plots import TOO_LATE, Act, Plot
from handlers.channel.states import FINAL, NotAllowed, State
from handlers.channel.story import Story
from handlers.channel.topping_up import after_channel_top_up
from handlers.channel.turns import about
from jobqueue import JobOutcome, JobqueueError, OutcomesMissed
from jobqueue.job import CANCELLED

MOST_REACTIVATIONS: Final = 3
A_MOMENT_S: Final = 0.1


class LifeStuck(JobqueueError):
    """A life does not go on, whatever the person does."""


class WithdrawnTooLate(JobqueueError):
    """The deposit is on its way."""


@dataclass(slots=True)
class Life:
    """One channel, from the wish to have it to its end. Concurrency: plays once."""

    channel_id: str
    account: str
    plot: Plot
    desk: Desk
    story: Story
    top_ups: int = 0
    _reactivations: Counter[str] = field(default_factory=Counter[str])
    _cancelled: dict[str, str] = field(default_factory=dict[str, str])

    async def play(self) -> None:
        """Returns when the plot is over. Raises: LifeStuck."""
        async with self.desk.app.subscribe(related=about(self.channel_id)) as outcomes:
            self._say(f"asks for it: {self.plot.title}")
            await self.desk.open(self.channel_id, account=self.account, provider=self.plot.provider)
            try:
                await self._act(self.plot.acts, outcomes)
            except (NotAllowed, WithdrawnTooLate) as late:
                self._say(f"is too late: {late}")
                await self._reactivate_creation()
                await self._act(TOO_LATE, outcomes)
            await self._let_finish(outcomes)

    async def _act(self, acts: Sequence[Act], outcomes: AsyncIterator[JobOutcome]) -> None:
        for act in acts:
            await self._until_accepted(partial(self._ask, act), outcomes)
            while not await self._is_reached(act):
                await self._hear(outcomes)

    async def _let_finish(self, outcomes: AsyncIterator[JobOutcome]) -> None:
        """A channel may be closed before the job that asked for it is over: the chain was quicker than its answer."""
        while await self.desk.unfinished(self.channel_id):
            await self._hear(outcomes, most_s=A_MOMENT_S)

    async def _until_accepted(self, ask: Callable[[], Awaitable[None]], outcomes: AsyncIterator[JobOutcome]) -> None:
        """Ask, and where the channel is busy ask again when something has happened."""
        said = None
        while True:
            try:
                return await ask()
            except ChannelBusy as busy:
                if str(busy) != said:
                    said = str(busy)
                    self._say(f"is refused: {said}")
                await self._hear(outcomes, most_s=A_MOMENT_S)

    async def _ask(self, act: Act) -> None:
        match act.wish:
            case "wait" | "top up":
                return  # billing tops it up by itself
            case "suspend":
                await self.desk.suspend(self.channel_id)
                self._say("asks to suspend it")
            case "unsuspend":
                await self.desk.unsuspend(self.channel_id)
                self._say("asks to use it again")
            case "terminate":
                self._say(f"terminates it; jobs cancelled: {await self.desk.terminate(self.channel_id)}")
            case "withdraw":
                self._say(f"withdraws; jobs cancelled: {await self.desk.withdraw(self.channel_id)}")

    async def _is_reached(self, act: Act) -> bool:
        if act.until is None:
            return True
        if act.wish == "top up" and self.top_ups == 0:
            return False
        state = await self.desk.state(self.channel_id)
        if state in FINAL and state != act.until:
            raise LifeStuck(f"{self.channel_id} ended {state}, not {act.until}")
        return state == act.until

    async def _hear(self, outcomes: AsyncIterator[JobOutcome], *, most_s: float | None = None) -> None:
        """Listen to the end of the next try, and see to it where it was the last one."""
        try:
            async with asyncio.timeout(most_s):
                outcome = await anext(outcomes)
        except (TimeoutError, OutcomesMissed):
            return  # whoever waits looks at the channel itself
        state = await self.desk.state(self.channel_id)
        self.story.outcome(self.channel_id, outcome, state)
        if outcome.state == "completed" and outcome.name == after_channel_top_up.name:
            self.top_ups += 1
        if outcome.state != "failed":
            return
        if (outcome.failed_reason or "").startswith(CANCELLED):
            self._cancelled[outcome.job_id] = outcome.name or ""
        else:
            await self._mend(outcome, state, outcomes)

    async def _mend(self, outcome: JobOutcome, state: State, outcomes: AsyncIterator[JobOutcome]) -> None:
        """Close alone where there is no signature; have anything else tried again."""
        if outcome.name == channel_withdraw.name:
            raise WithdrawnTooLate(outcome.failed_reason)
        if outcome.name == pre_cooperative_close.name and state is State.TERMINATED:
            self._say("closes it alone")
            await self._until_accepted(partial(self.desk.dispute, self.channel_id), outcomes)
            return
        self._reactivations[outcome.job_id] += 1
        if self._reactivations[outcome.job_id] > MOST_REACTIVATIONS:
            raise LifeStuck(f"{outcome.name} of {self.channel_id} fails over and over: {outcome.failed_reason}")
        self._say(f"has {outcome.name} run again")
        await self.desk.reactivate(outcome.job_id)

    async def _reactivate_creation(self) -> None:
        """The withdrawal may have cancelled it after it had moved the channel: it must go on."""
        for job_id, name in self._cancelled.items():
            if name == pre_channel_create.name:
                await self.desk.reactivate(job_id)

    def _say(self, what: str) -> None:
        self.story.person(self.channel_id, what)
