"""Channel: a worked example, the life of a payment channel: eighteen handlers, one diagram, one order for each channel.

`python -m handlers.channel` plays it. docs/channel.md tells what is shown where.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from handlers.channel.accounts import account_update_balances
from handlers.channel.billing import verify_billing
from handlers.channel.chain import Chain
from handlers.channel.closing import after_cooperative_close, pre_cooperative_close
from handlers.channel.disputing import (
    after_uncooperative_close,
    after_uncooperative_close_request,
    pre_uncooperative_close,
    pre_uncooperative_close_request,
)
from handlers.channel.opening import (
    after_channel_create,
    channel_withdraw,
    endpoint_create,
    pre_channel_create,
    service_activate,
)
from handlers.channel.service import pre_service_suspend, pre_service_terminate, pre_service_unsuspend
from handlers.channel.topping_up import after_channel_top_up, pre_channel_top_up
from jobqueue import Registry, Resources, Settings
from jobqueue.database import open_database


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncGenerator[Resources]:
    """What the handlers ask for: the database, and the chain, which is simulated in it."""
    async with open_database(settings.database_url) as database:
        yield Resources(database, Chain(database))


registry = Registry(
    [
        pre_channel_create,
        channel_withdraw,
        after_channel_create,
        endpoint_create,
        service_activate,
        pre_channel_top_up,
        after_channel_top_up,
        pre_service_suspend,
        pre_service_unsuspend,
        pre_service_terminate,
        pre_cooperative_close,
        after_cooperative_close,
        pre_uncooperative_close_request,
        after_uncooperative_close_request,
        pre_uncooperative_close,
        after_uncooperative_close,
        account_update_balances,
        verify_billing,
    ],
    lifespan=open_resources,
)
