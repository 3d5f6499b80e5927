"""Reading proofs: from a folder nothing else can be read, and from a site nothing but what it says itself."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from handlers.outside.connection import Resolver
from handlers.users.proof import MAX_BYTES, TOO_LARGE, Found, Missing, OutOfReach, Reading, why_not
from handlers.users.proof_folder import NO_PROOF
from handlers.users.proof_reader import ProofReader, open_proof_reader
from jobqueue import SettingsError
from tests.conftest import MakeSettings
from tests.handlers.support.receiver import Reaction, answer, babble, close, drip_body, flood, hang
from tests.handlers.users.support import HOSTNAME, a_proof, a_site, the_sites

PROOF = f"/proofs/{HOSTNAME}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with ada's profile and her proof; beside it lies what nobody is to read."""
    (tmp_path / "secret" / "proofs").mkdir(parents=True)
    (tmp_path / "secret" / "proofs" / HOSTNAME).write_bytes(b"secret")
    profiles = tmp_path / "profiles"
    (profiles / "ada" / "proofs").mkdir(parents=True)
    (profiles / "ada" / "proofs" / HOSTNAME).write_bytes(a_proof())
    return profiles


@pytest.fixture
async def reader(folder: Path) -> AsyncGenerator[ProofReader]:
    """The reader of a local environment, which waits half a second."""
    async with the_sites() as sites:
        yield ProofReader(HOSTNAME, folder, sites)


# In a folder


@pytest.mark.parametrize("url", ["file://{}/ada", "file://{}/ada/", "FILE://{}/ada", "file://localhost{}/%61da"])
async def test_a_proof_below_the_folder_is_read(reader: ProofReader, folder: Path, url: str) -> None:
    assert await reader.read(url.format(folder)) == Found(a_proof())


@pytest.mark.parametrize(
    "url",
    [
        "file://{}/../secret",
        "file://{}/%2e%2e/secret",
        "file://{}/ada/..%2f..%2f../secret",
        "file://{}/./ada",
        "file://{}/../profiles-2",
        "file:///etc",
        "file:{}/ada?x",
        "file://{}/ada#x",
        "file://other.example{}/ada",
        "file:///{}/ada",
        "file://{}/ada%00",
        "file:ada",
        "file://[",
    ],
)
async def test_a_url_cannot_lead_out_of_the_folder(reader: ProofReader, folder: Path, url: str) -> None:
    told = await reader.read(url.format(folder))

    assert isinstance(told, Missing)
    assert told.reason.startswith("url: ")


async def test_a_link_is_not_followed_wherever_it_stands(reader: ProofReader, folder: Path) -> None:
    secret = folder.parent / "secret"
    (folder / "bob").symlink_to(secret)
    (folder / "eve").mkdir()
    (folder / "eve" / "proofs").symlink_to(secret / "proofs")
    (folder / "mal" / "proofs").mkdir(parents=True)
    (folder / "mal" / "proofs" / HOSTNAME).symlink_to(secret / "proofs" / HOSTNAME)

    assert [await reader.read(f"file://{folder}/{name}") for name in ("bob", "eve", "mal")] == [NO_PROOF] * 3


async def test_what_is_no_file_is_no_proof_and_what_is_too_large_is_not_read(reader: ProofReader, folder: Path) -> None:
    for name in ("pipe", "folder", "large", "exact"):
        (folder / name / "proofs").mkdir(parents=True)
    os.mkfifo(folder / "pipe" / "proofs" / HOSTNAME)
    (folder / "folder" / "proofs" / HOSTNAME).mkdir()
    (folder / "large" / "proofs" / HOSTNAME).write_bytes(b"x" * (MAX_BYTES + 1))
    (folder / "exact" / "proofs" / HOSTNAME).write_bytes(b"x" * MAX_BYTES)

    told = [await reader.read(f"file://{folder}/{name}") for name in ("nobody", "pipe", "folder", "large", "exact")]

    assert told == [NO_PROOF, NO_PROOF, NO_PROOF, TOO_LARGE, Found(b"x" * MAX_BYTES)]


async def test_a_folder_that_is_away_is_trouble_and_no_missing_proof(reader: ProofReader, folder: Path) -> None:
    """It was not mounted yet, and every profile in it lost its verification."""
    folder.rename(folder.parent / "moved")

    assert await reader.read(f"file://{folder}/ada") == OutOfReach("PROFILES_FOLDER: No such file or directory")


# On a site


async def test_a_proof_on_a_site_is_asked_for_by_the_name_in_the_url(reader: ProofReader) -> None:
    async with a_site({f"/people/ada{PROOF}": answer(200, a_proof())}) as site:
        told = await reader.read(f"{site.url}/people/ada/")

    assert told == Found(a_proof())
    assert site.asked == [(f"GET /people/ada{PROOF} HTTP/1.1", f"127.0.0.1:{site.port}")]


@pytest.mark.parametrize(
    ("reaction", "expected"),
    [
        (answer(404), Missing("there is no proof: the site answers 404")),
        (answer(302, headers="Location: /elsewhere\r\n"), Missing("there is no proof: the site answers 302")),
        (answer(204), Missing("there is no proof: the site answers 204")),
        (flood, TOO_LARGE),
        (answer(200, b"x" * (MAX_BYTES + 1)), TOO_LARGE),
        (answer(500), OutOfReach("the site answers 500")),
        (answer(429), OutOfReach("the site answers 429")),
        (hang, OutOfReach("no answer within 0.5 s")),
        (drip_body, OutOfReach("no answer within 0.5 s")),
    ],
    ids=["404", "redirect", "empty", "flood", "large", "500", "429", "silence", "drip"],
)
async def test_what_a_site_does_is_a_missing_proof_or_trouble(
    reader: ProofReader, reaction: Reaction, expected: Reading
) -> None:
    async with a_site({PROOF: reaction, "/elsewhere": answer(200, a_proof())}) as site:
        assert await reader.read(site.url) == expected

    assert len(site.asked) == 1


@pytest.mark.parametrize("reaction", [close, babble], ids=["closed", "no http"])
async def test_a_broken_answer_is_trouble(reader: ProofReader, reaction: Reaction) -> None:
    async with a_site({PROOF: reaction}) as site:
        assert isinstance(await reader.read(site.url), OutOfReach)


async def test_a_site_that_is_down_is_trouble(reader: ProofReader) -> None:
    async with a_site({}) as site:
        gone = site.url

    assert isinstance(await reader.read(gone), OutOfReach)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/ada?next=",
        "https://example.com/ada#",
        "https://example.com/ada/../bob",
        "https://example.com/ada/%2E%2E/bob",
        "https://example.com/ada/..%5cbob",
        "https://user:a1b2@example.com/",
        "ftp://example.com/",
        "gopher:x",
        "ada",
        "",
    ],
)
async def test_a_url_that_a_proof_cannot_be_put_behind_is_refused(reader: ProofReader, url: str) -> None:
    told = await reader.read(url)

    assert isinstance(told, Missing)
    assert told.reason.startswith("url: ")
    assert "a1b2" not in told.reason


def leads_to(address: str) -> Resolver:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return [address]

    return resolve


async def test_private_addresses_are_refused_where_it_is_not_local_and_nothing_connects(folder: Path) -> None:
    async with (
        a_site({PROOF: answer(200, a_proof())}) as site,
        the_sites(allow_private=False, resolve=leads_to("127.0.0.1")) as sites,
    ):
        reader = ProofReader(HOSTNAME, folder, sites)
        plain = await reader.read(site.url)
        address = await reader.read(f"https://127.0.0.1:{site.port}")
        name = await reader.read(f"https://profiles.example:{site.port}")

    assert all(isinstance(told, Missing) for told in (plain, address, name))
    assert isinstance(name, Missing)
    assert "'profiles.example' leads to 127.0.0.1, which is loopback" in name.reason
    assert site.asked == []


# What it says


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (a_proof(), None),
        (b'{"userId": "ada", "hostname": "shop.example", "more": [1]}', None),
        (a_proof("bob"), "the proof names another user"),
        (a_proof(hostname="evil.example"), "the proof is for another service than shop.example"),
        (b'{"userId": "ada"}', "the proof is not JSON like"),
        (b'{"userId": 7, "hostname": "shop.example"}', "the proof is not JSON like"),
        (b"<html>", "the proof is not JSON like"),
        (b"", "the proof is not JSON like"),
        (b"\xff", "the proof is not JSON like"),
        (b"[" * 10_000, "the proof is not JSON like"),
    ],
)
def test_a_proof_names_this_user_of_this_service(body: bytes, why: str | None) -> None:
    told = why_not(body, "ada", HOSTNAME)

    assert (told is None) if why is None else (told is not None and told.startswith(why))


# Settings


async def test_the_reader_is_as_the_settings_have_it(settings: MakeSettings, folder: Path) -> None:
    own = settings(service_hostname=HOSTNAME, profiles_folder=str(folder))
    async with open_proof_reader(own) as reader:
        assert await reader.read(f"file://{folder}/ada") == Found(a_proof())
        assert isinstance(await reader.read("http://127.0.0.1:1/"), Missing)  # it is not local
    async with open_proof_reader(settings()) as reader:
        assert isinstance(await ProofReader(HOSTNAME, None, reader.sites).read(f"file://{folder}/ada"), Missing)
        with pytest.raises(SettingsError, match="SERVICE_HOSTNAME: is not set"):
            await reader.read(f"file://{folder}/ada")


@pytest.mark.parametrize("name", ["Shop.example", "../x", "a/b", "shop.example:80", ".", "a\n", "x" * 254])
def test_a_name_that_could_be_a_path_is_none_for_the_service(settings: MakeSettings, name: str) -> None:
    with pytest.raises(SettingsError, match=r"^SERVICE_HOSTNAME: "):
        settings(service_hostname=name)
