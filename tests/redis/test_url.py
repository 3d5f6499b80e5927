"""REDIS_URL: what is understood, what is refused and with which words, and that no password gets out."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from jobqueue.errors import SettingsError
from jobqueue.redis.url import ClusterGroup, Endpoint, SentinelGroup, TlsOptions, read_url


def problem_with(url: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Endpoint.from_url(url)
    assert caught.value.setting == "REDIS_URL"
    return caught.value.problem


def test_a_tcp_url_names_host_port_database_and_login() -> None:
    endpoint = Endpoint.from_url("redis://ada:p%40ss%2Fword@cache.example:6380/3")

    assert endpoint == Endpoint(host="cache.example", port=6380, db=3, username="ada", password="p@ss/word")
    assert endpoint.address == "cache.example:6380"
    assert endpoint.ssl_context() is None


@pytest.mark.parametrize("url", ["redis://localhost", "redis://localhost/", "redis://localhost:6379/0"])
def test_port_6379_and_database_0_need_not_be_written(url: str) -> None:
    assert Endpoint.from_url(url) == Endpoint(host="localhost", port=6379, db=0)


def test_an_ipv6_address_keeps_its_brackets_in_messages() -> None:
    endpoint = Endpoint.from_url("redis://[::1]:6380")

    assert endpoint.host == "::1"
    assert endpoint.address == "[::1]:6380"


def test_a_unix_url_names_the_socket_and_the_database() -> None:
    endpoint = Endpoint.from_url("unix:///run/my%20redis.sock?db=1")

    assert endpoint.path == "/run/my redis.sock"
    assert endpoint.db == 1
    assert endpoint.address == "unix:/run/my redis.sock"


def test_a_unix_url_may_carry_a_login_before_the_path_or_in_its_query() -> None:
    before = Endpoint.from_url("unix://ada:secret@/run/redis.sock")
    behind = Endpoint.from_url("unix:///run/redis.sock?username=ada&password=secret")

    assert before == behind
    assert before.password == "secret"


def test_a_tls_url_checks_certificate_and_host_name_unless_told_otherwise() -> None:
    context = Endpoint.from_url("rediss://cache.example").ssl_context()

    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_the_tls_options_of_redis_py_are_understood() -> None:
    url = "rediss://cache.example?ssl_cert_reqs=none&ssl_check_hostname=false"
    endpoint = Endpoint.from_url(f"{url}&ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem")

    assert endpoint.tls
    assert endpoint.tls_options == TlsOptions(
        cert_reqs="none", check_hostname=False, ca_certs="/ca.pem", certfile="/c.pem", keyfile="/k.pem"
    )


def test_a_tls_url_without_certificate_checks_makes_a_context_without_them() -> None:
    context = Endpoint.from_url("rediss://cache.example?ssl_cert_reqs=none").ssl_context()

    assert context is not None
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


def test_a_certificate_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    for name in ("missing.pem", "ca.pem"):
        endpoint = Endpoint.from_url(f"rediss://cache.example?ssl_ca_certs={tmp_path / name}")

        with pytest.raises(SettingsError, match=f"REDIS_URL: cannot read the TLS .*{name}"):
            endpoint.ssl_context()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "has no scheme"),
        ("localhost:6379", "has no scheme"),
        ("http://localhost", "scheme 'http' is not one of redis://"),
        ("redis://", "the host is empty"),
        ("redis://:6379/0", "the host is empty"),
        ("redis://localhost:0", "port '0' of host 'localhost' is not a number from 1 to 65535"),
        ("redis://localhost:65536", "port '65536' of host 'localhost'"),
        ("redis://localhost:", "port '' of host 'localhost'"),
        ("redis://localhost:http", "the port of host 'localhost' is not a number"),
        ("redis://::1:6379", "an IPv6 address stands in brackets"),
        ("redis://[::1", "brackets"),
        ("redis://a:1,b:2", "has a list of hosts; redis:// takes one"),
        ("redis://localhost/jobs", "database 'jobs' is not a number of 0 or more"),
        ("redis://localhost/-1", "database '-1' is not a number"),
        ("redis://localhost/1/2", "path '/1/2' has too many parts"),
        ("redis://localhost?db=x", "database 'x' is not a number"),
        ("redis://localhost/1?db=2", "the database is given twice"),
        ("redis://localhost?db=1&db=2", "option 'db' is given twice"),
        ("redis://localhost?db=", "option 'db' has no value"),
        ("redis://localhost?decode_responses=1", "unknown option 'decode_responses'; known are db"),
        ("redis://localhost?ssl_cert_reqs=none", "option 'ssl_cert_reqs' is only for rediss://"),
        ("redis://localhost/0#1", "has a '#' part"),
        ("redis://localhost:6379/0\n", "holds a space or a control character"),
        ("rediss://localhost?ssl_cert_reqs=maybe", "'maybe' is not one of required, optional, none"),
        ("rediss://localhost?ssl_check_hostname=flase", "'flase' is neither true nor false"),
        ("rediss://localhost?ssl_keyfile=/k.pem", "ssl_keyfile is given without ssl_certfile"),
        ("unix://run/redis.sock", "three slashes: unix:///run/redis.sock"),
        ("unix://", "three slashes"),
    ],
)
def test_a_wrong_url_is_refused_with_what_is_wrong_and_what_would_be_right(url: str, problem: str) -> None:
    assert problem in problem_with(url)


def test_a_sentinel_url_names_the_sentinels_the_service_and_the_login_of_its_servers() -> None:
    place = read_url("redis+sentinel://ada:p%40ss@a:5000,b,[::1]/mymaster/2")

    sentinels = (Endpoint("a", 5000), Endpoint("b", 26379), Endpoint("::1", 26379))
    assert isinstance(place, SentinelGroup)
    assert (place.sentinels, place.service) == (sentinels, "mymaster")
    assert (place.server.username, place.server.password, place.server.db) == ("ada", "p@ss", 2)


def test_the_sentinels_have_a_login_of_their_own() -> None:
    place = read_url("redis+sentinel://:of-redis@a/mymaster?sentinel_username=ada&sentinel_password=of%2Fsentinel")

    assert isinstance(place, SentinelGroup)
    assert place.sentinels == (Endpoint("a", 26379, username="ada", password="of/sentinel"),)
    assert (place.server.username, place.server.password) == (None, "of-redis")


def test_a_cluster_url_names_some_nodes_and_their_login() -> None:
    place = read_url("redis+cluster://ada:secret@a:7000,[::1]:7001,c/0")

    nodes = (Endpoint("a", 7000), Endpoint("::1", 7001), Endpoint("c", 6379))
    assert place == ClusterGroup(tuple(replace(node, username="ada", password="secret") for node in nodes))


@pytest.mark.parametrize("scheme", ["rediss+sentinel", "rediss+cluster"])
def test_a_group_may_be_reached_over_tls(scheme: str) -> None:
    place = read_url(f"{scheme}://a,b/mymaster?ssl_ca_certs=/ca.pem".replace("cluster://a,b/mymaster", "cluster://a,b"))

    assert not isinstance(place, Endpoint)
    members = place.sentinels if isinstance(place, SentinelGroup) else place.nodes
    assert [member.tls_options for member in members] == [TlsOptions(ca_certs="/ca.pem")] * 2


def test_the_url_of_a_group_is_not_one_server() -> None:
    assert "names a group of servers; one is wanted here" in problem_with("redis+cluster://a:7000,b:7000")


def test_neither_group_shows_a_password_in_its_repr() -> None:
    for url in ("redis+sentinel://:hunter2@a/m?sentinel_password=hunter2", "redis+cluster://:hunter2@a"):
        assert "hunter2" not in repr(read_url(url))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis+sentinel://a:1,b:99999/mymaster", "port '99999' of host 'b'"),
        ("redis+sentinel://a:1,,c:1/mymaster", "the host is empty"),
        ("redis+sentinel://a:1,b:1", "the service is missing"),
        ("redis+sentinel://a:1/mymaster/first", "database 'first' is not a number"),
        ("redis+sentinel://a:1/mymaster/0/1", "too many parts"),
        ("redis+cluster://a:1,b:x", "the port of host 'b' is not a number"),
        ("redis+cluster://a:1/5", "a cluster has database 0 only"),
        ("redis+cluster://a:1?sentinel_password=x", "unknown option 'sentinel_password'"),
        ("redis+cluster://a:1?ssl_cert_reqs=none", "option 'ssl_cert_reqs' is only for rediss+cluster://"),
    ],
)
def test_a_typo_in_a_sentinel_or_cluster_url_is_named_first(url: str, problem: str) -> None:
    assert problem in problem_with(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://ada:hunter2@localhost:port",
        "redis://ada:hunter2@localhost/jobs",
        "redis://ada:hunter2@localhost?colour=red",
        "redis://ada:hunter2@",
        "redis://ada:hunter2",
        "redis://:x/hunter2@localhost",
        "redis://:x?hunter2@localhost",
        "redis://:x#hunter2@localhost",
        "redis://:x/hunter2",
        "redis://:[hunter2@localhost",
        "redis://:hunter2\u2100@localhost",  # urlsplit's own error repeats all of this host part
        "unix://ada:hunter2@localhost/run/redis.sock",
        "unix://:x/hunter2@/run/redis.sock",
        "unix:///run/redis.sock?password=hunter2&db=x",
        "redis+sentinel://ada:hunter2@a:1,b:1",
        "redis+cluster://ada:hunter2@a:1,b:1/1",
        "redis+sentinel://a/m/x?sentinel_password=hunter2",
    ],
)
def test_no_error_repeats_the_password(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Endpoint.from_url(url)

    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_neither_the_repr_nor_the_address_holds_the_password() -> None:
    endpoint = Endpoint.from_url("redis://ada:hunter2@localhost:6379/0")

    assert "hunter2" not in repr(endpoint)
    assert "hunter2" not in endpoint.address
