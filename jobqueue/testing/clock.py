"""Clock: one that stands still until the test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobqueue.clock import wall_ms


class HandClock:
    """The time of a test. It begins with the real one, and goes on only by `move` and `move_to`, never back.

    What is due by it runs in the next drain. Of what Redis itself times (locks, leases, how long keys live, the
    moments of its events and figures) nothing is moved.
    """

    def __init__(self) -> None:
        self._now_ms = wall_ms()

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return self._now_ms

    def now(self) -> datetime:
        """The same as a moment in UTC."""
        return moment_of(self._now_ms)

    def move(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0, milliseconds: float = 0
    ) -> datetime:
        """Go on by so much; returns the new time. Raises: ValueError where that is backwards."""
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)
        return self._go_to(self._now_ms + step // timedelta(milliseconds=1))

    def move_to(self, moment: datetime) -> datetime:
        """Go on to a moment, which has a zone; returns it. Raises: ValueError for one that is past, or has none."""
        return self._go_to(ms_of(moment))

    def _go_to(self, now_ms: int) -> datetime:
        if now_ms < self._now_ms:
            back = timedelta(milliseconds=self._now_ms - now_ms)
            raise ValueError(f"the clock only goes on: {moment_of(now_ms)} is {back} before its {self.now()}")
        self._now_ms = now_ms
        return self.now()


def moment_of(epoch_ms: int) -> datetime:
    """Epoch milliseconds as a moment in UTC, exact to the millisecond."""
    return datetime.fromtimestamp(epoch_ms // 1000, UTC) + timedelta(milliseconds=epoch_ms % 1000)


def ms_of(moment: datetime) -> int:
    """A moment in epoch milliseconds. Raises: ValueError where it has no zone."""
    if moment.tzinfo is None:
        raise ValueError(f"a moment needs a time zone, such as datetime.now(UTC): {moment!r}")
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
