"""verifyProfile: find out whether a profile elsewhere is a user's, by the proof that is there.

The pattern it shows: one after another for each user (`ordered`), since the last check that was asked for is to be the
one that counts; and four ways to end, told apart: a result, good or bad; trouble that another try may not have
(`ProfileUnreachable`); a job that should not have been (`Discard`).
"""

from __future__ import annotations

from typing import Annotated, assert_never

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from handlers.models import MAX_ID, MAX_URL
from handlers.users.profiles import record_check, standing_of
from handlers.users.proof import Found, Missing, OutOfReach, Reading, why_not
from handlers.users.proof_reader import ProofReader
from jobqueue import Discard, JobContext, JobqueueError, SettingsError, exponential, make_job
from jobqueue.database import Database

_CAMEL = ConfigDict(
    frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
)
_PLAIN_TEXT = r"^[^\x00-\x1f\x7f]+$"


class ProfileUnreachable(JobqueueError):
    """The place of the profile gave no answer, or none for now: the next try may get one."""


class VerifyProfile(BaseModel):
    """The payload of `verifyProfile`. The proof is at `{url}/proofs/{SERVICE_HOSTNAME}`.

    Enqueue it with `related=("user", user_id)`: the checks of one user then run in the order of enqueueing.
    """

    model_config = _CAMEL

    user_id: Annotated[str, Field(max_length=MAX_ID, pattern=_PLAIN_TEXT)]
    url: Annotated[str, Field(max_length=MAX_URL, pattern=_PLAIN_TEXT)]


class ProfileChecked(BaseModel):
    """What the check found; `refusal` says what is wrong with the proof."""

    model_config = _CAMEL

    verified: bool
    refusal: str | None = None


@make_job(
    name="verifyProfile",
    ordered=True,
    attempts=5,
    backoff=exponential(5_000),
    timeout_ms=20_000,
    unrecoverable=(SettingsError,),
)
async def verify_profile(ctx: JobContext, payload: VerifyProfile) -> ProfileChecked:
    """Read the proof and write on the profile what it came to.

    A profile that cannot be reached keeps what was found before. Raises: ProfileUnreachable (tried again); Discard
    where there is no such user, or the e-mail address is not verified; SettingsError.
    """
    database, proofs = ctx.resources[Database], ctx.resources[ProofReader]
    async with database.transaction() as transaction:
        standing = await standing_of(transaction, payload.user_id)
    match standing:
        case "unknown":
            raise Discard(f"there is no user {payload.user_id}")
        case "unverified":
            raise Discard(f"the e-mail address of user {payload.user_id} is not verified")
        case "verified":
            refusal = _refusal(await proofs.read(payload.url), payload.user_id, proofs.service())
        case _:
            assert_never(standing)
    async with database.transaction() as transaction:
        await record_check(transaction, payload.user_id, payload.url, refusal)
    return ProfileChecked(verified=refusal is None, refusal=refusal)


def _refusal(reading: Reading, user_id: str, hostname: str) -> str | None:
    match reading:
        case Found(body):
            return why_not(body, user_id, hostname)
        case Missing(reason):
            return reason
        case OutOfReach(error):
            raise ProfileUnreachable(error)
        case _:
            assert_never(reading)
