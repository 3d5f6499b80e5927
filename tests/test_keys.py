"""Every key under the base of its queue, and none of ours that another tool takes for a job."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobqueue.keys import QueueKeys

KEYS = QueueKeys("bull", "jobs")

OURS: list[Callable[[QueueKeys], str]] = [
    lambda keys: keys.superseded("7"),
    lambda keys: keys.created("7"),
    QueueKeys.creators,
    lambda keys: keys.lane("sync", "r1"),
    lambda keys: keys.singleton_lock("sync"),
    QueueKeys.singleton_fence,
    lambda keys: keys.overlap("row"),
    lambda keys: keys.slots("row"),
    QueueKeys.cron_history,
    lambda keys: keys.statistics("minute", 7),
    lambda keys: keys.statistics_sent("w1"),
    lambda keys: keys.worker("w1"),
    QueueKeys.workers,
]
NODES: list[Callable[[QueueKeys], str]] = [
    lambda keys: keys.of("wait"),
    lambda keys: keys.job("7"),
    lambda keys: keys.job_lock("7"),
    lambda keys: keys.job_logs("7"),
    lambda keys: keys.metrics("failed"),
]


@pytest.mark.parametrize("key", [*OURS, *NODES, QueueKeys.signals])
def test_every_key_is_under_its_prefix_and_queue(key: Callable[[QueueKeys], str]) -> None:
    assert key(KEYS).startswith("bull:jobs:")
    assert key(QueueKeys("{shop}", "mail")).startswith("{shop}:mail:")


@pytest.mark.parametrize("key", OURS)
def test_our_keys_have_three_parts_so_that_nodes_cleanup_passes_them_over(key: Callable[[QueueKeys], str]) -> None:
    """Node's removeOrphanedJobs takes `word` and `word:lock` for a job and its lock, and deletes them."""
    _, kind, identity = key(KEYS).removeprefix("bull:jobs:").split(":", 2)

    assert kind in {
        *("superseded", "created", "creators", "lane", "lock", "fence", "overlap", "order", "cron"),
        *("stats", "worker", "workers"),
    }
    assert identity


def test_the_keys_of_the_documentation() -> None:
    assert KEYS.superseded("7") == "bull:jobs:job:superseded:7"
    assert KEYS.lane("syncData", "sync:r1") == "bull:jobs:job:lane:syncData:sync:r1"
    assert KEYS.singleton_lock("clean") == "bull:jobs:job:lock:clean"


def test_two_handlers_never_share_a_lane() -> None:
    """A handler's name holds no ':', so the first one after it ends it."""
    assert KEYS.lane("a", "b:c") != KEYS.lane("b", "a:c")
    assert KEYS.lane("a", ":b") != KEYS.lane("a", "b")


def test_no_key_of_ours_meets_one_of_another_kind() -> None:
    made = [key(KEYS) for key in (*OURS, *NODES)]

    assert len(set(made)) == len(made)


def test_a_client_is_named_as_node_looks_for_it() -> None:
    assert QueueKeys("bull", "größe").client_name("w1") == "bull:Z3LDtsOfZQ==:w:w1"
    assert KEYS.client_name("w1") == "bull:am9icw==:w:w1"
    assert QueueKeys("bull", "größe").client_name("w1") == "bull:Z3LDtsOfZQ==:w:w1"
