"""REDIS_URL, checked, as the place that it names. No password ever gets into a repr, an address or an error."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field, replace
from typing import NoReturn, TypeAlias
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from jobqueue.errors import SettingsError

SETTING = "REDIS_URL"
DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379

_SERVER_SCHEMES = ("redis", "rediss", "unix")
_SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")
_CLUSTER_SCHEMES = ("redis+cluster", "rediss+cluster")
_GROUP_SCHEMES = _SENTINEL_SCHEMES + _CLUSTER_SCHEMES
_SCHEMES = _SERVER_SCHEMES + _GROUP_SCHEMES
_LOGIN_OPTIONS = ("db", "username", "password")
_SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")
_TLS_OPTIONS = ("ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")
_CERT_REQS = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class TlsOptions:
    """How the server's certificate is checked, and which one is shown to it. Files are PEM files."""

    cert_reqs: str = "required"
    check_hostname: bool = True
    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """One Redis server: how to reach it and how to log in.

    Shape: with `path` it is a unix socket, and `host` and `port` mean nothing; `tls_options` is set for TLS.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    path: str | None = None
    tls_options: TlsOptions | None = None
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def from_url(cls, url: str) -> Endpoint:
        """Read a `redis://`, `rediss://` or `unix://` URL.

        Raises: SettingsError, naming REDIS_URL, what is wrong with it and what would be right.
        """
        place = read_url(url)
        if not isinstance(place, cls):
            _refuse("names a group of servers; one is wanted here, as in redis://host:6379/0")
        return place

    @property
    def tls(self) -> bool:
        return self.tls_options is not None

    @property
    def address(self) -> str:
        """What to call this server in messages: "127.0.0.1:6379", "[::1]:6379" or "unix:/run/redis.sock"."""
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def ssl_context(self) -> ssl.SSLContext | None:
        """A new TLS context, or None without TLS; certificates are read each time, so renewed ones count.

        Raises: SettingsError, naming the files, when a certificate cannot be read.
        """
        options = self.tls_options
        if options is None:
            return None
        context = ssl.create_default_context()
        context.check_hostname = options.check_hostname and options.cert_reqs != "none"
        context.verify_mode = _CERT_REQS[options.cert_reqs]
        try:
            if options.ca_certs is not None:
                context.load_verify_locations(cafile=options.ca_certs)
            if options.certfile is not None:
                context.load_cert_chain(options.certfile, options.keyfile)
        except OSError as error:  # ssl.SSLError is one
            files = [name for name in (options.ca_certs, options.certfile, options.keyfile) if name is not None]
            raise SettingsError(
                SETTING,
                f"cannot read the TLS certificate or key in {' or '.join(files)} "
                f"({error.strerror or error}); each must be a readable PEM file",
            ) from error
        return context


@dataclass(frozen=True)
class SentinelGroup:
    """A service whose master sentinels know. `server` is the master but for its host and port, which they tell."""

    sentinels: tuple[Endpoint, ...]
    service: str
    server: Endpoint


@dataclass(frozen=True)
class ClusterGroup:
    """Some nodes of a cluster; any of them knows the others."""

    nodes: tuple[Endpoint, ...]


Place: TypeAlias = Endpoint | SentinelGroup | ClusterGroup


def read_url(url: str) -> Place:
    """What REDIS_URL names: one server, a service that sentinels watch, or a cluster.

    Shape: `rediss` in place of `redis` means TLS, to the sentinels as well. User, password and database are the
    servers'; a sentinel's login is `?sentinel_username=…&sentinel_password=…`.
    Raises: SettingsError, naming REDIS_URL, what is wrong with it and what would be right.
    """
    parts = _split(url)
    _check_place(parts)  # before what follows it: where the host is missing, a password may stand in its place
    options = _options(parts)
    db = _db(parts, options)
    tls_options = _tls_options(options) if parts.scheme.startswith("rediss") else None
    if parts.scheme in _SERVER_SCHEMES:
        return replace(_server(url), db=db, tls_options=tls_options)
    servers = tuple(replace(_server(one), db=db, tls_options=tls_options) for one in _one_by_one(parts))
    if parts.scheme in _CLUSTER_SCHEMES:
        if db:
            _refuse(f"database {db}: a cluster has database 0 only")
        return ClusterGroup(servers)
    service = unquote(parts.path.strip("/").partition("/")[0])
    if not service:
        _refuse(f"the service is missing; write {parts.scheme}://host:26379,host:26379/service/db")
    login = (options.get("sentinel_username"), options.get("sentinel_password"))
    sentinels = tuple(replace(server, db=0, username=login[0], password=login[1]) for server in servers)
    return SentinelGroup(sentinels, service, servers[0])


def _server(url: str) -> Endpoint:
    """Host and port, or path, and login, in the checked URL of one server. Source: redis-py's `parse_url`."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    return Endpoint(
        host=unquote(parts.hostname or "127.0.0.1"),
        port=parts.port or DEFAULT_PORT,
        path=unquote(parts.path) if parts.scheme == "unix" else None,
        username=unquote(parts.username or "") or options.get("username"),
        password=unquote(parts.password or "") or options.get("password"),
    )


def _one_by_one(parts: SplitResult) -> list[str]:
    """The URLs of a group's members, each with a port."""
    login, at, hosts = parts.netloc.rpartition("@")
    port = DEFAULT_SENTINEL_PORT if parts.scheme in _SENTINEL_SCHEMES else DEFAULT_PORT
    places = (host if re.search(r":[0-9]+$", host) else f"{host}:{port}" for host in hosts.split(","))
    return [urlunsplit(("redis", f"{login}{at}{place}", "", parts.query, "")) for place in places]


def _refuse(problem: str) -> NoReturn:
    raise SettingsError(SETTING, problem) from None  # the cause may hold the URL, and that the password


def _split(url: str) -> SplitResult:
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        _refuse("holds a space or a control character; percent-encode it (a space is %20)")
    scheme, separator, rest = url.partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        _refuse("has no scheme; write redis://host:port/db, rediss://host:port/db or unix:///path")
    if scheme.lower() not in _SCHEMES:
        schemes = ", ".join(f"{name}://" for name in _SCHEMES)
        _refuse(f"scheme {scheme!r} is not one of {schemes}")
    try:
        parts = urlsplit(url)
    except ValueError:
        _refuse("the host cannot be read; write an IPv6 address in brackets, as in redis://[::1]:6379/0")
    # With a raw "/", "?" or "#" in the password its rest looks like a path, and would be printed as one.
    if "@" in rest[len(parts.netloc) :]:
        _refuse("an '@' stands after the host; percent-encode '/', '?', '#' and '@' in user name and password")
    if parts.fragment or url.endswith("#"):
        _refuse("has a '#' part, which means nothing here; percent-encode '#' as %23")
    return parts


def _options(parts: SplitResult) -> dict[str, str]:
    of_sentinels = _SENTINEL_OPTIONS if parts.scheme in _SENTINEL_SCHEMES else ()
    of_tls = _TLS_OPTIONS if parts.scheme.startswith("rediss") else ()
    known = (*_LOGIN_OPTIONS, *of_sentinels, *of_tls)
    options: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in _TLS_OPTIONS and name not in known:
            _refuse(f"option {name!r} is only for rediss{parts.scheme.removeprefix('redis').removeprefix('unix')}://")
        if name not in known:
            _refuse(f"unknown option {name!r}; known are {', '.join(known)}")
        if name in options:
            _refuse(f"option {name!r} is given twice")
        if not value:
            _refuse(f"option {name!r} has no value")
        options[name] = value
    return options


def _db(parts: SplitResult, options: dict[str, str]) -> int:
    """The database number: `?db=1` anywhere; `/1` with a host; the second part of a sentinel's path."""
    segments = [] if parts.scheme == "unix" else [unquote(part) for part in parts.path.strip("/").split("/")]
    if parts.scheme in _SENTINEL_SCHEMES:
        segments = segments[1:]
    if len(segments) > 1:
        _refuse(f"path {parts.path!r} has too many parts; the last one is the database number, as in /0")
    from_path = segments[0] if segments else ""
    if from_path and "db" in options:
        _refuse("the database is given twice, in the path and as ?db=")
    text = options.get("db", from_path) or "0"
    if not re.fullmatch(r"[0-9]{1,9}", text):
        _refuse(f"database {text!r} is not a number of 0 or more")
    return int(text)


def _tls_options(options: dict[str, str]) -> TlsOptions:
    cert_reqs = options.get("ssl_cert_reqs", "required")
    if cert_reqs not in _CERT_REQS:
        _refuse(f"ssl_cert_reqs {cert_reqs!r} is not one of {', '.join(_CERT_REQS)}")
    check_hostname = options.get("ssl_check_hostname", "true")
    if check_hostname.lower() not in _BOOLEANS:
        _refuse(f"ssl_check_hostname {check_hostname!r} is neither true nor false")
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        _refuse("ssl_keyfile is given without ssl_certfile; the key needs its certificate")
    return TlsOptions(
        cert_reqs=cert_reqs,
        check_hostname=_BOOLEANS[check_hostname.lower()],
        ca_certs=options.get("ssl_ca_certs"),
        certfile=options.get("ssl_certfile"),
        keyfile=options.get("ssl_keyfile"),
    )


def _check_place(parts: SplitResult) -> None:
    """The part between the scheme and the path: nothing for unix, else one host or, for a group, several."""
    place = parts.netloc.rpartition("@")[2]
    if parts.scheme == "unix":
        if place or parts.path in ("", "/"):
            _refuse("unix:// takes the whole path of a socket, with three slashes: unix:///run/redis.sock")
        return
    if "," in place and parts.scheme not in _GROUP_SCHEMES:
        _refuse(f"has a list of hosts; {parts.scheme}:// takes one")
    for one in place.split(","):
        _check_host(one, parts.scheme)


def _check_host(place: str, scheme: str) -> None:
    """`place` is host:port, [IPv6]:port or a host alone."""
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]*)(:([^:]*))?", place)
    if not found:
        _refuse(f"the host is not host:port; an IPv6 address stands in brackets, as in {scheme}://[::1]:6379")
    host, colon, port = found.groups()
    if not host:
        _refuse(f"the host is empty; write it before the port, as in {scheme}://127.0.0.1:6379")
    if colon and not re.fullmatch(r"[0-9]{0,6}", port):
        # Not repeated: in redis://user:password, with the host forgotten, it is the password.
        _refuse(f"the port of host {host!r} is not a number from 1 to 65535")
    if colon and not (port and 1 <= int(port) <= 65535):
        _refuse(f"port {port!r} of host {host!r} is not a number from 1 to 65535")
