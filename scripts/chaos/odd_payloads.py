"""Odd payloads: what is handed to our own API, and what is put into Redis by hand, with what must become of each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from scripts.chaos.eaters import anything, letter, order

Verdict: TypeAlias = Literal["fails", "runs", "ends", "leaves", "stays"]
"""What must become of a stored job: it fails and is not run; it is run once; one of the two; its id leaves every list;
nobody touches it."""

DEEP: Final = 10_000
MEBIBYTE: Final = 2**20
YESTERDAY: Final = {"count": 3, "note": "three"}


class Asked(NamedTuple):
    """One call of our API. The options may be of any type, as a careless caller's are."""

    handler: Any
    payload: Any
    options: Mapping[str, Any] = {}


class Stored(NamedTuple):
    """A job as somebody puts it into Redis: its hash, or another key in its place, or nothing but the id."""

    verdict: Verdict
    fields: Mapping[str, str | bytes] = {}
    is_listed: bool = True
    key: Literal["hash", "string", "list"] = "hash"


def nested(depth: int) -> Any:
    """An array in an array in an array …"""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def _cycle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def refused(largest_mb: int) -> dict[str, Asked]:
    """What our API must refuse, by name."""
    payloads: dict[str, Any] = {
        "one byte over 1 MiB": "x" * (MEBIBYTE - 1),
        "10 MB": "x" * (min(10, largest_mb) * 1_000_000),
        f"{largest_mb} MB": "x" * (largest_mb * 1_000_000),
        f"{DEEP:,} deep": nested(DEEP),
        "NaN": {"n": math.nan},
        "Infinity": [math.inf],
        "a lone surrogate": "\ud800",
        "a lone surrogate as a name": {"\udfff": 1},
        "a cycle": _cycle(),
        "an object of no type": object(),
    }
    options: dict[str, Mapping[str, Any]] = {
        **{
            f"the id {one!r:.40}": {"job_id": one}
            for one in ("", "wait", "meta", "id", "0:5", "7", "a\x00b", "x" * 300)
        },
        **{f"the delay {one!r}": {"delay_ms": one} for one in (-1, 1.5, "1", True, 2**63)},
        **{f"the priority {one!r}": {"priority": one} for one in (-1, 2**21, "high", math.nan)},
        **{f"{one!r} attempts": {"attempts": one} for one in (0, -1, 2**60, "3")},
        **{f"the queue {one!r}": {"queue": one} for one in ("", "a:b", "{a}", 5)},
        **{f"the object {one!r}": {"related": one} for one in ("a", ("a",), ("a", ""), ("a", 1), ("a\n", "b"))},
        **{f"the order key {one!r:.20}": {"order_key": one} for one in ("", 5, "a\x00", "x" * 5_000)},
        "a time without a zone": {"run_at": datetime.fromisoformat("2030-01-01")},
        "an option that is none": {"delay": 5},
        "a backoff of text": {"backoff": "soon"},
        "a time limit of nothing": {"timeout_ms": 0},
    }
    return {
        **{name: Asked(anything, payload) for name, payload in payloads.items()},
        **{name: Asked(anything, {}, asked) for name, asked in options.items()},
        "an order of yesterday": Asked(order, YESTERDAY),
        "an order of yesterday, by name": Asked("order", YESTERDAY),
        "no order at all": Asked(order, None),
        "a handler that is none": Asked("nobody", {}),
        "no handler": Asked(None, {}),
    }


def taken() -> dict[str, Asked]:
    """What our API takes, and what must arrive as it was sent."""
    payloads: dict[str, Any] = {
        "null": None,
        "empty text": "",
        "empty object": {},
        "empty name": {"": ""},
        "1 MiB, just": "x" * (MEBIBYTE - 2),
        "NUL": {"a\x00": "\x00"},
        "2^53 + 1": {"n": 2**53 + 1},
        "-2^63 and 2^200": [-(2**63), 2**200],
        "line ends": "\u2028\u2029\r\n",
        "emoji": "👩‍👩‍👧\ufeff",
        "like an envelope": {"type": "adhoc", "payload": {"type": "cron", "payload": 1}},
        "100 deep": nested(100),
    }
    return {name: Asked(anything, payload) for name, payload in payloads.items()} | {
        "a letter of yesterday": Asked(letter, {"text": "dear"})
    }


# By hand

_ROUND: Final[Mapping[str, str | bytes]] = {
    "name": "anything",
    "data": "{}",
    "opts": "{}",
    "timestamp": "1700000000000",
}
_ODD: Final[tuple[str | bytes, ...]] = (
    *("", "x", "-1", "1e999", "NaN", "[]", "{}", "null", "true", '"', '{"', "[" * DEEP, "9" * 400, "\x00", "0x10"),
    *("1.0", "1e3", "007", " 5", "٣", '{"id":5}', '{"id":"1","queueKey":"a:b"}', "a:b:1", ":"),
    *(b"\xff\xfe", b"\xed\xa0\x80", "\\ud800", '"\\ud800"'),
)
_FIELDS: Final = (
    *("name", "data", "opts", "timestamp", "delay", "priority", "atm", "ats", "stc", "attemptsMade", "progress"),
    *("parent", "parentKey", "rjk", "defa", "deid", "processedOn", "finishedOn", "returnvalue", "failedReason"),
    *("stacktrace", "pb", "nrjid"),
)
_ODD_OPTIONS: Final = (
    *('{"attempts":0}', '{"attempts":"3"}', '{"attempts":1.5}', '{"attempts":1e300}', '{"attempts":null}'),
    *('{"backoff":"soon"}', '{"backoff":{"type":[],"delay":{}}}', '{"backoff":-5}', '{"backoff":{"delay":1e308}}'),
    *('{"removeOnComplete":"soon"}', '{"removeOnComplete":[]}', '{"removeOnFail":-1}', '{"removeOnFail":{"age":"x"}}'),
    *('{"repeat":"daily"}', '{"repeat":{}}', '{"parent":5}', '{"kl":"many"}', '{"delay":"x","priority":"y"}'),
    *('{"lifo":"yes"}', '{"de":{"id":5}}', '{"stackTraceLimit":"x"}', '{"sizeLimit":1}', '{"tm":{}}', '{"fpof":"x"}'),
)


def by_hand(largest_mb: int) -> dict[str, Stored]:
    """Jobs that no producer made, by name."""
    text = json.dumps("x" * (largest_mb * 1_000_000))
    yesterday, deep = json.dumps(YESTERDAY), "[" * DEEP + "]" * DEEP
    return {
        "an id without a hash": Stored("leaves"),
        "a hash without a list": Stored("stays", _ROUND, is_listed=False),
        "a string in the hash's place": Stored("leaves", key="string"),
        "a list in the hash's place": Stored("leaves", key="list"),
        "nothing but a name": Stored("runs", {"name": "anything"}),
        "no name": Stored("fails", {name: text for name, text in _ROUND.items() if name != "name"}),
        "fields that nobody knows": Stored("runs", {**_ROUND, "": "", "zzz": "1", b"\xff".decode("latin-1"): b"\xff"}),
        "a handler that is none": Stored("fails", {**_ROUND, "name": "nobody"}),
        "an order of yesterday": Stored("fails", {**_ROUND, "name": "order", "data": yesterday}),
        "an order of yesterday by our producer": Stored("fails", {**_ROUND, "name": "order", "data": _ours(yesterday)}),
        "a letter of yesterday": Stored("runs", {**_ROUND, "name": "letter", "data": _ours('{"text":"dear"}')}),
        "an expired one": Stored("fails", {**_ROUND, "data": '{"type":"adhoc","payload":1,"expiresAt":1}'}),
        f"{DEEP:,} deep": Stored("fails", {**_ROUND, "data": deep}),
        f"{DEEP:,} deep in our envelope": Stored("fails", {**_ROUND, "data": _ours(deep)}),
        f"{largest_mb} MB": Stored("runs", {**_ROUND, "data": _ours(text)}),
        f"{largest_mb} MB that are no JSON": Stored("fails", {**_ROUND, "data": text[:-1]}),
        f"{largest_mb} MB for a handler of orders": Stored("fails", {**_ROUND, "name": "order", "data": text}),
        **{f"data {odd!r:.30}": Stored("fails", {**_ROUND, "data": odd}) for odd in ("{", "NaN", "-Infinity", b"\xff")},
        **{
            f"options {odd!r:.30}": Stored("fails", {**_ROUND, "opts": odd}) for odd in ("{", "[]", "5", "NaN", b"\xff")
        },
        **{f"options {odd}": Stored("ends", {**_ROUND, "opts": odd}) for odd in _ODD_OPTIONS},
        **{
            f"{title}{name} = {odd!r:.30}": Stored("ends", {**_ROUND, "name": handler, name: odd})
            for title, handler in (("", "anything"), ("a failing job's ", "failing"))
            for name in _FIELDS
            for odd in _ODD
        },
    }


def _ours(payload_json: str) -> str:
    """The payload as a producer of ours stores it."""
    return f'{{"type":"adhoc","payload":{payload_json}}}'
