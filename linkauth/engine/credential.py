"""One account's authority at one vendor."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from linkauth.engine import authorization
from linkauth.engine.client_runtime import ClientRuntime, NotDue
from linkauth.engine.events import EventKind
from linkauth.engine.refusals import Refusals
from linkauth.engine.renewals import Renewals
from linkauth.engine.runtime import Runtime
from linkauth.engine.status import status
from linkauth.engine.token_replica import TokenReplica
from linkauth.engine.valid_token import NONE
from linkauth.errors import (
    ConfigurationError,
    InvalidToken,
    LinkAuthError,
    ReauthorizationRequired,
    StoreError,
    UnsupportedGrant,
)
from linkauth.oauth import authorization as callbacks
from linkauth.oauth.elsewhere import Elsewhere
from linkauth.oauth.token import Secret, masked
from linkauth.protocol import adoption, client_secret, session
from linkauth.protocol.freshness import Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from linkauth.engine.context import EngineContext
    from linkauth.engine.status import Status
    from linkauth.oauth.token import Token
    from linkauth.protocol.state import CredentialState
    from linkauth.vendors.vendor import Vendor

__all__ = ["Credential"]

T = TypeVar("T")


class Credential:
    """One account's authority at one vendor. Made by ``AuthEngine.credential``; equal arguments give the same object.

    Every method may be cancelled at any time; what was begun with the vendor goes on to its end and is stored.
    """

    def __init__(self, context: EngineContext, vendor: Vendor, account: str) -> None:
        self.vendor = vendor
        self.account = account
        self.valid = NONE
        self.refusals: Refusals | None = None
        """None: not one of its tokens was refused yet."""
        self._renewals: Renewals | None = None
        """None: nobody has asked for a token yet. A service may name a hundred thousand accounts of which a few come."""
        self._context = context
        self._wall = context.clock.wall
        self._static = vendor.static_token()
        if self._static is not None:
            self.replica.hold(self._static)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.vendor.name}/{self.account}>"

    async def token(self) -> Token:
        """A token that is valid now: from memory; renewed ahead of time behind the scenes; waited for where none is.

        Raises ``ReauthorizationRequired`` where only the user can help, the vendor's refusal (``OAuthError``),
        ``MalformedResponse``, ``VendorUnavailable``, ``StoreError``, or ``ConfigurationError`` once the engine is closed; all of
        them only where there is no valid token. Waits no longer than the engine's ``timeout`` and a second.
        """
        # The clock by a name of its own: what is called as an attribute is looked for in the class first.
        valid, wall = self.valid, self._wall
        if valid.since <= wall() < valid.until:
            return valid.token
        renewals = self.renewals
        return renewals.replica.serve() or await renewals.judge()

    def peek(self) -> Token | None:
        """The token that ``token()`` would return at once; None where it would have to wait. Begins no renewal."""
        valid, wall = self.valid, self._wall
        if valid.since <= wall() < valid.until:
            return valid.token
        if token := self.replica.serve():
            return token
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
        return await self.renewals.refresh()

    async def replacement(self, failed: Token) -> Token:
        """A token other than ``failed``, which the vendor has refused with a 401: the current one, or a renewed one.

        So a storm of refusals renews once. ``failed`` itself where nothing better is to be had: it took a refused one's
        place a moment ago, or there is no way to renew it; then the 401 is the caller's. A token without a way to renew
        that is refused at least three times in a minute or more, and not once accepted between (``accepted``), is taken
        for dead. Raises as ``token`` does: ``ReauthorizationRequired`` then.
        """
        self.replica.events.tell(EventKind.REFUSED)
        if self._static is not None:
            return failed
        if self.replica.jumped():
            await self.renewals.look()
        known, token = self._state.version, self._state.token
        if token is not None and token.access_token != failed.access_token and self.replica.unexpired():
            return token
        if token is not None and self.replica.hopeless(token):
            return await self._without_renewal(token)
        if token is not None and self._refusals.is_afresh(token):
            self._refusals.refused_afresh()
        if token is not None and self.in_vain(token):
            return failed
        fresh = await self.renewals.renewed(known)
        self._refusals.replaced_by(fresh)
        return fresh

    async def _without_renewal(self, token: Token) -> Token:
        """What another worker's user has brought since, if anything; else ``token``, until it is refused for good."""
        if self._refusals.are_final(token):
            self.replica.learn(lambda state: state.not_served())
            return await self.renewals.renewed(self._state.version)
        if not self._refusals.in_vain():
            self._refusals.refused_afresh()  # so that not every refusal costs a look
            await self.renewals.look()
        brought = self._state.token
        return token if brought is None or brought == token else await self.token()

    def accepted(self, token: Token, *, yes: bool) -> None:
        """Say whether the vendor's API took ``token``: one that replaced a refused one, or any other.

        An API that refuses every token would otherwise cost a renewal for each call.
        """
        if yes:
            if self.refusals is not None:
                self.refusals.accepted(token)
            return
        self.replica.events.tell(EventKind.REFUSED)
        if token == self._state.token:
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
        (where the user goes on) are kept with the state, and found again by it: ``engine.pending``. ``BrowserBinding.of`` the URL is
        what binds its callback to the browser.
        Raises ``UnsupportedGrant``, ``StoreError``, and ``ConfigurationError`` for a ``redirect_uri`` that no vendor can take, or
        by http to another machine.
        """
        # Masked until here: a task's repr, which asyncio logs in its debug mode, tells its result.
        return str(await self._to_the_end(authorization.begin(self.replica, redirect_uri, scope, tenant, next_path)))

    async def complete(self, params: Mapping[str, str]) -> Token:
        """The token for a callback's parameters. Binds them to this account, and to no browser: see ``BrowserBinding``.

        (RFC 6749 §4.1.2.) Whoever can have it called for this account can finish what the account began, wherever that was.

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
        renew: bool = True,
    ) -> Token:
        """Bring in a session that was made elsewhere: where there is none, or a dead one.

        An access token is stored as it is, the refresh token beside it. A refresh token alone is stored first, then renewed
        once; after ``VendorUnavailable`` or ``RateLimited`` it is here, and whoever uses it next renews it. So it is without
        ``renew``, for whoever brings in thousands: the token that comes back is then good for nothing yet.

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
        work = self._adopted(brought, replace=replace, renew=renew)
        return await (self._brought(work) if renew else self._to_the_end(work))

    async def _adopted(self, brought: Callable[[float], Token], *, replace: bool, renew: bool) -> Token:
        adopted = await Runtime(self.replica).run(adoption.adopt, brought, replace=replace)
        if not renew:
            return self.replica.current()
        try:
            return await self.token()
        except ReauthorizationRequired:
            if self._state.token is not None:  # it was said of the session before, whose renewal was in the air
                self.replica.learn(lambda state: state.succeeded())
                return await self.token()
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
        if self._renewals is None:
            return False
        now = self._context.clock.monotonic()
        refused = self.refusals is not None and self.refusals.matter(self._state.token)
        failed_just_now = self._state.failure is not None and now < self._state.retry_at
        return failed_just_now or self.replica.is_alone_with_something() or refused

    def forget(self) -> None:
        """Hand out nothing before a look at what is known. Called whenever something was learned."""
        self.valid = NONE

    @property
    def renewals(self) -> Renewals:
        """How it comes to a token."""
        if (known := self._renewals) is not None:
            return known
        with self._context.learning:  # another thread's loop may ask for the first time at this moment
            self._renewals = self._renewals or Renewals(TokenReplica(self._context, self.vendor, self.account, self))
            return self._renewals

    @property
    def replica(self) -> TokenReplica:
        """What is known of it, and of its record."""
        return self.renewals.replica

    @property
    def _refusals(self) -> Refusals:
        if self.refusals is None:
            self.refusals = Refusals(self._context.clock, self._context.world.random)
        return self.refusals

    @property
    def _state(self) -> CredentialState:
        return self.replica.state

    async def _brought(self, work: Coroutine[Any, Any, Token]) -> Token:
        """What the user brought; should it be over already, for this process was stopped, what renewing brings."""
        token = await self._to_the_end(work)
        return token if self.replica.unexpired() else await self.token()

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` as a flight: it ends well though its caller be cancelled."""
        try:
            self.ready()
        except LinkAuthError:
            work.close()
            raise
        name = f"linkauth {self.vendor.name}/{self.account}"
        return await self._context.flights.start(work, name, irreplaceable=True).join()

    def ready(self) -> None:
        """Something is to begin with the vendor or the store. Raises ``UnsupportedGrant`` and ``ConfigurationError`` where it cannot."""
        if self._static is not None:
            raise UnsupportedGrant(f"{self.vendor.name} has one key: it is neither fetched nor renewed nor stored")
        if self._context.flights.closing:
            raise ConfigurationError("the engine is closed: ask within its `async with`")
        self._context.used(self)
