"""Real groups of Redis servers: a master with a replica and three sentinels, and a cluster of masters and replicas."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol, cast

from redis import Redis as BlockingRedis

from tests.support.processes import end, free_port, spawn, wait_until_up
from tests.support.redis_server import HOST, RedisServer, answers_ping, running_redis

SERVICE = "mymaster"
DOWN_AFTER_MS = 500
SLOTS = 16_384
_REPLICATES_SOON = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
_SETTLES_S = 60.0
"""A sentinel leaves an old master alone for 8 s, looks at its servers every 10 s, and may rest for 30 s (TILT)."""


class _Commands(Protocol):
    """The part of redis-py's client that it leaves without types."""

    def execute_command(self, *command: str | int) -> list[str]: ...


class Sentinel:
    """One `redis-server --sentinel`, which keeps what it learns in a file in `directory`."""

    def __init__(self, directory: Path, master: RedisServer, down_after_ms: int = DOWN_AFTER_MS) -> None:
        self.port = free_port()
        self._log = directory / "sentinel.log"
        self._config = directory / "sentinel.conf"
        self._config.write_text(
            f"bind {HOST}\nport {self.port}\ndir {directory}\n"
            f"sentinel monitor {SERVICE} {HOST} {master.port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {down_after_ms}\n"
            f"sentinel failover-timeout {SERVICE} 3000\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = spawn(["redis-server", str(self._config), "--sentinel"], cwd=self._config.parent, log=self._log)
        wait_until_up(self._process, lambda: answers_ping(self.port), self._log)

    def stop(self) -> None:
        """Twice is fine."""
        if self._process is not None:
            end(self._process, signal.SIGTERM)
            self._process = None

    def ask(self, *command: str) -> list[str]:
        return ask(self.port, *command)

    @property
    def rests(self) -> int:
        """How often it has begun to rest (TILT): it looks on for half a minute where the machine kept it waiting."""
        return self._log.read_text(encoding="utf-8", errors="replace").count("+tilt")

    @property
    def is_resting(self) -> bool:
        return "sentinel_tilt:0" not in self.ask("INFO", "sentinel")


class SentinelSet:
    """Two servers, of which one is the master, and the sentinels that watch it."""

    def __init__(self, servers: tuple[RedisServer, RedisServer], sentinels: tuple[Sentinel, ...]) -> None:
        self.servers = servers
        self.sentinels = sentinels

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(f'{HOST}:{one.port}' for one in self.sentinels)}/{SERVICE}/0"

    @property
    def master(self) -> RedisServer:
        """The server that the first sentinel names."""
        port = int(self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])
        return next(server for server in self.servers if server.port == port)

    @property
    def rests(self) -> int:
        """How often any of the sentinels has begun to rest."""
        return sum(sentinel.rests for sentinel in self.sentinels)

    def fail_over(self) -> None:
        """Have the replica take over though the master is well. Returns at once."""
        assert self.sentinels[0].ask("SENTINEL", "FAILOVER", SERVICE) == ["OK"]

    def wait_until_settled(self) -> None:
        """Wait until a failover is possible: the replica follows, and the sentinels know it and each other."""

        def settled() -> bool:
            if any(sentinel.is_resting for sentinel in self.sentinels):
                return False
            known = [sentinel.ask("SENTINEL", "MASTER", SERVICE) for sentinel in self.sentinels]
            if not all(_said(one, "num-slaves") == "1" and _said(one, "num-other-sentinels") == "2" for one in known):
                return False
            replicas = self.sentinels[0].ask("SENTINEL", "REPLICAS", SERVICE)
            return _said(replicas, "flags") == "slave" and _said(replicas, "master-link-status") == "ok"

        wait_until(settled, "the sentinels did not settle")


class RedisCluster:
    """A cluster whose first nodes began as masters, each with its share of the slots; `nodes` are all.

    Where there are replicas, each master and its replica are a pair, whichever of them is the master now.
    """

    def __init__(self, nodes: tuple[RedisServer, ...], masters: int) -> None:
        self.nodes = nodes
        self.pairs = tuple(zip(nodes[:masters], nodes[masters:], strict=False))

    @property
    def url(self) -> str:
        """Names one node, so that the others have to be found."""
        return f"redis+cluster://{HOST}:{self.nodes[0].port}"

    def slot(self, key: str) -> int:
        return int(ask(self.nodes[0].port, "CLUSTER", "KEYSLOT", key)[0])

    def owner(self, slot: int) -> RedisServer:
        """The node that has the slot."""
        return next(node for node in self.nodes if answers_ping(node.port) and _has(node, slot))

    def wait_until_settled(self, pair: tuple[RedisServer, RedisServer]) -> None:
        """Wait until one of the pair is a replica that follows the other, and both find the cluster in order."""

        def settled() -> bool:
            said = [replication_of(server) for server in pair]
            follows = [one["role"] == "slave" and one["master_link_status"] == "up" for one in said]
            return sorted(follows) == [False, True] and all(_is_ok(server, len(self.nodes)) for server in pair)

        wait_until(settled, "the replica of a pair did not follow its master")

    def another(self, than: RedisServer) -> RedisServer:
        """Another master."""
        return next(node for node in self.nodes if node is not than and _is_master(node))

    def move(
        self, slot: int, to: RedisServer | None = None, *, batches_each_s: float = 0.0, keys_at_once: int = 10
    ) -> None:
        """Move a slot with its keys to another master, as `redis-cli --cluster reshard` does: some keys at a time."""
        source = self.owner(slot)
        target = to or self.another(source)
        here, there = (ask(node.port, "CLUSTER", "MYID")[0] for node in (source, target))
        ask(target.port, "CLUSTER", "SETSLOT", str(slot), "IMPORTING", here)
        ask(source.port, "CLUSTER", "SETSLOT", str(slot), "MIGRATING", there)
        with BlockingRedis(host=HOST, port=source.port, decode_responses=True) as client:
            commands = cast(_Commands, client)  # not `redis-cli`: a process for each step takes long on a busy machine
            while keys := commands.execute_command("CLUSTER GETKEYSINSLOT", slot, keys_at_once):
                commands.execute_command("MIGRATE", HOST, target.port, "", 0, 5_000, "KEYS", *keys)
                time.sleep(batches_each_s)  # so that work meets a slot which is in part here and in part there
        for node in (target, source, *filter(_is_master, self.nodes)):
            ask(node.port, "CLUSTER", "SETSLOT", str(slot), "NODE", there)


def _said(answer: list[str], name: str) -> str | None:
    """What follows a name; what is empty is not printed, so names and values need not come in pairs."""
    return answer[answer.index(name) + 1] if name in answer else None


def replication_of(server: RedisServer) -> dict[str, str]:
    """What a server says of its part in replication: `INFO replication`, field by field."""
    lines = ask(server.port, "INFO", "replication")
    return dict(line.strip().split(":", 1) for line in lines if ":" in line)


def ask(port: int, *command: str) -> list[str]:
    """What `redis-cli` prints, line by line."""
    done = subprocess.run(
        ["redis-cli", "-h", HOST, "-p", str(port), *command], check=True, capture_output=True, text=True, timeout=10
    )
    return [line for line in done.stdout.splitlines() if line]


def wait_until(is_so: Callable[[], bool], complaint: str) -> None:
    gives_up_at_s = time.monotonic() + _SETTLES_S
    while not is_so():
        assert time.monotonic() < gives_up_at_s, complaint
        time.sleep(0.05)  # nothing tells when servers agree


@contextmanager
def running_sentinels(*, down_after_ms: int = DOWN_AFTER_MS, options: tuple[str, ...] = ()) -> Generator[SentinelSet]:
    """A master, a replica and three sentinels that know all of them; they end with the block."""
    with ExitStack() as opened:
        options = (*_REPLICATES_SOON, *options)
        master = opened.enter_context(running_redis(appendonly=False, options=options))
        follows = (*options, "--replicaof", HOST, str(master.port))
        replica = opened.enter_context(running_redis(appendonly=False, options=follows))
        sentinels: list[Sentinel] = []
        for _ in range(3):
            directory = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="sentinel-")))
            sentinel = Sentinel(directory, master, down_after_ms)
            opened.callback(sentinel.stop)
            sentinel.start()
            sentinels.append(sentinel)
        group = SentinelSet((master, replica), tuple(sentinels))
        group.wait_until_settled()
        yield group


@contextmanager
def running_cluster(
    size: int = 3, options: tuple[str, ...] = (), *, with_replicas: bool = False
) -> Generator[RedisCluster]:
    """Masters that share the slots, each with a replica where that is asked for; they end with the block."""
    with ExitStack() as opened:
        nodes = tuple(
            opened.enter_context(running_redis(appendonly=False, options=(*_cluster_options(), *options)))
            for _ in range(2 * size if with_replicas else size)
        )
        bounds = [SLOTS * number // size for number in range(size + 1)]
        for node, first, behind in zip(nodes, bounds, bounds[1:], strict=False):
            ask(node.port, "CLUSTER", "ADDSLOTSRANGE", str(first), str(behind - 1))
        for node in nodes[1:]:
            ask(nodes[0].port, "CLUSTER", "MEET", HOST, str(node.port), _bus_port(node))
        wait_until(lambda: all(_is_ok(node, len(nodes)) for node in nodes), "the nodes did not find each other")
        cluster = RedisCluster(nodes, size)
        for master, replica in cluster.pairs:
            ask(replica.port, "CLUSTER", "REPLICATE", ask(master.port, "CLUSTER", "MYID")[0])
        for pair in cluster.pairs:
            cluster.wait_until_settled(pair)
        yield cluster


def _cluster_options() -> tuple[str, ...]:
    # A bus port of its own: the usual one, 10000 above the server's, may be taken or out of range.
    port = str(free_port())
    return ("--cluster-enabled", "yes", "--cluster-port", port, "--cluster-node-timeout", "2000", *_REPLICATES_SOON)


def _bus_port(node: RedisServer) -> str:
    return ask(node.port, "CONFIG", "GET", "cluster-port")[1]


def _is_ok(node: RedisServer, size: int) -> bool:
    info = ask(node.port, "CLUSTER", "INFO")
    return {"cluster_state:ok", f"cluster_known_nodes:{size}"} <= set(info)


def _has(node: RedisServer, slot: int) -> bool:
    myself = next(line for line in ask(node.port, "CLUSTER", "NODES") if "myself" in line)
    ranges = [part.split("-") for part in myself.split()[8:] if not part.startswith("[")]
    return any(int(bounds[0]) <= slot <= int(bounds[-1]) for bounds in ranges)


def _is_master(node: RedisServer) -> bool:
    return answers_ping(node.port) and replication_of(node)["role"] == "master"
