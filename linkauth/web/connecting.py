"""The connect pages, whatever web framework serves them: ``GET /VENDOR`` sends the user to the vendor, ``/VENDOR/callback`` takes the answer.

Whose answer it is, and which tenant's, is in its state, which the store keeps (RFC 6749 §10.12). That the answer comes from
the browser that asked is looked at as well, wherever it can be (RFC 9700 §4.7): otherwise somebody could ask in his own
name, have another person accept, and so get at that person's data.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

import attrs

from linkauth.engine.awaited import awaited
from linkauth.errors import ConfigurationError, InvalidRequest, LinkAuthError, StateMismatch
from linkauth.oauth.binding import BrowserBinding
from linkauth.oauth.url import base_url, given
from linkauth.vendors.titles import title
from linkauth.web.callback import BadCallback, parameters
from linkauth.web.deliveries import Deliveries, key
from linkauth.web.landing import CONNECTED, NO_PATH, NO_TENANT, NOBODY, NOT_ALLOWED, UNKNOWN, Landing
from linkauth.web.outcome import Outcome, failed
from linkauth.web.start import Start
from linkauth.web.tenants import Vendors
from linkauth.web.visit import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from linkauth.front import AuthEngine, Credential
    from linkauth.vendors.vendor import Vendor
    from linkauth.web.look import Look
    from linkauth.web.tenants import OfTenant
    from linkauth.web.visit import Native, Visit

__all__ = ["Connecting"]

log = logging.getLogger("linkauth.web")

AndThen: TypeAlias = "Callable[[Native, Credential], Native]"
OrElse: TypeAlias = "Callable[[Native, LinkAuthError], Native]"
"""The app's own functions take and give the framework's requests and responses, and may be coroutine functions."""


class NotAllowed(Exception):
    """A page is there, but not for this method: ``allow`` names those that there are (RFC 9110 §15.5.6)."""

    def __init__(self, allow: str = "GET") -> None:
        super().__init__(allow)
        self.allow = allow


class Connecting:
    """``connect_app``, but for the framework: ``start`` and ``callback`` answer a ``Visit``."""

    def __init__(
        self,
        engine: AuthEngine,
        vendors: Iterable[Vendor] | Mapping[str, Vendor | OfTenant],
        public_url: str,
        account: Callable[[Native], Native],
        on_connected: AndThen | None,
        on_failed: OrElse | None,
        titles: Mapping[str, str],
        look: Look,
    ) -> None:
        self._engine = engine
        self._public_url = given(base_url(public_url))  # as spelt: vendors compare redirect URIs letter by letter
        self._secure = self._public_url.startswith("https:")
        self._account = account
        self._on_connected = on_connected
        self._on_failed = on_failed
        self._titles = titles
        self._look = look
        self._deliveries = Deliveries()
        self._vendors = Vendors(vendors, self._redirect_uri)

    async def start(self, visit: Visit) -> Native:
        """Send the user to the vendor."""
        return visit.respond(await self._if_allowed(self._started, visit))

    async def callback(self, visit: Visit) -> Native:
        """Take the vendor's answer."""
        return visit.respond(await self._if_allowed(self._called_back, visit))

    async def elsewhere(self, visit: Visit) -> Native:
        """Any other path: nothing is there."""
        return visit.respond(self._nothing(UNKNOWN))

    async def _if_allowed(self, answer: Callable[[Visit], Awaitable[Answer | Native]], visit: Visit) -> Answer | Native:
        try:
            return await answer(visit)
        except NotAllowed as error:
            return self._nothing(attrs.evolve(NOT_ALLOWED, allow=error.allow))

    def _nothing(self, landing: Landing) -> Answer:
        """A page that is no vendor's."""
        return landing.page("", self._public_url, self._look)

    def _redirect_uri(self, word: str) -> str:
        return f"{self._public_url}/{quote(word, safe='')}/callback"

    def _page(self, landing: Landing, start: Start) -> Answer:
        if self._vendors.one(start.word) is None and not start.tenant:
            landing = attrs.evolve(landing, again=False)  # at whose vendor, nobody knows any more
        return landing.page(self._title(start.word), f"{self._public_url}{start.path}", self._look)

    def _title(self, word: str) -> str:
        vendor = self._vendors.one(word)
        return self._titles.get(word) or title(word if vendor is None else vendor.name)

    async def _whose(self, visit: Visit) -> str | None:
        account: object = await awaited(self._account(visit.request))
        if account is None or isinstance(account, str):
            return account
        raise ConfigurationError(f"connect_app: account() gave {type(account).__name__}, where str or None is needed")

    async def _started(self, visit: Visit) -> Answer | Native:
        # HEAD is not allowed: a link scanner's look at a URL must neither begin nor end anything.
        if visit.method != "GET":
            raise NotAllowed
        if visit.word not in self._vendors:
            return self._nothing(UNKNOWN)
        start = Start.asked(visit)
        if start is None:
            return self._page(NO_PATH, Start(visit.word))
        try:
            account = await self._whose(visit)
            if account is None:
                return self._page(NOBODY, start)
            vendor = await self._vendors.of(start)
            if vendor is None:
                return self._page(NO_TENANT, start)
            return await self._sent(visit, start, vendor, account)
        except LinkAuthError as error:
            return await self._answer(visit, self._failed(error, start), start)

    async def _sent(self, visit: Visit, start: Start, vendor: Vendor, account: str) -> Answer:
        """The redirect that sends the user to the vendor."""
        url = await self._engine.credential(vendor, account).authorization_url(
            self._redirect_uri(start.word),
            tenant="" if self._vendors.one(start.word) else start.tenant,
            next_path=start.next_path,
        )
        binding = BrowserBinding.of(url, lifetime=vendor.pending_lifetime, secure=self._secure)
        visit.set_cookies += binding.set_cookies(visit.cookies)
        return Answer(status=303, headers={"Location": url})

    async def _called_back(self, visit: Visit) -> Answer | Native:
        word = visit.word
        if visit.method not in {"GET", "POST"}:
            raise NotAllowed("GET, POST")
        if word not in self._vendors:
            return self._nothing(UNKNOWN)
        start = Start(word)
        vendor = self._vendors.one(word)
        if vendor is not None:
            _refuse_a_post(visit, vendor)
        try:
            params = await parameters(visit)
            account = None if visit.method == "POST" else await self._whose(visit)
        except BadCallback as bad:
            error = InvalidRequest("", bad.landing.text)
            return await self._answer(visit, Outcome(landing=bad.landing, error=error), start)
        except ConfigurationError as error:
            return await self._answer(visit, self._failed(error, start), start)
        binding = BrowserBinding.of(params, secure=self._secure)
        began_here = binding.began_in(visit.cookies)
        # Whether whoever sends this callback may be the one who began. A POST has its state alone to show.
        theirs = visit.method == "POST" or account is not None or began_here
        which = key(word, str(params.get("state")), account or "", visit.method)
        outcome = await self._deliveries.earlier(which)
        if outcome is None:
            with self._deliveries.first(which) as answer:
                outcome = await self._completed(visit, start, params, account, theirs=theirs)
                answer.set_result(outcome)
        response = await self._answer(visit, outcome, start, theirs=theirs)
        if outcome.landing.final and began_here:
            visit.set_cookies.append(binding.ended)
        return response

    async def _completed(
        self, visit: Visit, start: Start, params: Mapping[str, str], account: str | None, *, theirs: bool
    ) -> Outcome:
        try:
            if not theirs:
                raise StateMismatch(f"{start.word}: nobody is signed in, and this browser did not start it")
            vendor = self._vendors.one(start.word)
            begun = await self._engine.pending(vendor, params)
            start = Start(start.word, begun.tenant, begun.next_path)
            if vendor is None:
                vendor = await self._vendors.of(start)
                if vendor is None:
                    return Outcome(landing=NO_TENANT, start=start)
                _refuse_a_post(visit, vendor)
            if account is None:
                credential = await self._engine.complete(vendor, params)
            else:
                credential = self._engine.credential(vendor, account)
                await credential.complete(params)  # refuses a state of another account
        except LinkAuthError as error:
            return self._failed(error, start)
        return Outcome(landing=CONNECTED, start=start, connected=(vendor, credential.account))

    async def _answer(self, visit: Visit, outcome: Outcome, start: Start, *, theirs: bool = False) -> Answer | Native:
        """What the app answers, else ``next``, else the page."""
        # Each delivery has the app's own answer: of a double click's two answers a browser shows the second.
        start = outcome.start or start
        said: Answer | Native | None = None
        if outcome.error is not None and self._on_failed is not None:
            said = await awaited(self._on_failed(visit.request, outcome.error.again()))
        elif outcome.connected is not None and theirs:
            if self._on_connected is not None:
                said = await awaited(self._on_connected(visit.request, self._engine.credential(*outcome.connected)))
            if said is None and start.location:
                said = Answer(status=303, headers={"Location": start.location})
        return self._page(outcome.landing, start) if said is None else said

    def _failed(self, error: LinkAuthError, start: Start) -> Outcome:
        level = logging.INFO if error.who == "the user" else logging.WARNING
        log.log(level, "%s: not connected: %s: %s", start.word, type(error).__name__, error)
        return failed(error, start)


def _refuse_a_post(visit: Visit, vendor: Vendor) -> None:
    """A vendor that answers by GET could be talked into a POST, past the look at the browser's session."""
    if visit.method == "POST" and not vendor.posts_callback:
        raise NotAllowed
