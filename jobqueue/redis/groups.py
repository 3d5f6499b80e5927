"""Groups: the server of a Sentinel service or of a cluster that is meant now. redis-py asks their members.

Apart, since whoever has a server that stays where it is need not import redis-py.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any, Final, Protocol, TypeAlias, cast

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot

from jobqueue.errors import RedisUnavailable, SettingsError
from jobqueue.harmless import without_echo
from jobqueue.redis.locating import Locator, refuse_cluster
from jobqueue.redis.url import SETTING, ClusterGroup, Endpoint, SentinelGroup

RECHECK_S: Final = 0.25
_RECHECK_LIMIT_S: Final = 1.0

_Slots: TypeAlias = tuple[int, int, tuple[str | None, int]]
"""First slot, last slot, the master's host and port; more about it, and its replicas, follow."""


class _Commands(Protocol):
    """The part of redis-py's client that it leaves without types."""

    async def execute_command(self, *command: str) -> Any: ...


class SentinelLocator(Locator):
    """The master of a service, as the first sentinel that answers knows it.

    A master that was replaced in good order serves on for some ten seconds before it is told, and what is written there
    is lost; so while a connection is open the sentinels are asked again, by one question for all clients together.
    """

    recheck_s = RECHECK_S

    def __init__(self, group: SentinelGroup) -> None:
        self._group = group
        self._sentinels = group.sentinels  # the one that answered last comes first
        self._master: Endpoint | None = None
        self._asked_s = 0.0

    @property
    def address(self) -> str:
        sentinels = ", ".join(sentinel.address for sentinel in self._group.sentinels)
        return f"{self._group.service} (sentinels {sentinels})"

    async def locate(self, timeout_s: float, told: str = "") -> Endpoint:
        refuse_cluster(told, self._group.server)
        self._asked_s = time.monotonic()
        reasons: list[str] = []
        for sentinel in self._sentinels:
            try:
                said = await _ask(sentinel, timeout_s / len(self._sentinels), "SENTINEL MASTER", self._group.service)
            except exceptions.RedisError as error:
                reasons.append(f"{sentinel.address}: {without_echo(str(error))}")
                continue
            if said["is_master"] and not (said["is_sdown"] or said["is_odown"]):
                self._sentinels = tuple(dict.fromkeys((sentinel, *self._sentinels)))
                self._master = replace(self._group.server, host=said["ip"], port=said["port"])
                return self._master
            reasons.append(f"{sentinel.address}: the master is down")
        raise RedisUnavailable(self.address, "; ".join(reasons))

    async def has_left(self, endpoint: Endpoint) -> bool:
        """Where no sentinel knows better, the server counts as the right one."""
        if time.monotonic() - self._asked_s >= RECHECK_S:
            try:
                await self.locate(_RECHECK_LIMIT_S)
            except (RedisUnavailable, SettingsError):  # a certificate may be unreadable while it is renewed
                return False
        return self._master is not None and self._master != endpoint


class ClusterLocator(Locator):
    """The node that has the slot of a prefix, as the first node that answers knows it."""

    def __init__(self, group: ClusterGroup, prefix: str) -> None:
        if not re.match(r"[^{]*\{[^}]+\}", prefix):
            right = f"{{{prefix.strip('{}') or 'bull'}}}"
            problem = f"{prefix!r} has no hash tag, which keeps a queue on one node of a cluster; write {right!r}"
            raise SettingsError("JOBS_PREFIX", problem)
        self._group = group
        self._nodes = group.nodes
        self._slot = key_slot(prefix.encode())

    @property
    def address(self) -> str:
        return f"the cluster of {', '.join(node.address for node in self._group.nodes)}"

    async def locate(self, timeout_s: float, told: str = "") -> Endpoint:
        """Nodes that were known before are asked too, should all those of the URL be gone."""
        host, _, port = told.rpartition(":")
        if host:
            return replace(self._nodes[0], host=host, port=int(port))
        reasons: list[str] = []
        gives_up_at_s = time.monotonic() + timeout_s
        for node in self._nodes:
            try:
                masters = await _masters(node, timeout_s / len(self._group.nodes))
            except exceptions.RedisError as error:
                reasons.append(f"{node.address}: {without_echo(str(error))}")
            else:
                self._nodes = tuple(dict.fromkeys((node, *self._group.nodes, *masters.values())))
                owner = next((master for slots, master in masters.items() if self._slot in slots), None)
                if owner is not None:
                    return owner
                reasons.append(f"{node.address}: nobody has slot {self._slot}")
            if time.monotonic() > gives_up_at_s:
                break
        raise RedisUnavailable(self.address, "; ".join(reasons))


async def _masters(node: Endpoint, timeout_s: float) -> dict[range, Endpoint]:
    """Who has which slots, as this node knows it. Raises: redis-py's errors; SettingsError where it is no node."""
    try:
        reply: list[_Slots] = await _ask(node, timeout_s, "CLUSTER SLOTS")
    except exceptions.ResponseError as error:
        if "cluster support disabled" not in str(error):
            raise
        raise SettingsError(SETTING, f"the server at {node.address} is in no cluster; write redis://") from error
    # A node that does not know what it is called leaves its host out.
    return {
        range(first, last + 1): replace(node, host=master[0] or node.host, port=master[1])
        for first, last, master, *_ in reply
    }


async def _ask(server: Endpoint, timeout_s: float, *command: str) -> Any:
    """One question to a sentinel or a node, as redis-py reads the answer. It is asked once: whoever wants to know asks
    again. Raises: redis-py's errors; SettingsError where a certificate cannot be read."""
    asked = Redis(
        host=server.host,
        port=server.port,
        username=server.username,
        password=server.password,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        **_tls(server),
    )
    async with asked:
        return await cast(_Commands, asked).execute_command(*command)


def _tls(server: Endpoint) -> dict[str, Any]:
    """TLS as redis-py takes it."""
    options = server.tls_options
    if options is None:
        return {}
    server.ssl_context()  # says which file cannot be read; redis-py does not
    return {
        "ssl": True,
        "ssl_cert_reqs": options.cert_reqs,
        "ssl_check_hostname": options.check_hostname and options.cert_reqs != "none",
        "ssl_ca_certs": options.ca_certs,
        "ssl_certfile": options.certfile,
        "ssl_keyfile": options.keyfile,
    }
