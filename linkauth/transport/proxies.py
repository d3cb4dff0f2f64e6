"""Which proxy a token request goes through, from an argument or from the environment.

The environment is read as ``urllib.request`` does, the small letters first: ``https_proxy``, and ``no_proxy`` with names
(and what is below them), ports, ``*``; and networks (``10.0.0.0/8``), as curl has them. It is read once, and no netrc is:
aiohttp's own ``trust_env`` would put a login from there into a token request.
"""

from __future__ import annotations

import os
from base64 import b64encode
from ipaddress import ip_address, ip_network
from typing import Final, cast
from urllib.parse import unquote, urlsplit

import attrs
from yarl import URL

from linkauth.errors import ConfigurationError
from linkauth.oauth.token import Secret, SecretStr
from linkauth.oauth.url import endpoint_url, is_loopback, origin

__all__ = ["Proxies", "Proxy", "masked"]

PORTS: Final = {"http": 80, "https": 443}


@attrs.frozen
class Proxy:
    """How one is reached. Its login is no part of the URL, which others put into their errors."""

    scheme: str
    place: str
    """``host:port``."""
    login: SecretStr = attrs.field(repr=False)
    """The value of ``Proxy-Authorization`` (RFC 9110 §11.7.2), empty where there is none."""

    @property
    def url(self) -> str:
        """Without the login."""
        return f"{self.scheme}://{self.place}"


@attrs.frozen
class Proxies:
    """One proxy, or none, and the hosts that are reached without it."""

    proxy: Proxy | None = None
    bypassed: tuple[str, ...] = ()

    @classmethod
    def chosen(cls, proxy: Secret | None, *, trust_env: bool) -> Proxies:
        """``proxy``, whatever the environment says, or with ``trust_env`` the environment's.

        Raises ``ConfigurationError`` for a URL that is no HTTP proxy's. Its words show nothing of it.
        """
        if proxy is not None:
            return cls(_proxy("proxy", proxy))
        found = masked(_variable("https_proxy")) if trust_env else None
        if not found:
            return cls()
        return cls(_proxy("HTTPS_PROXY", found), tuple(_variable("no_proxy").lower().replace(",", " ").split()))

    def to(self, url: str) -> Proxy | None:
        """The proxy for a request to ``url``: only https goes through one, and nothing that stays on this machine."""
        scheme, host, port = origin(url)
        direct = scheme != "https" or is_loopback(host) or any(_names(each, host, port) for each in self.bypassed)
        return None if direct else self.proxy


def masked(proxy: str | URL | Secret | None) -> Secret | None:
    """A proxy's URL as a ``Secret``, for a password may be in it."""
    if proxy is None or isinstance(proxy, Secret):
        return proxy
    given = cast("object", proxy)
    return Secret(str(given) if isinstance(given, str | URL) else "")  # which ``chosen`` refuses


def _variable(name: str) -> str:
    # Set to nothing in small letters it says no, whatever the capital ones say.
    return os.environ.get(name, os.environ.get(name.upper(), "")).strip()


def _proxy(name: str, url: Secret) -> Proxy:
    found = _read(url)
    if isinstance(found, Proxy):
        return found
    raise ConfigurationError(f"{name}: {found}")  # here, where no frame holds the URL in parts


def _read(url: Secret) -> Proxy | str:
    """The proxy, or what is wrong with its URL."""
    text = url.reveal()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme)
        endpoint_url(f"https://{parts.netloc.rpartition('@')[2]}")
    except ValueError:  # a ConfigurationError is one, too
        return "its host or port is not well-formed"
    if parts.scheme not in PORTS:
        return "an http or https URL is needed; no other kind of proxy is spoken to"
    if parts.path not in {"", "/"} or "?" in text or "#" in text:
        return "a URL without path, query and fragment is needed; in a password they are percent-encoded"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if ":" in user or not f"{user}{password}".isprintable():
        return "its user or password holds characters that HTTP Basic cannot carry"
    pair = f"{user}:{password}".encode() if user or password else b""
    login = SecretStr("Basic " + b64encode(pair).decode("ascii") if pair else "")
    return Proxy(parts.scheme, f"{f'[{host}]' if ':' in host else host}:{port}", login)


def _names(entry: str, host: str, port: int) -> bool:
    """Whether ``entry`` of ``no_proxy`` names the host."""
    if entry == "*":
        return True
    try:
        return ip_address(host) in ip_network(entry.removeprefix("[").removesuffix("]"), strict=False)
    except ValueError:  # one of them is a name, or the entry has a port
        name, _, only = entry.rpartition(":")
        if not name or not only.isdigit():
            name, only = entry, str(port)
        name = name.strip("[]").removeprefix("*").lstrip(".")  # "*.example" is how many write ".example"
        return only == str(port) and bool(name) and f".{host}".endswith(f".{name}")
