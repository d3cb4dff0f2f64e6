"""Whether a vendor is reached from here, and takes the stored token: ``linkauth doctor`` for who gives it a registration.

Nothing is changed, and no secret goes anywhere but the access token to the API that it is for.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from linkauth.cli.registration import credential
from linkauth.cli.words import length
from linkauth.engine.replica import Replica
from linkauth.errors import CorruptRecord, LinkAuthError, NotSent
from linkauth.oauth.exchange import Request
from linkauth.protocol.records import TokenRecord
from linkauth.store import Finding
from linkauth.transport import Proxies

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator

    from linkauth import AuthEngine, Credential, Token

__all__ = ["vendor_findings"]

PATIENCE: Final = 10.0
"""Seconds for a connection, and as many for an answer."""
NO_WAY: Final = "look at its name (DNS), the firewall, $HTTPS_PROXY and $NO_PROXY, and at $SSL_CERT_FILE where its certificate is not trusted"


async def vendor_findings(opened: AuthEngine, chosen: argparse.Namespace) -> AsyncGenerator[Finding]:
    """Of the registration that was given: by VENDOR and options, the environment or --vendor-of. None was: nothing."""
    if not (chosen.vendor or chosen.vendor_of):
        return
    try:
        found = await credential(opened, chosen)
    except LinkAuthError as error:
        yield Finding(
            f"no vendor is looked at: {error}", "give its registration as `linkauth token` wants it, or no VENDOR"
        )
        return
    yield await _reached(opened, found.vendor.name, found.vendor.registration()[0])
    if found.vendor.needs_user or found.vendor.check_path:
        yield await _session(opened, found)


async def _reached(opened: AuthEngine, name: str, url: str) -> Finding:
    """By a request without any secret to the host at ``url``; whatever it answers, it was reached."""
    parts, proxy = urlsplit(url), Proxies.chosen(None, trust_env=True).to(url)
    began = time.monotonic()
    try:
        answer = await opened.context.world.send(
            Request(method="HEAD", url=f"{parts.scheme}://{parts.netloc}/"), PATIENCE
        )
    except LinkAuthError as error:
        way = NO_WAY if isinstance(error, NotSent) else "a connection came about: try again later, or ask the vendor"
        return Finding(f"{name} is not reached: {error}", way)
    way = f" by the proxy {proxy.place}" if proxy else ""
    secure = " over TLS" if parts.scheme == "https" else ""
    took = (time.monotonic() - began) * 1000
    return Finding(f"{name}: {parts.hostname} answers{secure}{way}, in {took:.0f} ms (HTTP {answer.status})")


async def _session(opened: AuthEngine, found: Credential) -> Finding:
    """What is stored for the account, and what the vendor says of its token where it can be asked."""
    whose = f"{found.vendor.name}/{found.account}"
    status = await found.status()
    if status.needs_user or not status.version:
        return Finding(
            f"{whose}: no session of this registration lives in the store",
            "the user, by `linkauth connect` or in the app",
        )
    if not found.vendor.check_path:
        return Finding(f"{whose}: a session is stored; the vendor has nothing to try its token with")
    if status.expires_at is None or status.expires_at <= status.now:
        return Finding(f"{whose}: the stored token has expired; the next use renews it, as `linkauth refresh` does now")
    context = opened.context
    reading, _ = await Replica(context, status.key).read()
    if reading.record is None:
        return Finding(f"{whose}: the session has just been forgotten")
    try:
        token = context.codec.expect(status.key, reading.record, TokenRecord).token
    except CorruptRecord as error:
        return Finding(f"{whose}: {error}", "give its key in $LINKAUTH_KEYS")
    return await _taken(
        opened, found, token, f"{whose}: its token, good for another {length(status.expires_at - status.now)},"
    )


async def _taken(opened: AuthEngine, found: Credential, token: Token, what: str) -> Finding:
    vendor = found.vendor
    headers = {vendor.header: vendor.signature(token), "Accept": "application/json"}
    request = Request(method="GET", url=f"{vendor.api(token)}{vendor.check_path}", headers=headers)
    try:
        answer = await opened.context.world.send(request, PATIENCE)
    except LinkAuthError as error:
        return Finding(f"{what} could not be tried: {error}", NO_WAY)
    if answer.status == 200:
        return Finding(f"{what} is taken (GET {vendor.check_path})")
    told = f"{what} is not taken (GET {vendor.check_path}: HTTP {answer.status})"
    if answer.status in vendor.expired_statuses:
        return Finding(told, "`linkauth refresh`; if that one is not taken either, the user, by `linkauth connect`")
    return Finding(told, "try again later; if it stays so, ask the vendor")
