"""Monitor: what happens on the chain becomes jobs. It runs beside the worker, as a service's listener would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from handlers.channel.billing import BILLING, verify_billing
from handlers.channel.chain import Chain, Kind
from handlers.channel.closing import after_cooperative_close
from handlers.channel.disputing import after_uncooperative_close, after_uncooperative_close_request
from handlers.channel.opening import after_channel_create
from handlers.channel.topping_up import after_channel_top_up
from handlers.channel.turns import ChannelEvent, about
from jobqueue import App, DuplicateJob, Handler
from jobqueue.background import Periodic

BLOCKS_A_BILL: Final = 3

AFTER: Final[Mapping[Kind, Handler[ChannelEvent]]] = {
    Kind.OPEN: after_channel_create,
    Kind.TOP_UP: after_channel_top_up,
    Kind.COOPERATIVE_CLOSE: after_cooperative_close,
    Kind.CLOSE_REQUEST: after_uncooperative_close_request,
    Kind.UNCOOPERATIVE_CLOSE: after_uncooperative_close,
}
"""Which job follows when a transaction has been confirmed."""


class ChainMonitor(Periodic):
    """Makes a block each `block_s` seconds, tells what is in it, and has the channels billed now and then."""

    def __init__(self, app: App, chain: Chain, block_s: float) -> None:
        super().__init__()
        self._app = app
        self._chain = chain
        self._block_s = block_s
        self.bills_refused = 0

    async def tick(self) -> float:
        height = await self._chain.confirm()
        await self.tell()
        if height % BLOCKS_A_BILL == 0:
            await self.bill()
        return self._block_s

    async def tell(self) -> None:
        """Enqueue a job for each event that was not told yet, and then note that it was.

        The job is named after the event. So after a crash between the two it is enqueued again, and is the one that
        exists.
        """
        for event in await self._chain.untold():
            payload = ChannelEvent(channel_id=event.channel_id, amount=event.amount)
            job_id = f"event-{event.number}"
            await self._app.enqueue_job(AFTER[event.kind], payload, related=about(event.channel_id), job_id=job_id)
            await self._chain.mark_told(event)

    async def bill(self) -> None:
        """Have the channels billed, unless they are being billed now: a slow one must not pile up others behind it."""
        try:
            await self._app.enqueue_job(verify_billing, related=BILLING)
        except DuplicateJob:
            self.bills_refused += 1
