"""What a worker and its children say to each other: lines that come in pieces, and errors that are not pickled."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue import fixed
from jobqueue.children import Child, Children
from jobqueue.errors import DuplicateJob, JobCancelled, Retry
from jobqueue.job import EnqueueOptions
from jobqueue.worker.outcomes import trace_of
from jobqueue.worker.process.failures import stand_in, tell
from jobqueue.worker.process.location import Location
from jobqueue.worker.process.wire import (
    CronTold,
    FromChild,
    Limits,
    Line,
    Lines,
    Offspring,
    Order,
    Refused,
    Result,
    Stop,
    Stored,
    decode_from_child,
    decode_options,
    decode_to_child,
    encode,
    encode_options,
)

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
"""Also with lone surrogates, which stand for bytes that are not UTF-8."""


@given(ANY_TEXT, ANY_TEXT)
def test_a_message_may_hold_any_text(job_id: str, text: str) -> None:
    place = Location("shop.pictures", "resize", None)
    order = Order(place, "jobs", job_id, {"data": text}, "worker", 7, Limits(1, 2), 30)
    of_cron_job = order._replace(cron=CronTold(text, text, None))
    for message in (
        order,
        of_cron_job,
        Stop("timeout", text, None),
        Stored(1, job_id, text, "jobs", True, None, False),
    ):
        line = encode(message)

        assert decode_to_child(line) == message
        assert line.index(b"\n") == len(line) - 1


@given(st.lists(ANY_TEXT, max_size=5), st.lists(st.integers(1, 50), max_size=30))
def test_messages_arrive_whole_however_their_bytes_are_cut(texts: list[str], sizes: list[int]) -> None:
    sent: list[FromChild] = [*map(Line, texts), Result("[1]")]
    data, lines, arrived = b"".join(map(encode, sent)), Lines(), list[FromChild]()
    for size in (*sizes, len(data)):
        piece, data = data[:size], data[size:]
        arrived += map(decode_from_child, lines.feed(piece))

    assert arrived == sent
    assert lines.pending_bytes == 0


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'["Nothing"]', b'["Line"]', b"\xff", b'["Order",1]'])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises((ValueError, TypeError, LookupError)):
        decode_to_child(line)


def test_options_pass_as_they_were_given() -> None:
    asked: EnqueueOptions = {
        "run_at": datetime(2030, 1, 2, 3, 4, 5, 678, UTC),
        "backoff": fixed(7, jitter=0.5),
        "related": ("order", "7"),
        "priority": 3,
    }

    assert decode_options(encode_options(asked)) == asked
    assert decode_options(encode_options({"backoff": 9})) == {"backoff": 9}


# Errors


class Full(OSError):
    """An error that needs more than a text to be made."""

    def __init__(self, disk: str, *, missing_bytes: int) -> None:
        super().__init__(28, f"no space on {disk}")
        self.missing_bytes = missing_bytes
        self.disk = object()


class Proud(Exception):
    """An error that nobody may make a subclass of."""

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("no")


class Secretive(Exception):
    """An error that does not show what it has, and does not let go either."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__":
            raise SystemExit
        return super().__getattribute__(name)


def crossed(error: BaseException) -> BaseException:
    """The error as the other process has it."""
    message = decode_to_child(encode(Refused(1, tell(error))))
    assert isinstance(message, Refused)
    return stand_in(message.told)


def test_an_error_keeps_its_class_its_text_and_its_plain_attributes() -> None:
    error = crossed(Full("/data", missing_bytes=7))

    assert isinstance(error, Full)
    assert (type(error).__name__, str(error)) == ("Full", "[Errno 28] no space on /data")
    assert error.missing_bytes == 7
    assert not hasattr(error, "disk")


def test_our_own_errors_keep_what_is_asked_of_them() -> None:
    retry, duplicate = crossed(Retry(5)), crossed(DuplicateJob("resize", "7"))

    assert isinstance(retry, Retry)
    assert isinstance(duplicate, DuplicateJob)
    assert (retry.delay_ms, duplicate.job_id, duplicate.handler) == (5, "7", "resize")


@pytest.mark.parametrize("error", [KeyError("key"), TimeoutError(), SystemExit(3), JobCancelled("by itself")])
def test_an_error_says_in_the_worker_what_it_said_before(error: BaseException) -> None:
    assert isinstance(crossed(error), type(error))
    assert str(crossed(error)) == (str(error) or type(error).__name__)


def test_an_error_of_a_class_that_is_not_loaded_is_one_of_its_base() -> None:
    class Local(ConnectionError):
        """A class that no name leads to."""

    error = crossed(Local("away"))

    assert isinstance(error, ConnectionError)
    assert (type(error).__name__, str(error)) == ("Local", "away")


@pytest.mark.parametrize(
    "error", [ExceptionGroup("several", [ValueError()]), Secretive("no"), Proud("no")], ids=["group", "dict", "class"]
)
def test_an_error_whose_class_refuses_is_one_of_its_base(error: Exception) -> None:
    other = crossed(error)

    assert isinstance(other, Exception)
    assert str(other) == str(error)


def test_an_error_brings_its_trace() -> None:
    with pytest.raises(ValueError, match="here") as caught:
        raise ValueError("here")

    assert tell(caught.value).trace == trace_of(caught.value)
    assert "in test_an_error_brings_its_trace" in tell(caught.value).trace


# Children


def test_what_became_of_a_job_s_children_passes_as_it_is() -> None:
    children = Children([Child("1", "jobs", "resize", "completed", [1]), Child("2", "jobs", None, "failed", None, "x")])
    message = decode_to_child(encode(Offspring.of(1, children)))

    assert isinstance(message, Offspring)
    assert message.decoded == children
