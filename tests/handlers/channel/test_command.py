"""`python -m handlers.channel`, as a person runs it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "handlers.channel")
LONGEST_S = 55.0


def start(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *options], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_every_plot_is_played_to_its_end_and_every_promise_kept() -> None:
    with start("--channels", "6", "--speed", "4", "--seed", "1") as playing:
        told, _ = playing.communicate(timeout=LONGEST_S)

    assert playing.returncode == 0, told
    assert told.count("kept") == 7
    assert "BROKEN" not in told
    for words in ("failed for good", "Cancelled: the channel is", "closes it alone", "has endpointCreate run again"):
        assert words in told


def test_a_port_that_is_taken_is_said_before_anything_is_played() -> None:
    """All lives were played first, and the last line was the error of another command."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start("--board", str(port)) as playing:
            told, _ = playing.communicate(timeout=LONGEST_S)

    assert playing.returncode == 1
    assert told == f"error: port {port} of this machine is taken; give --board another one\n"


def test_ctrl_c_ends_it_and_says_that_nothing_is_proven() -> None:
    with start("--channels", "2", "--speed", "0.1") as playing:
        assert playing.stdout is not None
        assert "asks for it" in playing.stdout.readline()

        playing.send_signal(signal.SIGINT)
        told, _ = playing.communicate(timeout=LONGEST_S)

    assert playing.returncode == 130, told
    assert told.endswith("stopped before the end: nothing is proven\n")
    assert "Traceback" not in told
