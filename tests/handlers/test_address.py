"""Which addresses and URLs are called that somebody else has given."""

from __future__ import annotations

import pytest

from handlers.outside.address import forbidden_because, host_of, parse_url
from handlers.outside.errors import InvalidUrl

FORBIDDEN = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254 100.100.100.200 127.0.0.1 127.255.0.1
    168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1 192.168.1.1
    198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1
    64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::808:808 100::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0
    fec0::1 ff02::1 2001::1 2001:0:7f00:1::1 2001:db8::1 2001:20::1 2002:7f00:1::1 2002:808:808::1 3fff::1
    4000::1 localhost 127.1
""".split()

PUBLIC = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 128.0.0.1 169.253.0.1 172.15.255.255
    172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
    2606:4700:4700::1111 2a00:1450:4001::200e ::ffff:8.8.8.8 64:ff9b::808:808
""".split()

NEVER_ALLOWED = """
    ftp://example.com file:///etc/passwd gopher://example.com javascript:alert(1) data:text/plain,x
    //example.com example.com https:// https:///path https://user@example.com https://user:pw@example.com
    https://@example.com https://example.com\\@10.0.0.1/ https://127.1 https://0x7f000001 https://2130706433
    https://0177.0.0.1 https://1.2.3 https://1.2.3.4.5 https://0x7f.1 https://example.1 https://exa$mple.com
    https://example..com https://-.com https://[::1 https://[fe80::1%25eth0]/ https://example.com:99999
    https://example.com:0 https://example.com:abc https://①②⑦.⓪.⓪.①
""".split()

NEVER_ALLOWED_EITHER = [
    "",
    " https://example.com",
    "https://exam ple.com",
    "https://example.com/\r\nX-Injected: 1",
    "https://example.com/\x00",
    f"https://{'a' * 64}.com",
    f"https://example.com/{'a' * 2048}",
]

LOCAL_ONLY = """
    http://example.com https://localhost https://LOCALHOST https://localhost. https://a.localhost http://127.0.0.1:9000/x
    https://0.0.0.0 https://10.1.2.3 https://127.0.0.1. https://[::] https://[::1]:8443 https://[::ffff:169.254.169.254]
    https://[fd00:ec2::254] https://100.64.0.1 https://[64:ff9b::a00:1] https://redis https://metadata.google.internal
    https://printer.local https://127。0。0。1 https://router.home.arpa
""".split()

ALWAYS_ALLOWED = """
    https://example.com https://example.com/hook?a=b https://example.com:8443/ https://EXAMPLE.com. https://1.1.1.1
    https://[2606:4700:4700::1111]/x https://bücher.example https://xn--bcher-kva.example https://a_b.example.com
    https://127.0.0.1.example.com https://localhost.example.com
""".split()


@pytest.mark.parametrize(
    ("address", "is_forbidden"),
    [*((address, True) for address in FORBIDDEN), *((address, False) for address in PUBLIC)],
)
def test_only_public_addresses_may_be_reached(address: str, is_forbidden: bool) -> None:
    assert (forbidden_because(address) is not None) == is_forbidden


@pytest.mark.parametrize("allow_private", [True, False], ids=["local", "elsewhere"])
@pytest.mark.parametrize("url", NEVER_ALLOWED + NEVER_ALLOWED_EITHER)
def test_a_url_that_is_malformed_or_of_another_scheme_is_refused_everywhere(url: str, allow_private: bool) -> None:
    with pytest.raises(InvalidUrl, match=r"^url: "):
        parse_url(url, allow_private=allow_private)


@pytest.mark.parametrize("url", LOCAL_ONLY)
def test_http_and_hosts_that_are_not_public_pass_in_a_local_environment_only(url: str) -> None:
    parse_url(url, allow_private=True)

    with pytest.raises(InvalidUrl):
        parse_url(url, allow_private=False)


@pytest.mark.parametrize("url", ALWAYS_ALLOWED)
def test_a_public_https_url_passes_everywhere(url: str) -> None:
    parse_url(url, allow_private=True)
    parse_url(url, allow_private=False)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.COM./x", "example.com"),
        ("https://bücher.example", "xn--bcher-kva.example"),
        ("https://[2606:4700::1]:1/", "2606:4700::1"),
    ],
)
def test_a_host_is_asked_for_in_its_one_plain_spelling(url: str, host: str) -> None:
    assert host_of(parse_url(url, allow_private=False)) == host
