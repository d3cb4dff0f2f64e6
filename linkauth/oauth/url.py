"""Which URLs a secret may go to: https, or this machine, and written so that everybody reads them alike."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, cast
from urllib.parse import SplitResult, urlsplit

from linkauth.errors import ConfigurationError

__all__ = ["Url", "base_url", "endpoint_url", "given", "is_loopback", "is_named", "origin", "plain_url", "root_of"]

_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*|[0-9a-f:.]*:[0-9a-f:.]*")
"""A host name, or an IPv6 address without its brackets. A percent sign or a dot at the end is read differently by others."""

_NUMBER: Final = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")
"""A host that ends in a number is an address to some (2130706433, 127.1, 0x7f.1), and a name to others."""


class Url(str):
    """A URL in its one spelling; ``given`` is the spelling in which it was given."""

    __slots__ = ("given",)
    given: str


def given(text: str) -> str:
    """``text``; a ``Url`` in the spelling in which it was given."""
    return text.given if isinstance(text, Url) else text


def is_loopback(host: str | None) -> bool:
    """Whether ``host`` is this machine: ``localhost``, 127.0.0.0/8 or ::1.

    Not ``x.localhost``: what that is, each resolver decides for itself.
    """
    address = _address(host or "")
    if isinstance(address, IPv4Address):
        return address.is_loopback
    return host == "localhost" or address == IPv6Address("::1")


def is_named(host: str) -> bool:
    """Whether ``host`` is a name that stands in the public DNS, by its looks.

    No address in any spelling, nothing of this machine's (RFC 6761 §6.3), and no name without a dot, which is looked for
    in the local network.
    """
    return "." in host and ":" not in host and not _NUMBER.fullmatch(host) and not host.endswith(".localhost")


def plain_url(url: str) -> str:
    """``url`` as it is, an absolute https URL (http to this machine).

    Raises ``ConfigurationError`` for anything else, userinfo and fragment included, and for what is not read alike by
    everybody.
    """
    _checked(url)
    return url


def base_url(url: str) -> str:
    """attrs converter: as ``endpoint_url``, without a query and without a slash at its end."""
    _checked(url)
    if "?" in url:
        raise ConfigurationError("URL: no query may be in it")
    return _spelt(given(url).rstrip("/"))


def endpoint_url(url: str) -> str:
    """attrs converter: as ``plain_url``, in the one spelling: scheme and host in lower case, no default port.

    It may have a query, and keeps its last slash (RFC 6749 §3.1, §3.2).
    """
    _checked(url)
    return _spelt(given(url))


def _spelt(written: str) -> Url:
    parts = _checked(written)
    scheme, host, port = _origin(parts)
    default = {"http": 80, "https": 443}[scheme]
    rest = written[written.index("://") + 3 + len(parts.netloc) :]
    netloc = (f"[{host}]" if ":" in host else host) + ("" if port == default else f":{port}")
    spelt = Url(f"{scheme}://{netloc}{rest}")
    spelt.given = written
    return spelt


def _checked(url: str) -> SplitResult:
    text = cast("object", url)
    if not isinstance(text, str) or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise ConfigurationError("URL: a string of plain ASCII is needed")
    parts = _split(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("URL: an absolute http(s) URL is needed")
    host = parts.hostname
    if "@" in parts.netloc or "#" in url:
        raise ConfigurationError("URL: no user and no fragment may be in it")
    numeric = ":" in host or _NUMBER.fullmatch(host) is not None
    bracketed = parts.netloc.startswith("[")
    if (
        not _HOST.fullmatch(host)
        or bracketed != (":" in host)
        or parts.netloc.endswith(":")
        or (numeric and _address(host) is None)
    ):
        raise ConfigurationError("URL: its host or port is not well-formed")
    if parts.scheme != "https" and not is_loopback(host):
        raise ConfigurationError(f"URL: https is required, except to this machine ({host} is not)")
    return parts


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        port = parts.port  # reading it is what checks it
    except ValueError:  # its words hold the URL, and so perhaps a password: they must not travel on
        return None
    return None if port == 0 else parts


def root_of(url: str) -> str:
    """Scheme, host and port of ``url``, which is in its one spelling, as a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL: the origin that a credential belongs to (RFC 6454 §4)."""
    return _origin(urlsplit(url))


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    default = {"http": 80, "https": 443}.get(parts.scheme, 0)
    host = parts.hostname or ""
    return parts.scheme, str(_address(host) or host), parts.port or default
