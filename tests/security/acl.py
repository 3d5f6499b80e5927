"""Users of Redis with the rules of docs/security.md, and what such a user was refused."""

from __future__ import annotations

import ast
import asyncio
import re
import shlex
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from jobqueue.scripts import Script
from tests.security.commands import Commands, line_in_the_document
from tests.support.redis_server import HOST, RedisServer
from tests.worker.harness import ask

PASSWORD: Final = "of-a-test"
_LONGEST_LOG: Final = 100
_LONGEST_LINE: Final = 1 << 24
_THE_END: Final = "the test has seen enough"
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True, slots=True)
class Guarded:
    """A Redis with a user for each role, who may touch the keys of one prefix."""

    server: RedisServer
    prefix: str

    async def add_user(self, role: str) -> str:
        """Add the user as the document has it; the URL by which it comes in."""
        _, name, *rules = shlex.split(line_in_the_document(role))
        own = [rule.replace("SECRET", PASSWORD).replace("bull:*", f"{self.prefix}:*") for rule in rules]
        async with self.server.client() as client:
            await ask(client, "ACL", "SETUSER", name, "reset", *own)
        return f"redis://{name}:{PASSWORD}@{HOST}:{self.server.port}/0"

    async def refused(self) -> list[str]:
        """What any user was refused since the server started."""
        async with self.server.client() as client:
            entries: list[object] = await ask(client, "ACL", "LOG", _LONGEST_LOG)
        return list(map(str, entries))


class Watched:
    """What the users of a server asked it while a test had it watched, scripts with what they call."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._rules: defaultdict[str, set[str]] = defaultdict(set)
        self._scripts: dict[str, frozenset[str]] = {}
        self.loaded: list[str] = []

    def of(self, role: str) -> frozenset[str]:
        """The rules that the user of a role needed."""
        return frozenset(self._rules[f"jobqueue-{role}"])

    def see(self, user: str, words: tuple[str, ...]) -> None:
        """One command of a client's."""
        rules = self._rules[user]
        rules.add(self._commands.rule_for(words))
        match words[0].upper(), *words[1:]:
            case "SCRIPT", how, text if how.upper() == "LOAD":
                self.loaded.append(text)
                script = Script.of("watched", text)
                self._scripts[script.sha] = self._commands.of_script(script)
            case "EVALSHA", sha, *_:
                rules |= self._scripts.get(sha, frozenset())
            case _:
                return


@asynccontextmanager
async def watched(server: RedisServer, commands: Commands) -> AsyncGenerator[Watched]:
    """See what any client asks the server in the block."""
    seen = Watched(commands)
    async with server.client() as client:
        reader, writer = await asyncio.open_connection(HOST, server.port, limit=_LONGEST_LINE)
        writer.write(b"MONITOR\r\n")
        await reader.readline()
        listening = asyncio.create_task(_listen(reader, client, seen))
        try:
            yield seen
        finally:
            await ask(client, "ECHO", _THE_END)
            await listening
            writer.close()
            await writer.wait_closed()


async def _listen(reader: asyncio.StreamReader, client: Redis, seen: Watched) -> None:
    """Redis writes a line for each command: when, [database, and the address or `lua`], and its words as C would."""
    users: dict[str, str] = {}
    while line := (await reader.readline()).decode("latin-1"):
        where, _, command = line.partition("] ")
        address = where.rpartition(" ")[2]
        words = tuple(_word(quoted) for quoted in _QUOTED.findall(command))
        if words == ("ECHO", _THE_END):
            return
        if address == "lua":
            continue
        if address not in users:
            listed: list[dict[str, str]] = await client.client_list()
            users |= {one["addr"]: one["user"] for one in listed}
        seen.see(users.get(address, ""), words)


def _word(quoted: str) -> str:
    """A word of a line: what is no ASCII stands there byte by byte."""
    return str(ast.literal_eval(quoted)).encode("latin-1").decode(errors="surrogateescape")
