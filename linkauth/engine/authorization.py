"""An authorization that the user is asked for: its state, its PKCE verifier, and the callback that ends it.

The state is 256 bits, single use, and lives in the store, not in a cookie: Sage X3's callback is a POST from another
site and carries none. A callback proves that it belongs to a request of ours only by its state (RFC 6749 §10.12).
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import attrs

from linkauth.engine.pending import make_room
from linkauth.engine.replica import Replica
from linkauth.engine.runtime import Runtime
from linkauth.errors import (
    AuthorizationPending,
    ConfigurationError,
    InvalidRequest,
    OAuthError,
    RateLimited,
    StateMismatch,
    StoreError,
    StoreUnavailable,
    UntrustedEndpoint,
    VendorUnavailable,
)
from linkauth.oauth.authorization import masked, said
from linkauth.oauth.token import secret_str
from linkauth.protocol import session, timing
from linkauth.protocol.keys import TENANTS, state_key
from linkauth.protocol.records import PendingRecord
from linkauth.store import Granted
from linkauth.vendors.vendor import Pending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.engine.context import EngineContext
    from linkauth.engine.lease import Lease
    from linkauth.engine.token_replica import TokenReplica
    from linkauth.oauth.exchange import Flow
    from linkauth.oauth.token import Token
    from linkauth.vendors.vendor import Vendor

__all__ = ["begin", "finish", "pending"]

STATE_BYTES: Final = 32
LONGEST_STATE: Final = 512
"""Characters; a longer one was not made here, and is not looked up."""


async def begin(replica: TokenReplica, redirect_uri: str, scope: str | None, tenant: str, next_path: str) -> str:
    """The URL to send the user to. ``tenant`` and ``next_path`` are kept with the state, for whoever takes the callback.

    Raises ``UnsupportedGrant``, ``StoreError``, and ``ConfigurationError`` where one of these two is not printable.
    """
    if not (tenant.isprintable() and next_path.isprintable()):
        raise ConfigurationError("authorization_url: tenant and next_path are printable texts")
    context, vendor = replica.context, replica.vendor
    state = secret_str(f"{TENANTS if tenant else ''}{_random_text(context)}")
    verifier = _random_text(context) if vendor.uses_pkce else None
    challenge = None if verifier is None else _base64(sha256(verifier.encode("ascii")).digest())
    asked = scope if scope is not None else getattr(vendor, "scope", "")
    nonce = _random_text(context) if vendor.uses_nonce(asked) else None
    what = Pending(redirect_uri=redirect_uri, scope=asked, verifier=verifier, nonce=nonce)
    url = secret_str(vendor.authorization_url(what, state=state, challenge=challenge))
    key = state_key(vendor.name, state)
    now = await make_room(replica, key)
    record = PendingRecord(
        vendor=vendor.name,
        account=replica.account,
        token_key=replica.record_key.keys[0],
        state=state,
        redirect_uri=redirect_uri,
        scope=asked,
        verifier=verifier,
        nonce=nonce,
        tenant=tenant,
        next_path=next_path,
        expires_at=now + vendor.pending_lifetime,
    )
    # Without a lease: nobody else writes here, for nobody else knows the state.
    await Replica(context, key).commit(1, record, vendor.pending_lifetime)
    return url


async def pending(context: EngineContext, vendor: Vendor | None, params: Mapping[str, str]) -> PendingRecord:
    """What a callback's state stands for. ``vendor``: None where the state of a tenant is to say whose it is.

    Raises ``StateMismatch`` and ``UnsupportedGrant``; the state stays good. A state of another account or registration is
    told by the caller, who knows which is meant.
    """
    name = "a tenant" if vendor is None else vendor.name  # which no vendor is called
    if vendor is not None:
        # A vendor without a page has no callbacks: the caller's mistake, not a forged state.
        vendor.authorization_url(Pending(redirect_uri="http://localhost/"), state="-", challenge=None)
    key, state = _key_of(name, params)
    unknown = StateMismatch(f"{name}: the state is unknown, used or expired; start again")
    stored = Replica(context, key)
    reading, _ = await stored.read()
    if reading.record is None:
        raise unknown
    record = stored.open(reading.record, PendingRecord)
    same = hmac.compare_digest(record.state.encode("ascii", "replace"), state.encode("ascii"))
    theirs = vendor is None or record.vendor == vendor.name
    if not same or not theirs or record.expires_at <= reading.now:
        raise unknown
    return record


async def finish(replica: TokenReplica, params: Mapping[str, str]) -> Token:
    """The token for a callback. Of any number of callers with one state, one wins; the others get ``StateMismatch``.

    After an error that says that the user need not answer again the state is good once more, until its time is over.
    """
    context, vendor = replica.context, replica.vendor
    record = await pending(context, vendor, params)
    if record.token_key not in replica.record_key.keys:
        raise StateMismatch(f"{vendor.name}: the state belongs to another account or registration")
    what = Pending(redirect_uri=record.redirect_uri, scope=record.scope, verifier=record.verifier, nonce=record.nonce)
    stored = Replica(context, _key_of(vendor.name, params)[0], context.timeout + timing.LEASE_MORE)
    refused = _refusal(vendor, params, what)
    if refused is not None:
        taken = await stored.take()
        if taken.record is None:
            raise _used(vendor)
        # Written anew under another key at this very moment (``reseal``), it must not be there again.
        with contextlib.suppress(StoreError):
            await stored.delete(taken.record.version + 2)
        raise refused
    lease = await _lease_on(stored, vendor)

    def flow(newest: Vendor, held: Token | None) -> Flow[Token]:
        if lease.doubtful():
            raise StoreUnavailable("another worker may be using the same callback; look in a moment whether it did")
        return newest.exchange(params, attrs.evolve(what, held=held))

    try:
        async with lease:
            token = await Runtime(replica).run(session.begin, flow)
    except (AuthorizationPending, RateLimited, StoreUnavailable, VendorUnavailable, asyncio.CancelledError):
        # The user's answer stands, so the callback may come again. A code that was spent though no answer came is refused
        # then by the vendor, which may end what it was spent for (RFC 6749 §4.1.2): a token that nobody has.
        # And what was called off while it waited for its turn has sent nothing.
        await lease.release()
        raise
    except Exception:  # whatever it is, the vendor has judged the code, or may have
        await _use_up(stored, lease.number)
        raise
    await _use_up(stored, lease.number)
    replica.events.check_scope(token, record.scope)
    return token


def _refusal(vendor: Vendor, params: Mapping[str, str], what: Pending) -> OAuthError | None:
    """The user's no, where the callback brings it. What else is wrong with a callback is raised, and leaves the state good."""
    flow = vendor.exchange(params, what)
    try:
        next(flow)
    except (UntrustedEndpoint, InvalidRequest, AuthorizationPending):
        raise
    except OAuthError as error:
        return error
    finally:
        flow.close()
    return None


async def _lease_on(stored: Replica, vendor: Vendor) -> Lease:
    """The lease on a state that is to be used. The state stays where it is meanwhile: a worker that dies costs no consent.

    Raises ``StateMismatch`` where somebody else has used it up, or goes on using it.
    """
    limit = stored.context.clock.monotonic() + timing.STATE_BUSY
    claim, time = await stored.acquire(1, passing=True, until=limit)
    if isinstance(claim, Granted):
        if claim.record is not None:
            return stored.lease(claim, time)
        await stored.release(claim.number)
    raise _used(vendor)


def _used(vendor: Vendor) -> StateMismatch:
    return StateMismatch(f"{vendor.name}: the state was used a moment ago; start again, unless that connected you")


async def _use_up(stored: Replica, number: int) -> None:
    """Let a state be good no more; behind the scenes should the store be away."""
    try:
        await stored.delete(number)
    except StoreError:
        stored.context.flights.start(_go_on_deleting(stored, number), "linkauth state", irreplaceable=True)


async def _go_on_deleting(stored: Replica, number: int) -> None:
    context = stored.context
    # No longer than others may be kept waiting by the lease: then the vendor knows the code, and refuses it.
    until = context.clock.monotonic() + context.timeout + timing.LEASE_MORE
    while context.clock.monotonic() < until:
        with context.flights.idle():
            await asyncio.sleep(timing.STATE_AGAIN)
        with contextlib.suppress(StoreError):
            await stored.delete(number)
            return


def _key_of(name: str, params: Mapping[str, str]) -> tuple[str, str]:
    state = _state(params)
    if not state:
        word = _word(params)
        raise StateMismatch(f"{name}: the callback has no state{f', and says {word}' if word else ''}")
    return state_key(name, state), state


def _word(params: Mapping[str, str]) -> str:
    """What a callback without a state refuses with (Slack): whoever reads the error sees that nobody forged it."""
    try:
        return said(masked(params), "error")
    except InvalidRequest:
        return ""


def _state(params: Mapping[str, str]) -> str:
    """The callback's state where it can be one of ours, else an empty string: one that came twice is none."""
    state = params.get("state")
    if isinstance(state, str) and state.isascii() and len(state) <= LONGEST_STATE:
        return secret_str(state)
    return ""


def _random_text(context: EngineContext) -> str:
    return secret_str(_base64(context.world.entropy(STATE_BYTES)))


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
