"""Files that hold payloads, keys and passwords are their owner's alone, and no link leads their writer elsewhere."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue.cli.folder import DevFolder, DevFolderError
from jobqueue.cli.signing_key import new_signing_key
from jobqueue.database import open_database
from jobqueue.redis.binary import EmbeddedRedisError
from jobqueue.redis.embedded import EmbeddedRedis


@pytest.fixture(autouse=True)
def generous_umask() -> Iterator[None]:
    """That of most machines, or a more generous one."""
    before = os.umask(0o002)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """What somebody else could read or write in a folder, as names with modes."""
    found = [folder, *folder.rglob("*")]
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in found if not path.is_symlink()}
    return [f"{name} {mode:o}" for name, mode in modes.items() if mode & 0o077]


async def test_an_sqlite_database_is_its_owners_alone(tmp_path: Path) -> None:
    """The secrets of webhooks are in it, and the payloads of jobs that wait in the outbox."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    async with open_database(f"sqlite:///{folder / 'jobs.db'}") as database:
        await database.ping()

        assert (folder / "jobs.db").exists()
        assert open_to_others(folder) == []


async def test_a_database_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    path.touch(mode=0o640)

    async with open_database(f"sqlite:///{path}") as database:
        await database.ping()

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_all_that_a_dev_server_keeps_is_its_owners_alone(tmp_path: Path) -> None:
    home = DevFolder(tmp_path / ".jobqueue")
    with home.held(), home.shared({"A": "b"}):
        home.signing_key(new_signing_key)
        async with EmbeddedRedis(home.redis), open_database(home.database_url) as database:
            await database.ping()

            assert {"redis", "jobqueue.db", "env", "webhook-signing-key.pem"} <= {
                one.name for one in home.path.iterdir()
            }
            assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
            private = [name for name in open_to_others(home.path) if not name.startswith(("appendonly", "redis.sock"))]
            assert private == []


def test_a_folder_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    (tmp_path / ".jobqueue").mkdir(mode=0o777)
    (tmp_path / ".jobqueue").chmod(0o777)

    with DevFolder(tmp_path / ".jobqueue").held():
        assert stat.S_IMODE((tmp_path / ".jobqueue").stat().st_mode) == 0o700


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".jobqueue").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(DevFolderError, match="is a link"):
        DevFolder(tmp_path / ".jobqueue").held().__enter__()

    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", [".gitignore", "env", "env.new", "webhook-signing-key.pem.new"])
def test_a_link_inside_is_replaced_and_not_followed(tmp_path: Path, name: str) -> None:
    """A repository that somebody else has made may bring them along."""
    precious = tmp_path / "precious"
    precious.write_text("keep me", encoding="utf-8")
    home = DevFolder(tmp_path / ".jobqueue")
    home.path.mkdir()
    (home.path / name).symlink_to(precious)

    with home.held(), home.shared({"A": "b"}):
        home.signing_key(new_signing_key)

    assert precious.read_text(encoding="utf-8") == "keep me"


@pytest.mark.parametrize("name", ["dev.lock", "redis/redis.lock", "redis/redis.log"])
async def test_a_lock_or_a_log_that_is_a_link_is_refused(tmp_path: Path, name: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep me", encoding="utf-8")
    home = DevFolder(tmp_path / ".jobqueue")
    home.redis.mkdir(parents=True)
    (home.path / name).symlink_to(precious)

    with pytest.raises((DevFolderError, EmbeddedRedisError, OSError)), home.held():
        async with EmbeddedRedis(home.redis):
            pass

    assert precious.read_text(encoding="utf-8") == "keep me"


def test_settings_that_others_could_have_written_are_not_believed(tmp_path: Path) -> None:
    """Somebody else's server in a shared folder would get this user's jobs."""
    home = DevFolder(tmp_path / ".jobqueue")
    with home.held(), home.shared({"REDIS_URL": "redis://evil"}):
        home.path.chmod(0o777)

        assert DevFolder(home.path).read_shared() == {}
