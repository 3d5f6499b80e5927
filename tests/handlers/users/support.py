"""Users, sessions and profiles to begin with, and sites on which proofs are."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from handlers.models import Profile, Session, User
from handlers.outside.connection import Resolver, resolve
from handlers.users.proof_site import ProofSites
from jobqueue.database import Database, new_id
from tests.handlers.support.receiver import Reaction, answer

HOSTNAME = "shop.example"


def days_ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


async def add_user(database: Database, user_id: str = "ada", *, verified: bool = True, age_days: float = 30) -> str:
    user = User(
        id=user_id,
        email=f"{user_id}@example.com",
        email_verified_at=days_ago(age_days) if verified else None,
        created_at=days_ago(age_days),
    )
    async with database.transaction() as transaction:
        transaction.add(user)
    return user_id


def a_session(
    user_id: str = "ada", *, expired_days_ago: float = -1, revoked_days_ago: float | None = None, **data: object
) -> Session:
    """A session that expires tomorrow, unless it is said otherwise."""
    return Session(
        id=new_id(),
        user_id=user_id,
        data=data,
        expires_at=days_ago(expired_days_ago),
        revoked_at=None if revoked_days_ago is None else days_ago(revoked_days_ago),
        created_at=days_ago(60),
    )


async def add_all(database: Database, *rows: Session | Profile | User) -> None:
    async with database.transaction() as transaction:
        transaction.add_all(rows)


async def ids(database: Database, model: type[Session] | type[User]) -> set[str]:
    async with database.transaction() as transaction:
        return set(await transaction.scalars(select(model.id)))


async def the_profile(database: Database) -> Profile:
    async with database.transaction() as transaction:
        return (await transaction.scalars(select(Profile))).one()


def a_proof(user_id: str = "ada", hostname: str = HOSTNAME) -> bytes:
    return json.dumps({"userId": user_id, "hostname": hostname}).encode()


def the_sites(*, allow_private: bool = True, resolve: Resolver = resolve) -> ProofSites:
    """Sites that are waited for half a second. They trust nobody: to read all authorities takes longer than a test."""
    trusting_nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ProofSites(allow_private=allow_private, resolve=resolve, ssl_context=trusting_nobody, timeout_s=0.5)


@dataclass
class Site:
    """A site by what it does where; elsewhere it answers 404. `asked` has the request lines and the hosts asked for."""

    reactions: Mapping[str, Reaction]
    port: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        host = next(line.partition(": ")[2] for line in lines if line.lower().startswith("host:"))
        self.asked.append((lines[0], host))
        await self.reactions.get(lines[0].split(" ")[1], answer(404))(writer)


@asynccontextmanager
async def a_site(reactions: Mapping[str, Reaction]) -> AsyncGenerator[Site]:
    """A real server on 127.0.0.1 for the length of the block."""
    site = Site(reactions)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await site.serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
