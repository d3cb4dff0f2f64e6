"""By which ways the user's answer can come: to a port of this machine, from the terminal, or by both."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from linkauth.cli.browser import is_remote
from linkauth.cli.pasting import can_paste
from linkauth.errors import ConfigurationError
from linkauth.oauth.url import is_loopback, plain_url

if TYPE_CHECKING:
    import argparse

    from linkauth.vendors.vendor import Vendor

__all__ = ["AnswerWays", "answer_ways"]


@attrs.frozen(kw_only=True)
class AnswerWays:
    """What ``answer_ways`` says."""

    redirect_uri: str
    listen: tuple[str, int] | None
    """Host and port; None: the redirect URI leads elsewhere."""
    otherwise: str
    """What to do where that port is taken."""
    pasted: bool
    """From the terminal: what the user copies from the browser."""


def answer_ways(vendor: Vendor, chosen: argparse.Namespace) -> AnswerWays:
    """How ``vendor`` answers to the redirect URI that was chosen. Raises ``ConfigurationError`` where no answer could come."""
    redirect_uri = _redirect_uri(chosen)
    where, otherwise = urlsplit(redirect_uri), "give --listen another"
    listen: tuple[str, int] | None = None
    if chosen.listen is not None:
        listen = "127.0.0.1", chosen.listen
    elif _is_here(redirect_uri):
        listen = where.hostname or "", where.port or 80
        otherwise = (
            "end what listens there, or give --port another, with which the redirect URI is registered at the vendor"
        )
    if vendor.posts_callback and (listen is None or chosen.paste):
        # What a browser posts cannot be copied from its address bar.
        raise ConfigurationError(
            f"{vendor.name} answers by POST, which cannot be pasted: --redirect-uri on this machine, or --listen"
        )
    pasted = listen is None or chosen.paste or (is_remote() and not vendor.posts_callback and can_paste())
    return AnswerWays(redirect_uri=redirect_uri, listen=listen, otherwise=otherwise, pasted=pasted)


def _redirect_uri(chosen: argparse.Namespace) -> str:
    given = plain_url(chosen.redirect_uri)
    if chosen.port is None:
        return given
    if not _is_here(given):
        raise ConfigurationError(
            "--port: the redirect URI is not on this machine; --listen takes what is passed on to here"
        )
    where = urlsplit(given)
    host = f"[{where.hostname}]" if ":" in (where.hostname or "") else where.hostname
    return where._replace(netloc=f"{host}:{chosen.port}").geturl()


def _is_here(redirect_uri: str) -> bool:
    where = urlsplit(redirect_uri)
    return where.scheme == "http" and is_loopback(where.hostname)
