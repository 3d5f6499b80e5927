"""Completion: what a shell offers for a word that is begun."""

from __future__ import annotations

import pytest

from jobqueue.cli.completing import state_words
from tests.cli.terminal import Terminal


def complete(terminal: Terminal, line: str, **changes: str) -> list[str]:
    done = terminal.run(
        COMP_WORDS=line, COMP_CWORD=str(len(line.split(" ")) - 1), _JOBQUEUE_COMPLETE="complete_bash", **changes
    )
    assert (done.returncode, done.stderr) == (0, ""), "a shell shows what is said"
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("jobqueue jobs re", ["remove", "retry"]),
        ("jobqueue enqueue st", ["stubborn"]),
    ],
)
def test_commands_and_handlers_are_completed(terminal: Terminal, line: str, offered: list[str]) -> None:
    assert sorted(complete(terminal, line)) == offered


def test_queues_are_completed_and_without_redis_those_of_the_registry(terminal: Terminal) -> None:
    terminal.run("enqueue", "refuse", "--queue", "mail")
    away = complete(terminal, "jobqueue queue pause ", REDIS_URL="redis://127.0.0.1:1")
    assert (sorted(complete(terminal, "jobqueue queue pause ")), away) == (["jobs", "mail"], ["jobs"])


def test_a_registry_that_is_broken_offers_nothing(terminal: Terminal) -> None:
    assert complete(terminal, "jobqueue enqueue st", JOBS_REGISTRY="nothing:registry") == []


def test_states_are_completed() -> None:
    assert state_words("wai") == ["waiting", "waiting-children"]
