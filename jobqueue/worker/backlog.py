"""Backlog: what a handler has written and Redis has not taken yet; bounded, the newest wins."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MOST_ENTRIES: Final = 2_000
MOST_CHARACTERS: Final = 16 << 20


class Backlog(Generic[T]):
    """Entries in order, as many as may wait; where more come the oldest are dropped and counted.

    A handler that writes without ever awaiting, or while Redis is away, would fill the worker's memory otherwise. Redis
    keeps the last lines only, so a log that is no longer than `most` comes out as if all had been sent.
    Concurrency: any thread.
    """

    __slots__ = ("_characters", "_entries", "_lock", "_most", "dropped")

    def __init__(self, most: int = MOST_ENTRIES) -> None:
        self._most = max(most, MOST_ENTRIES)
        self._entries: deque[tuple[T, int]] = deque()
        self._characters = 0
        self._lock = threading.Lock()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: T, characters: int) -> None:
        with self._lock:
            self._entries.append((entry, characters))
            self._characters += characters
            while len(self._entries) > 1 and self._is_too_much():
                self._characters -= self._entries.popleft()[1]
                self.dropped += 1

    def take(self, most: int) -> list[T]:
        """The oldest ones, at most so many."""
        with self._lock:
            taken = [self._entries.popleft() for _ in range(min(len(self._entries), most))]
            self._characters -= sum(characters for _, characters in taken)
        return [entry for entry, _ in taken]

    def _is_too_much(self) -> bool:
        return len(self._entries) > self._most or self._characters > MOST_CHARACTERS
