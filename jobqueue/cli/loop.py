"""Loop: the event loop of a server: uvloop's where that is installed, else asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    import uvloop
except ImportError:  # there is none for Windows, nor for every interpreter
    new_event_loop = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop
