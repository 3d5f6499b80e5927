"""Real groups of Redis servers: a master with a replica and three sentinels, and a cluster of three masters."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.processes import end, free_port, spawn, wait_until_up
from tests.support.redis_server import HOST, RedisServer, answers_ping, running_redis

SERVICE = "mymaster"
DOWN_AFTER_MS = 500
SLOTS = 16_384
_SETTLES_S = 20.0


class Sentinel:
    """One `redis-server --sentinel`, which keeps what it learns in a file in `directory`."""

    def __init__(self, directory: Path, master: RedisServer) -> None:
        self.port = free_port()
        self._log = directory / "sentinel.log"
        self._config = directory / "sentinel.conf"
        self._config.write_text(
            f"bind {HOST}\nport {self.port}\ndir {directory}\n"
            f"sentinel monitor {SERVICE} {HOST} {master.port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n"
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

    def fail_over(self) -> None:
        """Have the replica take over though the master is well. Returns at once."""
        assert self.sentinels[0].ask("SENTINEL", "FAILOVER", SERVICE) == ["OK"]

    def wait_until_settled(self) -> None:
        """Wait until a failover is possible: the replica follows, and the sentinels know it and each other."""

        def settled() -> bool:
            said = [sentinel.ask("SENTINEL", "MASTER", SERVICE) for sentinel in self.sentinels]
            known = [dict(zip(one[::2], one[1::2], strict=True)) for one in said]
            if not all(one["num-slaves"] == "1" and one["num-other-sentinels"] == "2" for one in known):
                return False
            replicas = self.sentinels[0].ask("SENTINEL", "REPLICAS", SERVICE)
            return "master-link-status" in replicas and replicas[replicas.index("master-link-status") + 1] == "ok"

        wait_until(settled, "the sentinels did not settle")


class RedisCluster:
    """Masters of a cluster, without replicas; each has its share of the slots."""

    def __init__(self, nodes: tuple[RedisServer, ...]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        """Names one node, so that the others have to be found."""
        return f"redis+cluster://{HOST}:{self.nodes[0].port}"

    def slot(self, key: str) -> int:
        return int(ask(self.nodes[0].port, "CLUSTER", "KEYSLOT", key)[0])

    def owner(self, slot: int) -> RedisServer:
        """The node that has the slot."""
        return next(node for node in self.nodes if _has(node, slot))

    def another(self, than: RedisServer) -> RedisServer:
        return next(node for node in self.nodes if node is not than)

    def move(self, slot: int, *, batches_each_s: float = 0.0) -> None:
        """Move a slot with its keys to another node, as `redis-cli --cluster reshard` does, ten keys at a time."""
        source = self.owner(slot)
        target = self.another(source)
        here, there = (ask(node.port, "CLUSTER", "MYID")[0] for node in (source, target))
        ask(target.port, "CLUSTER", "SETSLOT", str(slot), "IMPORTING", here)
        ask(source.port, "CLUSTER", "SETSLOT", str(slot), "MIGRATING", there)
        while keys := ask(source.port, "CLUSTER", "GETKEYSINSLOT", str(slot), "10"):
            ask(source.port, "MIGRATE", HOST, str(target.port), "", "0", "5000", "KEYS", *keys)
            time.sleep(batches_each_s)  # so that work meets a slot which is in part here and in part there
        for node in (target, source, *self.nodes):
            ask(node.port, "CLUSTER", "SETSLOT", str(slot), "NODE", there)


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
def running_sentinels() -> Generator[SentinelSet]:
    """A master, a replica and three sentinels that know all of them; they end with the block."""
    with ExitStack() as opened:
        options = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
        master = opened.enter_context(running_redis(appendonly=False, options=options))
        follows = (*options, "--replicaof", HOST, str(master.port))
        replica = opened.enter_context(running_redis(appendonly=False, options=follows))
        sentinels: list[Sentinel] = []
        for _ in range(3):
            directory = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="sentinel-")))
            sentinel = Sentinel(directory, master)
            opened.callback(sentinel.stop)
            sentinel.start()
            sentinels.append(sentinel)
        group = SentinelSet((master, replica), tuple(sentinels))
        group.wait_until_settled()
        yield group


@contextmanager
def running_cluster(size: int = 3, options: tuple[str, ...] = ()) -> Generator[RedisCluster]:
    """Masters that share the slots and know each other; they end with the block."""
    with ExitStack() as opened:
        nodes = tuple(
            opened.enter_context(running_redis(appendonly=False, options=(*_cluster_options(), *options)))
            for _ in range(size)
        )
        bounds = [SLOTS * number // size for number in range(size + 1)]
        for node, first, behind in zip(nodes, bounds, bounds[1:], strict=False):
            ask(node.port, "CLUSTER", "ADDSLOTSRANGE", str(first), str(behind - 1))
        for node in nodes[1:]:
            ask(nodes[0].port, "CLUSTER", "MEET", HOST, str(node.port), _bus_port(node))
        wait_until(lambda: all(_is_ok(node, size) for node in nodes), "the nodes did not find each other")
        yield RedisCluster(nodes)


def _cluster_options() -> tuple[str, ...]:
    # A bus port of its own: the usual one, 10000 above the server's, may be taken or out of range.
    return ("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "2000")


def _bus_port(node: RedisServer) -> str:
    return ask(node.port, "CONFIG", "GET", "cluster-port")[1]


def _is_ok(node: RedisServer, size: int) -> bool:
    info = ask(node.port, "CLUSTER", "INFO")
    return {"cluster_state:ok", f"cluster_known_nodes:{size}"} <= set(info)


def _has(node: RedisServer, slot: int) -> bool:
    myself = next(line for line in ask(node.port, "CLUSTER", "NODES") if "myself" in line)
    ranges = [part.split("-") for part in myself.split()[8:] if not part.startswith("[")]
    return any(int(bounds[0]) <= slot <= int(bounds[-1]) for bounds in ranges)
