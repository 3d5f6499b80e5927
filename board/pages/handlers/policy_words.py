"""Policy words: how the jobs of a handler are treated, in words."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from board.render import number, span
from jobqueue.handler import Handler, Singleton
from jobqueue.job import Backoff, BackoffFunction, Keep
from jobqueue.policy import Policy


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a policy: a word, what holds, and what that means."""

    word: str
    value: str
    note: str = ""


def docs_of(handler: Handler[Any]) -> str:
    """What its function says of itself."""
    return inspect.getdoc(handler.function) or ""


def in_short(policy: Policy) -> str:
    """What tells a policy from another one, in a line."""
    words = [_tries(policy.attempts)]
    if policy.attempts > 1:
        words.append(backoff_in_words(policy.backoff))
    if policy.timeout_ms is not None:
        words.append(f"{span(policy.timeout_ms)} at most")
    if policy.concurrency is not None:
        words.append(_concurrency(policy))
    if policy.rate_limit is not None:
        words.append(_rate(policy))
    words += [word for word, holds in _marks(policy) if holds]
    return ", ".join(words)


def facts_of(handler: Handler[Any], queue: str) -> tuple[Fact, ...]:
    """All of a policy; what does not hold for this handler is left out."""
    policy = handler.policy
    limits = (
        Fact("Runs", _concurrency(policy) if policy.concurrency else "as many at once as the workers take"),
        Fact("Starts", _rate(policy) if policy.rate_limit else "as fast as they come"),
        Fact("In order", "yes", "jobs of one object, one after another") if policy.ordered else None,
        Fact("Duplicates", "refused", "while a job of the same object is not finished")
        if policy.duplicates == "reject"
        else None,
    )
    facts = (
        Fact("Queue", queue),
        Fact("Pattern", handler.pattern.word, _pattern_note(handler)),
        Fact("Attempts", str(policy.attempts), backoff_in_words(policy.backoff) if policy.attempts > 1 else ""),
        Fact(
            "Time limit", span(policy.timeout_ms) if policy.timeout_ms else "none", f"{span(policy.grace_ms)} to stop"
        ),
        Fact("First delay", span(policy.first_delay_ms)) if policy.first_delay_ms else None,
        Fact("Priority", str(policy.priority) if policy.priority else "none"),
        *limits,
        Fact("Acknowledged", "by hand" if policy.ack == "manual" else "when it returns"),
        Fact("Runs in", "a process of its own") if policy.run_in == "process" else None,
        Fact("Keeps completed", _keep(policy.keep_completed)),
        Fact("Keeps failed", _keep(policy.keep_failed)),
        Fact("Keeps log", f"{number(policy.keep_logs)} lines"),
        Fact("Quarantine", f"after {policy.max_claims} crashes", "of a worker that ran it"),
        Fact("Not retried after", ", ".join(kind.__name__ for kind in policy.unrecoverable))
        if policy.unrecoverable
        else None,
    )
    return tuple(fact for fact in facts if fact is not None)


def backoff_in_words(backoff: Backoff | BackoffFunction) -> str:
    if not isinstance(backoff, Backoff):
        return "apart as a function says"
    first = span(backoff.delay_ms)
    jitter = f", ±{backoff.jitter:.0%}" if backoff.jitter else ""
    return f"{first} apart{', doubling' if backoff.kind == 'exponential' else ''}{jitter}"


def _tries(attempts: int) -> str:
    return "1 try" if attempts == 1 else f"{number(attempts)} tries"


def _concurrency(policy: Policy) -> str:
    limit = policy.concurrency
    if limit is None:
        return ""
    return f"{number(limit.max)} at once{' for each key' if limit.by is not None else ''}"


def _rate(policy: Policy) -> str:
    limit = policy.rate_limit
    return "" if limit is None else f"{number(limit.max)} in {span(limit.per_ms)}"


def _marks(policy: Policy) -> tuple[tuple[str, bool], ...]:
    return (
        ("in order", policy.ordered),
        ("no duplicates", policy.duplicates == "reject"),
        ("acknowledged by hand", policy.ack == "manual"),
        ("in a process", policy.run_in == "process"),
    )


def _keep(keep: Keep) -> str:
    age = "" if keep.age_s is None else f"for {span(keep.age_s * 1000)}"
    count = "" if keep.count is None else f"at most {number(keep.count)}"
    return ", ".join(word for word in (age, count) if word) or "all of them"


def _pattern_note(handler: Handler[Any]) -> str:
    match handler.pattern.word:
        case "singleton":
            busy = isinstance(handler.pattern, Singleton) and handler.pattern.on_busy == "wait"
            return "one run at a time; another one waits" if busy else "one run at a time; another one is skipped"
        case "superseding":
            return "a newer job with the same key stops the older one"
        case _:
            return "every job runs"
