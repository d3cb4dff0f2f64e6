"""One account's authority at one vendor."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary

from linkauth.engine import authorization
from linkauth.engine.client_runtime import ClientRuntime, NotDue
from linkauth.engine.refusals import Refusals
from linkauth.engine.runtime import Runtime
from linkauth.engine.status import status
from linkauth.engine.token_replica import TokenReplica
from linkauth.errors import (
    ConfigurationError,
    InvalidToken,
    LinkAuthError,
    RateLimited,
    ReauthorizationRequired,
    StoreError,
    StoreUnavailable,
    UnsupportedGrant,
    VendorUnavailable,
)
from linkauth.oauth import authorization as callbacks
from linkauth.oauth.elsewhere import Elsewhere
from linkauth.oauth.token import Secret, masked
from linkauth.protocol import adoption, client_secret, session, timing
from linkauth.protocol.freshness import StoreTime, Verdict
from linkauth.protocol.patience import InDoubt
from linkauth.protocol.renewal import renew
from linkauth.protocol.timing import backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from linkauth.engine.context import EngineContext
    from linkauth.engine.flight import Flight
    from linkauth.engine.status import Status
    from linkauth.oauth.token import Token
    from linkauth.protocol.state import CredentialState
    from linkauth.vendors.vendor import Vendor

__all__ = ["Credential"]

log = logging.getLogger("linkauth")

T = TypeVar("T")

NO_TIME: Final = StoreTime(now=0.0, before=0.0, after=0.0)
"""For a token that does not expire it is all the same what time it is."""


class Credential:
    """One account's authority at one vendor. Made by ``AuthEngine.credential``; equal arguments give the same object.

    Every method may be cancelled at any time; what was begun with the vendor goes on to its end and is stored.
    """

    def __init__(self, context: EngineContext, vendor: Vendor, account: str) -> None:
        self.vendor = vendor
        self.account = account
        self.replica = TokenReplica(context, vendor, account, self)
        self._context = context
        self._world = context.world
        self._monotonic = context.clock.monotonic
        self._wall = context.clock.wall
        self._refusals = Refusals(context.clock, context.world.random)
        self._static = vendor.static_token()
        if self._static is not None:
            self.replica.hold(self._static)
        # One flight for each event loop that uses this object; between loops the lease decides, as between processes.
        self._flights: WeakKeyDictionary[asyncio.AbstractEventLoop, Flight[Token]] = WeakKeyDictionary()
        self._looks: WeakKeyDictionary[asyncio.AbstractEventLoop, Flight[None]] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.vendor.name}/{self.account}>"

    async def token(self) -> Token:
        """A token that is valid now: from memory; renewed ahead of time behind the scenes; waited for where none is.

        Raises ``ReauthorizationRequired`` where only the user can help, the vendor's refusal (``OAuthError``),
        ``MalformedResponse``, ``VendorUnavailable``, ``StoreError``, or ``ConfigurationError`` once the engine is closed; all of
        them only where there is no valid token. Waits no longer than the engine's ``timeout`` and a second.
        """
        state = self.replica.state
        token = state.token
        if self._monotonic() < state.soft and self._wall() < state.wall_limit and token is not None:
            return token
        return await self._judge()

    def peek(self) -> Token | None:
        """The token that ``token()`` would return at once; None where it would have to wait. Begins no renewal."""
        if self.replica.jumped() or self.replica.judge() is Verdict.WAIT:
            return None
        return self._state.token

    async def status(self) -> Status:
        """How this credential is doing in the store: one read of that, nothing is asked of the vendor. Never a secret.

        ``version`` is 0 where nothing is stored. A record that cannot be read is told as one. Raises ``StoreUnavailable``.
        """
        await self.replica.record_key.find()
        return await status(self.replica.context, self.vendor, self.account, self.replica.key)

    async def refresh(self) -> Token:
        """A token that was sent for after this call, or was in the air then, whatever is held here or in the store.

        So callers at the same moment, in any process, share one renewal. Raises as ``token`` does, also while the old token
        is still valid.
        """
        called, known = self._monotonic(), self._state.version
        while (flight := self._in_the_air()) is not None:
            token = await self._join(flight, called)
            if self._state.new_until >= called:
                return token
            # It only adopted what another worker had brought before.
        self._distance()
        return await self._join(self._take_off(known, called), called)

    async def replacement(self, failed: Token) -> Token:
        """A token other than ``failed``, which the vendor has refused with a 401: the current one, or a renewed one.

        So a storm of refusals renews once. ``failed`` itself where nothing better is to be had: it took a refused one's
        place a moment ago, or there is no way to renew it; then the 401 is the caller's. A token without a way to renew
        that is refused at least three times in a minute or more, and not once accepted between (``accepted``), is taken
        for dead. Raises as ``token`` does: ``ReauthorizationRequired`` then.
        """
        if self._static is not None:
            return failed
        if self.replica.jumped():
            await self._look()
        known, token = self._state.version, self._state.token
        if token is not None and token.access_token != failed.access_token and self.replica.unexpired():
            return token
        if token is not None and self.replica.hopeless(token):
            return await self._without_renewal(token)
        if token is not None and self._refusals.is_afresh(token):
            self._refusals.refused_afresh()
        if token is not None and self.in_vain(token):
            return failed
        fresh = await self._renewed(known)
        self._refusals.replaced_by(fresh)
        return fresh

    async def _without_renewal(self, token: Token) -> Token:
        """What another worker's user has brought since, if anything; else ``token``, until it is refused for good."""
        if self._refusals.are_final(token):
            self.replica.learn(lambda state: state.not_served())
            return await self._renewed(self._state.version)
        if not self._refusals.in_vain():
            self._refusals.refused_afresh()  # so that not every refusal costs a look
            await self._look()
        brought = self._state.token
        return token if brought is None or brought == token else await self.token()

    def accepted(self, token: Token, *, yes: bool) -> None:
        """Say whether the vendor's API took ``token``: one that replaced a refused one, or any other.

        An API that refuses every token would otherwise cost a renewal for each call.
        """
        if yes:
            self._refusals.accepted(token)
        elif token == self._state.token:
            self._refusals.refused_afresh()

    def in_vain(self, failed: Token) -> bool:
        """Whether the current token was refused as a fresh one just now, so that renewing it again helps nobody."""
        return failed == self._state.token and self._refusals.in_vain()

    def is_stuck(self, failed: Token) -> bool:
        """Whether ``replacement`` may have nothing better than ``failed``."""
        return self.in_vain(failed) or self._refusals.is_afresh(failed) or bool(self.replica.hopeless(failed))

    async def login(self, *, email: str, password: str) -> Token:
        """Log in with an e-mail address and a password (LinkXG users). The password is used once and not kept.

        Raises ``UnsupportedGrant`` for other vendors, ``InvalidGrant`` for a wrong password, any other refusal as ``OAuthError``;
        ``MalformedResponse``, ``VendorUnavailable``, ``StoreError``, and ``ConfigurationError`` where one of the two is empty.
        """
        if not email or not password:
            raise ConfigurationError("login: e-mail and password are needed")
        secret, password = Secret(password), ""  # a traceback with locals would show it
        self.vendor.login(email, secret).close()  # UnsupportedGrant, before a store is asked
        return await self._brought(
            Runtime(self.replica).run(session.begin, lambda vendor, _: vendor.login(email, secret))
        )

    async def authorization_url(
        self, redirect_uri: str, *, scope: str | None = None, tenant: str = "", next_path: str = ""
    ) -> str:
        """Where to send the user (RFC 6749 §4.1.1), with a fresh state that is good for ``vendor.pending_lifetime`` s.

        Of one account's authorizations at one vendor the last fifty that were begun are good. ``tenant`` and ``next_path``
        (where the user goes on) are kept with the state, and found again by it: ``engine.pending``.
        Raises ``UnsupportedGrant``, ``StoreError``, and ``ConfigurationError`` for a ``redirect_uri`` that no vendor can take, or
        by http to another machine.
        """
        # Masked until here: a task's repr, which asyncio logs in its debug mode, tells its result.
        return str(await self._to_the_end(authorization.begin(self.replica, redirect_uri, scope, tenant, next_path)))

    async def complete(self, params: Mapping[str, str]) -> Token:
        """The token for a callback's parameters (RFC 6749 §4.1.2).

        Raises ``StateMismatch`` where the state is not one of this account's; ``AccessDenied`` and the like where the
        user refused; any other refusal as ``OAuthError``, ``MalformedResponse``; ``UntrustedEndpoint`` and ``InvalidRequest`` for a
        callback that is not the vendor's; ``AuthorizationPending``, ``RateLimited``, ``VendorUnavailable`` and
        ``StoreUnavailable``, after which the same callback may be tried again; ``UnsupportedGrant``. ``ReauthorizationRequired``
        where a second consent brought no refresh token, and the held one is not the same user's: then that session stays.
        """
        params = callbacks.masked(params, *self.vendor.open_params)
        return await self._brought(authorization.finish(self.replica, params))

    async def adopt(
        self,
        *,
        refresh_token: str | None = None,
        access_token: str | None = None,
        expires_at: float | None = None,
        refresh_expires_at: float | None = None,
        scope: str | None = None,
        extra: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
        replace: bool = False,
    ) -> Token:
        """Bring in a session that was made elsewhere: where there is none, or a dead one.

        An access token is stored as it is, the refresh token beside it. A refresh token alone is stored first, then renewed
        once; after ``VendorUnavailable`` or ``RateLimited`` it is here, and whoever uses it next renews it.

        ``expires_at``, ``refresh_expires_at``: of the access and of the refresh token, Unix seconds; None: the vendor's
        ``lifetime`` from now, and not known. ``scope``: as granted; None: the vendor's. ``extra``: what else the vendor said.
        ``endpoint``: where later calls go, believed as a callback's is. ``replace``: also in the place of a live session,
        which is gone then, whatever becomes of this one.

        Raises ``AlreadyConnected`` where a session lives and nobody said ``replace``, another ``ConfigurationError`` for
        what cannot be a session, ``UntrustedEndpoint``, and ``UnsupportedGrant`` where the vendor needs no user; then nothing
        has changed. ``ReauthorizationRequired`` where the vendor refuses the refresh token, of which nothing stays then.
        Otherwise as ``token``, and ``StoreError``.
        """
        refresh_token, access_token, extra = masked(refresh_token), masked(access_token), masked(extra)
        if not self.vendor.needs_user:
            raise UnsupportedGrant(f"{self.vendor.name} needs no user: there are no sessions to bring in")
        given = Elsewhere(
            access_token=access_token,
            refresh_token=refresh_token,
            expires_at=expires_at,
            refresh_expires_at=refresh_expires_at,
            scope=getattr(self.vendor, "scope", "") if scope is None else scope,
            extra={} if extra is None else extra,
            endpoint=endpoint,
        )

        def brought(now: float) -> Token:
            return self.vendor.adopted(given.token(now, self.vendor.lifetime))

        brought(self._wall())  # what cannot work, before a store is asked
        return await self._brought(self._adopted(brought, replace=replace))

    async def _adopted(self, brought: Callable[[float], Token], *, replace: bool) -> Token:
        adopted = await Runtime(self.replica).run(adoption.adopt, brought, replace=replace)
        try:
            return await self.token()
        except ReauthorizationRequired:
            if adopted.alone:
                with suppress(StoreError):  # then the refusal stays written
                    await Runtime(self.replica).run(adoption.withdraw, adopted)
            raise

    async def logout(self) -> None:
        """Revoke at the vendor where it can, and forget here and in the store in any case.

        Where the vendor has no way to end a session (Sage X3, Linkkit) it stays open there: ``vendor.leaves_open`` says
        what, and so does the event ``EventKind.LOGGED_OUT``.

        Raises what the vendor answered (``OAuthError``, ``VendorUnavailable``) after forgetting; ``StoreError``.
        """
        await self._to_the_end(Runtime(self.replica).run(session.end))

    async def rotate_secret(self) -> None:
        """Replace the client's secret (LinkXG). It is stored before this returns, and every worker goes on with it.

        Callers at the same moment, in any process, share one rotation. Raises ``UnsupportedGrant`` for other vendors;
        ``InvalidToken`` where the vendor refused the access token twice, though it was replaced or may have run out on its
        way (nothing is spent: try again); ``MalformedResponse`` where the answer has no secret that is known: then its
        ``raw`` and a record in the store (``unread_answer``) hold the answer, for the old secret is dead;
        ``StoreUnavailable`` where the store did not take the new secret, which this process then goes on offering.
        """
        await self.rotate_secret_if(None)

    async def rotate_secret_if(self, due: Callable[[], Awaitable[bool]] | None) -> bool:
        """As ``rotate_secret``, unless ``due`` says no when it is this worker's turn. Whether it was done, here or elsewhere."""
        if not self.vendor.rotates_secret:
            raise UnsupportedGrant(f"{self.vendor.name} does not rotate client secrets")
        used: Token | None = None
        refused: Token | None = None

        async def authority() -> Token:
            nonlocal used
            if due is not None and not await due():
                raise NotDue
            used = await (self.token() if refused is None else self.replacement(refused))
            return used

        while True:  # a 401 on any call: renew once and repeat it once
            try:
                await self._to_the_end(ClientRuntime(self.replica, authority).run(client_secret.rotate))
            except NotDue:
                return False
            except InvalidToken:
                if refused is not None or used is None:  # or it was no token that was refused, but that there be one
                    raise
                refused = used
            else:
                return True

    async def unread_answer(self) -> Secret | None:
        """The answer to a ``rotate_secret`` in which no secret was recognised, as the store keeps it; None: there is none.

        Read the new secret out of it, and give it to the vendor object. The next rotation that succeeds clears it away.
        Raises ``StoreError``.
        """
        return await self._to_the_end(self._context.client_secrets.unread_answer(self.vendor))

    def must_stay(self) -> bool:
        """Whether something is known here that the store cannot tell: then this object is not let go of."""
        now = self._monotonic()
        failed_just_now = self._state.failure is not None and now < self._state.retry_at
        return failed_just_now or self.replica.is_alone_with_something() or self._refusals.matter(self._state.token)

    @property
    def _state(self) -> CredentialState:
        return self.replica.state

    # -- waiting and flying ----------------------------------------------------------------------------------------

    async def _judge(self) -> Token:
        if self.replica.jumped():
            await self._look()
        state = self._state  # one value: another thread's loop may bring a token at any moment
        known, token = state.version, state.token
        match state.judge(self._monotonic()):
            case Verdict.SERVE if token is not None:
                return token
            case Verdict.SERVE_AND_RENEW if token is not None:
                if (
                    self._in_the_air() is None
                    and self._monotonic() >= state.retry_at
                    and not self._context.flights.closing
                ):
                    self._take_off(known)
                return token
            case _:  # wait
                pass
        try:
            return await self._renewed(known)
        except LinkAuthError:
            # What is past its margin is good until it expires, when nothing better is to be had.
            if self.replica.unexpired():
                return self.replica.current()
            raise

    async def _look(self) -> None:
        """One look at the store for all who wonder: after a suspend ten thousand tasks wake at once."""
        if self._context.flights.closing:
            self.replica.believe_wall()
            return
        loop = asyncio.get_running_loop()
        flight = self._looks.get(loop)
        if flight is None or flight.landed:
            name = f"linkauth look {self.vendor.name}/{self.account}"
            flight = self._looks[loop] = self._context.flights.start(self.replica.look(), name)
        await flight.join()

    def _distance(self) -> None:
        """Raise the last failure as long as nothing is to be tried again."""
        left = self._state.retry_at - self._monotonic()
        failure = self._state.failure
        if failure is not None and left > 0:
            error = failure.again()
            if isinstance(error, RateLimited | VendorUnavailable):
                error.retry_after = left
            raise error

    async def _renewed(self, known: int) -> Token:
        """A token of another version than ``known``: of the flight in the air, or of a new one."""
        flight = self._in_the_air()
        if flight is None:
            self._distance()
            flight = self._take_off(known)
        return await self._join(flight)

    async def _join(self, flight: Flight[Token], called: float | None = None) -> Token:
        """What ``flight`` brings to who called just now, or at the moment ``called`` (monotonic)."""
        patience = self._context.timeout + timing.CALLER_MORE
        if called is not None:
            patience -= self._monotonic() - called
        if self.replica.unexpired():  # and the vendor is slow: one caller's patience is enough for all
            patience -= flight.loop.time() - flight.began
        try:
            return await flight.join(max(patience, 0.0))
        except TimeoutError:
            pass
        raise self._late()

    def _late(self) -> VendorUnavailable:
        words = f"{self.vendor.name}: no token within {self._context.timeout:g} s"
        left = self.replica.busy_until - self._monotonic()
        if left <= 0:
            return VendorUnavailable(words)
        # It is no fault of the vendor's, and nobody can hurry it: who died or stalls with a request in the air may come back.
        words += f": another worker holds the lease and has brought none; it ends in {left:.1f} s, unless he extends it"
        return VendorUnavailable(words, retry_after=left)

    def _in_the_air(self) -> Flight[Token] | None:
        flight = self._flights.get(asyncio.get_running_loop())
        return None if flight is None or flight.landed else flight

    def _take_off(self, known: int, called: float = -math.inf) -> Flight[Token]:
        self._ready()
        name = f"linkauth renewal {self.vendor.name}/{self.account}"
        irreplaceable = self.vendor.rotation.rotates
        flight = self._context.flights.start(self._fly(known, called), name, irreplaceable=irreplaceable)
        self._flights[flight.loop] = flight
        flight.task.add_done_callback(lambda _: self._let_go(flight))
        return flight

    def _let_go(self, flight: Flight[Token]) -> None:
        """Of what has landed, and with it of its token."""
        if self._flights.get(flight.loop) is flight:
            del self._flights[flight.loop]

    async def _renew(self, known: int, called: float) -> Token:
        token = await Runtime(self.replica).run(renew, known, called)
        lives = token.expires_at - token.issued_at
        if token == self._state.token and not self.replica.unexpired() and not 0 <= lives < timing.LEAST_GAP:
            # It came, but this process was stopped for so long that it is over already; or it came with nothing to serve.
            return await Runtime(self.replica).run(renew, self._state.version)
        return token

    async def _fly(self, known: int, called: float) -> Token:
        try:
            return await self._renew(known, called)
        except InDoubt as doubt:
            # An error of the engine's own: others know that the vendor could not be asked.
            gap = self._gap(doubt)
            failure = VendorUnavailable(str(doubt), retry_after=gap)
            self.replica.failed(failure, gap)
        except LinkAuthError as error:
            self.replica.failed(error, self._gap(error))
            raise
        except Exception as error:
            self.replica.failed(VendorUnavailable(f"the renewal failed: {type(error).__name__}"), timing.RENEW_FIRST)
            raise
        raise failure

    def _gap(self, error: LinkAuthError) -> float:
        """Seconds for which nothing is tried again after ``error``."""
        match error:
            case InDoubt():
                # As long as the token is valid, and no longer: then it is tried after all.
                return max(min(timing.DOUBT_AGAIN, self._state.windows.hard - self._monotonic()), 0.0)
            case ReauthorizationRequired() if self.replica.unexpired():
                pass  # there is no way to renew what is still good
            case ReauthorizationRequired() | StoreUnavailable():
                return timing.FAILED_AGAIN
            case _:
                pass
        gap = backoff(self._state.failures, timing.RENEW_FIRST, self._world.random.random())
        agreed = getattr(error, "retry_after", None)
        return gap if agreed is None else min(max(float(agreed), timing.FAILED_AGAIN), timing.LONGEST_ORDER)

    async def _brought(self, work: Coroutine[Any, Any, Token]) -> Token:
        """What the user brought; should it be over already, for this process was stopped, what renewing brings."""
        token = await self._to_the_end(work)
        return token if self.replica.unexpired() else await self.token()

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` as a flight: it ends well though its caller be cancelled."""
        try:
            self._ready()
        except LinkAuthError:
            work.close()
            raise
        name = f"linkauth {self.vendor.name}/{self.account}"
        return await self._context.flights.start(work, name, irreplaceable=True).join()

    def _ready(self) -> None:
        """Something is to begin with the vendor or the store. Raises ``UnsupportedGrant`` and ``ConfigurationError`` where it cannot."""
        if self._static is not None:
            raise UnsupportedGrant(f"{self.vendor.name} has one key: it is neither fetched nor renewed nor stored")
        if self._context.flights.closing:
            raise ConfigurationError("the engine is closed")
        self._context.used(self)
