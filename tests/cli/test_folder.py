"""`.jobqueue/`: what a dev server keeps there, and when other terminals believe it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from handlers.webhooks.signing import load_signing_key
from jobqueue.cli.folder import DevFolder, DevFolderError
from jobqueue.cli.signing_key import new_signing_key


def home(tmp_path: Path) -> DevFolder:
    return DevFolder(tmp_path / ".jobqueue")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_settings_are_shared_while_the_server_lives(tmp_path: Path) -> None:
    # given
    variables = {"REDIS_URL": 'redis://:it\'s a "secret"@h/0', "KEY": "two\nlines"}

    # when
    with home(tmp_path).held(), home(tmp_path).shared(variables):
        during = home(tmp_path).read_shared()

    # then
    assert (during, home(tmp_path).read_shared()) == (variables, {})


def test_what_a_killed_server_left_behind_is_not_believed(tmp_path: Path) -> None:
    # given a file without the lock of the kernel, which a dead process cannot hold
    with home(tmp_path).held():
        pass
    (tmp_path / ".jobqueue" / "env").write_text("REDIS_URL=redis://nowhere\n", encoding="utf-8")

    # when, then
    assert home(tmp_path).read_shared() == {}
    with home(tmp_path).held():
        assert home(tmp_path).read_shared() == {}, "nor once a new server is starting"


def test_one_server_a_folder(tmp_path: Path) -> None:
    with home(tmp_path).held(), pytest.raises(DevFolderError, match="runs in this folder already"):
        home(tmp_path).held().__enter__()


def test_only_the_owner_reads_what_is_kept(tmp_path: Path) -> None:
    # when
    with home(tmp_path).held(), home(tmp_path).shared({"A": "b"}):
        home(tmp_path).signing_key(new_signing_key)
        modes = {path.name: mode(path) for path in (tmp_path / ".jobqueue").iterdir()}

    # then
    assert mode(tmp_path / ".jobqueue") == 0o700
    assert (modes["env"], modes["webhook-signing-key.pem"]) == (0o600, 0o600)
    assert (tmp_path / ".jobqueue" / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_the_signing_key_is_made_once_and_signs(tmp_path: Path) -> None:
    with home(tmp_path).held():
        # when
        first, second = home(tmp_path).signing_key(new_signing_key), home(tmp_path).signing_key(new_signing_key)

    # then
    assert first == second
    assert load_signing_key(SecretStr(first)).sign(b"body")
