"""A server with open pages ends at once when it is told to."""

from __future__ import annotations

import signal
import time

import pytest

from tests.board.listening import Stream, listening
from tests.cli.conftest import bare_terminal, folder, port, terminal
from tests.cli.terminal import Running, Terminal
from tests.cli.test_worker import DEADLINE_S, status_of
from tests.support.eventually import eventually

__all__ = ["bare_terminal", "folder", "port", "terminal"]

WELL_BELOW_THE_GRACE_S = 4.0


async def is_up(port: int) -> None:
    await eventually(lambda: status_of(f"http://127.0.0.1:{port}/readyz") == 200, DEADLINE_S)


async def ends(server: Running, first: Stream, second: Stream, sign: signal.Signals) -> float:
    """Send the signal; returns after how many seconds the streams had ended."""
    sent_s = time.monotonic()
    server.send(sign)
    await first.until_end()
    await second.until_end()
    return time.monotonic() - sent_s


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
async def test_serve_ends_at_once_with_pages_open(terminal: Terminal, port: int, sign: signal.Signals) -> None:
    with terminal.running("serve", "--port", str(port), ENVIRONMENT="local") as server:
        await is_up(port)
        board = f"http://127.0.0.1:{port}/bullBoard"
        async with listening(board) as first, listening(board, "?queue=jobs") as second:
            # when
            took_s = await ends(server, first, second, sign)

            # then
            assert server.wait() == 0
    assert took_s < WELL_BELOW_THE_GRACE_S
    assert "rror" not in server.said()


async def test_dev_ends_at_once_with_pages_open(bare_terminal: Terminal, port: int) -> None:
    with bare_terminal.running("dev", "--port", str(port)) as server:
        await is_up(port)
        board = f"http://127.0.0.1:{port}/bullBoard"
        async with listening(board) as first, listening(board, "?queue=jobs") as second:
            # when
            took_s = await ends(server, first, second, signal.SIGINT)

            # then
            assert server.wait() == 0
    assert took_s < WELL_BELOW_THE_GRACE_S
