"""What each pattern promises, on a real queue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from handlers.channel.accounts import AccountJob, account_update_balances
from handlers.channel.billing import verify_billing
from handlers.channel.chain import Chain, Kind
from handlers.channel.chances import Chances
from handlers.channel.desk import ChannelBusy, Desk
from handlers.channel.opening import EndpointJob, endpoint_create
from handlers.channel.provider import ENDPOINT_ATTEMPTS
from handlers.channel.service import pre_service_suspend
from handlers.channel.stage import Stage
from handlers.channel.states import NotAllowed, State
from handlers.channel.topping_up import pre_channel_top_up
from handlers.channel.turns import ChannelJob, about
from jobqueue import DuplicateJob
from tests.handlers.channel.conftest import ACCOUNT
from tests.handlers.channel.seeing import CHANNEL, add_channel, first_of, listening, the_channel, until_state
from tests.support.eventually import eventually

ABOUT = about(CHANNEL)
JOB = ChannelJob(channel_id=CHANNEL)


async def test_a_channel_that_is_given_up_within_the_first_delay_sends_nothing(staffed: Stage) -> None:
    """On a machine so slow that the delay is over by then the withdrawal is refused, and the channel opens."""
    await staffed.desk.open(CHANNEL, account=ACCOUNT, provider="prompt")
    await eventually(lambda: staffed.desk.unfinished(CHANNEL))

    async with listening(staffed) as outcomes:
        await staffed.desk.withdraw(CHANNEL)
        ended = await first_of(outcomes, "channelWithdraw", "completed", "failed")

    sent = await Chain(staffed.desk.database).deposited(CHANNEL, confirmed=False)
    is_withdrawn = await staffed.desk.state(CHANNEL) is State.WITHDRAWN
    assert is_withdrawn == (ended.state == "completed")
    assert not (is_withdrawn and sent)


async def test_a_provider_that_answers_to_the_last_try_is_heard(staffed: Stage) -> None:
    await add_channel(staffed, State.OPEN, provider="late")

    async with listening(staffed) as outcomes:
        await staffed.app.enqueue_job(endpoint_create, EndpointJob(channel_id=CHANNEL, provider="late"), related=ABOUT)
        tries = [await first_of(outcomes, "endpointCreate", "retried") for _ in range(ENDPOINT_ATTEMPTS - 1)]
        last = await first_of(outcomes, "endpointCreate", "completed", "failed")

    assert [one.attempt for one in (*tries, last)] == list(range(1, ENDPOINT_ATTEMPTS + 1))
    assert last.state == "completed"


async def test_a_job_that_failed_for_good_leaves_its_channel_where_a_person_can_have_it_go_on(staffed: Stage) -> None:
    await add_channel(staffed, State.OPEN, provider="asleep")

    async with listening(staffed) as outcomes:
        job = EndpointJob(channel_id=CHANNEL, provider="asleep")
        await staffed.app.enqueue_job(endpoint_create, job, related=ABOUT)
        failed = await first_of(outcomes, "endpointCreate", "failed")
    assert await staffed.desk.state(CHANNEL) is State.OPEN

    await staffed.desk.reactivate(failed.job_id)
    await until_state(staffed, State.ACTIVE)


async def test_while_a_job_changes_the_channel_nothing_else_may_be_asked_for(stage: Stage) -> None:
    await add_channel(stage, State.ACTIVE)
    await stage.app.enqueue_job(pre_channel_top_up, JOB, related=ABOUT)

    with pytest.raises(ChannelBusy, match="preChannelTopUp is not finished"):
        await stage.desk.suspend(CHANNEL)


@pytest.mark.parametrize("ask", [Desk.unsuspend, Desk.withdraw, Desk.dispute], ids=lambda ask: ask.__name__)
async def test_what_the_diagram_does_not_have_is_refused(
    stage: Stage, ask: Callable[[Desk, str], Awaitable[object]]
) -> None:
    await add_channel(stage, State.ACTIVE)
    await stage.app.enqueue_job(pre_channel_top_up, JOB, related=ABOUT)

    with pytest.raises(NotAllowed, match="is not for a channel that is active"):
        await ask(stage.desk, CHANNEL)


async def test_the_same_is_not_asked_for_twice(stage: Stage) -> None:
    first = await stage.app.enqueue_job(pre_service_suspend, JOB, related=ABOUT)

    with pytest.raises(DuplicateJob) as refused:
        await stage.app.enqueue_job(pre_service_suspend, JOB, related=ABOUT)

    assert refused.value.job_id == first.job_id


async def test_terminating_cancels_every_job_of_the_channel_and_of_no_other(stage: Stage) -> None:
    await add_channel(stage, State.ACTIVE)
    other = ChannelJob(channel_id="ch-2")
    await stage.app.enqueue_job(pre_service_suspend, JOB, related=ABOUT)
    await stage.app.enqueue_job(pre_channel_top_up, JOB, related=ABOUT)
    await stage.app.enqueue_job(pre_service_suspend, other, related=about("ch-2"))

    assert await stage.desk.terminate(CHANNEL) == 2

    assert [job.name for job in await stage.desk.unfinished(CHANNEL)] == ["preServiceTerminate"]
    assert [job.name for job in await stage.desk.unfinished("ch-2")] == ["preServiceSuspend"]


async def test_an_event_that_is_told_again_after_a_crash_makes_no_second_job(stage: Stage) -> None:
    await stage.monitor.stop()
    chain = Chain(stage.desk.database)
    heard = next(number for number in range(1, 1000) if Chances(1).accident(Kind.OPEN, CHANNEL, number) is None)
    await chain.send(Kind.OPEN, CHANNEL, 6, key="7", attempt=heard)
    while not await chain.untold():
        await chain.confirm()
    (event,) = await chain.untold()

    await stage.monitor.tell()
    chain_forgets = "UPDATE chain_transaction SET is_told = false"
    async with stage.desk.database.engine.begin() as connection:
        await connection.exec_driver_sql(chain_forgets)
    await stage.monitor.tell()

    assert [job.id for job in await stage.desk.unfinished(CHANNEL)] == [f"event-{event.number}"]


async def test_billing_is_not_enqueued_while_it_is_unfinished(stage: Stage) -> None:
    await stage.monitor.stop()
    before = stage.monitor.bills_refused

    await stage.monitor.bill()
    await stage.monitor.bill()

    assert stage.monitor.bills_refused > before


async def test_billing_adds_no_top_up_to_a_channel_that_has_one(staffed: Stage) -> None:
    """The channel's own job in front of it holds the top-up back, so that it stays unfinished."""
    await staffed.monitor.stop()
    await add_channel(staffed, State.ACTIVE, deposit=6, used=5)
    await staffed.app.enqueue_job(pre_service_suspend, JOB, related=ABOUT, delay_ms=60_000)

    first = await staffed.app.enqueue_job(verify_billing, related=("billing", "first"))
    assert await first.wait(10) == {"topped_up": [CHANNEL], "refused": []}
    second = await staffed.app.enqueue_job(verify_billing, related=("billing", "second"))
    assert await second.wait(10) == {"topped_up": [], "refused": [CHANNEL]}


async def test_a_newer_count_of_an_account_takes_the_place_of_the_older_one(stage: Stage) -> None:
    await add_channel(stage, State.ACTIVE, deposit=6)

    older = await stage.app.enqueue_job(account_update_balances, AccountJob(account=ACCOUNT))
    newer = await stage.app.enqueue_job(account_update_balances, AccountJob(account=ACCOUNT))

    assert newer.superseded == older.job_id


async def test_a_top_up_that_is_wanted_no_more_sends_nothing(staffed: Stage) -> None:
    await add_channel(staffed, State.SUSPENDED, deposit=6, used=6)

    job = await staffed.app.enqueue_job(pre_channel_top_up, JOB, related=ABOUT)

    assert await job.wait(10) == "not wanted: it is suspended"
    assert (await the_channel(staffed)).state == State.SUSPENDED
