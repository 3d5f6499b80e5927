"""Address: which URLs and which IP addresses may be called that somebody else has given."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx

from handlers.outside.errors import InvalidUrl

MAX_URL = 2048

# The tables are written out, since the `is_global` of Python's ipaddress differs between its patch releases.
# Source: IANA's special-purpose address registries, RFC 6890.
FORBIDDEN_V4: dict[IPv4Network, str] = {
    IPv4Network("0.0.0.0/8"): "this machine",
    IPv4Network("10.0.0.0/8"): "private",
    IPv4Network("100.64.0.0/10"): "shared by a carrier",
    IPv4Network("127.0.0.0/8"): "loopback",
    IPv4Network("168.63.129.16/32"): "the wire server of a cloud",
    IPv4Network("169.254.0.0/16"): "link-local",
    IPv4Network("172.16.0.0/12"): "private",
    IPv4Network("192.0.0.0/24"): "reserved for protocols",
    IPv4Network("192.0.2.0/24"): "documentation",
    IPv4Network("192.88.99.0/24"): "a 6to4 relay",
    IPv4Network("192.168.0.0/16"): "private",
    IPv4Network("198.18.0.0/15"): "for benchmarks",
    IPv4Network("198.51.100.0/24"): "documentation",
    IPv4Network("203.0.113.0/24"): "documentation",
    IPv4Network("224.0.0.0/4"): "multicast",
    IPv4Network("240.0.0.0/4"): "reserved",
}
PUBLIC_V6 = IPv6Network("2000::/3")
FORBIDDEN_V6: dict[IPv6Network, str] = {
    IPv6Network("2001::/23"): "reserved for protocols (Teredo among them)",
    IPv6Network("2001:db8::/32"): "documentation",
    IPv6Network("2002::/16"): "a 6to4 tunnel",
    IPv6Network("3fff::/20"): "documentation",
}
CARRIES_V4 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""IPv4-mapped and NAT64: these stand for the IPv4 address in their last 32 bits, and are judged by it."""

PRIVATE_SUFFIXES = ("localhost", "localdomain", "local", "internal", "home.arpa")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


def forbidden_because(address: str) -> str | None:
    """What kind of address it is, where it must not be reached; None where it is public.

    Shape: an IP address as text, a scope ("%eth0") allowed. What is no IP address is forbidden as well.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return "not an IP address"
    if isinstance(ip, IPv4Address):
        return next((kind for network, kind in FORBIDDEN_V4.items() if ip in network), None)
    return _forbidden_v6(IPv6Address(int(ip)))


def _forbidden_v6(ip: IPv6Address) -> str | None:
    if any(ip in network for network in CARRIES_V4):
        return forbidden_because(str(IPv4Address(int(ip) & 0xFFFF_FFFF)))
    if ip not in PUBLIC_V6:
        return "not a public IPv6 address"
    return next((kind for network, kind in FORBIDDEN_V6.items() if ip in network), None)


def parse_url(text: str, *, allow_private: bool) -> httpx.URL:
    """A URL, checked as far as it can be without asking the name service.

    `allow_private` (a local environment) relaxes the host and lets http pass; it never relaxes the rest.
    Raises: InvalidUrl.
    """
    if len(text) > MAX_URL:
        raise InvalidUrl(f"is {len(text)} characters long; at most {MAX_URL}")
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        # Neither repeats the URL: where it cannot be read, a password may be anywhere in it.
        raise InvalidUrl(
            "is not a URL like https://example.com/hook: its host, its port or a character is wrong"
        ) from None
    _check_scheme(url, allow_private)
    if url.userinfo or "@" in text.partition("://")[2].partition("/")[0]:
        raise InvalidUrl("must not carry a user name or a password")
    if url.port is not None and not 1 <= url.port <= 65_535:
        raise InvalidUrl(f"port {url.port} is not from 1 to 65535")
    host = host_of(url)
    _check_host(host)
    if not allow_private:
        _check_public(host)
    return url


def host_of(url: httpx.URL) -> str:
    """The host in ASCII, lower case, without the dot that may end it: resolved, asked for and verified."""
    return url.raw_host.decode("ascii").lower().removesuffix(".")


def _check_scheme(url: httpx.URL, allow_private: bool) -> None:
    allowed = ("https", "http") if allow_private else ("https",)
    if url.scheme not in allowed:
        raise InvalidUrl(f"must begin with {' or '.join(f'{scheme}://' for scheme in allowed)}, not {url.scheme!r}")


def _check_host(host: str) -> None:
    if not host:
        raise InvalidUrl("has no host")
    if ":" in host and "%" not in host:
        return  # An IPv6 address: httpx has parsed it.
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidUrl(f"{host!r} is not a host name")
    # Resolvers read 127.1, 0x7f000001 and 2130706433 as 127.0.0.1: a number has one spelling here.
    if _NUMBER.fullmatch(labels[-1]) and not _is_ip(host):
        raise InvalidUrl(f"{host!r} is not a host name; an IPv4 address has four decimal numbers")


def _check_public(host: str) -> None:
    if _is_ip(host):
        kind = forbidden_because(host)
        if kind is not None:
            raise InvalidUrl(f"{host} is {kind}; only public addresses are called")
    elif "." not in host or any(host == name or host.endswith(f".{name}") for name in PRIVATE_SUFFIXES):
        raise InvalidUrl(f"{host!r} is not a public name")


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
