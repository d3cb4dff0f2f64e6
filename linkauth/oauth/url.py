"""Which URLs a secret may go to: https, or this machine, and written so that everybody reads them alike."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final, cast
from urllib.parse import SplitResult, urlsplit

from linkauth.errors import ConfigurationError

__all__ = ["base_url", "endpoint_url", "is_loopback", "origin"]


def is_loopback(host: str | None) -> bool:
    """Whether ``host`` is this machine: ``localhost``, a name below it, 127.0.0.0/8 or ::1."""
    if not host:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*|[0-9a-f:.]*:[0-9a-f:.]*")
"""A host name, or an IPv6 address without its brackets. A percent sign or a dot at the end is read differently by others."""


def base_url(url: str) -> str:
    """attrs converter: an absolute https URL (http to a loopback host) without its last slash.

    Raises ``ConfigurationError`` for anything else, userinfo, query and fragment included.
    """
    if "?" in endpoint_url(url):
        raise ConfigurationError("URL: no query may be in it")
    return url.rstrip("/")


def endpoint_url(url: str) -> str:
    """attrs converter: as ``base_url``, yet it may have a query and keeps its last slash (RFC 6749 §3.1, §3.2)."""
    given = cast("object", url)
    if not isinstance(given, str) or not given.isascii() or not given.isprintable() or " " in given or "\\" in given:
        raise ConfigurationError("URL: a string of plain ASCII is needed")
    parts = _split(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("URL: an absolute http(s) URL is needed")
    if "@" in parts.netloc or "#" in url:
        raise ConfigurationError("URL: no user and no fragment may be in it")
    bracketed = parts.netloc.startswith("[")
    if not _HOST.fullmatch(parts.hostname) or bracketed != (":" in parts.hostname) or parts.netloc.endswith(":"):
        raise ConfigurationError("URL: its host or port is not well-formed")
    if parts.scheme != "https" and not is_loopback(parts.hostname):
        raise ConfigurationError(f"URL: https is required, except to this machine ({parts.hostname} is not)")
    return url


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        port = parts.port  # reading it is what checks it
    except ValueError:  # its words hold the URL, and so perhaps a password: they must not travel on
        return None
    return None if port == 0 else parts


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL: the origin that a credential belongs to (RFC 6454 §4)."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme, 0)
    return parts.scheme, parts.hostname or "", parts.port or default
