"""Desk: what a person may ask for, and when it is refused."""

from __future__ import annotations

from dataclasses import dataclass

from handlers.channel.disputing import pre_uncooperative_close_request
from handlers.channel.models import Account, Channel
from handlers.channel.opening import channel_withdraw, pre_channel_create
from handlers.channel.service import pre_service_suspend, pre_service_terminate, pre_service_unsuspend
from handlers.channel.states import MOVERS, State, after
from handlers.channel.turns import ChannelJob, about
from jobqueue import App, Handler, Job, JobNotFound, JobqueueError, Related
from jobqueue.database import Database
from jobqueue.steering import related_jobs


class ChannelBusy(JobqueueError):
    """A job that changes the channel is not finished yet."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Asks for jobs in a person's name. Raises, from every method: NotAllowed where the diagram has no such arrow.

    What is looked at here may change before the job runs. So a refusal is a courtesy, and the promise is kept
    elsewhere: the jobs of a channel run in order, and each asks the diagram again.
    """

    app: App
    database: Database

    async def add_account(self, account: str) -> None:
        """Whose money is to be in channels."""
        async with self.database.transaction() as session:
            session.add(Account(id=account, locked=0))

    async def open(self, channel_id: str, *, account: str, provider: str) -> None:
        """A new channel, and its first job, in one transaction: neither exists without the other."""
        async with self.database.transaction() as session:
            session.add(Channel(id=channel_id, account=account, provider=provider, state=State.PENDING))
            await session.flush()
            job = ChannelJob(channel_id=channel_id)
            await self.app.enqueue_job(pre_channel_create, job, related=about(channel_id), session=session)

    async def suspend(self, channel_id: str) -> None:
        """Raises: ChannelBusy."""
        await self._ask_if_idle(pre_service_suspend, channel_id)

    async def unsuspend(self, channel_id: str) -> None:
        """Raises: ChannelBusy."""
        await self._ask_if_idle(pre_service_unsuspend, channel_id)

    async def dispute(self, channel_id: str) -> None:
        """Close without the provider's signature. Raises: ChannelBusy."""
        await self._ask_if_idle(pre_uncooperative_close_request, channel_id)

    async def terminate(self, channel_id: str) -> int:
        """End the service, whatever else was asked for; returns how many jobs were cancelled for it."""
        return await self._ask_instead(pre_service_terminate, channel_id, "the channel is terminated")

    async def withdraw(self, channel_id: str) -> int:
        """Give a channel up that has sent no deposit yet; returns how many jobs were cancelled.

        Raises: ChannelBusy where its first job is on its way from the database to the queue: it cannot be cancelled
        there, and would come behind the withdrawal.
        """
        if not await self.unfinished(channel_id):
            raise ChannelBusy(f"{channel_id}: its first job is on its way; ask again in a moment")
        return await self._ask_instead(channel_withdraw, channel_id, "the channel is given up")

    async def reactivate(self, job_id: str) -> None:
        """Have a job run again that has failed for good, its tries counted from the start."""
        await self.app.retry_job(job_id)

    async def state(self, channel_id: str) -> State:
        async with self.database.transaction() as session:
            return State((await session.get_one(Channel, channel_id)).state)

    async def unfinished(self, channel_id: str) -> list[Job]:
        """The jobs of the channel that have not ended."""
        queue, found = self.app.queue(), list[Job]()
        for job_id in await related_jobs(queue, Related(*about(channel_id))):
            try:
                job = await queue.job(job_id)
            except JobNotFound:  # another tool has removed it
                continue
            if job.finished_at_ms is None:
                found.append(job)
        return found

    async def _ask_if_idle(self, handler: Handler[ChannelJob], channel_id: str) -> None:
        after(await self.state(channel_id), handler.name)
        in_the_way = [job for job in await self.unfinished(channel_id) if job.name in MOVERS]
        if in_the_way:
            names = ", ".join(sorted(job.name for job in in_the_way))
            raise ChannelBusy(f"{channel_id}: {names} is not finished; ask again when it is")
        await self._enqueue(handler, channel_id)

    async def _ask_instead(self, handler: Handler[ChannelJob], channel_id: str, reason: str) -> int:
        after(await self.state(channel_id), handler.name)
        cancelled = await self.app.cancel_jobs(related=about(channel_id), reason=reason)
        await self._enqueue(handler, channel_id)
        return sum(map(len, cancelled.values()))

    async def _enqueue(self, handler: Handler[ChannelJob], channel_id: str) -> None:
        await self.app.enqueue_job(handler, ChannelJob(channel_id=channel_id), related=about(channel_id))
