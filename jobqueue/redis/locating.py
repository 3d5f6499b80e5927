"""Locating: where the server is now. A client asks each time that it opens a connection, so a failover is followed.

One server stays where it is; the master of a service is where the sentinels say; a queue on a cluster is on the node
that has the slot of its prefix.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from jobqueue.errors import SettingsError
from jobqueue.redis.url import SETTING, Endpoint, SentinelGroup, read_url

if TYPE_CHECKING:
    from jobqueue.redis.groups import ClusterLocator, SentinelLocator


class Locator(Protocol):
    """Knows where the server is. Concurrency: clients of any event loop and thread may share one."""

    recheck_s: float | None = None
    """How often to ask whether a server has been replaced; None where it says so itself."""

    @property
    def address(self) -> str:
        """What to call the place in messages."""
        ...

    async def locate(self, timeout_s: float, told: str = "") -> Endpoint:
        """The server of now. `told` is the address that another server named with MOVED.

        Raises: RedisUnavailable where nobody can say; SettingsError where REDIS_URL names the wrong kind of place.
        """
        ...

    async def has_left(self, endpoint: Endpoint) -> bool:
        """True where the server is known to be another one by now."""
        return False


def locator_for(redis_url: str, prefix: str) -> Locator:
    """Raises: SettingsError, naming REDIS_URL, or JOBS_PREFIX where a cluster needs another one."""
    place = read_url(redis_url)
    if isinstance(place, Endpoint):
        return OneServer(place)
    groups = import_module("jobqueue.redis.groups")
    if isinstance(place, SentinelGroup):
        return cast("type[SentinelLocator]", groups.SentinelLocator)(place)
    return cast("type[ClusterLocator]", groups.ClusterLocator)(place, prefix)


class OneServer(Locator):
    """A server that stays where it is."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    @property
    def address(self) -> str:
        return self._endpoint.address

    async def locate(self, timeout_s: float, told: str = "") -> Endpoint:
        refuse_cluster(told, self._endpoint)
        return self._endpoint


def refuse_cluster(told: str, server: Endpoint) -> None:
    """Raises: SettingsError where a server that should be alone sends us to another."""
    if told:
        raise SettingsError(SETTING, f"{server.address} sends us to {told}: it is in a cluster; write redis+cluster://")
