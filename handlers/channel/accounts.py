"""Accounts: accountUpdateBalances, of which only the newest one of an account counts."""

from __future__ import annotations

from pydantic import BaseModel
from sqlalchemy import func, select, update

from handlers.channel.models import Account, Channel
from handlers.channel.states import FINAL
from jobqueue import JobContext, fixed, make_superseding_job
from jobqueue.database import Database


class AccountJob(BaseModel):
    """The payload of a job about an account."""

    account: str


@make_superseding_job(
    name="accountUpdateBalances", dedupe_key=lambda payload: payload.account, attempts=5, backoff=fixed(100)
)
async def account_update_balances(ctx: JobContext, payload: AccountJob) -> int:
    """Count what the channels of an account hold. It may be asked for at every change: a newer job stops the older one,
    and the last one sees everything.
    """
    held = select(func.sum(Channel.deposit)).where(Channel.account == payload.account, Channel.state.not_in(FINAL))
    async with ctx.resources[Database].transaction() as session:
        locked = await session.scalar(held) or 0
        await session.execute(update(Account).where(Account.id == payload.account).values(locked=locked))
    return locked
