"""One run's way to the vendor: with a permit of its client's limiter, and with the newest client secret."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from linkauth.engine.events import EventKind
from linkauth.engine.exchange import Exchange
from linkauth.engine.limiter import limiter
from linkauth.engine.probe import Try
from linkauth.errors import CorruptRecord, InvalidClient, OAuthError, StoreError, VendorUnavailable
from linkauth.protocol.effects import Failed, LeaseLost
from linkauth.protocol.limits import secret_digest

if TYPE_CHECKING:
    from linkauth.engine.context import EngineContext
    from linkauth.engine.lease import Lease
    from linkauth.engine.limiter import Permit
    from linkauth.oauth.exchange import Flow, Request
    from linkauth.protocol import effects
    from linkauth.protocol.freshness import StoreTime
    from linkauth.vendors.vendor import Vendor

__all__ = ["VendorAccess"]

log = logging.getLogger("linkauth")


class VendorAccess:
    """What one run of steps asks ``vendor`` for ``account``."""

    def __init__(self, context: EngineContext, vendor: Vendor, account: str) -> None:
        self._context = context
        self._vendor = vendor
        self._account = account
        self._secrets = context.client_secrets
        self._permit: Permit | None = None
        self._answered = False
        self._asked = vendor
        """With the client secret that was shown last."""

    async def acquire_permit(self, need: float) -> None:
        """Wait for a permit, unless there is one: ``need`` is until when a token is needed (monotonic). Raises as the limiter."""
        if self._permit is None:
            newest = self._secrets.known(self._vendor)
            try:
                self._permit = await self._acquire(newest, need)
            except InvalidClient:  # so it was said to whoever sent this secret: is there a newer one?
                newer = await self._secrets.newer(self._vendor, newest)
                if newer is None:
                    raise
                self._permit = await self._acquire(newer, need)

    async def _acquire(self, vendor: Vendor, need: float) -> Permit:
        its_limiter = limiter(self._context, self._vendor)
        return await its_limiter.acquire(self._account, secret_digest(vendor), need, self._context.timeout)

    async def release_permit(self) -> None:
        """Let somebody else ask."""
        permit, self._permit = self._permit, None
        if permit is not None:
            await permit.release(answered=self._answered)

    async def exchange(self, wanted: effects.Exchange, time: StoreTime, lease: Lease | None) -> Any:
        """The vendor's answer to the newest client secret; with another one once more, should it not know that.

        Or ``Failed``. Raises ``LeaseLost``: nothing was sent.
        """
        try:
            outcome = await self._once(wanted, time, lease)
            if isinstance(outcome, Failed) and isinstance(outcome.error, InvalidClient):
                return await self._again(wanted, time, lease, outcome.error)
        except StoreError as error:
            return Failed(error.with_traceback(None), in_doubt=False)
        return outcome

    async def _again(
        self, wanted: effects.Exchange, time: StoreTime, lease: Lease | None, refusal: InvalidClient
    ) -> Any:
        """With another client secret, for somebody may have rotated it meanwhile, and the store knows. Raises ``StoreError``.

        If that does not help, the fleet is told of each that was refused.
        """
        outcome: Any = Failed(refusal, in_doubt=False)
        refused, newer, unread = [self._asked], None, ""
        try:
            newer = await self._secrets.newer(self._vendor, self._asked)
        except CorruptRecord as error:
            unread = str(error)
        if newer is not None:
            refused.append(newer)
            outcome = await self._permitted_again(newer) or await self._once(wanted, time, lease)
        if self._permit is not None and isinstance(outcome, Failed) and isinstance(outcome.error, InvalidClient):
            for vendor in refused:
                self._permit.secret = secret_digest(vendor)
                await self._permit.refused(outcome.error)
        if unread:
            raise CorruptRecord(f"{unread}; and the vendor refused the secret that this program was given ({refusal})")
        return outcome

    async def _permitted_again(self, vendor: Vendor) -> Failed | None:
        """Wait until another request of this client's may go, with the secret of ``vendor``. Why none may; None: it may."""
        if self._permit is not None:
            self._permit.secret = secret_digest(vendor)
            try:
                await self._permit.again()
            except (OAuthError, VendorUnavailable) as error:
                return Failed(error.with_traceback(None), in_doubt=False)
        return None

    async def _once(self, wanted: effects.Exchange, time: StoreTime, lease: Lease | None) -> Any:
        async def begin() -> Flow[Any]:
            """Before each try: the secret may have been rotated since the last."""
            self._asked = await self._secrets.newest(self._vendor)
            if self._permit is not None:
                self._permit.secret = secret_digest(self._asked)
            return wanted.flow(self._asked)

        exchange: Exchange[Any] = Exchange(
            self._context.world,
            time,
            wanted,
            begin,
            limit=self._context.timeout,
            lease=lease,
            profile=self._vendor.rotation,
            permit=self._permit,
            tried=self._tell,
        )
        try:
            found = await exchange.run()
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the steps judge it
            return Failed(error.with_traceback(None), exchange.in_doubt)
        self._answered = True
        return found

    def _tell(self, request: Request, attempt: int, seconds: float, status: int | None, error: str) -> None:
        one = Try(
            vendor=self._vendor.name,
            account=self._account,
            method=request.method,
            host=urlsplit(request.url).hostname or "",
            attempt=attempt,
            duration=seconds,
            status=status,
            error=error,
        )
        event_log = self._context.event_log
        event_log.probe.tried(one)
        if attempt == 1:
            log.debug("%s/%s: asked: %s", one.vendor, one.account, one)
        else:
            more: dict[str, Any] = {"host": one.host, "status": status, "attempt": attempt, "error": error}
            event_log.tell(EventKind.RETRIED, one.vendor, one.account, str(one), seconds, **more)
